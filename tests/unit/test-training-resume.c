/* test-training-resume.c - a run that was stopped, or killed, ends with the same bytes as one that
 * was not. */

#include <setjmp.h>
#include <signal.h>
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

#define STEPS 24

static char tokenizer[512];

static void
write_text(const char *name, const char *text)
{
	assert_int_equal(atomic_write(in_folder(name), text, strlen(text)), 0);
}

static int
make_suite(void **state)
{
	const char *srcdir = getenv("T2L_SRCDIR");

	(void)state;
	assert_int_equal(make_temporary_folder(NULL), 0);
	snprintf(tokenizer, sizeof tokenizer, "%s/share/models/demo-base", srcdir ? srcdir : ".");
	write_text("tasks.jsonl", "{\"id\":\"copy\",\"descriptions\":{\"train\":[\"copy "
				  "it\"]}}\n{\"id\":\"twice\",\"weight\":2}\n");
	write_text("train.jsonl", "{\"task\":\"copy\",\"prompt\":\"ab\",\"response\":\"ab\"}\n"
				  "{\"task\":\"copy\",\"prompt\":\"cd\",\"response\":\"cd\"}\n"
				  "{\"task\":\"twice\",\"prompt\":\"x\",\"response\":\"x x\"}\n");
	return 0;
}

static void
make_options(struct t2l_train_options *options, const char *output)
{
	t2l_train_defaults(options);
	options->mode = T2L_TRAIN_BASE;
	options->suite = temporary_folder;
	options->tokenizer = tokenizer;
	options->output = output;
	options->hidden_size = 16;
	options->n_layers = 1;
	options->n_heads = 2;
	options->n_kv_heads = 1;
	options->ffn_size = 32;
	options->row_tokens = 16;
	options->batch_tasks = 2;
	options->steps = STEPS;
	options->warmup_steps = 2;
	options->muon_learning_rate = 0.02f;
	options->checkpoint_every = 5;
	options->log_every = 1;
	options->resume = true;
}

/* Stops when a step is reached; or dies there. */
struct stop {
	int64_t at;
	bool kill;
};

static bool
watch(void *user, const struct t2l_train_progress *progress)
{
	const struct stop *stop = user;

	if (stop->at == 0 || progress->step < stop->at)
		return true;
	if (stop->kill)
		raise(SIGKILL);
	return false;
}

static enum t2l_status
train(const char *output, struct stop stop)
{
	struct t2l_engine_options engine_options = { .n_threads = 2 };
	struct t2l_train_options options;
	struct t2l_engine *engine;
	struct t2l_error err = { 0 };
	enum t2l_status status;

	make_options(&options, output);
	assert_int_equal(t2l_engine_open(&engine_options, &engine, &err), T2L_OK);
	status = t2l_train(engine, &options, watch, &stop, &err);
	if (status != T2L_OK && status != T2L_ECANCELLED)
		fail_msg("%s", err.message);
	t2l_engine_close(engine);
	return status;
}

static void
assert_same_file(const char *a, const char *b, const char *name)
{
	char path[1024];
	size_t n, m;
	char *x, *y;

	snprintf(path, sizeof path, "%s/%s", a, name);
	x = read_whole_file(path, 1 << 26, &n);
	snprintf(path, sizeof path, "%s/%s", b, name);
	y = read_whole_file(path, 1 << 26, &m);
	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	free(x);
	free(y);
}

/* The steps of a log, without its times. */
static int
count_steps(const char *output)
{
	char path[1024];
	char *text;
	int n = 0;

	snprintf(path, sizeof path, "%s.train-log.jsonl", output);
	text = read_whole_file(path, 1 << 20, NULL);
	assert_non_null(text);
	for (char *line = text; (line = strstr(line, "{\"step\":")) != NULL; line++)
		n++;
	free(text);
	return n;
}

static void
a_stopped_run_ends_with_the_same_bytes(void **state)
{
	char whole[512], parts[512];

	(void)state;
	snprintf(whole, sizeof whole, "%s", in_folder("whole"));
	snprintf(parts, sizeof parts, "%s", in_folder("parts"));
	assert_int_equal(train(whole, (struct stop){ 0 }), T2L_OK);
	assert_int_equal(train(parts, (struct stop){ .at = 7 }), T2L_ECANCELLED);
	assert_int_equal(train(parts, (struct stop){ .at = 16 }), T2L_ECANCELLED);
	assert_int_equal(train(parts, (struct stop){ 0 }), T2L_OK);
	assert_same_file(whole, parts, "model.safetensors");
	assert_int_equal(count_steps(whole), STEPS);
	assert_int_equal(count_steps(parts), STEPS);
}

