/*
 * bench-decode.c - tokens a second of 1, 2, 4 and 8 lanes over one base, and what a prompt costs.
 *
 * All in one run, in turns, so that the figures may be compared: the rate of reading memory on all
 * threads; for each number of lanes the time of a step (median) and, for K lanes with K different
 * adapters of rank 8 on q and v, its ratio to one lane; the rate of a prompt of 256 tokens; and the
 * largest memory of the process against the model's file and the kv cache.
 *
 * Usage: bench-decode MODEL [TOKENS [THREADS [ISA]]]; TOKENS a lane in each round (16), THREADS 0:
 * all
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "engine/adapters/adapter.h"
#include "engine/models/model.h"

#define BUFFER_BYTES ((size_t)1 << 30)
#define N_PROMPT 16
#define N_LONG_PROMPT 256
#define N_CONTEXT 640
#define N_MEMORY 16 /* tokens after which memory is looked at */
#define MAX_LANES 8
#define ROUNDS 3

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status == T2L_OK)
		return;
	fprintf(stderr, "bench-decode: %s\n", err->message);
	exit(1);
}

/* ---- how fast memory can be read ---- */

struct reader {
	const uint64_t *from;
	size_t n;
	uint64_t sum;
};

typedef uint64_t wide __attribute__((vector_size(64)));

static void *
read_all(void *arg)
{
	struct reader *reader = arg;
	const wide *at = (const wide *)reader->from;
	wide sum[4] = { { 0 } };

	for (size_t i = 0; i + 4 <= reader->n / 8; i += 4)
		for (int j = 0; j < 4; j++)
			sum[j] += at[i + (size_t)j];
	for (int j = 0; j < 4; j++)
		reader->sum += sum[j][0];
	return NULL;
}

/* Bytes a second, the best of a few. */
static double
memory_rate(int n_threads)
{
	uint64_t *buffer = aligned_alloc(64, BUFFER_BYTES);
	struct reader readers[64];
	pthread_t threads[64];
	size_t part = BUFFER_BYTES / 8 / (size_t)n_threads / 64 * 64;
	double best = 0;

	if (buffer == NULL)
		return 0;
	memset(buffer, 1, BUFFER_BYTES);
	for (int round = 0; round < 6; round++) {
		double start = clock_seconds(), rate;

		for (int i = 0; i < n_threads; i++) {
			readers[i] = (struct reader){ buffer + (size_t)i * part, part, 0 };
			if (i > 0)
				pthread_create(&threads[i], NULL, read_all, &readers[i]);
		}
		read_all(&readers[0]);
		for (int i = 1; i < n_threads; i++)
			pthread_join(threads[i], NULL);
		rate = (double)(part * 8 * (size_t)n_threads) / (clock_seconds() - start);
		if (rate > best && readers[0].sum != 0)
			best = rate;
	}
	free(buffer);
	return best;
}

/* The process' largest memory so far, or the one at present, in bytes. */
static double
memory_of_process(const char *key)
{
	char line[256];
	double kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtod(line + strlen(key) + 1, NULL);
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

/* ---- lanes ---- */

static struct t2l_adapter *
random_adapter(const struct decoder_config *config, unsigned seed)
{
	const enum module adapted[] = { MODULE_Q, MODULE_V };
	size_t n = 2 * (size_t)config->n_layers;
	struct adapter_module *modules = calloc(n, sizeof *modules);
	const struct adapter_labels labels = { .name = "random" };
	struct t2l_adapter *adapter;
	struct t2l_error err;

	for (size_t i = 0; modules != NULL && i < n; i++) {
		enum module module = adapted[i % 2];

		modules[i] = (struct adapter_module){
			.layer = (int)(i / 2),
			.module = module,
			.rank = 8,
			.alpha = 16,
			.a = { .n_dims = 2, .shape = { 8, decoder_module_in(config, module) } },
			.bt = { .n_dims = 2, .shape = { 8, decoder_module_out(config, module) } },
		};
	}
	check(adapter_create(modules, n, false, &labels, &adapter, &err), &err);
	free(modules);
	for (size_t i = 0; i < n; i++) {
		struct tensor *both[] = { &adapter->modules[i].a, &adapter->modules[i].bt };

		for (int j = 0; j < 2; j++) {
			for (int64_t k = 0; k < tensor_count(both[j]); k++) {
				seed = seed * 1664525u + 1013904223u;
				tensor_f32(both[j])[k] = (float)((int)(seed >> 16) - 32768) * 1e-7f;
			}
		}
	}
	check(adapter_seal(adapter, &err), &err);
	return adapter;
}

struct lanes {
	size_t n;
	bool adapted;
	struct t2l_session *session;
	double step_ms[ROUNDS];
};

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *values, size_t n)
{
	qsort(values, n, sizeof *values, compare_doubles);
	return values[n / 2];
}

