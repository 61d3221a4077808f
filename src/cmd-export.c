/* t2l export - write an adapter in another program's form. */

#include "config.h"

#include <string.h>

#include "src/adapter-export.h"
#include "src/distil.h"

static const char *const format_names[] = { "peft", "hf", "gguf", "ggml", "mlx", "ollama", "native",
	"merged", "openai", NULL };

static const struct option_spec options[] = {
	{ "adapter", 'a', OPTION_ADAPTER, REQUIRED, "path or catalog name" },
	{ "format", 'f', OPTION_CHOICE, 0, "what to write", .choices = format_names,
	    .fallback = "peft" },
	{ "output", 'o', OPTION_PATH, REQUIRED, "directory or file to write" },
	{ "merged", 0, OPTION_FLAG, 0,
	    "ollama: the base with the adapter in its weights, not an adapter beside it" },
	ADAPTER_EXPORT_OPTIONS,
	DISTIL_OPTIONS,
	LANE_OPTIONS,
	{ 0 },
};

static int
export_run(struct context *ctx, const struct options *opt)
{
	const char *output = option_text(opt, "output"), *format = option_text(opt, "format");
	bool openai = strcmp(format, "openai") == 0, ollama = strcmp(format, "ollama") == 0;
	bool merged = strcmp(format, "merged") == 0 || option_flag(opt, "merged");
	struct t2l_adapter *adapter;
	int64_t id;
	int status;

	if (!openai && (option_given(opt, "prompts") || option_given(opt, "suite-task")))
		return context_usage(ctx, "--prompts and --suite-task belong to --format openai");
	if (openai && export_precision(opt) != NULL)
		return context_usage(ctx, "--precision is for weights; openai is training data");
	if (merged && (export_precision(opt) != NULL || option_given(opt, "optimize-for")))
		return context_usage(ctx, "merged keeps the types of the base's tensors");
	if (option_flag(opt, "merged") && !ollama)
		return context_usage(ctx, "--merged belongs to --format ollama");
	if (!workplace_adapter(ctx, option_text(opt, "adapter"), &adapter, &id))
		return 1;
	if (openai)
		status = distil(ctx, opt, adapter, output);
	else if (merged)
		status = adapter_export_merged(ctx, opt, adapter, ollama, output);
	else
		status = adapter_export(ctx, opt, adapter, id, format, output);
	t2l_adapter_close(adapter);
	return status;
}

const struct command command_export = {
	.name = "export",
	.summary = "write an adapter in another program's form",
	.details =
	    "peft: a directory that PEFT, vLLM and others load. hf: that, with configuration, "
	    "tokenizer and README, and the base's weights linked beside, so that "
	    "AutoModelForCausalLM loads it as a whole. gguf: a file for llama.cpp's --lora. "
	    "ggml: one file of the t2l GGML v1 specification. mlx: a directory for mlx-lm. "
	    "ollama: a Modelfile with a GGUF adapter. native: our own file. merged: the base "
	    "with the adapter in its weights, a GGUF file when the output ends in .gguf, an HF "
	    "directory when it ends in a slash, else as the base is. openai: "
	    "chat fine-tuning data, the adapter's own answers to your prompts.\n\n"
	    "Every export of an adapter is read back and compared before it takes its name; what "
	    "it changes of the adapter's effect (scale * B A) is told. An interrupted export "
	    "leaves nothing.\n\n"
	    "int8 in peft, hf: rows rounded to 255 steps and stored in fp16, because PEFT has no "
	    "8-bit tensors. Where the blocks of int8, q4_0 or q4_k_m do not fit a row, the tensor "
	    "is fp16.",
	.example =
	    "t2l export --adapter translate-es --format peft --output ./translate-es-peft\n"
	    "t2l export --adapter translate-es --format gguf --base-model ./llama -o es.gguf\n"
	    "t2l export --adapter translate-es --format openai --suite-task es --output es.jsonl",
	.options = options,
	.run = export_run,
};
