/* test-training-modes.c - what trainings promise beside the reference's numbers: parts, validation,
 * prepared tokens, reconstruction, refining, and what they refuse. */

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/adapters/adapter.h"
#include "engine/t2l.h"
#include "tests/unit/temporary-folder.h"

static char base[512], encoder[512];
static struct t2l_engine *engine;

static void
write_text(const char *name, const char *text)
{
	assert_int_equal(atomic_write(in_folder(name), text, strlen(text)), 0);
}

/* A task of N pairs: a word and itself, or itself twice. */
static void
write_examples(const char *name, int n, bool twice)
{
	char text[8192] = "";

	for (int i = 0; i < n; i++) {
		const char word[3] = { (char)('a' + i % 26), (char)('a' + i * 7 % 26), '\0' };

		snprintf(text + strlen(text), sizeof text - strlen(text),
		    "{\"prompt\":\"%s\",\"response\":\"%s%s\"}\n", word, word, twice ? word : "");
	}
	write_text(name, text);
}

static void
make_folder(const char *name)
{
	assert_int_equal(mkdir(in_folder(name), 0777), 0);
}

static int
set_up(void **state)
{
	struct t2l_engine_options options = { .n_threads = 2 };
	const char *srcdir = getenv("T2L_SRCDIR");

	(void)state;
	assert_int_equal(make_temporary_folder(NULL), 0);
	snprintf(base, sizeof base, "%s/share/models/demo-base", srcdir ? srcdir : ".");
	snprintf(encoder, sizeof encoder, "%s/share/models/demo-encoder", srcdir ? srcdir : ".");
	write_examples("copy.jsonl", 24, false);
	make_folder("tasks");
	make_folder("tasks/copy");
	make_folder("tasks/double");
	write_examples("tasks/copy/train.jsonl", 12, false);
	write_examples("tasks/double/train.jsonl", 12, true);
	write_text("tasks/copy/metadata.yaml",
	    "ds_kwargs:\n  path: json\n  split: "
	    "train\ndescriptions:\n- copy the input\n- say it again\n");
	write_text("tasks/double/descriptions.txt", "write it two times\nrepeat the word\n");
	return t2l_engine_open(&options, &engine, NULL) == T2L_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	t2l_engine_close(engine);
	return remove_temporary_folder(state);
}

static struct t2l_train_options
lora_options(const char *output)
{
	struct t2l_train_options options;

	t2l_train_defaults(&options);
	options.mode = T2L_TRAIN_LORA;
	options.suite = in_folder("copy.jsonl");
	options.base_model = base;
	options.output = in_folder(output);
	options.rank = 2;
	options.batch_points = 8;
	options.each_once = true;
	options.steps = 6;
	options.warmup_steps = 0;
	options.learning_rate = 3e-3f;
	options.log_every = 1;
	return options;
}

static void
train(const struct t2l_train_options *options)
{
	struct t2l_error err;

	if (t2l_train(engine, options, NULL, NULL, &err) != T2L_OK)
		fail_msg("%s", err.message);
}

/* Expects STATUS with WORDS in the message. */
static void
refuse(const struct t2l_train_options *options, enum t2l_status status, const char *words)
{
	struct t2l_error err;
	enum t2l_status found = t2l_train(engine, options, NULL, NULL, &err);

	if (found != status || strstr(err.message, words) == NULL)
		fail_msg("status %d, message '%s'; expected %d and '%s'", (int)found, err.message,
		    (int)status, words);
}

