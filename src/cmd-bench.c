/* t2l bench - how fast a base model reads prompts and writes answers on this machine, and how much
 * of the machine that is. */

#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "src/command.h"
#include "src/lanes.h"
#include "src/options.h"
#include "src/workplace.h"

#define BUFFER_BYTES ((size_t)512 << 20) /* larger than any cache */
#define MAX_READERS 256
#define MEMORY_ROUNDS 5
#define ROUNDS 3

static const struct option_spec options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "HF directory, GGUF file or a known name",
	    .setting = "base.model" },
	{ "prompt-tokens", 0, OPTION_INTEGER, 0, "tokens of the prompt that is read",
	    .fallback = "256", .min = 2, .max = 1e6 },
	{ "max-tokens", 'n', OPTION_INTEGER, 0, "tokens that are written in a round",
	    .fallback = "32", .min = 2, .max = 1e6 },
	{ "lanes", 0, OPTION_INTEGER, 0, "answers that are written at once", .fallback = "1",
	    .min = 1, .max = 64 },
	{ "kv-type", 0, OPTION_CHOICE, 0, "of keys and values", .choices = kv_type_names },
	{ "precise", 0, OPTION_FLAG, 0, "f32 throughout, no quantised products" },
	{ 0 },
};

/* ---- the memory ---- */

struct reader {
	const uint64_t *from;
	size_t n;
	uint64_t sum; /* so that reading is not optimised away */
};

typedef uint64_t wide __attribute__((vector_size(64)));

static void *
read_part(void *arg)
{
	struct reader *reader = arg;
	const wide *at = (const wide *)(const void *)reader->from;
	wide sum[4] = { { 0 } };

	for (size_t i = 0; i + 4 <= reader->n / 8; i += 4)
		for (size_t j = 0; j < 4; j++)
			sum[j] += at[i + j];
	for (int j = 0; j < 4; j++)
		reader->sum += sum[j][0];
	return NULL;
}

/* Seconds that N threads take to read the buffer once. */
static double
read_once(const uint64_t *buffer, int n, size_t part)
{
	struct reader readers[MAX_READERS];
	pthread_t threads[MAX_READERS];
	bool started[MAX_READERS];
	double start = clock_seconds();

	for (int i = 0; i < n; i++) {
		readers[i] = (struct reader){ buffer + (size_t)i * part, part, 0 };
		started[i] =
		    i > 0 && pthread_create(&threads[i], NULL, read_part, &readers[i]) == 0;
	}
	for (int i = 0; i < n; i++)
		if (!started[i])
			read_part(&readers[i]);
	for (int i = 0; i < n; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
	return readers[0].sum != 0 ? clock_seconds() - start : 1e9;
}

/* Bytes a second that all threads of the engine together read; the best of a few rounds. 0: there
 * is no memory to try it with. */
static double
memory_rate(int n_threads)
{
	int n = n_threads < MAX_READERS ? n_threads : MAX_READERS;
	size_t part = BUFFER_BYTES / 8 / (size_t)n / 64 * 64; /* words, whole vectors */
	uint64_t *buffer = aligned_alloc(64, BUFFER_BYTES);
	double best = 1e9;

	if (buffer == NULL)
		return 0;
	memset(buffer, 1, BUFFER_BYTES);
	for (int round = 0; round < MEMORY_ROUNDS; round++) {
		double took = read_once(buffer, n, part);

		best = took < best ? took : best;
	}
	free(buffer);
	return (double)(part * 8 * (size_t)n) / best;
}

/* The largest memory of this process so far, in bytes. */
static double
peak_memory(void)
{
	char line[256];
	double kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

/* ---- the model ---- */

struct bench {
	struct context *ctx;
	const struct t2l_model_facts *facts;
	struct t2l_session *session;
	size_t n_lanes, n_prompt, max_tokens;
	struct t2l_lane_result results[64];
	unsigned salt; /* of the next prompt: nothing of it is in the cache */
};

static bool
not_cancelled(void *user)
{
	const struct bench *bench = user;

	return !atomic_load(bench->ctx->cancelled);
}

static bool
run_round(struct bench *bench, size_t max_tokens)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling,
		.max_tokens = max_tokens,
		.go_on = not_cancelled,
		.user = bench };
	int32_t *ids = malloc(bench->n_prompt * sizeof *ids);
	struct t2l_error err = { .message = "out of memory" };
	bool fine = ids != NULL;

	sampling.greedy = true;
	for (size_t lane = 0; fine && lane < bench->n_lanes; lane++) {
		for (size_t i = 0; i < bench->n_prompt; i++) {
			bench->salt = bench->salt * 1103515245u + 12345u;
			ids[i] = (int32_t)((bench->salt >> 8) % (unsigned)bench->facts->vocab_size);
		}
		fine = t2l_session_set_prompt(bench->session, lane, ids, bench->n_prompt, &err) ==
		       T2L_OK;
	}
	fine = fine && t2l_session_run(bench->session, &run, bench->results, &err) == T2L_OK;
	free(ids);
	if (!fine)
		context_fail_error(bench->ctx, &err);
	return fine;
}