static void
set_prompts(const struct lanes *lanes, size_t n_prompt, int vocab_size, unsigned seed)
{
	int32_t prompt[N_LONG_PROMPT];
	struct t2l_error err;

	for (size_t lane = 0; lane < lanes->n; lane++) {
		for (size_t i = 0; i < n_prompt; i++) {
			seed = seed * 1664525u + 1013904223u;
			prompt[i] = (int32_t)(seed >> 8) % vocab_size;
		}
		check(t2l_session_set_prompt(lanes->session, lane, prompt, n_prompt, &err), &err);
	}
}

/* Milliseconds of a step in which every lane decodes. */
static double
time_steps(const struct lanes *lanes, size_t n_tokens, int vocab_size)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = n_tokens };
	struct t2l_lane_result results[MAX_LANES];
	struct t2l_error err;
	double longest = 0;

	sampling.greedy = true;
	set_prompts(lanes, N_PROMPT, vocab_size, 1); /* in the cache from the second time on */
	check(t2l_session_run(lanes->session, &run, results, &err), &err);
	for (size_t i = 0; i < lanes->n; i++)
		if (results[i].decode_ms > longest)
			longest = results[i].decode_ms;
	return longest / (double)(n_tokens - 1);
}

static void
open_lanes(struct t2l_model *model, struct lanes *lanes)
{
	static const float one = 1;
	struct t2l_error err;

	check(t2l_session_open(model, lanes->n, N_CONTEXT, &lanes->session, &err), &err);
	for (size_t i = 0; lanes->adapted && i < lanes->n; i++) {
		const struct t2l_adapter *adapter =
		    random_adapter(&model->base->decoder.config, (unsigned)i + 1);

		check(t2l_session_set_adapters(lanes->session, i, &adapter, &one, 1, &err), &err);
		t2l_adapter_close((struct t2l_adapter *)adapter);
	}
}

/* What a step reads of the weights: all but the embedding, of which it reads a few rows. */
static double
bytes_of_step(const struct t2l_model *model)
{
	const struct decoder *decoder = &model->base->decoder;
	const struct tensor *embedding = decoder->embedding;
	double bytes = (double)model->base->facts.weight_bytes;

	if (decoder->head != embedding)
		bytes -= (double)dtype_row_bytes(embedding->dtype, tensor_cols(embedding)) *
			 (double)tensor_rows(embedding);
	return bytes;
}

static void
bench_lanes(struct t2l_model *model, size_t n_tokens, double rate)
{
	struct lanes rows[] = { { .n = 1 }, { .n = 2 }, { .n = 4 }, { .n = 8 },
		{ .n = 4, .adapted = true }, { .n = 8, .adapted = true } };
	const size_t n_rows = sizeof rows / sizeof *rows;
	double bytes = bytes_of_step(model), one = 0;
	int vocab_size = model->base->facts.vocab_size;

	for (size_t i = 0; i < n_rows; i++) {
		open_lanes(model, &rows[i]);
		time_steps(&rows[i], 3, vocab_size); /* warms up */
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < n_rows; i++)
			rows[i].step_ms[round] = time_steps(&rows[i], n_tokens, vocab_size);
	printf("lanes             ms a step   tokens/s   of memory rate   step of K / step of 1\n");
	for (size_t i = 0; i < n_rows; i++) {
		double ms = median(rows[i].step_ms, ROUNDS);

		if (i == 0)
			one = ms;
		printf("%zu %-15s %9.2f %10.1f %15.0f %% %18.2f\n", rows[i].n,
		    rows[i].adapted ? "with adapters" : "", ms, 1e3 * (double)rows[i].n / ms,
		    100 * bytes / (ms * 1e-3) / rate, ms / one);
		t2l_session_close(rows[i].session);
	}
}

