/* t2l generate - make an adapter from a sentence. */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "src/adapter-checks.h"
#include "src/adapter-output.h"
#include "src/command.h"
#include "src/few-shot.h"
#include "src/generate-jobs.h"
#include "src/options.h"
#include "src/workplace.h"

#define DEFAULT_WORKERS 32
/* Descriptions embedded at once: more would not be faster (of a large encoder some 300 tokens are
 * bound by the arithmetic), and an interrupt waits for them. */
#define TEXTS_AT_ONCE 16

static const char *const variant_names[] = { "S", "M", "L", NULL };
static const char *const size_names[] = { "small", "medium", "large", NULL };

static const struct option_spec options[] = {
	{ "task", 't', OPTION_TEXT, MANY, "what the model should do, in a sentence" },
	{ "batch-file", 0, OPTION_PATH, 0,
	    "one task a line, or JSONL {\"task\":..,\"name\":..,\"output\":..}" },
	{ "embedding", 0, OPTION_PATH, 0,
	    "task embeddings: safetensors with task_emb [d] or [n,d]" },
	ADAPTER_OUTPUT_OPTIONS,
	{ "variant", 0, OPTION_CHOICE, 0, "size of the demo's hypernet", .choices = variant_names,
	    .setting = "hypernet.variant" },
	{ "model-size", 0, OPTION_CHOICE, 0, "the same in words", .choices = size_names,
	    .excludes = "variant" },
	{ "model", 'm', OPTION_PATH, 0, "hypernet checkpoint", .setting = "hypernet.path" },
	{ "encoder", 0, OPTION_PATH, 0, "task encoder", .setting = "encoder.path" },
	{ "base-model", 'b', OPTION_MODEL, 0, "base that --architecture and --validate look at",
	    .setting = "base.model" },
	{ "architecture", 0, OPTION_TEXT, 0, "refuse unless the base is of this architecture" },
	{ "validate", 0, OPTION_FLAG, 0,
	    "check numbers and fit to the base before it is reported" },
	{ "examples", 0, OPTION_PATH, 0,
	    "examples of the task (JSONL): without --task they choose the description" },
	{ "candidates", 0, OPTION_PATH, 0,
	    "descriptions to choose from: one a line, or a task suite; without it the demo's" },
	{ "refine", 0, OPTION_INTEGER, 0, "steps of fine-tuning on the examples", .min = 1,
	    .max = 100000 },
	{ "refine-rate", 0, OPTION_NUMBER, 0, "learning rate of these steps", .fallback = "3e-3",
	    .min = 1e-9, .max = 10 },
	{ "workers", 'w', OPTION_INTEGER, 0, "lines of a batch file in work at once; 0: 32",
	    .min = 0, .max = 256, .setting = "generate.workers" },
	{ "config", 0, OPTION_PATH, 0, "settings file (TOML or YAML)" },
	{ 0 },
};

/* ---- one run ---- */

struct run {
	struct context *ctx;
	const struct options *options;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder; /* NULL with --embedding */
	struct t2l_model *model;     /* NULL unless asked to check */
	const char *output, *name;
	const char **tags;
	size_t n_tags;
	bool keep, peft, one;
	struct few_shot few; /* --examples; else its suite is NULL */
};