static struct t2l_adapter *
open_adapter(const char *name)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;

	if (t2l_adapter_open(in_folder(name), &adapter, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return adapter;
}

/* Largest difference of any number, over the largest number. */
static double
difference(const char *a_name, const char *b_name)
{
	struct t2l_adapter *a = open_adapter(a_name), *b = open_adapter(b_name);
	double worst = 0, largest = 0;

	assert_int_equal(a->n_modules, b->n_modules);
	for (size_t i = 0; i < a->n_modules; i++)
		for (int part = 0; part < 2; part++) {
			const struct tensor *x = part ? &a->modules[i].bt : &a->modules[i].a;
			const struct tensor *y = part ? &b->modules[i].bt : &b->modules[i].a;

			for (int64_t j = 0; j < tensor_count(x); j++) {
				double one = (double)tensor_f32(x)[j],
				       other = (double)tensor_f32(y)[j];

				worst = fmax(worst, fabs(one - other));
				largest = fmax(largest, fabs(one));
			}
		}
	t2l_adapter_close(a);
	t2l_adapter_close(b);
	return worst / largest;
}

static bool
exists(const char *name)
{
	return access(in_folder(name), F_OK) == 0;
}

/* ---- parts, activations ---- */

static void
parts_of_a_step_have_the_gradient_of_the_whole(void **state)
{
	struct t2l_train_options options = lora_options("whole.safetensors");

	(void)state;
	options.neftune_alpha = 5;
	options.label_smoothing = 0.1f;
	options.l2_generated = 1e-3f;
	train(&options);
	for (int parts = 3; parts <= 8; parts += 5) {
		options.parts = parts;
		options.output = in_folder("parts.safetensors");
		train(&options);
		assert_true(difference("whole.safetensors", "parts.safetensors") < 1e-4);
	}
	options.parts = 9;
	refuse(&options, T2L_EINVAL, "8 parts at most");
}

static void
activations_computed_again_are_the_same(void **state)
{
	struct t2l_train_options options = lora_options("kept.safetensors");

	(void)state;
	train(&options);
	options.recompute = true;
	options.output = in_folder("again.safetensors");
	train(&options);
	assert_true(difference("kept.safetensors", "again.safetensors") < 1e-5);
}

static void
what_does_not_fit_is_refused_with_the_numbers(void **state)
{
	struct t2l_train_options options = lora_options("never.safetensors");
	struct t2l_train_estimate all, less;
	struct t2l_error err;

	(void)state;
	assert_int_equal(t2l_train_estimate(engine, &options, &all, &err), T2L_OK);
	options.recompute = true;
	assert_int_equal(t2l_train_estimate(engine, &options, &less, &err), T2L_OK);
	assert_true(less.activations < all.activations);
	assert_int_equal(all.parameters, 16 * all.n_parameters);
	options.max_memory = 1 << 20;
	refuse(&options, T2L_ENOMEM, "and 1 MiB may be used");
	assert_false(exists("never.safetensors"));
}

/* ---- data ---- */

static void
prepared_tokens_train_as_the_text_does(void **state)
{
	struct t2l_train_options options = lora_options("text.safetensors");
	size_t n_tasks, n_examples;
	uint64_t n_tokens;
	struct t2l_error err;

	(void)state;
	train(&options);
	options.output = in_folder("copy.tokens");
	assert_int_equal(
	    t2l_train_prepare(&options, &n_tasks, &n_examples, &n_tokens, &err), T2L_OK);
	assert_int_equal(n_tasks, 1);
	assert_int_equal(n_examples, 24);
	assert_true(n_tokens >= 24 * 5);
	options.suite = in_folder("copy.tokens");
	options.output = in_folder("tokens.safetensors");
	train(&options);
	assert_true(difference("text.safetensors", "tokens.safetensors") == 0);
}

static void
an_epoch_of_one_task_is_all_its_examples(void **state)
{
	struct t2l_train_options options = lora_options("epochs.safetensors");
	struct t2l_train_estimate estimate;
	struct t2l_error err;

	(void)state;
	options.epochs = 5;
	assert_int_equal(t2l_train_estimate(engine, &options, &estimate, &err), T2L_OK);
	assert_int_equal(estimate.steps, 15); /* 24 examples, 8 a step */
}

static void
each_answer_of_a_conversation_is_an_example(void **state)
{
	struct t2l_suite *suite;
	const struct t2l_suite_task *task;

	(void)state;
	write_text("talk.jsonl",
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
	    "\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\","
	    "\"content\":\"d\"}]}\n");
	assert_int_equal(t2l_suite_open(in_folder("talk.jsonl"), &suite, NULL), T2L_OK);
	task = t2l_suite_find(suite, "talk");
	assert_non_null(task);
	assert_int_equal(task->n_examples, 2);
	assert_string_equal(task->examples[1].prompt, "c");
	assert_string_equal(task->examples[1].response, "d");
	assert_int_equal(task->examples[1].n_messages, 3);
	t2l_suite_close(suite);
}

static void
folders_of_tasks_are_read_with_their_descriptions(void **state)
{
	struct t2l_suite *suite;
	const struct t2l_suite_tier *tier;

	(void)state;
	assert_int_equal(t2l_suite_open(in_folder("tasks"), &suite, NULL), T2L_OK);
	assert_int_equal(t2l_suite_n_tasks(suite), 2);
	tier = t2l_suite_tier(t2l_suite_find(suite, "copy"), "train");
	assert_int_equal(tier->n, 2);
	assert_string_equal(tier->texts[1], "say it again");
	assert_int_equal(t2l_suite_tier(t2l_suite_find(suite, "double"), "train")->n, 2);
	t2l_suite_close(suite);
}

static void
bad_data_is_refused_by_name(void **state)
{
	struct t2l_train_options options = lora_options("bad");

	(void)state;
	write_text("nan.jsonl", "{\"prompt\":\"a\",\"response\":NaN}\n");
	options.suite = in_folder("nan.jsonl");
	refuse(&options, T2L_EFORMAT, "nan.jsonl line 1");
	make_folder("mute");
	make_folder("mute/copy");
	write_examples("mute/copy/train.jsonl", 4, false);
	options.mode = T2L_TRAIN_SUPERVISED;
	options.encoder = encoder;
	options.suite = in_folder("mute");
	refuse(&options, T2L_EFORMAT, "task 'copy' has no descriptions");
	write_text("mute/copy/metadata.yaml", "descriptions:\n- copy it\n- '  '\n");
	refuse(&options, T2L_EFORMAT, "is empty");
	make_folder("twins");
	write_text("twins/tasks.jsonl", "{\"id\":\"one\"}\n{\"id\":\"one\"}\n");
	write_text("twins/train.jsonl", "{\"task\":\"one\",\"prompt\":\"a\",\"response\":\"b\"}\n");
	options.suite = in_folder("twins");
	refuse(&options, T2L_EFORMAT, "two tasks are called 'one'");
	/* A task's name becomes that of a file in the output's folder, and nowhere else. */
	options = lora_options("bad");
	write_text("twins/tasks.jsonl", "{\"id\":\"../../one\"}\n");
	write_text(
	    "twins/train.jsonl", "{\"task\":\"../../one\",\"prompt\":\"a\",\"response\":\"b\"}\n");
	options.suite = in_folder("twins");
	refuse(&options, T2L_EINVAL, "task '../../one'");
	options = lora_options("bad");
	write_text(
	    "long.jsonl", "{\"prompt\":\"abcdefghijklmnopqrstuvwxyz\",\"response\":\"z\"}\n");
	options.suite = in_folder("long.jsonl");
	options.max_tokens = 12;
	options.output = in_folder("cut.safetensors");
	options.batch_points = 1;
	train(&options); /* cut, as asked */
}

/* ---- validation ---- */

struct seen {
	double last, best;
	int64_t best_step;
	int n;
};

static bool
note_validation(void *user, const struct t2l_train_progress *progress)
{
	struct seen *seen = user;

	if (isfinite(progress->validation_loss)) {
		seen->last = progress->validation_loss;
		if (seen->n++ == 0 || seen->last < seen->best) {
			seen->best = seen->last;
			seen->best_step = progress->step;
		}
	}
	return true;
}

static void
the_best_of_the_validations_is_kept(void **state)
{
	struct t2l_train_options options = lora_options("best.safetensors");
	struct seen seen = { 0 };
	struct t2l_error err;
	char *log;

	(void)state;
	options.validation = 0.25f;
	options.validate_every = 2;
	options.patience = 2;
	options.steps = 400;
	options.learning_rate = 0.3f; /* far too high: the first validations stay the best */
	options.schedule = T2L_SCHEDULE_CONSTANT;
	if (t2l_train(engine, &options, note_validation, &seen, &err) != T2L_OK)
		fail_msg("%s", err.message);
	log = read_whole_file(in_folder("best.safetensors.train-log.jsonl"), 1 << 20, NULL);
	assert_non_null(strstr(log, "\"validation_loss\":"));
	assert_null(strstr(log, "{\"step\":399,")); /* it ended early */
	free(log);
	assert_true(seen.n >= 3 && seen.best < seen.last);
	assert_false(exists("best.safetensors.best"));
	assert_false(exists("best.safetensors.checkpoint"));
	/* A run of so many steps ends with what was kept. */
	options.steps = seen.best_step;
	options.output = in_folder("until-best.safetensors");
	train(&options);
	assert_true(difference("best.safetensors", "until-best.safetensors") == 0);
}

/* ---- reconstruction ---- */

/* Adapters of random numbers to be learnt by heart. */
static void
write_target(const char *name, const char *task, unsigned seed)
{
	struct t2l_adapter *like = open_adapter("text.safetensors"), *adapter;
	const struct adapter_labels labels = { .name = name, .task = task };
	struct adapter_module *modules = calloc(like->n_modules, sizeof *modules);
	char path[256];

	for (size_t i = 0; i < like->n_modules; i++) {
		modules[i] = like->modules[i];
		modules[i].a.data = modules[i].bt.data = NULL;
	}
	assert_int_equal(
	    adapter_create(modules, like->n_modules, true, &labels, &adapter, NULL), T2L_OK);
	srand(seed);
	for (size_t i = 0; i < adapter->n_modules; i++)
		for (int part = 0; part < 2; part++) {
			struct tensor *x = part ? &adapter->modules[i].bt : &adapter->modules[i].a;

			for (int64_t j = 0; j < tensor_count(x); j++)
				tensor_f32(x)[j] = 0.1F * ((float)rand() / (float)RAND_MAX - 0.5F);
		}
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	snprintf(path, sizeof path, "targets/%s.safetensors", name);
	assert_int_equal(t2l_adapter_save(adapter, in_folder(path), NULL), T2L_OK);
	t2l_adapter_close(adapter);
	t2l_adapter_close(like);
	free(modules);
}

/* mean|A - A*| / mean|A*| of the adapter that the hypernet makes of TASK. */
static double
reconstruction_error(const char *hypernet_name, const char *task, const char *target_name)
{
	struct t2l_adapter *target = open_adapter(target_name), *made;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *text;
	float embedding[4096];
	double off = 0, size = 0;
	struct t2l_error err = { 0 };

	if (t2l_hypernet_open(engine, in_folder(hypernet_name), &hypernet, &err) != T2L_OK ||
	    t2l_encoder_open(engine, encoder, &text, &err) != T2L_OK ||
	    t2l_hypernet_embed(hypernet, text, task, embedding, &err) != T2L_OK ||
	    t2l_hypernet_generate(hypernet, embedding, task, &made, &err) != T2L_OK)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < target->n_modules; i++)
		for (int64_t j = 0; j < tensor_count(&target->modules[i].a); j++) {
			double x = (double)tensor_f32(&target->modules[i].a)[j];

			off += fabs((double)tensor_f32(&made->modules[i].a)[j] - x);
			size += fabs(x);
		}
	t2l_adapter_close(made);
	t2l_adapter_close(target);
	t2l_encoder_close(text);
	t2l_hypernet_close(hypernet);
	return off / size;
}

