/* t2l infer - run prompts through the base and its adapters. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "src/json-lines.h"
#include "src/lanes.h"
#include "src/options.h"
#include "src/repl.h"

static const struct option_spec options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "HF directory, GGUF file or a known name",
	    .setting = "base.model" },
	{ "adapter", 'a', OPTION_ADAPTER, MANY,
	    "path, catalog name, NAME:WEIGHT or a mix a:0.5+b:0.5" },
	{ "compare-adapter", 0, OPTION_ADAPTER, MANY, "a further lane beside --adapter" },
	{ "prompt", 'p', OPTION_TEXT, MANY, "what to say to the model" },
	{ "input-file", 'f', OPTION_PATH, 0,
	    "a prompt a line, or JSONL {\"prompt\":..} / {\"messages\":[..]}; - is stdin" },
	{ "output-file", 'o', OPTION_PATH, 0, "results as JSONL" },
	{ "interactive", 'i', OPTION_FLAG, 0, "a conversation with commands: /help tells",
	    .excludes = "prompt input-file output-file tokens" },
	{ "tokens", 0, OPTION_FLAG, 0,
	    "prompts are token ids 1,2,3; ids are in the results of --json" },
	LANE_OPTIONS,
	{ 0 },
};

struct run {
	struct context *ctx;
	struct atomic_file *file; /* NULL: to ctx->out */
	size_t n_mixes, n_prompts;
	bool with_ids, only_ids, streamed, failed; /* only_ids: nothing makes text of them */
};

static void
print_text(void *user, const char *text, size_t n_bytes)
{
	struct run *run = user;

	say_text(run->ctx, text, n_bytes);
	run->streamed = true;
}

static bool
write_line(struct run *run, cJSON *object)
{
	char *text = cJSON_PrintUnformatted(object);
	bool fine = text != NULL && atomic_file_printf(run->file, "%s\n", text) == 0;

	if (!fine)
		context_fail(run->ctx, "cannot write the results: %s", strerror(errno));
	cJSON_free(text);
	cJSON_Delete(object);
	return fine;
}

static void
print_ids(struct context *ctx, const struct lane_output *output)
{
	for (size_t i = 0; i < output->n_ids; i++)
		say(ctx, "%s%d", i > 0 ? "," : "", (int)output->ids[i]);
}

static bool
print_output(void *user, const struct lane_output *output)
{
	struct run *run = user;
	struct context *ctx = run->ctx;

	if (run->file != NULL)
		return write_line(run, lane_output_json(output, run->with_ids));
	if (ctx->json) {
		say_json(ctx, lane_output_json(output, run->with_ids));
		return true;
	}
	if (run->n_prompts > 1 && output->mix_index == 0) {
		say(ctx, "> ");
		say_text(ctx, output->prompt->text, strlen(output->prompt->text));
		say(ctx, "\n");
	}
	if (run->n_mixes > 1) {
		say(ctx, "[");
		say_text(ctx, output->mix->label, strlen(output->mix->label));
		say(ctx, "] ");
	}
	if (run->only_ids)
		print_ids(ctx, output);
	else if (!run->streamed)
		say_text(ctx, output->text, output->n_bytes);
	run->streamed = false;
	say(ctx, "\n");
	if (ctx->verbose)
		note(ctx, "%zu tokens, %s, prefill %.1f ms, decode %.1f ms", output->n_ids,
		    finish_name(output->result.finish), output->result.prefill_ms,
		    output->result.decode_ms);
	return true;
}

/* --adapter and --compare-adapter in their order; none: the base. */
static bool
parse_mixes(struct context *ctx, const struct options *opt, struct mix *mixes, size_t *n)
{
	static const char *const names[] = { "adapter", "compare-adapter" };

	*n = 0;
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < option_count(opt, names[i]); j++)
			if (!mix_parse(ctx, option_nth(opt, names[i], j), &mixes[(*n)++])) {
				--*n;
				return false;
			}
	return *n > 0 || (mix_parse(ctx, "base", &mixes[0]) && (*n = 1));
}

