/*
 * src/adapter-export.h - an adapter written in another program's form: what export and convert
 * share.
 */
#ifndef SRC_ADAPTER_EXPORT_H
#define SRC_ADAPTER_EXPORT_H

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

#define ADAPTER_EXPORT_OPTIONS                                                                     \
	{ "precision", 0, OPTION_CHOICE, 0,                                                        \
		"of the numbers; which ones a format can hold is in its list (default fp32)",      \
		.choices = export_precisions },                                                    \
	    ADAPTER_FORM_OPTIONS

/* Without --precision, whose words are the command's. */
#define ADAPTER_FORM_OPTIONS                                                                       \
	{ "quantization", 0, OPTION_CHOICE, 0, "the same by the names of quantised types",     \
		    .choices = export_quantizations, .excludes = "precision" },                    \
	    { "base-model", 'b', OPTION_MODEL, 0,                                                  \
		    "the adapter's base: gguf orders rows by its heads, hf links it (its "         \
		    "config.json is enough for gguf)" },                                           \
	    { "head-dim", 0, OPTION_INTEGER, 0, "without a base: numbers in one of its heads",     \
		    .min = 2, .max = 65536 },                                                      \
	    { "architecture", 0, OPTION_TEXT, 0,                                                   \
		    "without a base: llama.cpp's word for it (default llama)" },                   \
	    { "target-model", 0, OPTION_TEXT, 0,                                                   \
		    "base_model_name_or_path to write; ollama: FROM" },                            \
	    { "optimize-for", 0, OPTION_CHOICE, 0,                                                 \
		    "inference: scale in B, aligned; mobile: that, in int8 or fp16; size: the "    \
		    "smallest precision",                                                          \
		    .choices = export_targets },                                                   \
	    { "optimize-for-inference", 0, OPTION_FLAG, 0,                                         \
		    "the same as --optimize-for inference" },                                      \
	    { "adapter-only", 0, OPTION_FLAG, 0, "hf: no config.json, no base beside it" },        \
	    { "copy-base", 0, OPTION_FLAG, 0,                                                      \
		    "hf: copy the base's weights instead of linking them" },                       \
	    { "generate-model-card", 0, OPTION_FLAG, 0, "hf: a whole README.md" },                 \
	{                                                                                          \
		"task-description", 0, OPTION_TEXT, 0,                                             \
		    "what the adapter does, for card and metadata"                                 \
	}

extern const char *const export_precisions[], *const export_quantizations[],
						  *const export_targets[];

/* What --precision or --quantization says; NULL: neither. */
const char *export_precision(const struct options *options);

/* Writes ADAPTER (row ID of the catalog, or 0) as FORMAT to PATH as the options say, and tells
 * about it. -> exit status */
int adapter_export(struct context *ctx, const struct options *options,
    const struct t2l_adapter *adapter, int64_t id, const char *format, const char *path);

/* Writes the base with the adapter in its weights to PATH, in the form that PATH asks for, or for
 * Ollama as a directory with a Modelfile. -> exit status */
int adapter_export_merged(struct context *ctx, const struct options *options,
    const struct t2l_adapter *adapter, bool for_ollama, const char *path);

#endif