static void
given_adapters_are_learnt_from_their_descriptions(void **state)
{
	struct t2l_train_options options;

	(void)state;
	make_folder("targets");
	write_target("one", "translate into Spanish", 1);
	write_target("two", "count the letters", 2);
	t2l_train_defaults(&options);
	options.mode = T2L_TRAIN_RECONSTRUCTION;
	options.adapters_path = in_folder("targets");
	options.encoder = encoder;
	options.output = in_folder("factors.safetensors");
	options.variant = "L";
	options.latent_size = 16;
	options.head_in_size = 16;
	options.factorized = true;
	options.steps = 600;
	options.warmup_steps = 5;
	options.learning_rate = 1e-2f;
	options.save_dtype = "f32";
	train(&options);
	assert_true(reconstruction_error("factors.safetensors", "count the letters",
			"targets/two.safetensors") < 0.25);
	options.z_scores = true;
	options.output = in_folder("scores.safetensors");
	train(&options);
	assert_true(reconstruction_error("scores.safetensors", "count the letters",
			"targets/two.safetensors") < 0.25);
}

static void
flags_that_cannot_generate_are_refused(void **state)
{
	struct t2l_train_options options;

	(void)state;
	t2l_train_defaults(&options);
	options.mode = T2L_TRAIN_RECONSTRUCTION;
	options.adapters_path = in_folder("targets");
	options.encoder = encoder;
	options.output = in_folder("never.safetensors");
	options.steps = 2;
	options.warmup_steps = 0;
	options.z_scores = true;
	refuse(&options, T2L_EINVAL, "z_scores without factorized");
	options.z_scores = false;
	write_target("three", "", 3);
	refuse(&options, T2L_EFORMAT, "adapter 'three' has no description");
	write_text("targets/three.txt", "say the colours\n");
	options.factorized = false; /* products */
	train(&options);
}

