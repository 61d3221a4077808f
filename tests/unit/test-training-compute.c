/* test-training-compute.c - what a training computes in, and the memory that it takes: bf16 beside
 * f32, and estimates beside what the system measured. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/t2l.h"
#include "tests/unit/temporary-folder.h"

/* Under a sanitizer a process is several times as large. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static char base[512], encoder[512];

/* A task of 24 pairs: a word, and it N times. */
static void
make_task(const char *name, int n, const char *descriptions)
{
	char text[4096] = "", path[64];

	assert_int_equal(mkdir(in_folder(name), 0777), 0);
	for (int i = 0; i < 24; i++) {
		const char word[3] = { (char)('a' + i), (char)('a' + i * 7 % 26), '\0' };

		snprintf(text + strlen(text), sizeof text - strlen(text),
		    "{\"prompt\":\"%s\",\"response\":\"%s%s\"}\n", word, word, n > 1 ? word : "");
	}
	snprintf(path, sizeof path, "%s/train.jsonl", name);
	assert_int_equal(atomic_write(in_folder(path), text, strlen(text)), 0);
	snprintf(path, sizeof path, "%s/descriptions.txt", name);
	assert_int_equal(atomic_write(in_folder(path), descriptions, strlen(descriptions)), 0);
}

static void
find_models(void)
{
	const char *srcdir = getenv("T2L_SRCDIR");

	snprintf(base, sizeof base, "%s/share/models/demo-base", srcdir ? srcdir : ".");
	snprintf(encoder, sizeof encoder, "%s/share/models/demo-encoder", srcdir ? srcdir : ".");
}

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(make_temporary_folder(NULL), 0);
	find_models();
	assert_int_equal(mkdir(in_folder("tasks"), 0777), 0);
	make_task("tasks/copy", 1, "copy the input\nsay it again\n");
	make_task("tasks/double", 2, "write it two times\nrepeat the word\n");
	return 0;
}

static struct t2l_train_options
make_options(enum t2l_train_mode mode, const char *output)
{
	struct t2l_train_options options;

	t2l_train_defaults(&options);
	options.mode = mode;
	options.suite = in_folder("tasks");
	options.base_model = base;
	options.encoder = encoder;
	options.tokenizer = base;
	options.output = in_folder(output);
	options.variant = "S";
	options.latent_size = 32;
	options.head_in_size = 64;
	options.hidden_size = 64;
	options.n_layers = 2;
	options.n_heads = 2;
	options.n_kv_heads = 2;
	options.ffn_size = 128;
	options.rank = 4;
	options.steps = 2;
	options.warmup_steps = 0;
	options.log_every = 1;
	return options;
}

/* Stops after AT steps. */
static bool
stop_at(void *user, const struct t2l_train_progress *progress)
{
	return progress->step < *(const int64_t *)user;
}

static enum t2l_status
train(const struct t2l_train_options *options, int n_threads, int64_t stop, struct t2l_error *err)
{
	struct t2l_engine_options engine_options = { .n_threads = n_threads };
	struct t2l_engine *engine;
	enum t2l_status status;

	assert_int_equal(t2l_engine_open(&engine_options, &engine, err), T2L_OK);
	status = t2l_train(engine, options, stop > 0 ? stop_at : NULL, &stop, err);
	t2l_engine_close(engine);
	return status;
}

static void
train_well(const struct t2l_train_options *options, int n_threads)
{
	struct t2l_error err;

	if (train(options, n_threads, 0, &err) != T2L_OK)
		fail_msg("%s", err.message);
}

/* ---- bf16 ---- */

/* The losses in a run's log, in order of its steps. -> how many */
static int
read_losses(const char *output, double *losses, int most)
{
	char path[600];
	char *text;
	int n = 0;

	snprintf(path, sizeof path, "%s.train-log.jsonl", in_folder(output));
	text = read_whole_file(path, 1 << 20, NULL);
	assert_non_null(text);
	for (char *at = text; n < most && (at = strstr(at, "\"loss\":")) != NULL; at++)
		losses[n++] = strtod(at + strlen("\"loss\":"), NULL);
	free(text);
	return n;
}

