/*
 * task-encoder.c - a task embedding becomes the hypernet's c.
 *
 *   linear    c = LN(W0 x)
 *   discrete  c = one-hot(argmax z), z = W3 SiLU(W0 x) of 64 numbers; the first maximum wins
 *   vq        c = LN(the code nearest to z); the 32 codes are columns
 *   softmax   c = LN(softmax(z) of 32 numbers times the codes); the 32 codes are rows
 *
 * The last three are here to run checkpoints that have them: the reference's own programs make and
 * train none but the linear one.
 */

#include <math.h>

#include "engine/hypernet/network.h"
#include "engine/tensor/tape.h"

#define NORM_EPSILON 1e-5F

static struct tensor *
parameter(const struct hypernet_network *network, const char *name)
{
	return hypernet_find(network, name);
}

static struct tensor *
norm(struct ops *ops, const struct hypernet_network *network, struct tensor *x, const char *weight,
    const char *bias)
{
	return op_layer_norm(
	    ops, x, parameter(network, weight), parameter(network, bias), NORM_EPSILON);
}

static struct tensor *
first_layer(struct ops *ops, const struct hypernet_network *network, struct tensor *x)
{
	return op_linear(ops, x, parameter(network, "task_encoder.mlp.0.weight"),
	    parameter(network, "task_encoder.mlp.0.bias"));
}

/* c of one task from its z [N]; CODES is the table "task_encoder.embed". */
typedef void choose_function(const float *z, int64_t n, const struct tensor *codes, float *c);

static void
take_largest(const float *z, int64_t n, const struct tensor *codes, float *c)
{
	int64_t best = 0;

	(void)codes;
	for (int64_t i = 1; i < n; i++)
		if (z[i] > z[best])
			best = i;
	for (int64_t i = 0; i < n; i++)
		c[i] = i == best;
}

static void
take_nearest(const float *z, int64_t n, const struct tensor *codes, float *c)
{
	const int64_t n_codes = tensor_cols(codes);
	const float *table = tensor_f32(codes);
	double least = INFINITY;
	int64_t best = 0;

	for (int64_t k = 0; k < n_codes; k++) {
		double distance = 0;

		for (int64_t i = 0; i < n; i++) {
			double gap = (double)z[i] - (double)table[i * n_codes + k];

			distance += gap * gap;
		}
		if (distance < least) {
			least = distance;
			best = k;
		}
	}
	for (int64_t i = 0; i < n; i++)
		c[i] = table[i * n_codes + best];
}

static void
take_mean(const float *z, int64_t n, const struct tensor *codes, float *c)
{
	const int64_t width = tensor_cols(codes);
	double largest = -INFINITY, sum = 0;

	for (int64_t k = 0; k < n; k++)
		largest = fmax(largest, (double)z[k]);
	for (int64_t k = 0; k < n; k++)
		sum += exp((double)z[k] - largest);
	for (int64_t i = 0; i < width; i++) {
		double mean = 0;

		for (int64_t k = 0; k < n; k++)
			mean += exp((double)z[k] - largest) / sum *
				(double)tensor_f32(codes)[k * width + i];
		c[i] = (float)mean;
	}
}

static choose_function *const choices[] = {
	[HYPERNET_DISCRETE] = take_largest,
	[HYPERNET_VQ] = take_nearest,
	[HYPERNET_SOFTMAX] = take_mean,
};

struct tensor *
hypernet_encode(struct ops *ops, const struct hypernet_network *network, struct tensor *embeddings)
{
	const enum hypernet_encoder encoder = network->config.encoder;
	const struct tensor *codes = parameter(network, "task_encoder.embed");
	struct tensor *x = first_layer(ops, network, embeddings), *c;
	int64_t shape[2] = { 0, hypernet_encoded_size(&network->config) };

	if (encoder == HYPERNET_LINEAR)
		return norm(
		    ops, network, x, "task_encoder.mlp.1.weight", "task_encoder.mlp.1.bias");
	if (ops->recording)
		return tape_fail(ops, T2L_EUNSUPPORTED,
		    "hypernet: only hypernets with the linear task encoder can be trained");
	x = op_linear(ops, op_activate(ops, ACTIVATION_SILU, x),
	    parameter(network, "task_encoder.mlp.3.weight"),
	    parameter(network, "task_encoder.mlp.3.bias"));
	if (x == NULL)
		return NULL;
	shape[0] = tensor_rows(x);
	c = ops_tensor(ops, 2, shape, false);
	for (int64_t task = 0; c != NULL && task < shape[0]; task++)
		choices[encoder](tensor_f32(x) + task * tensor_cols(x), tensor_cols(x), codes,
		    tensor_f32(c) + task * shape[1]);
	if (encoder == HYPERNET_DISCRETE)
		return c;
	return norm(ops, network, c, "task_encoder.ln.weight", "task_encoder.ln.bias");
}
