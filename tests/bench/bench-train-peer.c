/*
 * bench-train-peer.c - training steps of a hypernet in the shapes that the Python peer uses.
 *
 * A frozen llama of 5.38M parameters (hidden 256, 6 layers, 8 heads, ffn 768, vocabulary 512), a
 * hypernet of design L (latent 128, head input 512, rank 8 on q and v, embeddings of 1024), f32;
 * 64 sequences of 64 tokens, each with an adapter of its own. A step is what training does:
 * forward, backward, clipping, AdamW. tests/interop/peer-training.py times the same in PyTorch.
 * DTYPE "both" takes turns, a step of f32 and one of bf16, so that other load meets both.
 *
 * usage: bench-train-peer [STEPS [THREADS [ISA [f32|bf16|both]]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cpu/cpu.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/decoder-weights.h"
#include "engine/training/memory.h"
#include "engine/training/optimiser.h"
#include "engine/training/random.h"
#include "engine/training/task-batch.h"

enum { SEQUENCES = 64, TOKENS = 64, VOCAB = 512, EMBEDDING = 1024, WARM_UP = 2 };

struct bench {
	struct backend *backend;
	struct ops *ops;
	struct decoder decoder;
	int64_t n_decoder;
	struct hypernet_network *network;
	struct parameter_set parameters;
	struct t2l_train_options options;
	struct batch batch;
	struct task_rows groups[SEQUENCES];
	float embeddings[SEQUENCES * EMBEDDING];
	struct random random;
};

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status == T2L_OK)
		return;
	fprintf(stderr, "bench-train-peer: %s\n", err->message);
	exit(1);
}

static void *
checked(void *memory)
{
	if (memory == NULL) {
		fprintf(stderr, "bench-train-peer: out of memory\n");
		exit(1);
	}
	return memory;
}

/* A weight of the frozen base: normal, deviation 0.02; norms 1. Lives until the program ends. */
static enum t2l_status
random_weight(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct bench *bench = user;
	int64_t rows = slot->rows > 0 ? slot->rows : 1, n = rows * slot->cols;
	struct tensor *tensor = checked(calloc(1, sizeof *tensor));
	float *values = checked(malloc((size_t)n * sizeof *values));

	(void)err;
	*tensor = (struct tensor){ .dtype = DTYPE_F32, .data = values };
	tensor->n_dims = slot->rows > 0 ? 2 : 1;
	tensor->shape[0] = slot->rows > 0 ? slot->rows : slot->cols;
	tensor->shape[1] = slot->cols;
	for (int64_t i = 0; i < n; i++)
		values[i] = slot->rows > 0 ? 0.02F * (float)random_normal(&bench->random) : 1.0F;
	*slot->tensor = tensor;
	bench->n_decoder += n;
	return T2L_OK;
}

static void
make_decoder(struct bench *bench)
{
	struct t2l_error err;

	bench->decoder.config = (struct decoder_config){
		.kind = architecture_by_name("llama"),
		.n_layers = 6,
		.hidden_size = 256,
		.n_heads = 8,
		.n_kv_heads = 8,
		.head_dim = 32,
		.ffn_size = 768,
		.vocab_size = VOCAB,
		.context_length = 2 * TOKENS,
		.norm_epsilon = 1e-5F,
		.activation = ACTIVATION_SILU,
		.rope.theta = 10000,
		.bos_id = -1,
	};
	check(decoder_prepare(&bench->decoder, &err), &err);
	check(decoder_each_weight(&bench->decoder, &decoder_names_hf, random_weight, bench, &err),
	    &err);
}

static void
make_hypernet(struct bench *bench)
{
	const struct decoder_config *base = &bench->decoder.config;
	struct hypernet_config config = {
		.variant = "L",
		.embedding_size = EMBEDDING,
		.latent_size = 128,
		.head_in_size = 512,
		.n_layers = base->n_layers,
		.rank = 8,
		.lora_alpha = 16,
		.use_rslora = true,
		.n_modules = 2,
		.modules = { MODULE_Q, MODULE_V },
		.head_bias = true,
		.dropout = 0.05F,
	};
	struct t2l_error err;

	for (int i = 0; i < config.n_modules; i++) {
		config.in[i] = decoder_module_in(base, config.modules[i]);
		config.out[i] = decoder_module_out(base, config.modules[i]);
	}
	check(hypernet_create(&config, &bench->network, &err), &err);
	hypernet_initialise(bench->network, 1);
	for (size_t i = 0; i < bench->network->n_parameters; i++)
		check(parameter_set_add(&bench->parameters, bench->network->parameters[i].name,
			  &bench->network->parameters[i].tensor, UPDATE_ADAMW, &err),
		    &err);
	check(parameter_set_allocate(&bench->parameters, &err), &err);
}

/* TOKENS + 1 ids a sequence: as many rows go through the base as in the peer. */
static void
make_batch(struct bench *bench)
{
	int32_t ids[TOKENS + 1];
	struct t2l_error err;

	for (int s = 0; s < SEQUENCES; s++) {
		for (int i = 0; i <= TOKENS; i++)
			ids[i] = (int32_t)random_below(&bench->random, VOCAB);
		bench->groups[s] = (struct task_rows){ bench->batch.n_rows, TOKENS, s };
		check(batch_add(
			  &bench->batch, ids, ids, TOKENS + 1, 1.0F / (SEQUENCES * TOKENS), &err),
		    &err);
	}
	bench->batch.chunk_rows = decoder_chunk_rows(&bench->decoder.config, false);
	for (int i = 0; i < SEQUENCES * EMBEDDING; i++)
		bench->embeddings[i] = (float)random_normal(&bench->random);
}

