/* t2l convert - write what one program made in the form of another. */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/t2l.h"
#include "src/adapter-export.h"
#include "src/command.h"
#include "src/options.h"
#include "src/tensor-reports.h"

static const char *const format_names[] = { "peft", "hf", "gguf", "ggml", "mlx", "ollama", "native",
	NULL };

/* Adapters and hypernets take those that export has; base models these with llama.cpp's words. */
static const char *const precision_names[] = { "fp32", "fp16", "bf16", "int8", "q4_0", "q4_k_m",
	"f32", "f16", "q8_0", "q6_k", NULL };

static const struct option_spec options[] = {
	{ "to", 't', OPTION_CHOICE, 0,
	    "an adapter's new format [by ending: .gguf, .ggml, .safetensors; else peft]",
	    .choices = format_names },
	{ "precision", 0, OPTION_CHOICE, 0,
	    "of the numbers; the output's form limits them [fp32; a base model: as they are]",
	    .choices = precision_names },
	ADAPTER_FORM_OPTIONS,
	{ "force", 0, OPTION_FLAG, 0, "replace the output when it is there" },
	{ 0 },
};

/* One conversion: how its input is known, by content, and what is done. */
struct conversion {
	const char *name, *from, *to; /* "hypernet"; in words, for messages */
	bool (*takes)(const char *source);
	/* -> exit status, after telling about it */
	int (*run)(struct context *ctx, const struct conversion *conversion, const char *source,
	    const char *output, const struct options *options);
};

/* ---- hypernets ---- */

static int
convert_hypernet(struct context *ctx, const struct conversion *conversion, const char *source,
    const char *output, const struct options *opt)
{
	const char *precision = export_precision(opt);
	const char *dot = strrchr(output, '.');
	struct t2l_error err;
	cJSON *object;

	if (option_text(opt, "to") != NULL || (dot != NULL && strcmp(dot, ".gguf") == 0))
		return context_usage(ctx,
		    "'%s' is %s, which becomes %s and nothing else (--to is for adapters)", source,
		    conversion->from, conversion->to);
	if (t2l_hypernet_convert(source, output, precision != NULL ? precision : "fp32", &err) !=
	    T2L_OK)
		return context_fail_error(ctx, &err);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "conversion", conversion->name);
	cJSON_AddStringToObject(object, "source", source);
	cJSON_AddStringToObject(object, "path", output);
	say_json(ctx, object);
	say(ctx, "%s  (%s)\n", output, conversion->to);
	return 0;
}

/* ---- base models ---- */

/* The engine's name for the numbers' type; NULL: as they are. */
static const char *
model_precision(const struct options *opt)
{
	static const char *const names[][2] = { { "fp32", "f32" }, { "fp16", "f16" },
		{ "int8", "q8_0" } };
	const char *given = export_precision(opt);

	for (size_t i = 0; given != NULL && i < sizeof names / sizeof names[0]; i++)
		if (strcmp(given, names[i][0]) == 0)
			return names[i][1];
	return given;
}

/* False when an option was given that means nothing for a base model. */
static bool
check_model_options(struct context *ctx, const struct options *opt, const char *form)
{
	static const char *const of_adapters[] = { "base-model", "head-dim", "architecture",
		"target-model", "optimize-for", "optimize-for-inference", "adapter-only",
		"copy-base", "generate-model-card", "task-description" };
	const char *to = option_text(opt, "to");

	for (size_t i = 0; i < sizeof of_adapters / sizeof of_adapters[0]; i++)
		if (option_given(opt, of_adapters[i])) {
			context_usage(
			    ctx, "--%s is for adapters; this is a base model", of_adapters[i]);
			return false;
		}
	if (to != NULL && strcmp(to, form) != 0) {
		context_usage(ctx, "this base model can become %s, not %s%s", form, to,
		    strcmp(to, "gguf") == 0 ? "; see t2l quantize for other types" : "");
		return false;
	}
	return true;
}