/* Operands have 8 bits: a product is off by 2^-8 at most, sums by much less, as errors cancel. */
static void
bf16_trains_with_the_losses_of_f32(void **state)
{
	static const enum t2l_train_mode modes[] = { T2L_TRAIN_LORA, T2L_TRAIN_SUPERVISED,
		T2L_TRAIN_BASE };
	enum { STEPS = 20 };

	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		double wide[STEPS], narrow[STEPS];
		struct t2l_train_options options;
		char names[2][32];

		snprintf(names[0], sizeof names[0], "wide-%zu", i);
		snprintf(names[1], sizeof names[1], "narrow-%zu", i);
		options = make_options(modes[i], names[0]);
		options.tasks = modes[i] == T2L_TRAIN_LORA ? "copy" : NULL;
		options.steps = STEPS;
		options.learning_rate = 3e-4f;
		train_well(&options, 2);
		options.output = in_folder(names[1]);
		options.compute_dtype = "bf16";
		train_well(&options, 2);
		assert_int_equal(read_losses(names[0], wide, STEPS), STEPS);
		assert_int_equal(read_losses(names[1], narrow, STEPS), STEPS);
		assert_true(fabs(narrow[0] - wide[0]) > 0); /* it does round */
		for (int step = 0; step < STEPS; step++)
			if (!(fabs(narrow[step] - wide[step]) <= 0.02 * wide[0]))
				fail_msg("mode %d step %d: %g with bf16, %g with f32",
				    (int)modes[i], step, narrow[step], wide[step]);
		assert_true(narrow[STEPS - 1] < narrow[0]);
	}
}

static void
assert_same_file(const char *a, const char *b)
{
	size_t n, m;
	char *x = read_whole_file(in_folder(a), 1 << 26, &n);
	char *y = read_whole_file(in_folder(b), 1 << 26, &m);

	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	free(x);
	free(y);
}

static void
bf16_resumes_with_the_same_bits_on_any_number_of_threads(void **state)
{
	struct t2l_train_options options =
	    make_options(T2L_TRAIN_SUPERVISED, "one/same.safetensors");
	struct t2l_error err;

	(void)state;
	options.steps = 8;
	options.compute_dtype = "bf16";
	train_well(&options, 1);
	options.output = in_folder("parts/same.safetensors");
	options.resume = true;
	assert_int_equal(train(&options, 2, 3, &err), T2L_ECANCELLED);
	options.compute_dtype = "f32";
	assert_int_equal(train(&options, 2, 0, &err), T2L_EMISMATCH);
	options.compute_dtype = "bf16";
	train_well(&options, 2);
	assert_same_file("one/same.safetensors", "parts/same.safetensors");
}

static void
other_dtypes_are_refused_by_name(void **state)
{
	struct t2l_train_options options = make_options(T2L_TRAIN_LORA, "never");
	struct t2l_error err;

	(void)state;
	options.compute_dtype = "f16";
	assert_int_equal(train(&options, 1, 0, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "compute_dtype 'f16'"));
}

/* A base of f32, as large as is quick to make. */
static void
make_larger_base(void)
{
	struct t2l_train_options options = make_options(T2L_TRAIN_BASE, "larger");

	if (access(in_folder("larger"), F_OK) == 0)
		return;
	options.hidden_size = 256;
	options.n_layers = 4;
	options.n_heads = options.n_kv_heads = 4;
	options.ffn_size = 1024;
	options.batch_tasks = 1;
	options.row_tokens = 16;
	options.steps = 1;
	options.save_dtype = "f32";
	train_well(&options, 2);
}

static void
a_frozen_base_of_f32_is_kept_in_half_its_size(void **state)
{
	struct t2l_train_options options = make_options(T2L_TRAIN_LORA, "half");
	struct t2l_train_estimate wide, narrow;
	struct t2l_engine *engine;
	struct t2l_error err;

	(void)state;
	make_larger_base();
	options.base_model = in_folder("larger");
	assert_int_equal(t2l_engine_open(NULL, &engine, &err), T2L_OK);
	assert_int_equal(t2l_train_estimate(engine, &options, &wide, &err), T2L_OK);
	options.compute_dtype = "bf16";
	assert_int_equal(t2l_train_estimate(engine, &options, &narrow, &err), T2L_OK);
	assert_int_equal(narrow.base, wide.base_as_bf16);
	assert_int_equal(narrow.base, narrow.base_as_bf16);
	/* 4 layers of 4 * 256 * 256 + 3 * 256 * 1024 numbers */
	assert_int_equal(wide.base - narrow.base, 4 * (4 * 256 * 256 + 3 * 256 * 1024) * 2);
	options.compute_dtype = "f32";
	options.max_memory = narrow.base;
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_ENOMEM);
	assert_non_null(strstr(err.message, "less is needed with"));
	t2l_engine_close(engine);
}