/* ---- parts and dropout ---- */

struct losses {
	double loss[4], norm[4];
	int n;
};

static bool
note_losses(void *user, const struct t2l_train_progress *progress)
{
	struct losses *losses = user;

	if (strcmp(progress->phase, "training") == 0 && losses->n < 4) {
		losses->loss[losses->n] = progress->loss;
		losses->norm[losses->n++] = progress->gradient_norm;
	}
	return true;
}

static void
check_parts_with_dropout(struct t2l_train_options *options, int most_parts)
{
	struct losses whole, parts, other;
	struct t2l_error err;

	options->steps = 4;
	options->warmup_steps = 0;
	options->log_every = 1;
	options->output = in_folder("dropped.safetensors");
	/* Small: AdamW makes a whole step of a rounding error where a gradient is next to nothing.
	 */
	options->learning_rate = 1e-5f;
	for (int n = 1; n <= most_parts; n++) {
		struct losses *into = n == 1 ? &whole : &parts;

		into->n = 0;
		options->parts = n;
		options->dropout = 0.05f;
		if (t2l_train(engine, options, note_losses, into, &err) != T2L_OK)
			fail_msg("%s", err.message);
		assert_int_equal(into->n, 4);
		for (int i = 0; n > 1 && i < 4; i++) {
			assert_true(fabs(parts.loss[i] / whole.loss[i] - 1) < 1e-5);
			assert_true(fabs(parts.norm[i] / whole.norm[i] - 1) < 1e-5);
		}
	}
	/* Other masks are told from these. */
	other.n = 0;
	options->parts = 1;
	options->dropout = 0.06f;
	if (t2l_train(engine, options, note_losses, &other, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_true(fabs(other.norm[3] / whole.norm[3] - 1) > 5e-5);
}

static void
parts_of_a_step_drop_what_the_whole_drops(void **state)
{
	struct t2l_train_options options = lora_options("");

	(void)state;
	make_folder("four");
	for (int i = 0; i < 4; i++) {
		char name[64];

		snprintf(name, sizeof name, "four/task-%d", i);
		make_folder(name);
		snprintf(name, sizeof name, "four/task-%d/train.jsonl", i);
		write_examples(name, 6 + i, i % 2 != 0);
		snprintf(name, sizeof name, "four/task-%d/descriptions.txt", i);
		write_text(name, i % 2 == 0 ? "write it once\n" : "write it two times\n");
	}
	options.mode = T2L_TRAIN_SUPERVISED;
	options.encoder = encoder;
	options.suite = in_folder("four");
	options.batch_tasks = 4;
	options.variant = "S"; /* its A and B are not zero at first */
	options.latent_size = 16;
	options.head_in_size = 16;
	check_parts_with_dropout(&options, 4);

	t2l_train_defaults(&options);
	options.mode = T2L_TRAIN_RECONSTRUCTION;
	options.adapters_path = in_folder("targets");
	options.encoder = encoder;
	options.batch_tasks = 3;
	options.batch_descriptions = 2;
	options.variant = "M";
	options.latent_size = 16;
	options.head_in_size = 16;
	check_parts_with_dropout(&options, 3);
}

/* ---- refining ---- */

static void
a_refined_adapter_fits_its_held_out_examples_better(void **state)
{
	struct t2l_refine_options options;
	struct t2l_refine_report report;
	struct t2l_adapter *first = open_adapter("text.safetensors"), *refined;
	struct t2l_suite *suite;
	struct t2l_model *model;
	struct t2l_error err;
	const struct t2l_suite_task *task;
	const struct t2l_adapter *both[2];
	double losses[2];

	(void)state;
	assert_int_equal(t2l_suite_open(in_folder("copy.jsonl"), &suite, &err), T2L_OK);
	assert_int_equal(t2l_model_open(engine, base, &model, &err), T2L_OK);
	task = t2l_suite_task(suite, 0);
	t2l_refine_defaults(&options);
	options.steps = 12;
	options.learning_rate = 3e-3F;
	options.evaluate_every = 3;
	if (t2l_refine(model, first, task->examples, task->n_examples, &options, &refined, &report,
		&err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(report.n_trained + report.n_held_out, 24);
	assert_true(report.loss_after < report.loss_before && report.steps > 0);
	assert_string_equal(t2l_adapter_facts(refined)->modules, t2l_adapter_facts(first)->modules);
	assert_non_null(
	    strstr(t2l_adapter_facts(refined)->lineage, t2l_adapter_facts(first)->hash));
	both[0] = first;
	both[1] = refined;
	assert_int_equal(
	    t2l_examples_loss(model, both, 2, task->examples, task->n_examples, losses, &err),
	    T2L_OK);
	assert_true(losses[1] < losses[0]);
	assert_int_equal(
	    t2l_refine(model, first, task->examples, 1, &options, &refined, NULL, &err),
	    T2L_EINVAL);
	t2l_adapter_close(first);
	t2l_adapter_close(refined);
	t2l_model_close(model);
	t2l_suite_close(suite);
}

/* ---- a full disk ---- */

static void
a_full_disk_leaves_the_last_checkpoint_whole(void **state)
{
	struct t2l_train_options options = lora_options("full.safetensors");
	char path[600];
	int status;
	pid_t child;

	(void)state;
	options.steps = 40;
	options.checkpoint_every = 2;
	snprintf(path, sizeof path, "%s.checkpoint", options.output);
	child = fork();
	if (child == 0) {
		struct t2l_engine_options one = { .n_threads = 1 };
		struct rlimit limit = { 2000, 2000 };
		struct t2l_engine *own;
		struct t2l_error err;

		signal(SIGXFSZ, SIG_IGN);
		if (t2l_engine_open(&one, &own, NULL) != T2L_OK ||
		    setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(3);
		_exit(t2l_train(own, &options, NULL, NULL, &err) == T2L_EIO &&
			      strstr(err.message, "checkpoint") != NULL
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_false(exists("full.safetensors"));
	options.resume = true;
	train(&options);
	assert_true(exists("full.safetensors"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_step_have_the_gradient_of_the_whole),
		cmocka_unit_test(activations_computed_again_are_the_same),
		cmocka_unit_test(what_does_not_fit_is_refused_with_the_numbers),
		cmocka_unit_test(prepared_tokens_train_as_the_text_does),
		cmocka_unit_test(an_epoch_of_one_task_is_all_its_examples),
		cmocka_unit_test(each_answer_of_a_conversation_is_an_example),
		cmocka_unit_test(folders_of_tasks_are_read_with_their_descriptions),
		cmocka_unit_test(bad_data_is_refused_by_name),
		cmocka_unit_test(the_best_of_the_validations_is_kept),
		cmocka_unit_test(given_adapters_are_learnt_from_their_descriptions),
		cmocka_unit_test(flags_that_cannot_generate_are_refused),
		cmocka_unit_test(parts_of_a_step_drop_what_the_whole_drops),
		cmocka_unit_test(a_refined_adapter_fits_its_held_out_examples_better),
		cmocka_unit_test(a_full_disk_leaves_the_last_checkpoint_whole),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
