/* t2l quantize - a base model with smaller numbers, and what each tensor loses by it. */

#include "config.h"

#include <unistd.h>

#include "src/command.h"
#include "src/options.h"
#include "src/tensor-reports.h"
#include "src/workplace.h"

static const char *const type_names[] = { "q8_0", "q6_k", "q4_k_m", "q4_0", "f16", "bf16", "f32",
	NULL };

static const struct option_spec options[] = {
	{ "type", 't', OPTION_CHOICE, REQUIRED, "how numbers are stored", .choices = type_names },
	{ "force", 0, OPTION_FLAG, 0, "replace the output when it is there" },
	{ 0 },
};

static int
quantize_run(struct context *ctx, const struct options *opt)
{
	const char *input = option_argument(opt, 0), *output = option_argument(opt, 1);
	struct tensor_reports reports = { .ctx = ctx, .what = "quantising" };
	struct t2l_quantize_options wanted = {
		.type = option_text(opt, "type"), .on_tensor = tensor_reports_tell, .user = &reports
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
	tensor_reports_end(&reports, output);
	return 0;
}

const struct command command_quantize = {
	.name = "quantize",
	.summary = "a base model with smaller numbers",
	.details = "Reads a GGUF file or a Hugging Face directory and writes a GGUF file with its "
		   "matrices in the type given. For each tensor the largest and the root mean "
		   "square error are told, and the "
		   "latter as a share of the tensor's own root mean square.",
	.example = "t2l quantize model-f16.gguf model-q4_k_m.gguf --type q4_k_m",
	.arguments = "INPUT OUTPUT",
	.min_arguments = 2,
	.max_arguments = 2,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = quantize_run,
};
