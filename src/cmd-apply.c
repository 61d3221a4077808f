/* t2l apply - make an adapter from a sentence and run prompts through it, in one command. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "src/lanes.h"
#include "src/options.h"

static const char *const variant_names[] = { "S", "M", "L", NULL };

static const struct option_spec options[] = {
	{ "task", 't', OPTION_TEXT, REQUIRED, "what the model should do, in a sentence" },
	{ "prompt", 'p', OPTION_TEXT, MANY, "what to say to the model" },
	{ "input-file", 'f', OPTION_PATH, 0, "a prompt a line, or JSONL; - is stdin" },
	{ "output", 'o', OPTION_PATH, 0, "write the answers there" },
	{ "base-model", 'b', OPTION_MODEL, 0, "base", .setting = "base.model" },
	{ "model", 'm', OPTION_PATH, 0, "hypernet checkpoint", .setting = "hypernet.path" },
	{ "variant", 0, OPTION_CHOICE, 0, "size of the demo's hypernet", .choices = variant_names,
	    .setting = "hypernet.variant" },
	{ "encoder", 'e', OPTION_PATH, 0, "task encoder", .setting = "encoder.path" },
	{ "keep", 'k', OPTION_FLAG, 0, "keep the adapter in the catalog" },
	{ "name", 'n', OPTION_TEXT, 0, "keep it under this name" },
	LANE_OPTIONS,
	{ 0 },
};

struct run {
	struct context *ctx;
	struct buffer answers; /* with --output */
	bool to_file;
};

static bool
take_output(void *user, const struct lane_output *output)
{
	struct run *run = user;

	if (run->to_file) {
		buffer_append(&run->answers, output->text, output->n_bytes);
		buffer_char(&run->answers, '\n');
	}
	say_json(run->ctx, lane_output_json(output, false));
	if (!run->to_file) {
		say_text(run->ctx, output->text, output->n_bytes);
		say(run->ctx, "\n");
	}
	return true;
}

static bool
make_adapter(struct context *ctx, const struct options *opt, struct t2l_model *model,
    struct t2l_adapter **adapter)
{
	const char *task = option_text(opt, "task");
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder;
	struct t2l_error err;
	float *embedding;
	enum t2l_status status;

	if (!workplace_hypernet(
		ctx, option_text(opt, "model"), option_text(opt, "variant"), &hypernet) ||
	    !workplace_encoder_for(ctx, hypernet, option_text(opt, "encoder"), &encoder))
		return false;
	embedding =
	    malloc((size_t)t2l_hypernet_facts(hypernet)->embedding_size * sizeof *embedding);
	if (embedding == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	status = t2l_hypernet_check(hypernet, model, encoder, &err);
	if (status == T2L_OK)
		status = t2l_hypernet_embed(hypernet, encoder, task, embedding, &err);
	if (status == T2L_OK)
		status = t2l_hypernet_generate(hypernet, embedding, task, adapter, &err);
	free(embedding);
	if (status != T2L_OK)
		context_fail_error(ctx, &err);
	return status == T2L_OK;
}

static int
run_prompts(struct context *ctx, const struct options *opt, struct lanes_job *job,
    struct t2l_adapter *adapter)
{
	const char *path = option_text(opt, "output");
	struct run run = { .ctx = ctx, .to_file = path != NULL };
	float weight = 1;
	const struct t2l_adapter *lane = adapter;
	struct mix mix = { .label = (char *)option_text(opt, "task"),
		.adapters = &lane,
		.weights = &weight,
		.n = 1 };
	int status;

	job->mixes = &mix;
	job->n_mixes = 1;
	job->on_output = take_output;
	job->user = &run;
	status = lanes_run(ctx, job);
	if (status == 0 && path != NULL &&
	    atomic_write(path, buffer_string(&run.answers), run.answers.n) != 0)
		status = context_fail(ctx, "cannot write '%s': %s", path, strerror(errno));
	buffer_free(&run.answers);
	return status;
}

static bool
collect_prompts(struct context *ctx, const struct options *opt, struct prompts *prompts)
{
	for (size_t i = 0; i < option_count(opt, "prompt"); i++)
		if (!prompts_add_text(ctx, prompts, option_nth(opt, "prompt", i)))
			return false;
	return option_text(opt, "input-file") == NULL ||
	       prompts_read(ctx, prompts, option_text(opt, "input-file"));
}

static int
apply_run(struct context *ctx, const struct options *opt)
{
	struct lane_settings settings = { 0 };
	struct prompts prompts = { 0 };
	struct lanes_job job = { .settings = &settings, .prompts = &prompts };
	struct t2l_adapter *adapter = NULL;
	struct keep_options keep = { .name = option_text(opt, "name"), .source = "generated" };
	struct kept kept;
	int status = 1;

	if (option_count(opt, "prompt") == 0 && option_text(opt, "input-file") == NULL)
		return context_usage(ctx, "--prompt or --input-file is wanted");
	if (collect_prompts(ctx, opt, &prompts) && lane_settings_make(ctx, opt, &settings) &&
	    workplace_model(ctx, option_text(opt, "base-model"), &job.model) &&
	    make_adapter(ctx, opt, job.model, &adapter))
		status = run_prompts(ctx, opt, &job, adapter);
	if (status == 0 && (option_flag(opt, "keep") || keep.name != NULL)) {
		if (workplace_keep(ctx, adapter, &keep, &kept))
			note(ctx, "kept as %s (#%lld)", kept.name, (long long)kept.id);
		else
			status = 1;
	}
	t2l_adapter_close(adapter);
	prompts_free(&prompts);
	lane_settings_free(&settings);
	return status;
}

const struct command command_apply = {
	.name = "apply",
	.summary = "make an adapter from a sentence and run prompts through it",
	.example = "t2l apply --task \"write the plural\" --prompt house",
	.options = options,
	.run = apply_run,
};
