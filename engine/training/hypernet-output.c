/* hypernet-output.c - makes a hypernet to train and writes what became of it. */

#include <stdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/hypernet-output.h"

enum t2l_status
hypernet_config_of(
    const struct t2l_train_options *options, struct hypernet_config *config, struct t2l_error *err)
{
	const char *variant = options->variant ? options->variant : "";

	if (strlen(variant) != 1 || strchr("SML", variant[0]) == NULL)
		return t2l_fail(
		    err, T2L_EINVAL, "training: variant '%s' is none of S, M, L", variant);
	*config = (struct hypernet_config){
		.shared_head = variant[0] != 'L',
		.rowwise = variant[0] == 'S',
		.learned_positions = variant[0] == 'S',
		.latent_size = options->latent_size,
		.head_in_size = options->head_in_size,
		.head_bias = true,
		.dropout = options->dropout,
	};
	snprintf(config->variant, sizeof config->variant, "%s", variant);
	return T2L_OK;
}

/* The matrices of the trunk. */
static bool
is_hidden(const struct hypernet_parameter *parameter)
{
	return parameter->tensor.n_dims == 2 && (strncmp(parameter->name, "mixer.", 6) == 0 ||
						    strncmp(parameter->name, "mlp", 3) == 0);
}

enum t2l_status
hypernet_add_parameters(
    struct trainer *trainer, struct hypernet_network *network, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < network->n_parameters && status == T2L_OK; i++) {
		struct hypernet_parameter *parameter = &network->parameters[i];

		if (parameter->start != HYPERNET_START_GIVEN)
			status = parameter_set_add(&trainer->parameters, parameter->name,
			    &parameter->tensor, trainer_rule(trainer, is_hidden(parameter)), err);
	}
	return status;
}

uint64_t
hypernet_training_bytes(const struct hypernet_config *config, int64_t n_tasks)
{
	uint64_t latent = (uint64_t)config->latent_size, made = 0;
	uint64_t rows = config->shared_head ? 2 : 1, row;

	if (config->rowwise)
		rows *= (uint64_t)config->rank;
	/* A row of the trunk: mixer, two residual blocks and the last, each 4 P wide with its
	 * activation and dropout; then the head's input. */
	row = 4 * 3 * 5 * latent + 2 * (uint64_t)config->head_in_size;
	for (int i = 0; i < config->n_modules; i++)
		made += (uint64_t)(config->in[i] + config->out[i]) * (uint64_t)config->rank;
	return 2 * (uint64_t)n_tasks * (uint64_t)config->n_layers *
	       (2 * made + (uint64_t)config->n_modules * rows * row) * sizeof(float);
}

/* The file's name without folder and ending. */
static void
name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(name, size, "%s", slash ? slash + 1 : path);
	dot = strrchr(name, '.');
	if (dot != NULL && dot != name)
		*dot = '\0';
}

enum t2l_status
hypernet_write(struct trainer *trainer, const struct hypernet_network *network,
    const char *base_name, const char *base_fingerprint, const struct text_encoder *encoder,
    struct t2l_error *err)
{
	struct hypernet_origin origin = { .name = "" };
	enum dtype dtype;

	if (!dtype_by_name(trainer->options->save_dtype, &dtype))
		return t2l_fail(
		    err, T2L_EINVAL, "training: unknown dtype '%s'", trainer->options->save_dtype);
	name_of(trainer->options->output, origin.name, sizeof origin.name);
	snprintf(origin.base_name, sizeof origin.base_name, "%s", base_name);
	snprintf(origin.base_fingerprint, sizeof origin.base_fingerprint, "%s", base_fingerprint);
	snprintf(origin.encoder_name, sizeof origin.encoder_name, "%s", encoder->facts.name);
	snprintf(origin.encoder_fingerprint, sizeof origin.encoder_fingerprint, "%s",
	    encoder->facts.fingerprint);
	return hypernet_save(network, &origin, dtype, trainer->options->output, err);
}
