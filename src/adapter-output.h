/*
 * src/adapter-output.h - where a command's new adapter goes: a file, a PEFT directory, or the
 * catalog.
 */
#ifndef SRC_ADAPTER_OUTPUT_H
#define SRC_ADAPTER_OUTPUT_H

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

#define ADAPTER_OUTPUT_OPTIONS                                                                     \
	{ "output", 'o', OPTION_PATH, 0,                                                           \
		"file ending in .safetensors, or a PEFT directory; without it the catalog" },      \
	    { "format", 0, OPTION_CHOICE, 0, "of the output", .choices = adapter_formats },        \
	    { "name", 'n', OPTION_TEXT, 0, "name in the catalog" },                                \
	    { "tag", 0, OPTION_TEXT, MANY, "tag in the catalog" },                                 \
	{                                                                                          \
		"keep", 'k', OPTION_FLAG, 0, "keep in the catalog although there is an --output"   \
	}

extern const char *const adapter_formats[]; /* "native", "peft" */

/* X of CLI.md: a native file when it ends in .safetensors and FORMAT is not "peft", else a PEFT
 * directory. */
bool adapter_write(
    struct context *ctx, const struct t2l_adapter *adapter, const char *path, const char *format);
/* The same without telling: for another thread. */
enum t2l_status adapter_write_file(
    const struct t2l_adapter *adapter, const char *path, const char *format, struct t2l_error *err);

/* Writes and keeps as the options say and tells about it. KEEP: source, lineage and times; name and
 * tags come from the options. -> exit status */
int adapter_output(struct context *ctx, const struct options *options,
    const struct t2l_adapter *adapter, struct keep_options *keep);

#endif
