/*
 * bench-generate.c - how long a hypernet of real size takes to make adapters.
 *
 * Random weights in the shapes of Mistral-7B (q 4096 -> 4096, v 4096 -> 1024, 32 layers, rank 8,
 * embeddings of 1024), latent 128 and head input 512, the reference's defaults. For each variant
 * and weight type: one task and a batch of tasks, embedding -> A and B of all layers; then what a
 * caller waits for besides: sealing (finite numbers, hash) and writing the file.
 *
 * Usage: bench-generate [isa [threads [tasks in the batch]]]; threads 0: all, 8 tasks by default
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/cpu/cpu.h"
#include "engine/engine.h"
#include "engine/hypernet/hypernet.h"

#define TRIALS 5

static double
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

struct timing {
	double wall_ms, cpu_ms;
};

/* Keeps the smaller of each. */
static void
best_of(struct timing *best, double wall_begin, double cpu_begin)
{
	double wall = clock_ms() - wall_begin, cpu = cpu_ms() - cpu_begin;

	best->wall_ms = wall < best->wall_ms ? wall : best->wall_ms;
	best->cpu_ms = cpu < best->cpu_ms ? cpu : best->cpu_ms;
}

static void
stop(const struct t2l_error *err)
{
	fprintf(stderr, "bench-generate: %s\n", err->message);
	exit(1);
}

static struct hypernet_config
config_of(const char *variant)
{
	struct hypernet_config config = {
		.shared_head = variant[0] != 'L',
		.rowwise = variant[0] == 'S',
		.embedding_size = 1024,
		.latent_size = 128,
		.head_in_size = 512,
		.n_layers = 32,
		.rank = 8,
		.lora_alpha = 16,
		.use_rslora = true,
		.n_modules = 2,
		.modules = { MODULE_Q, MODULE_V },
		.in = { 4096, 4096 },
		.out = { 4096, 1024 },
		.head_bias = true,
		.dropout = 0.05F,
	};

	strcpy(config.variant, variant);
	return config;
}

/* A checkpoint whose heads are not zero. */
static void
write_checkpoint(const char *variant, enum dtype dtype, const char *path)
{
	const struct hypernet_config config = config_of(variant);
	const struct hypernet_origin origin = { .name = "bench" };
	struct hypernet_network *network;
	struct t2l_error err;

	if (hypernet_create(&config, &network, &err) != T2L_OK)
		stop(&err);
	hypernet_initialise(network, 1);
	for (size_t i = 0; i < network->n_parameters; i++) {
		const struct hypernet_parameter *parameter = &network->parameters[i];
		float *values = tensor_f32(&parameter->tensor);

		if (parameter->start != HYPERNET_START_ZERO || parameter->tensor.n_dims < 2)
			continue;
		for (int64_t j = 0; j < tensor_count(&parameter->tensor); j++)
			values[j] = (float)((j * 7919) % 1009) * 2e-5F - 1e-2F;
	}
	if (hypernet_save(network, &origin, dtype, path, &err) != T2L_OK)
		stop(&err);
	hypernet_free(network);
}

/* The best of some trials of N adapters. */
static struct timing
generate(struct t2l_hypernet *hypernet, const float *embeddings, size_t n)
{
	struct t2l_adapter **adapters = calloc(n, sizeof(struct t2l_adapter *));
	struct timing best = { 1e300, 1e300 };
	struct t2l_error err;

	for (int trial = 0; trial < TRIALS; trial++) {
		double wall = clock_ms(), cpu = cpu_ms();

		if (t2l_hypernet_generate_many(hypernet, embeddings, NULL, n, adapters, &err) !=
		    T2L_OK)
			stop(&err);
		best_of(&best, wall, cpu);
		for (size_t i = 0; i < n; i++)
			t2l_adapter_close(adapters[i]);
	}
	free(adapters);
	return best;
}

static void
measure_saving(struct t2l_hypernet *hypernet, const float *embedding)
{
	const char *path = "bench-generate-adapter.safetensors";
	struct timing sealing = { 1e300, 1e300 }, saving = sealing;
	struct t2l_adapter *adapter;
	struct t2l_error err;

	if (t2l_hypernet_generate(hypernet, embedding, "bench", &adapter, &err) != T2L_OK)
		stop(&err);
	for (int trial = 0; trial < TRIALS; trial++) {
		double wall = clock_ms(), cpu = cpu_ms();

		if (adapter_seal(adapter, &err) != T2L_OK)
			stop(&err);
		best_of(&sealing, wall, cpu);
		wall = clock_ms();
		cpu = cpu_ms();
		if (t2l_adapter_save(adapter, path, &err) != T2L_OK)
			stop(&err);
		best_of(&saving, wall, cpu);
	}
	unlink(path);
	printf("sealing %.1f ms (cpu %.1f), saving with fsync %.1f ms (cpu %.1f)\n",
	    sealing.wall_ms, sealing.cpu_ms, saving.wall_ms, saving.cpu_ms);
	t2l_adapter_close(adapter);
}

static void
measure(struct t2l_engine *engine, const char *variant, enum dtype dtype, size_t n_tasks,
    const float *embeddings)
{
	const char *path = "bench-generate.safetensors";
	struct t2l_hypernet *hypernet;
	struct t2l_error err;
	struct timing one, many;
	double opening;

	write_checkpoint(variant, dtype, path);
	opening = clock_ms();
	if (t2l_hypernet_open(engine, path, &hypernet, &err) != T2L_OK)
		stop(&err);
	opening = clock_ms() - opening;
	one = generate(hypernet, embeddings, 1);
	many = generate(hypernet, embeddings, n_tasks);
	printf("%-8s %-5s %10lld %8.1f %10.1f %10.1f %10.1f %10.1f\n", variant, dtype_name(dtype),
	    (long long)t2l_hypernet_facts(hypernet)->n_parameters, opening, one.wall_ms, one.cpu_ms,
	    many.wall_ms / (double)n_tasks, many.cpu_ms / (double)n_tasks);
	if (variant[0] == 'S' && dtype == DTYPE_F16)
		measure_saving(hypernet, embeddings);
	t2l_hypernet_close(hypernet);
	unlink(path);
}

int
main(int argc, char **argv)
{
	const struct t2l_engine_options options = { .isa = argc > 1 ? argv[1] : NULL,
		.n_threads = argc > 2 ? atoi(argv[2]) : 0 };
	const size_t n_tasks = argc > 3 ? (size_t)atoi(argv[3]) : 8;
	static const char *const variants[] = { "L", "M", "S" };
	float *embeddings = calloc(n_tasks * 1024, sizeof *embeddings);
	struct t2l_engine *engine;
	struct t2l_error err;

	if (t2l_engine_open(&options, &engine, &err) != T2L_OK)
		stop(&err);
	for (size_t i = 0; i < n_tasks * 1024; i++)
		embeddings[i] = (float)(i * 31 % 17) / 8.0F - 1.0F;
	printf("%s; all in ms; each: one of %zu\n", t2l_engine_description(engine), n_tasks);
	printf("%-8s %-5s %10s %8s %10s %10s %10s %10s\n", "variant", "type", "numbers", "open",
	    "one", "one cpu", "each", "each cpu");
	for (int i = 0; i < 3; i++) {
		measure(engine, variants[i], DTYPE_F32, n_tasks, embeddings);
		measure(engine, variants[i], DTYPE_F16, n_tasks, embeddings);
	}
	free(embeddings);
	t2l_engine_close(engine);
	return 0;
}
