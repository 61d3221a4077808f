/* hypernet-output.c - makes a hypernet to train and writes what became of it. */

#include <stdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/adapters/row-order.h"
#include "engine/training/hypernet-output.h"
#include "engine/training/lora-parameters.h"
#include "engine/training/random.h"

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
		/* With an offset the heads alone add nothing at first. */
		.head_bias = options->offset == NULL,
		.offset = options->offset != NULL,
		.dropout = options->dropout,
	};
	snprintf(config->variant, sizeof config->variant, "%s", variant);
	return T2L_OK;
}

struct hypernet_dropout
hypernet_dropout_of(
    const struct t2l_train_options *options, int64_t step, int64_t first_task, int64_t n_tasks)
{
	struct random random = random_at(options->seed, STREAM_DROPOUT, (uint64_t)step);

	return (struct hypernet_dropout){ random_next(&random) | 1, first_task, n_tasks };
}

/* ---- the offset ---- */

static enum t2l_status
check_offset(const struct hypernet_config *config, const struct lora_shape *shape, const char *path,
    struct t2l_error *err)
{
	bool present[N_MODULES] = { false };
	int n_common = 0;

	for (int i = 0; i < shape->n_modules; i++)
		present[shape->modules[i]] = true;
	for (int i = 0; i < config->n_modules; i++)
		n_common += present[config->modules[i]];
	if (n_common == config->n_modules && n_common == shape->n_modules &&
	    shape->rank == config->rank && (double)shape->lora_alpha == config->lora_alpha &&
	    shape->use_rslora == config->use_rslora)
		return T2L_OK;
	return t2l_fail(err, T2L_EMISMATCH,
	    "offset '%s': %d modules, rank %d, alpha %g%s; the hypernet is to make %d modules, "
	    "rank "
	    "%d, alpha %g%s: give target_modules, rank, lora_alpha and use_rslora as the offset "
	    "has "
	    "them",
	    path, shape->n_modules, shape->rank, (double)shape->lora_alpha,
	    shape->use_rslora ? " (rsLoRA)" : "", config->n_modules, config->rank,
	    config->lora_alpha, config->use_rslora ? " (rsLoRA)" : "");
}

static void
copy_offset(struct hypernet_network *network, const struct t2l_adapter *adapter)
{
	const struct hypernet_config *config = &network->config;

	for (int i = 0; i < config->n_modules; i++) {
		float *a = tensor_f32(hypernet_offset(network, i, 0));
		float *bt = tensor_f32(hypernet_offset(network, i, 1));

		for (int layer = 0; layer < config->n_layers; layer++) {
			const struct adapter_module *module =
			    adapter_find(adapter, layer, config->modules[i], MODULE_NO_EXPERT);
			int64_t n_a = tensor_count(&module->a), n_bt = tensor_count(&module->bt);

			memcpy(a + layer * n_a, module->a.data, (size_t)n_a * sizeof *a);
			memcpy(bt + layer * n_bt, module->bt.data, (size_t)n_bt * sizeof *bt);
		}
	}
}

enum t2l_status
hypernet_take_offset(struct hypernet_network *network, const char *path,
    const struct decoder_config *base, struct t2l_error *err)
{
	struct t2l_adapter *adapter = NULL, *ordered = NULL;
	struct lora_shape shape;
	enum t2l_status status = t2l_adapter_open(path, &adapter, err);

	if (status == T2L_OK)
		status = adapter_check_config(adapter, base, err);
	if (status == T2L_OK)
		status = adapter_reorder(adapter, false, base->head_dim, &ordered, err);
	if (status == T2L_OK && (status = lora_shape_of(ordered, base, &shape, err)) == T2L_OK)
		status = check_offset(&network->config, &shape, path, err);
	if (status == T2L_OK)
		copy_offset(network, ordered);
	t2l_adapter_close(ordered);
	t2l_adapter_close(adapter);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "offset");
}

/* ---- as the base has it ---- */

/* BT [.., out] with its columns in the order of GGUF files (row-order.h). */
static struct tensor *
in_gguf_order(struct ops *ops, struct tensor *bt, int head_dim)
{
	const int64_t half = head_dim / 2;
	int64_t shape[4], out, flat[2];
	int32_t *from;

	if (bt == NULL)
		return NULL;
	memcpy(shape, bt->shape, sizeof shape);
	flat[1] = out = shape[3];
	flat[0] = tensor_count(bt) / out;
	from = arena_alloc(ops_arena(ops), (size_t)out * sizeof *from);
	if (from == NULL)
		return ops_out_of_memory(ops);
	for (int64_t row = 0; row < out; row++) {
		int64_t in_head = row % head_dim;

		from[row] = (int32_t)(row - in_head + in_head % 2 * half + in_head / 2);
	}
	bt = op_gather_rows(ops, op_transpose(ops, op_view(ops, bt, 0, 2, flat)), from, out);
	return op_view(ops, op_transpose(ops, bt), 0, 4, shape);
}

bool
hypernet_in_base_order(struct ops *ops, const struct hypernet_network *network,
    const struct decoder_config *base, struct lora_stack *stack)
{
	if (!hypernet_add_offset(ops, network, stack->a, stack->bt))
		return false;
	for (int i = 0; base->rope_neighbours && i < stack->n_modules; i++) {
		if (stack->modules[i] == MODULE_Q || stack->modules[i] == MODULE_K)
			stack->bt[i] = in_gguf_order(ops, stack->bt[i], base->head_dim);
	}
	return ops_status(ops, NULL) == T2L_OK;
}

/* ---- parameters ---- */

static bool
is_trained(const struct trainer *trainer, const struct hypernet_parameter *parameter)
{
	if (parameter->start != HYPERNET_START_GIVEN)
		return true;
	return trainer->options->learn_offset && strncmp(parameter->name, "AB_offset.", 10) == 0;
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

		if (is_trained(trainer, parameter))
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