/* Row 1 of a matrix of which opening the base reads every other row only. */
static void
spoil_a_weight(const char *path)
{
	const float none = NAN;
	size_t n, header = 0;
	char *bytes = read_whole_file(path, 1 << 26, &n), *at;
	unsigned long long offset;

	assert_non_null(bytes);
	memcpy(&header, bytes, 8);
	at = strstr(bytes + 8, "\"model.layers.0.mlp.up_proj.weight\"");
	assert_non_null(at);
	at = strstr(at, "\"data_offsets\":[");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\"data_offsets\":[%llu", &offset), 1);
	memcpy(bytes + 8 + header + offset + 256 * sizeof none, &none, sizeof none);
	assert_int_equal(atomic_write(path, bytes, n), 0);
	free(bytes);
}

static void
a_weight_that_is_no_number_is_not_blamed_on_the_learning_rate(void **state)
{
	struct t2l_train_options options;
	struct t2l_error err;
	char command[1200];

	(void)state;
	make_larger_base();
	snprintf(
	    command, sizeof command, "cp -r '%s' '%s'", in_folder("larger"), in_folder("spoilt"));
	assert_int_equal(system(command), 0);
	spoil_a_weight(in_folder("spoilt/model.safetensors"));
	options = make_options(T2L_TRAIN_LORA, "never");
	options.base_model = in_folder("spoilt");
	if (train(&options, 2, 0, &err) != T2L_EINVAL)
		fail_msg("%s", err.message);
	assert_non_null(strstr(err.message, "the loss of the first step is not finite"));
	assert_non_null(strstr(err.message, "inspect --check"));
	assert_int_not_equal(access(in_folder("never"), F_OK), 0);
}

/* ---- memory ---- */

struct memory_case {
	const char *name;
	enum t2l_train_mode mode;
	const char *variant;
	bool recompute, bf16, larger;
	int parts, batch_points;
};

static const struct memory_case memory_cases[] = {
	{ "base", T2L_TRAIN_BASE, .batch_points = 1 },
	{ "base, activations again", T2L_TRAIN_BASE, .recompute = true, .batch_points = 1 },
	{ "lora", T2L_TRAIN_LORA, .batch_points = 24 },
	{ "lora, many examples", T2L_TRAIN_LORA, .batch_points = 240 },
	{ "lora, activations again", T2L_TRAIN_LORA, .recompute = true, .batch_points = 240 },
	{ "lora, four parts", T2L_TRAIN_LORA, .parts = 4, .batch_points = 240 },
	{ "supervised L", T2L_TRAIN_SUPERVISED, "L", .batch_points = 24 },
	{ "supervised S", T2L_TRAIN_SUPERVISED, "S", .batch_points = 24 },
	{ "reconstruction", T2L_TRAIN_RECONSTRUCTION, "L", .batch_points = 1 },
	{ "encoder", T2L_TRAIN_ENCODER, .batch_points = 1 },
	{ "larger lora", T2L_TRAIN_LORA, .larger = true, .batch_points = 24 },
	{ "larger lora, bf16", T2L_TRAIN_LORA, .larger = true, .bf16 = true, .batch_points = 24 },
	{ "larger supervised L", T2L_TRAIN_SUPERVISED, "L", .larger = true, .batch_points = 4 },
};

/* The most that this process ever had in memory, as the system says; 0: it does not. */
static uint64_t
peak_bytes(void)
{
	char *text = read_whole_file("/proc/self/status", 1 << 16, NULL);
	const char *line = text != NULL ? strstr(text, "VmHWM:") : NULL;
	unsigned long long kib = 0;

	if (line != NULL && sscanf(line, "VmHWM: %llu kB", &kib) != 1)
		kib = 0;
	free(text);
	return (uint64_t)kib << 10;
}

struct measured {
	struct t2l_train_estimate estimate;
	uint64_t peak;
};