/* Words of the task joined by '-', for a file: "translate-the-english-word". */
static void
slug(const char *task, size_t number, char *name, size_t size)
{
	size_t n = 0, limit = size < 48 ? size - 1 : 48;

	for (; *task != '\0' && n < limit; task++) {
		unsigned char c = (unsigned char)*task;
		bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c >= 0x80;

		if (word && c < 0x80)
			name[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		else if (!word && n > 0 && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	if (n == 0)
		snprintf(name, size, "task-%zu", number);
}

/* Where this job's adapter is written; false: nowhere. */
static bool
output_path(
    const struct run *run, const struct generate_job *job, size_t index, char *path, size_t size)
{
	char name[64];

	if (job->output != NULL) {
		snprintf(path, size, "%s", job->output);
		return true;
	}
	if (run->output == NULL)
		return false;
	if (run->one) {
		snprintf(path, size, "%s", run->output);
		return true;
	}
	slug(job->name ? job->name : job->task ? job->task : "", index + 1, name, sizeof name);
	/* Numbered, so that two like tasks do not overwrite each other. */
	snprintf(path, size, "%s/%03zu-%s%s", run->output, index + 1, name,
	    run->peft ? "" : ".safetensors");
	return true;
}

/* The checks of t2l validate. */
static bool
check(const struct run *run, const struct t2l_adapter *adapter)
{
	const struct check_options look = { .model = run->model };
	struct checks checks;

	if (run->model == NULL || !option_flag(run->options, "validate"))
		return true;
	checks_run(adapter, &look, &checks);
	for (size_t i = 0; i < checks.n; i++) {
		if (checks.results[i].outcome == CHECK_WRONG)
			context_fail(
			    run->ctx, "%s: %s", checks.results[i].name, checks.results[i].text);
	}
	return !checks.wrong;
}

static void
tell(const struct run *run, const struct generate_job *job, const struct t2l_adapter *adapter,
    const char *path, const struct kept *kept, double ms)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "task", job->task ? job->task : "");
	if (kept->id > 0) {
		cJSON_AddNumberToObject(object, "id", (double)kept->id);
		cJSON_AddStringToObject(object, "name", kept->name);
	}
	cJSON_AddStringToObject(object, "path", path);
	cJSON_AddStringToObject(object, "hash", facts->hash);
	cJSON_AddNumberToObject(object, "rank", facts->rank);
	cJSON_AddNumberToObject(object, "scale", facts->scale);
	cJSON_AddNumberToObject(object, "parameters", (double)facts->n_parameters);
	cJSON_AddNumberToObject(object, "generation_ms", ms);
	say_json(run->ctx, object);
	if (kept->id > 0)
		say(run->ctx, "%s  (#%lld, rank %d, %lld numbers, %.1f ms)\n", kept->name,
		    (long long)kept->id, facts->rank, (long long)facts->n_parameters, ms);
	else
		say(run->ctx, "%s  (rank %d, %lld numbers, %.1f ms)\n", path, facts->rank,
		    (long long)facts->n_parameters, ms);
}

/* ---- portions: one is made while the one before is written ---- */

/* Two, so that the disk has work while one of them turns B for its file. */
#define N_WRITERS 2

struct portion {
	struct run *run;
	const struct generate_job *jobs;
	size_t first, n; /* of all jobs */
	struct t2l_adapter **adapters;
	double ms;
	/* Of the threads that write, until they are joined. */
	pthread_t threads[N_WRITERS];
	int n_threads;
	size_t next;	       /* atomic: job to be taken */
	enum t2l_status *ends; /* of each job taken */
	int failed;	       /* atomic, 1: take no more */
	struct t2l_error err;  /* of who failed first */
};

static void
portion_release(struct portion *portion)
{
	for (size_t i = 0; portion->adapters != NULL && i < portion->n; i++)
		t2l_adapter_close(portion->adapters[i]);
	free(portion->adapters);
	free(portion->ends);
	*portion = (struct portion){ 0 };
}

static void *
write_some(void *argument)
{
	struct portion *portion = argument;
	const char *format = option_text(portion->run->options, "format");
	struct t2l_error err;
	char path[4096];
	size_t i;

	while (__atomic_load_n(&portion->failed, __ATOMIC_ACQUIRE) == 0 &&
	       (i = __atomic_fetch_add(&portion->next, 1, __ATOMIC_RELAXED)) < portion->n) {
		bool wanted = output_path(
		    portion->run, &portion->jobs[i], portion->first + i, path, sizeof path);

		portion->ends[i] =
		    wanted ? adapter_write_file(portion->adapters[i], path, format, &err) : T2L_OK;
		if (portion->ends[i] != T2L_OK &&
		    __atomic_exchange_n(&portion->failed, 1, __ATOMIC_ACQ_REL) == 0)
			portion->err = err;
	}
	return NULL;
}

/* The last portion has nobody to wait for; a system without threads to spare does without. */
static void
start_writing(struct portion *portion)
{
	while (
	    portion->n_threads < N_WRITERS && (size_t)portion->n_threads < portion->n &&
	    pthread_create(&portion->threads[portion->n_threads], NULL, write_some, portion) == 0)
		portion->n_threads++;
}

static bool
keep_and_tell(const struct portion *portion, size_t i)
{
	const struct run *run = portion->run;
	const struct generate_job *job = &portion->jobs[i];
	struct kept kept = { 0 };
	char path[4096] = "";
	bool written = output_path(run, job, portion->first + i, path, sizeof path);

	if (run->keep || !written) {
		struct keep_options keep = { .name = job->name ? job->name : run->name,
			.source = "generated",
			.generation_ms = portion->ms,
			.tags = run->tags,
			.n_tags = run->n_tags };

		if (!workplace_keep(run->ctx, portion->adapters[i], &keep, &kept))
			return false;
		if (!written)
			snprintf(path, sizeof path, "%s", kept.path);
	}
	tell(run, job, portion->adapters[i], path, &kept, portion->ms);
	return true;
}

/* Writes what nobody has, waits, keeps and tells; an empty portion is fine. What is in its place is
 * told, also when another job failed. */
static bool
finish_portion(struct portion *portion)
{
	bool fine = true;

	if (portion->n > 0)
		write_some(portion);
	while (portion->n_threads > 0)
		pthread_join(portion->threads[--portion->n_threads], NULL);
	for (size_t i = 0; i < portion->n && i < portion->next && fine; i++)
		fine = portion->ends[i] != T2L_OK || keep_and_tell(portion, i);
	if (fine && portion->failed)
		fine = (context_fail_error(portion->run->ctx, &portion->err), false);
	portion_release(portion);
	return fine;
}

static bool
refine(struct run *run, struct t2l_adapter **adapter)
{
	struct t2l_adapter *refined;

	if (!option_given(run->options, "refine"))
		return true;
	if (!few_shot_refine(&run->few, *adapter, option_integer(run->options, "refine"),
		option_number(run->options, "refine-rate"), &refined))
		return false;
	t2l_adapter_close(*adapter);
	*adapter = refined;
	return true;
}

/* EMBEDDINGS of the N jobs' tasks, all at once. */
static bool
embed_jobs(struct run *run, const struct generate_job *jobs, size_t n, float *embeddings)
{
	const char **tasks = calloc(n, sizeof *tasks);
	size_t refused = n;
	struct t2l_error err = { T2L_ENOMEM, "out of memory" };
	bool fine = tasks != NULL;

	for (size_t i = 0; i < n && fine; i++)
		tasks[i] = jobs[i].task;
	fine = fine && t2l_hypernet_embed_many(run->hypernet, run->encoder, tasks, n, embeddings,
			   &refused, &err) == T2L_OK;
	if (!fine && refused < n && jobs[refused].line > 0)
		context_fail(run->ctx, "line %zu: %s", jobs[refused].line, err.message);
	else if (!fine)
		context_fail_error(run->ctx, &err);
	free(tasks);
	return fine;
}

/* Generates the portion's jobs at once; nothing is written yet. */
static bool
make_portion(struct run *run, struct portion *portion, const float *embeddings)
{
	const char **tasks = calloc(portion->n, sizeof *tasks);
	double began = clock_ms();
	struct t2l_error err;
	bool fine;

	portion->run = run;
	portion->adapters = calloc(portion->n, sizeof(struct t2l_adapter *));
	portion->ends = calloc(portion->n, sizeof *portion->ends);
	fine = tasks != NULL && portion->adapters != NULL && portion->ends != NULL;
	if (!fine)
		context_fail(run->ctx, "out of memory");
	for (size_t i = 0; i < portion->n && fine; i++)
		tasks[i] = portion->jobs[i].task;
	if (fine && t2l_hypernet_generate_many(run->hypernet, embeddings, tasks, portion->n,
			portion->adapters, &err) != T2L_OK)
		fine = (context_fail_error(run->ctx, &err), false);
	portion->ms += (clock_ms() - began) / (double)portion->n;
	for (size_t i = 0; i < portion->n && fine; i++)
		fine = refine(run, &portion->adapters[i]) && check(run, portion->adapters[i]);
	free(tasks);
	return fine;
}

/* What one pass makes: a portion is made while the one before is written. */
static size_t
jobs_at_once(const struct run *run)
{
	size_t wanted = (size_t)option_integer(run->options, "workers");
	size_t most = (size_t)t2l_hypernet_facts(run->hypernet)->adapters_a_pass;

	if (wanted == 0)
		wanted = DEFAULT_WORKERS;
	return wanted < most ? wanted : most;
}

/* Some jobs' embeddings, wherever they are from. */
struct stretch {
	size_t first, n; /* of all jobs */
	const float *embeddings;
	double ms; /* of each */
};

/* Makes the jobs of a stretch, in portions of like size. BEFORE: the portion that is being written;
 * another at the end. */
static bool
run_stretch(struct run *run, const struct generate_jobs *jobs, const struct stretch *stretch,
    struct portion *before)
{
	const size_t size = (size_t)t2l_hypernet_facts(run->hypernet)->embedding_size;
	const size_t at_once = jobs_at_once(run);
	size_t n_portions = (stretch->n + at_once - 1) / at_once;

	for (size_t i = 0, n; i < stretch->n; i += n) {
		size_t first = stretch->first + i;
		struct portion now = { .jobs = jobs->items + first, .first = first };
		bool fine;

		if (atomic_load(run->ctx->cancelled))
			break;
		if (jobs->n > at_once)
			progress(run->ctx, "generating", (double)first, (double)jobs->n, NULL, -1);
		/* The larger ones first: their memory holds the others. */
		n = (stretch->n - i + n_portions - 1) / n_portions;
		n_portions--;
		now.n = n;
		now.ms = stretch->ms;
		fine = make_portion(run, &now, stretch->embeddings + i * size);
		/* What is done is told, whatever became of the next. */
		if (!finish_portion(before) || !fine) {
			portion_release(&now);
			return false;
		}
		*before = now;
		start_writing(before);
	}
	return true;
}

static int
run_all(struct run *run, const struct generate_jobs *jobs, const float *given)
{
	const size_t size = (size_t)t2l_hypernet_facts(run->hypernet)->embedding_size;
	const size_t most = jobs->n < TEXTS_AT_ONCE ? jobs->n : TEXTS_AT_ONCE;
	float *embeddings = given == NULL ? calloc(most * size, sizeof *embeddings) : NULL;
	struct portion before = { 0 };
	bool fine = given != NULL || embeddings != NULL;
	size_t n_done;

	if (!fine)
		context_fail(run->ctx, "out of memory");
	for (size_t i = 0; i < jobs->n && fine && !atomic_load(run->ctx->cancelled); i += most) {
		struct stretch stretch = { i, jobs->n - i < most ? jobs->n - i : most, embeddings,
			0 };
		double began = clock_ms();

		if (given != NULL)
			stretch.embeddings = given + i * size;
		else
			fine = embed_jobs(run, jobs->items + i, stretch.n, embeddings);
		stretch.ms = (clock_ms() - began) / (double)stretch.n;
		fine = fine && run_stretch(run, jobs, &stretch, &before);
	}
	n_done = before.first + before.n;
	fine = finish_portion(&before) && fine;
	free(embeddings);
	if (!fine)
		return 1;
	return n_done < jobs->n
		   ? context_fail(run->ctx, "interrupted after %zu of %zu tasks", n_done, jobs->n) +
			 129
		   : 0;
}

/* ---- what is asked for ---- */

static bool
open_things(struct run *run)
{
	struct context *ctx = run->ctx;
	const char *size = option_text(run->options, "model-size");
	const char *variant = option_text(run->options, "variant");
	const char *architecture = option_text(run->options, "architecture");
	struct t2l_error err;

	for (size_t i = 0; size != NULL && size_names[i] != NULL; i++)
		if (strcmp(size, size_names[i]) == 0)
			variant = variant_names[i];
	if (!workplace_hypernet(ctx, option_text(run->options, "model"), variant, &run->hypernet))
		return false;
	if (option_text(run->options, "embedding") == NULL &&
	    !workplace_encoder_for(
		ctx, run->hypernet, option_text(run->options, "encoder"), &run->encoder))
		return false;
	if (architecture == NULL && !option_flag(run->options, "validate") &&
	    !option_given(run->options, "examples"))
		return true;
	if (!workplace_model(ctx, option_text(run->options, "base-model"), &run->model))
		return false;
	if (t2l_hypernet_check(run->hypernet, run->model, run->encoder, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	if (architecture != NULL &&
	    strcmp(architecture, t2l_model_facts(run->model)->architecture) != 0) {
		context_fail(ctx,
		    "--architecture %s: the hypernet '%s' makes adapters for '%s', a %s",
		    architecture, t2l_hypernet_facts(run->hypernet)->name,
		    t2l_model_facts(run->model)->name, t2l_model_facts(run->model)->architecture);
		return false;
	}
	return true;
}

static bool
collect(struct context *ctx, const struct options *opt, struct generate_jobs *jobs)
{
	const char *file = option_text(opt, "batch-file");

	for (size_t i = 0; i < option_count(opt, "task"); i++)
		if (!generate_jobs_add(ctx, jobs, option_nth(opt, "task", i), NULL, NULL, 0))
			return false;
	return file == NULL || generate_jobs_read(ctx, jobs, file);
}

/* --examples: read, and (when nothing else says what is wanted) turned into a description. */
static bool
take_examples(struct run *run, struct generate_jobs *jobs)
{
	const char *path = option_text(run->options, "examples");
	char *task;
	bool fine;

	if (path == NULL)
		return true;
	run->few.ctx = run->ctx;
	run->few.model = run->model;
	run->few.hypernet = run->hypernet;
	run->few.encoder = run->encoder;
	run->few.candidates = option_text(run->options, "candidates");
	if (!few_shot_open(&run->few, path))
		return false;
	if (jobs->n > 0 || option_text(run->options, "embedding") != NULL)
		return true;
	if (!few_shot_describe(&run->few, &task))
		return false;
	fine = generate_jobs_add(run->ctx, jobs, task, NULL, NULL, 0);
	free(task);
	return fine;
}

/* Several go into a folder, which does not stay when nothing came of them. */
static int
run_into_folder(struct run *run, const struct generate_jobs *jobs, const float *given)
{
	bool folder = !run->one && run->output != NULL;
	bool made = folder && mkdir(run->output, 0777) == 0;
	int status;

	if (folder && !made && errno != EEXIST)
		return context_fail(
		    run->ctx, "cannot make the folder '%s': %s", run->output, strerror(errno));
	status = run_all(run, jobs, given);
	if (made && status != 0)
		rmdir(run->output); /* only when it is empty */
	return status;
}

/* Options that want another one; false after a message. */
static bool
options_fit(struct context *ctx, const struct options *opt)
{
	if (option_count(opt, "task") == 0 && option_text(opt, "batch-file") == NULL &&
	    option_text(opt, "embedding") == NULL && !option_given(opt, "examples"))
		context_usage(ctx, "--task, --batch-file, --embedding or --examples is wanted");
	else if (option_given(opt, "refine") && !option_given(opt, "examples"))
		context_usage(ctx, "--refine wants --examples");
	else if (option_given(opt, "refine-rate") && !option_given(opt, "refine"))
		context_usage(ctx, "--refine-rate is that of --refine");
	else if (option_given(opt, "candidates") && !option_given(opt, "examples"))
		context_usage(ctx, "--candidates are for --examples to choose from");
	else
		return true;
	return false;
}

/* --embedding: read, with a job for each where no task says what it is. */
static bool
take_embeddings(struct run *run, struct generate_jobs *jobs, float **given)
{
	const char *path = option_text(run->options, "embedding");
	const int size = t2l_hypernet_facts(run->hypernet)->embedding_size;
	struct t2l_error err;
	size_t n;

	if (path == NULL)
		return true;
	if (t2l_read_embeddings(path, size, given, &n, &err) != T2L_OK)
		return context_fail_error(run->ctx, &err), false;
	if (jobs->n != 0 && jobs->n != n) {
		context_fail(
		    run->ctx, "%zu tasks for the %zu embeddings of '%s'", jobs->n, n, path);
		return false;
	}
	while (jobs->n < n)
		if (!generate_jobs_add(run->ctx, jobs, "", NULL, NULL, 0))
			return false;
	return true;
}

static int
generate_run(struct context *ctx, const struct options *opt)
{
	struct run run = { .ctx = ctx,
		.options = opt,
		.output = option_text(opt, "output"),
		.name = option_text(opt, "name"),
		.keep = option_flag(opt, "keep") || option_given(opt, "name") ||
			option_given(opt, "tag") };
	const char *format = option_text(opt, "format");
	struct generate_jobs jobs = { 0 };
	float *given = NULL;
	int status = 1;

	run.peft = format != NULL && strcmp(format, "peft") == 0;
	run.n_tags = option_count(opt, "tag");
	run.tags = calloc(run.n_tags + 1, sizeof *run.tags);
	for (size_t i = 0; run.tags != NULL && i < run.n_tags; i++)
		run.tags[i] = option_nth(opt, "tag", i);
	if (!options_fit(ctx, opt)) {
		status = 2;
	} else if (collect(ctx, opt, &jobs) && open_things(&run) && take_examples(&run, &jobs) &&
		   take_embeddings(&run, &jobs, &given)) {
		run.one = jobs.n == 1;
		status = run_into_folder(&run, &jobs, given);
	}
	t2l_free(given);
	few_shot_close(&run.few);
	generate_jobs_free(&jobs);
	free(run.tags);
	return status;
}

const struct command command_generate = {
	.name = "generate",
	.summary = "make an adapter from a sentence",
	.details = "The hypernetwork turns the description into a LoRA adapter in milliseconds; no "
		   "base weights "
		   "are read. Without --output the adapter is kept in the catalog.",
	.example =
	    "t2l generate --task \"translate the English word to Spanish\" --name translate-es",
	.options = options,
	.run = generate_run,
};