static void
bench_prompt(struct t2l_model *model)
{
	struct lanes lanes = { .n = 1 };
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling };
	struct t2l_error err;
	const struct t2l_model_facts *facts = &model->base->facts;
	double embedding = (double)facts->vocab_size * facts->hidden_size;
	double products = (double)facts->n_parameters - 2 * embedding; /* a row has no head */
	double ms[ROUNDS];

	open_lanes(model, &lanes);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct t2l_lane_result result;

		set_prompts(&lanes, N_LONG_PROMPT, facts->vocab_size, 1000 + round);
		check(t2l_session_run(lanes.session, &run, &result, &err), &err);
		ms[round] = result.prefill_ms;
	}
	double median_ms = median(ms, ROUNDS);
	printf(
	    "prompt of %d tokens: %.0f ms, %.0f tokens/s, %.1f GFLOP/s in the layers' products\n",
	    N_LONG_PROMPT, median_ms, N_LONG_PROMPT / median_ms * 1e3,
	    2 * products * N_LONG_PROMPT / median_ms * 1e-6);
	t2l_session_close(lanes.session);
}

/* One lane alone: the model's file, the kv cache that is used, and what comes on top. */
static void
report_memory(struct t2l_model *model, const char *path, double before)
{
	struct lanes lanes = { .n = 1 };
	struct stat st = { 0 };
	int vocab_size = model->base->facts.vocab_size;
	double used, kv;

	open_lanes(model, &lanes);
	time_steps(&lanes, N_MEMORY, vocab_size);
	used = memory_of_process("VmHWM") - before;
	kv = (double)model->base->facts.kv_bytes_per_token * (N_PROMPT + N_MEMORY);
	stat(path, &st);
	printf("memory of one lane: %.1f MB for a file of %.1f MB and %.1f MB of kv cache: "
	       "%+.1f %%\n",
	    used * 1e-6, (double)st.st_size * 1e-6, kv * 1e-6,
	    100 * (used / ((double)st.st_size + kv) - 1));
	t2l_session_close(lanes.session);
}

int
main(int argc, char **argv)
{
	struct t2l_engine_options options = { .n_threads = argc > 3 ? atoi(argv[3]) : 0,
		.isa = argc > 4 ? argv[4] : NULL };
	size_t n_tokens = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
	struct t2l_engine *engine;
	struct t2l_model *model;
	struct t2l_error err;
	double before, rate, start;

	if (argc < 2 || n_tokens < 2 || n_tokens > N_CONTEXT - N_PROMPT) {
		fprintf(stderr, "usage: bench-decode MODEL [TOKENS [THREADS [ISA]]]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	check(t2l_engine_open(&options, &engine, &err), &err);
	before = memory_of_process("VmRSS");
	start = clock_seconds();
	check(t2l_model_open(engine, argv[1], &model, &err), &err);
	printf("%s, %s: %lld parameters, %.0f MB of %s, opened in %.0f ms\n",
	    t2l_engine_description(engine), model->base->facts.name,
	    (long long)model->base->facts.n_parameters,
	    (double)model->base->facts.weight_bytes * 1e-6, model->base->facts.dtype,
	    (clock_seconds() - start) * 1e3);
	report_memory(model, argv[1], before);
	rate = memory_rate(t2l_engine_threads(engine) < 64 ? t2l_engine_threads(engine) : 64);
	printf("memory is read at %.1f GB/s\n", rate * 1e-9);
	bench_lanes(model, n_tokens, rate);
	bench_prompt(model);
	t2l_model_close(model);
	t2l_engine_close(engine);
	return 0;
}
