/* t2l quantize - a base model with smaller numbers, and what each tensor loses by it. */

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const char *const type_names[] = { "q8_0", "q6_k", "q4_k_m", "q4_0", "f16", NULL };

static const struct option_spec options[] = {
	{ "type", 't', OPTION_CHOICE, REQUIRED, "how numbers are stored", .choices = type_names },
	{ "force", 0, OPTION_FLAG, 0, "replace the output when it is there" },
	{ 0 },
};

struct quantize {
	struct context *ctx;
	double n, bytes; /* of all tensors */
	struct t2l_quantize_report worst;
	char worst_name[80];
};

static bool
tell_tensor(void *user, const struct t2l_quantize_report *report)
{
	struct quantize *run = user;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "tensor", report->tensor);
	cJSON_AddStringToObject(object, "from", report->from);
	cJSON_AddStringToObject(object, "to", report->to);
	cJSON_AddNumberToObject(object, "parameters", (double)report->n);
	cJSON_AddNumberToObject(object, "bytes", (double)report->n_bytes);
	cJSON_AddNumberToObject(object, "max_error", report->max_error);
	cJSON_AddNumberToObject(object, "rms_error", report->rms_error);
	cJSON_AddNumberToObject(object, "relative_error", report->relative_error);
	say_json(run->ctx, object);
	progress(run->ctx, "quantising", (double)report->done, (double)report->all, "tensors", -1);
	say_text(run->ctx, report->tensor, strlen(report->tensor));
	say(run->ctx, "%*s %-5s -> %-5s  max %.2e  rms %.2e  %6.3f %%\n",
	    strlen(report->tensor) < 32 ? 32 - (int)strlen(report->tensor) : 0, "", report->from,
	    report->to, report->max_error, report->rms_error, 100 * report->relative_error);
	run->n += (double)report->n;
	run->bytes += (double)report->n_bytes;
	if (report->relative_error > run->worst.relative_error) {
		run->worst = *report;
		snprintf(run->worst_name, sizeof run->worst_name, "%s", report->tensor);
	}
	return !atomic_load(run->ctx->cancelled);
}

static int
quantize_run(struct context *ctx, const struct options *opt)
{
	const char *input = option_argument(opt, 0), *output = option_argument(opt, 1);
	struct quantize run = { .ctx = ctx };
	struct t2l_quantize_options wanted = {
		.type = option_text(opt, "type"), .on_tensor = tell_tensor, .user = &run
	};
	char path[4096];
	struct t2l_error err;
	enum t2l_status status;

	workplace_find_model(ctx, input, path, sizeof path);
	if (!option_flag(opt, "force") && access(output, F_OK) == 0)
		return context_fail(ctx, "'%s' is already there; --force replaces it", output);
	status = t2l_quantize(path, output, &wanted, &err);
	progress(ctx, NULL, -1, 0, NULL, -1);
	if (status != T2L_OK)
		return context_fail_error(ctx, &err);
	say(ctx, "%s: %.1f MB, %.2f bits a number", output, run.bytes * 1e-6,
	    8 * run.bytes / run.n);
	if (run.worst.relative_error > 0)
		say(ctx, "; the most is lost in %s: %.3f %%", run.worst_name,
		    100 * run.worst.relative_error);
	say(ctx, "\n");
	return 0;
}

const struct command command_quantize = {
	.name = "quantize",
	.summary = "a base model with smaller numbers",
	.details = "Reads a GGUF file and writes another with its matrices in the type given. For "
		   "each tensor the largest and the root mean square error are told, and the "
		   "latter as a share of the tensor's own root mean square.",
	.example = "t2l quantize model-f16.gguf model-q4_k_m.gguf --type q4_k_m",
	.arguments = "INPUT OUTPUT",
	.min_arguments = 2,
	.max_arguments = 2,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = quantize_run,
};