/* Estimates, or trains and looks at what it took: one of the two, as one would leave memory behind
 * for the other. */
static void
answer(const struct memory_case *c, bool estimate)
{
	struct t2l_train_options options = make_options(c->mode, "memory.safetensors");
	struct t2l_engine_options two = { .n_threads = 2 };
	struct measured measured = { 0 };
	struct t2l_engine *engine;

	options.recompute = c->recompute;
	options.parts = c->parts > 0 ? c->parts : 1;
	options.batch_points = c->batch_points;
	options.compute_dtype = c->bf16 ? "bf16" : "f32";
	options.base_model = c->larger ? in_folder("larger") : base;
	options.tasks = c->mode == T2L_TRAIN_LORA ? "copy" : NULL;
	if (c->variant != NULL) {
		options.variant = c->variant;
		options.latent_size = 128;
		options.head_in_size = 512;
	}
	if (c->mode == T2L_TRAIN_RECONSTRUCTION) {
		options.adapters_path = in_folder("adapters");
		options.factorized = true;
	}
	if (c->mode == T2L_TRAIN_ENCODER) {
		options.batch_tasks = 512;
		options.vocabulary_size = 1000;
	}
	if (c->mode == T2L_TRAIN_BASE || c->mode == T2L_TRAIN_ENCODER)
		options.output = in_folder("memory");
	if (t2l_engine_open(&two, &engine, NULL) != T2L_OK ||
	    (estimate ? t2l_train_estimate(engine, &options, &measured.estimate, NULL)
		      : t2l_train(engine, &options, NULL, NULL, NULL)) != T2L_OK)
		_exit(1);
	measured.peak = peak_bytes();
	_exit(write(STDOUT_FILENO, &measured, sizeof measured) == sizeof measured ? 0 : 1);
}

/* In a new process of this program, which main() sends to answer(): a copy of this one would have
 * what other tests left behind. */
static struct measured
measure(size_t number, bool estimate)
{
	struct measured measured;
	int ends[2], status;
	char index[16];
	pid_t child;

	snprintf(index, sizeof index, "%zu", number);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "test-training-compute", temporary_folder, index,
		    estimate ? "estimate" : "train", (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &measured, sizeof measured), sizeof measured);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return measured;
}

static void
memory_is_as_estimated(void **state)
{
	const struct t2l_train_options adapters = make_options(T2L_TRAIN_LORA, "adapters");
	const double mib = 1 << 20;
	int n_wrong = 0;

	(void)state;
	if (SANITIZED || peak_bytes() == 0)
		skip();
	make_larger_base();
	train_well(&adapters, 2);
	for (size_t i = 0; i < sizeof memory_cases / sizeof memory_cases[0]; i++) {
		const struct memory_case *c = &memory_cases[i];
		struct measured m = measure(i, true);
		m.peak = measure(i, false).peak;

		double share = (double)m.estimate.total / (double)m.peak;

		print_message("%s: measured %.1f MiB, estimated %.1f (%+.0f %%): base %.1f, "
			      "parameters %.1f, activations %.1f, rest %.1f\n",
		    c->name, (double)m.peak / mib, (double)m.estimate.total / mib,
		    100 * (share - 1), (double)m.estimate.base / mib,
		    (double)m.estimate.parameters / mib, (double)m.estimate.activations / mib,
		    (double)m.estimate.rest / mib);
		n_wrong += !(share >= 0.8 && share <= 1.2);
	}
	assert_int_equal(n_wrong, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bf16_trains_with_the_losses_of_f32),
		cmocka_unit_test(bf16_resumes_with_the_same_bits_on_any_number_of_threads),
		cmocka_unit_test(other_dtypes_are_refused_by_name),
		cmocka_unit_test(a_frozen_base_of_f32_is_kept_in_half_its_size),
		cmocka_unit_test(a_weight_that_is_no_number_is_not_blamed_on_the_learning_rate),
		cmocka_unit_test(memory_is_as_estimated),
	};

	if (argc == 4) {
		snprintf(temporary_folder, sizeof temporary_folder, "%s", argv[1]);
		find_models();
		answer(&memory_cases[atoi(argv[2])], strcmp(argv[3], "estimate") == 0);
	}
	return cmocka_run_group_tests(tests, set_up, remove_temporary_folder);
}
