/* initialise.c - the numbers a hypernetwork starts training from. */

#include <math.h>

#include "engine/hypernet/hypernet.h"
#include "engine/training/random.h"

#define INITIALISE_STREAM UINT64_C(0x6879706572) /* apart from those of training */

/* A kaiming-uniform A (bound 1 / sqrt(in)) shared by all layers. With a shared head, A and B both
 * get it, so it is divided by sqrt(2); one row for all ranks divides by sqrt(r). Without a shared
 * head the rest of the bias is B, which stays zero. */
static void
start_head(const struct hypernet_config *config, int module, const struct tensor *bias,
    struct random *random)
{
	double bound = 1 / sqrt((double)config->in[module]);
	int64_t n = tensor_count(bias);

	if (config->rowwise)
		bound /= sqrt(config->rank);
	if (config->shared_head)
		bound /= sqrt(2);
	else
		n = config->rowwise ? config->in[module] : config->in[module] * config->rank;
	for (int64_t i = 0; i < n; i++)
		tensor_f32(bias)[i] = (float)(bound * (2 * random_uniform(random) - 1));
}

static void
start_plain(const struct hypernet_parameter *parameter, struct random *random)
{
	const double bound = 1 / sqrt((double)parameter->fan_in);
	float *values = tensor_f32(&parameter->tensor);

	for (int64_t i = 0; i < tensor_count(&parameter->tensor); i++) {
		switch (parameter->start) {
		case HYPERNET_START_ONE:
			values[i] = 1;
			break;
		case HYPERNET_START_NORMAL:
			values[i] = (float)random_normal(random);
			break;
		case HYPERNET_START_UNIFORM:
			values[i] = (float)(bound * (2 * random_uniform(random) - 1));
			break;
		default:
			values[i] = 0;
		}
	}
}

void
hypernet_initialise(struct hypernet_network *network, uint64_t seed)
{
	int head = 0;

	for (size_t i = 0; i < network->n_parameters; i++) {
		const struct hypernet_parameter *parameter = &network->parameters[i];
		struct random random = random_at(seed, INITIALISE_STREAM, i);

		start_plain(parameter, &random);
		/* Heads come in the order of the modules. */
		if (parameter->start == HYPERNET_START_HEAD)
			start_head(&network->config, head++, &parameter->tensor, &random);
	}
}