/* Tokens a second; the best of the rounds, since other programs only ever slow. */
static bool
measure(struct bench *bench, double *prefill, double *decode)
{
	*prefill = *decode = 0;
	for (int round = 0; round < ROUNDS; round++) {
		double prompt_ms = 0, answer_ms = 0, n_tokens = 0, rate;

		progress(bench->ctx, "measuring", round, ROUNDS, NULL, -1);
		if (!run_round(bench, bench->max_tokens))
			return false;
		for (size_t lane = 0; lane < bench->n_lanes; lane++) {
			const struct t2l_lane_result *result = &bench->results[lane];

			prompt_ms = result->prefill_ms > prompt_ms ? result->prefill_ms : prompt_ms;
			answer_ms = result->decode_ms > answer_ms ? result->decode_ms : answer_ms;
			/* The first token is the prompt's. */
			n_tokens += result->n_tokens > 1 ? (double)result->n_tokens - 1 : 0;
		}
		rate = (double)(bench->n_prompt * bench->n_lanes) / prompt_ms * 1e3;
		*prefill = rate > *prefill ? rate : *prefill;
		rate = n_tokens > 0 ? n_tokens / answer_ms * 1e3 : 0;
		*decode = rate > *decode ? rate : *decode;
		if (atomic_load(bench->ctx->cancelled))
			return false;
	}
	progress(bench->ctx, NULL, -1, 0, NULL, -1);
	return true;
}

/* LIMIT 0: there is none. */
static void
tell(struct context *ctx, const char *what, double value, const char *unit, double limit)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "what", what);
	cJSON_AddNumberToObject(object, "value", value);
	cJSON_AddStringToObject(object, "unit", unit);
	if (limit > 0) {
		cJSON_AddNumberToObject(object, "limit", limit);
		cJSON_AddNumberToObject(object, "share", value / limit);
	} else {
		cJSON_AddNullToObject(object, "limit");
		cJSON_AddNullToObject(object, "share");
	}
	say_json(ctx, object);
	say(ctx, "%-14s %10.1f %-9s", what, value, unit);
	if (limit > 0)
		say(ctx, " %3.0f %% of %.1f", 100 * value / limit, limit);
	say(ctx, "\n");
}