static void
a_killed_run_ends_with_the_same_bytes(void **state)
{
	char whole[512], killed[512];
	int status;

	(void)state;
	snprintf(whole, sizeof whole, "%s", in_folder("whole"));
	snprintf(killed, sizeof killed, "%s", in_folder("killed"));
	for (int64_t at = 6; at < STEPS; at += 6) {
		pid_t child = fork();

		if (child == 0) {
			train(killed, (struct stop){ .at = at, .kill = true });
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
	}
	assert_int_equal(train(killed, (struct stop){ 0 }), T2L_OK);
	assert_same_file(whole, killed, "model.safetensors");
	assert_int_equal(count_steps(killed), STEPS);
}

/* Every phase that is reported, one after the other. */
static bool
note_phase(void *user, const struct t2l_train_progress *progress)
{
	strncat(user, progress->phase, 20);
	return true;
}

static void
phases_of_resuming(const char *output, char phases[STEPS * 40])
{
	struct t2l_train_options options;
	struct t2l_engine *engine;
	struct t2l_error err;

	phases[0] = '\0';
	make_options(&options, output);
	assert_int_equal(t2l_engine_open(NULL, &engine, &err), T2L_OK);
	assert_int_equal(t2l_train(engine, &options, note_phase, phases, &err), T2L_OK);
	t2l_engine_close(engine);
}

static void
a_finished_run_is_left_alone_while_its_result_is_there(void **state)
{
	char done[512], weights[600], phases[STEPS * 40];

	(void)state;
	snprintf(done, sizeof done, "%s", in_folder("done"));
	snprintf(weights, sizeof weights, "%s/model.safetensors", done);
	assert_int_equal(train(done, (struct stop){ 0 }), T2L_OK);
	phases_of_resuming(done, phases);
	assert_string_equal(phases, "finished before");
	assert_int_equal(unlink(weights), 0); /* config.json and the tokenizer stay */
	phases_of_resuming(done, phases);
	assert_non_null(strstr(phases, "training"));
	assert_same_file(in_folder("whole"), done, "model.safetensors");
	assert_int_equal(count_steps(done), STEPS);
}

static void
a_checkpoint_of_other_options_is_refused(void **state)
{
	struct t2l_engine_options engine_options = { .n_threads = 1 };
	struct stop stop = { .at = 7 };
	struct t2l_train_options options;
	struct t2l_engine *engine;
	struct t2l_error err;
	char output[512];

	(void)state;
	snprintf(output, sizeof output, "%s", in_folder("other"));
	assert_int_equal(t2l_engine_open(&engine_options, &engine, &err), T2L_OK);
	make_options(&options, output);
	assert_int_equal(t2l_train(engine, &options, watch, &stop, &err), T2L_ECANCELLED);
	options.learning_rate *= 2;
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "other options"));
	t2l_engine_close(engine);
}

static void
options_out_of_range_are_refused_by_name(void **state)
{
	struct t2l_train_options options;
	struct t2l_engine *engine;
	struct t2l_error err;

	(void)state;
	assert_int_equal(t2l_engine_open(NULL, &engine, &err), T2L_OK);
	make_options(&options, in_folder("never"));
	options.rank = 0;
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "rank"));
	make_options(&options, in_folder("never"));
	options.suite = in_folder("nowhere");
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "nowhere"));
	make_options(&options, in_folder("never"));
	options.n_heads = 3;
	assert_int_not_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_OK);
	assert_int_not_equal(access(in_folder("never"), F_OK), 0);
	t2l_engine_close(engine);
}

static void
a_rate_of_muon_that_nothing_uses_is_refused(void **state)
{
	struct t2l_train_options options;
	struct t2l_engine *engine;
	struct t2l_error err;

	(void)state;
	assert_int_equal(train(in_folder("base"), (struct stop){ 0 }), T2L_OK);
	assert_int_equal(t2l_engine_open(NULL, &engine, &err), T2L_OK);
	make_options(&options, in_folder("never"));
	options.mode = T2L_TRAIN_LORA;
	options.base_model = in_folder("base");
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "Muon"));
	options.muon_learning_rate = 0;
	assert_int_equal(t2l_train(engine, &options, NULL, NULL, &err), T2L_OK);
	t2l_engine_close(engine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stopped_run_ends_with_the_same_bytes),
		cmocka_unit_test(a_killed_run_ends_with_the_same_bytes),
		cmocka_unit_test(a_finished_run_is_left_alone_while_its_result_is_there),
		cmocka_unit_test(a_checkpoint_of_other_options_is_refused),
		cmocka_unit_test(options_out_of_range_are_refused_by_name),
		cmocka_unit_test(a_rate_of_muon_that_nothing_uses_is_refused),
	};

	return cmocka_run_group_tests(tests, make_suite, remove_temporary_folder);
}