/* -> the loss before the step */
static double
train_step(struct bench *bench, int64_t step)
{
	const struct hypernet_config *config = &bench->network->config;
	struct lora_stack stack = { .n_modules = config->n_modules,
		.n_layers = config->n_layers,
		.rank = config->rank,
		.modules = { MODULE_Q, MODULE_V },
		.scale = lora_scale(&bench->options) };
	struct t2l_error err;
	const struct hypernet_dropout dropout = { (uint64_t)step + 1, 0, SEQUENCES };
	struct tensor *embeddings, *loss;

	ops_reset(bench->ops);
	ops_record(bench->ops, true);
	parameter_set_zero_gradients(&bench->parameters);
	embeddings = ops_wrap(
	    bench->ops, DTYPE_F32, 2, (int64_t[]){ SEQUENCES, EMBEDDING }, bench->embeddings, NULL);
	if (!hypernet_forward(bench->ops, bench->network, embeddings, &dropout, stack.a, stack.bt))
		check(ops_status(bench->ops, &err), &err);
	loss = task_batch_loss(
	    bench->ops, &bench->decoder, &bench->batch, &stack, bench->groups, SEQUENCES, 0, 0);
	check(ops_status(bench->ops, &err), &err);
	checked(loss);
	double value = (double)tensor_f32(loss)[0];

	check(ops_backward(bench->ops, loss, 1, &err), &err);
	check(optimiser_step(bench->backend, &bench->parameters, &bench->options, step,
		  gradient_norm(bench->backend, &bench->parameters), &err),
	    &err);
	return value;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
report(
    const struct bench *bench, const char *dtype, double *seconds, int steps, const double *losses)
{
	qsort(seconds, (size_t)steps, sizeof *seconds, by_value);
	printf("{\"bench\":\"train-peer\",\"compute_dtype\":\"%s\",\"base_parameters\":%lld,"
	       "\"hypernet_parameters\":%lld,\"loss_first\":%.4f,\"loss_last\":%.4f,"
	       "\"step_s_best\":%.3f,\"step_s_median\":%.3f,\"tokens_per_s_best\":%.0f,"
	       "\"tokens_per_s_median\":%.0f,\"arena_MB\":%.0f}\n",
	    dtype, (long long)bench->n_decoder, (long long)bench->parameters.n_numbers, losses[0],
	    losses[1], seconds[0], seconds[steps / 2], SEQUENCES * TOKENS / seconds[0],
	    SEQUENCES * TOKENS / seconds[steps / 2], (double)ops_peak_bytes(bench->ops) * 1e-6);
}

/* Times STEPS steps of each of N dtypes, in turns, from step WARM_UP on. */
static void
run(struct bench *bench, int steps, const enum dtype *dtypes, int n)
{
	double *seconds[2], losses[2] = { 0 };

	for (int i = 0; i < n; i++)
		seconds[i] = checked(malloc((size_t)steps * sizeof **seconds));
	for (int step = 0; step < (WARM_UP + steps) * n; step++) {
		int timed = step / n - WARM_UP;
		double start = clock_seconds();

		ops_compute(bench->ops, dtypes[step % n]);
		losses[1] = train_step(bench, step);
		if (step == 0)
			losses[0] = losses[1];
		if (timed >= 0)
			seconds[step % n][timed] = clock_seconds() - start;
	}
	for (int i = 0; i < n; i++) {
		report(bench, dtype_name(dtypes[i]), seconds[i], steps, losses);
		if (i > 0)
			printf("{\"bf16_to_f32_best\":%.2f,\"bf16_to_f32_median\":%.2f}\n",
			    seconds[0][0] / seconds[1][0],
			    seconds[0][steps / 2] / seconds[1][steps / 2]);
	}
	for (int i = 0; i < n; i++)
		free(seconds[i]);
}

int
main(int argc, char **argv)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_BF16 };
	const char *dtype = argc > 4 ? argv[4] : "f32";
	bool both = strcmp(dtype, "both") == 0, bf16 = strcmp(dtype, "bf16") == 0;
	int steps = argc > 1 ? atoi(argv[1]) : 7;
	struct cpu_options cpu = { .n_threads = argc > 2 ? atoi(argv[2]) : 0,
		.isa = argc > 3 ? argv[3] : NULL };
	struct bench *bench = checked(calloc(1, sizeof *bench));
	struct t2l_error err;

	if (steps < 1 || steps > 100000 || !(both || bf16 || strcmp(dtype, "f32") == 0)) {
		fprintf(
		    stderr, "usage: bench-train-peer [STEPS [THREADS [ISA [f32|bf16|both]]]]\n");
		return 2;
	}
	bench->random = random_at(1, 0, 0);
	t2l_train_defaults(&bench->options);
	bench->options.steps = 2 * (WARM_UP + steps);
	bench->options.schedule = T2L_SCHEDULE_CONSTANT;
	bench->options.warmup_steps = 0;
	bench->options.learning_rate = 1e-4F;
	bench->options.rank = 8;
	bench->options.lora_alpha = 16;
	bench->options.use_rslora = true;
	check(cpu_backend_open(&cpu, &bench->backend, &err), &err);
	bench->ops = checked(ops_create(bench->backend));
	make_decoder(bench);
	make_hypernet(bench);
	make_batch(bench);
	run(bench, steps, bf16 ? dtypes + 1 : dtypes, both ? 2 : 1);
	return 0;
}