static int
convert_model(struct context *ctx, const struct conversion *conversion, const char *source,
    const char *output, const struct options *opt)
{
	struct tensor_reports reports = { .ctx = ctx, .what = "converting", .only_lossy = true };
	const struct t2l_quantize_options wanted = {
		.type = model_precision(opt), .on_tensor = tensor_reports_tell, .user = &reports
	};
	struct stat about;
	const bool to_gguf = stat(source, &about) == 0 && S_ISDIR(about.st_mode);
	struct t2l_error err;
	enum t2l_status status;
	cJSON *object;

	if (!check_model_options(ctx, opt, to_gguf ? "gguf" : "hf"))
		return 2;
	status = t2l_model_convert(source, output, &wanted, &err);
	progress(ctx, NULL, -1, 0, NULL, -1);
	if (status != T2L_OK)
		return context_fail_error(ctx, &err);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "conversion", conversion->name);
	cJSON_AddStringToObject(object, "source", source);
	cJSON_AddStringToObject(object, "path", output);
	cJSON_AddStringToObject(object, "format", to_gguf ? "gguf" : "hf");
	cJSON_AddNumberToObject(object, "tensors", (double)reports.n_tensors);
	cJSON_AddNumberToObject(object, "bytes", reports.bytes);
	say_json(ctx, object);
	tensor_reports_end(&reports, output);
	return 0;
}

/* ---- adapters ---- */

/* What no other conversion takes: its reader says what is wrong with it. */
static bool
may_be_adapter(const char *source)
{
	return access(source, R_OK) == 0;
}

/* What an ending says of a file that is not there yet. */
static const char *
format_of(const struct options *opt, const char *output)
{
	static const char *const endings[][2] = { { ".gguf", "gguf" }, { ".ggml", "ggml" },
		{ ".safetensors", "native" } };
	const size_t n = strlen(output);

	if (option_text(opt, "to") != NULL)
		return option_text(opt, "to");
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		size_t n_ending = strlen(endings[i][0]);

		if (n > n_ending && strcmp(output + n - n_ending, endings[i][0]) == 0)
			return endings[i][1];
	}
	return "peft";
}

static int
convert_adapter(struct context *ctx, const struct conversion *conversion, const char *source,
    const char *output, const struct options *opt)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;
	int status;

	(void)conversion;
	if (t2l_adapter_open(source, &adapter, &err) != T2L_OK)
		return context_fail_error(ctx, &err);
	status = adapter_export(ctx, opt, adapter, 0, format_of(opt, output), output);
	t2l_adapter_close(adapter);
	return status;
}

/* The first that takes the input does it. */
static const struct conversion conversions[] = {
	{ "hypernet", "a hypernetwork (a text-to-lora checkpoint, or a file of ours)",
	    "one .safetensors file of ours", t2l_hypernet_is, convert_hypernet },
	{ "model", "a base model (a Hugging Face directory, or a GGUF file)", "the other of these",
	    t2l_model_is, convert_model },
	{ "adapter", "an adapter (PEFT, GGUF, GGML, MLX, Ollama, Kohya or native)",
	    "any of these forms but Kohya's (--to)", may_be_adapter, convert_adapter },
};

#define N_CONVERSIONS (sizeof conversions / sizeof conversions[0])

static int
no_conversion(struct context *ctx, const char *source)
{
	if (access(source, R_OK) != 0)
		return context_fail(ctx, "cannot read '%s': %s", source, strerror(errno));
	context_fail(ctx, "'%s' is nothing that can be converted; what can:", source);
	for (size_t i = 0; i < N_CONVERSIONS; i++)
		context_fail(ctx, "  %s -> %s", conversions[i].from, conversions[i].to);
	return 1;
}

static int
convert_run(struct context *ctx, const struct options *opt)
{
	const char *source = option_argument(opt, 0), *output = option_argument(opt, 1);
	const struct conversion *conversion = conversions;

	while (conversion < conversions + N_CONVERSIONS && !conversion->takes(source))
		conversion++;
	if (conversion == conversions + N_CONVERSIONS)
		return no_conversion(ctx, source);
	if (!option_flag(opt, "force") && access(output, F_OK) == 0)
		return context_fail(ctx, "'%s' is already there; --force replaces it", output);
	return conversion->run(ctx, conversion, source, output, opt);
}

const struct command command_convert = {
	.name = "convert",
	.summary = "write a model file in another form",
	.details =
	    "What the input is, its content says: a checkpoint folder of text-to-lora "
	    "(hypermod.pt, args.yaml, adapter_config.json) becomes one file that generate "
	    "--model takes; a base model's Hugging Face directory becomes a GGUF file and a GGUF "
	    "file a directory (what the other form cannot say is refused by name); an adapter of "
	    "any format becomes one of any other, read back and "
	    "compared (see export for what each holds).",
	.example = "t2l convert ./t2l-checkpoint hypernet.safetensors --precision fp16\n"
		   "t2l convert ./llama llama.gguf --precision q8_0\n"
		   "t2l convert lora.gguf ./peft-adapter --base-model ./llama",
	.arguments = "INPUT OUTPUT",
	.min_arguments = 2,
	.max_arguments = 2,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = convert_run,
};