static bool
run_bench(struct bench *bench, int n_threads, double kv_bytes)
{
	const struct t2l_model_facts *facts = bench->facts;
	double memory, prefill, decode, per_step, n_kv;

	if (!run_round(bench, 2) || !measure(bench, &prefill, &decode)) /* the first warms up */
		return false;
	/* A step reads the weights once for all lanes, and each lane's keys and values. */
	n_kv = (double)bench->n_prompt + (double)bench->max_tokens / 2;
	per_step = (double)facts->decode_bytes + n_kv * kv_bytes * (double)bench->n_lanes;
	tell(bench->ctx, "peak memory", peak_memory() * 1e-6, "MB",
	    ((double)facts->weight_bytes +
		(double)bench->n_lanes * kv_bytes * (double)(bench->n_prompt + bench->max_tokens)) *
		1e-6);
	memory = memory_rate(n_threads);
	if (atomic_load(bench->ctx->cancelled))
		return false;
	tell(bench->ctx, "memory read", memory * 1e-9, "GB/s", 0);
	tell(bench->ctx, "prefill", prefill, "tokens/s", 0);
	tell(bench->ctx, "decode", decode, "tokens/s", memory / per_step * (double)bench->n_lanes);
	return true;
}

/* Bytes of a token's keys and values in the cache of this type. */
static double
kv_bytes_of(const struct t2l_model_facts *facts, const char *type)
{
	double f16 = (double)facts->n_layers * facts->n_kv_heads * facts->head_dim * 2 * 2;

	if (type == NULL)
		return (double)facts->kv_bytes_per_token;
	return strcmp(type, "q8_0") == 0 ? f16 * 34 / 64 : strcmp(type, "f32") == 0 ? f16 * 2 : f16;
}

static int
bench_run(struct context *ctx, const struct options *opt)
{
	struct bench bench = { .ctx = ctx,
		.n_lanes = (size_t)option_integer(opt, "lanes"),
		.n_prompt = (size_t)option_integer(opt, "prompt-tokens"),
		.max_tokens = (size_t)option_integer(opt, "max-tokens"),
		.salt = 1 };
	struct t2l_session_options room = { .n_lanes = bench.n_lanes,
		.kv_type = option_text(opt, "kv-type") };
	struct t2l_engine *engine;
	struct t2l_model *model;
	struct t2l_error err;
	size_t most;
	bool fine;

	workplace_precise(ctx, option_flag(opt, "precise"));
	if (!workplace_engine(ctx, &engine) ||
	    !workplace_model(ctx, option_text(opt, "base-model"), &model))
		return 1;
	bench.facts = t2l_model_facts(model);
	most = (size_t)bench.facts->context_length;
	if (bench.n_prompt + bench.max_tokens > most) {
		bench.max_tokens = bench.max_tokens < most / 2 ? bench.max_tokens : most / 2;
		bench.n_prompt = most - bench.max_tokens;
		note(ctx, "the model's context of %zu holds %zu tokens of prompt and %zu more",
		    most, bench.n_prompt, bench.max_tokens);
	}
	room.n_context = bench.n_prompt + bench.max_tokens;
	if (t2l_session_open_with(model, &room, &bench.session, &err) != T2L_OK)
		return context_fail_error(ctx, &err);
	say(ctx, "'%s' (%s, %s), %s, %zu lane%s, %zu tokens of prompt, %zu written\n",
	    bench.facts->name, bench.facts->architecture, bench.facts->dtype,
	    t2l_engine_description(engine), bench.n_lanes, bench.n_lanes > 1 ? "s" : "",
	    bench.n_prompt, bench.max_tokens);
	fine =
	    run_bench(&bench, t2l_engine_threads(engine), kv_bytes_of(bench.facts, room.kv_type));
	t2l_session_close(bench.session);
	return fine ? 0 : atomic_load(ctx->cancelled) ? 130 : 1;
}

const struct command command_bench = {
	.name = "bench",
	.summary = "how fast a base model runs here",
	.details =
	    "Reads prompts of random tokens and writes answers, three rounds, and tells the "
	    "best: tokens a second of reading (prefill) and of writing (decode), the rate at "
	    "which this machine's memory can be read, and the share of it that decoding "
	    "uses. Peak memory is told against weights and keys and values.",
	.example = "t2l bench --base-model model.gguf --lanes 4",
	.options = options,
	.run = bench_run,
};
