/* t2l export - write an adapter in another program's form. */

#include "config.h"

#include <string.h>

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const char *const format_names[] = { "peft", "native", NULL };
static const char *const precision_names[] = { "fp32", "fp16", "bf16", NULL };

static const struct option_spec options[] = {
	{ "adapter", 'a', OPTION_ADAPTER, REQUIRED, "path or catalog name" },
	{ "format", 'f', OPTION_CHOICE, 0,
	    "peft: a directory that PEFT loads; native: our own file", .choices = format_names,
	    .fallback = "peft" },
	{ "output", 'o', OPTION_PATH, REQUIRED, "directory or file to write" },
	{ "precision", 0, OPTION_CHOICE, 0, "of the numbers (peft)", .choices = precision_names,
	    .fallback = "fp32" },
	{ "target-model", 0, OPTION_TEXT, 0, "base_model_name_or_path to write (peft)" },
	{ 0 },
};

static int
export_run(struct context *ctx, const struct options *opt)
{
	const char *output = option_text(opt, "output"), *format = option_text(opt, "format");
	bool peft = strcmp(format, "peft") == 0;
	struct t2l_peft_options peft_options = { .base_model = option_text(opt, "target-model"),
		.dtype = option_text(opt, "precision") };
	struct t2l_adapter *adapter;
	struct t2l_error err;
	enum t2l_status status;
	int64_t id;

	if (!peft && (option_given(opt, "precision") || option_given(opt, "target-model")))
		return context_usage(ctx, "--precision and --target-model belong to --format peft");
	if (!workplace_adapter(ctx, option_text(opt, "adapter"), &adapter, &id))
		return 1;
	status = peft ? t2l_adapter_export_peft(adapter, output, &peft_options, &err)
		      : t2l_adapter_save(adapter, output, &err);
	if (status == T2L_OK) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "format", format);
		cJSON_AddStringToObject(object, "path", output);
		cJSON_AddStringToObject(object, "hash", t2l_adapter_facts(adapter)->hash);
		cJSON_AddBoolToObject(object, "verified", peft);
		say_json(ctx, object);
		say(ctx, "%s  (%s%s)\n", output, format, peft ? ", read back and compared" : "");
	}
	t2l_adapter_close(adapter);
	return status == T2L_OK ? 0 : context_fail_error(ctx, &err);
}

const struct command command_export = {
	.name = "export",
	.summary = "write an adapter in another program's form",
	.example = "t2l export --adapter translate-es --format peft --output ./translate-es-peft",
	.options = options,
	.run = export_run,
};