static bool
collect_prompts(struct context *ctx, const struct options *opt, struct prompts *prompts)
{
	const char *file = option_text(opt, "input-file");
	bool tokens = option_flag(opt, "tokens");

	for (size_t i = 0; i < option_count(opt, "prompt"); i++) {
		const char *text = option_nth(opt, "prompt", i);

		if (tokens ? !prompts_add_tokens(ctx, prompts, text)
			   : !prompts_add_text(ctx, prompts, text))
			return false;
	}
	if (file != NULL && !prompts_read(ctx, prompts, file))
		return false;
	for (size_t i = 0; tokens && i < prompts->n; i++) {
		struct prompt *prompt = &prompts->items[i];

		if (prompt->ids != NULL || prompt->messages != NULL)
			continue;
		prompt->ids = text_ids(prompt->text, &prompt->n_ids);
		if (prompt->ids == NULL || prompt->n_ids == 0) {
			context_fail(ctx, "%s line %zu: '%s' is no list of token ids like 1,2,3",
			    file, prompt->line, prompt->text);
			return false;
		}
	}
	return true;
}

static int
run_prompts(struct context *ctx, const struct options *opt, struct lanes_job *job,
    const struct prompts *prompts)
{
	struct run run = { .ctx = ctx,
		.n_mixes = job->n_mixes,
		.n_prompts = prompts->n,
		.with_ids = option_flag(opt, "tokens"),
		.only_ids = !t2l_model_facts(job->model)->has_tokenizer };
	const char *path = option_text(opt, "output-file");
	int status;

	if (path != NULL && (run.file = atomic_file_open(path)) == NULL)
		return context_fail(ctx, "cannot write '%s': %s", path, strerror(errno));
	job->prompts = prompts;
	job->on_output = print_output;
	job->on_text = ctx->json || run.file != NULL || job->n_mixes > 1 ? NULL : print_text;
	job->user = &run;
	status = lanes_run(ctx, job);
	/* What was finished before an interrupt is worth keeping. */
	if (run.file != NULL && (status == 0 || status == 130)) {
		if (atomic_file_commit(run.file) != 0)
			status = context_fail(ctx, "cannot write '%s': %s", path, strerror(errno));
	} else {
		atomic_file_abort(run.file);
	}
	return status;
}

static int
infer_run(struct context *ctx, const struct options *opt)
{
	size_t most = option_count(opt, "adapter") + option_count(opt, "compare-adapter") + 1;
	struct mix *mixes = calloc(most, sizeof *mixes);
	struct lane_settings settings = { 0 };
	struct prompts prompts = { 0 };
	struct lanes_job job = { .mixes = mixes, .settings = &settings };
	int status = 1;

	if (mixes == NULL)
		return context_fail(ctx, "out of memory");
	if (!option_flag(opt, "interactive") && option_count(opt, "prompt") == 0 &&
	    option_text(opt, "input-file") == NULL)
		status = context_usage(ctx, "--prompt, --input-file or --interactive is wanted");
	else if (collect_prompts(ctx, opt, &prompts) && lane_settings_make(ctx, opt, &settings) &&
		 workplace_model(ctx, option_text(opt, "base-model"), &job.model) &&
		 parse_mixes(ctx, opt, mixes, &job.n_mixes))
		status = option_flag(opt, "interactive")
			     ? repl_run(ctx, job.model, mixes, job.n_mixes, &settings)
			     : run_prompts(ctx, opt, &job, &prompts);
	for (size_t i = 0; i < job.n_mixes; i++)
		mix_release(&mixes[i]);
	free(mixes);
	prompts_free(&prompts);
	lane_settings_free(&settings);
	return status;
}

const struct command command_infer = {
	.name = "infer",
	.summary = "run prompts through the base and its adapters",
	.details = "Every --adapter is a lane; all lanes and prompts run in shared batches over "
		   "one base. Without "
		   "--adapter the base answers alone.",
	.example = "t2l infer --adapter translate-es --compare-adapter base --prompt house",
	.options = options,
	.run = infer_run,
};
