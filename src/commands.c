/* commands.c - the table of commands, in the order of help. */

#include "config.h"

#include <stddef.h>

#include "src/command.h"

const struct command *const commands[] = {
	&command_workbench,
	&command_generate,
	&command_infer,
	&command_compare,
	&command_apply,
	&command_merge,
	&command_export,
	&command_convert,
	&command_quantize,
	&command_import,
	&command_catalog,
	&command_train,
	&command_evaluate,
	&command_inspect,
	&command_diff,
	&command_validate,
	&command_score,
	&command_bench,
	&command_tokenize,
	&command_chat_template,
	&command_embed,
	&command_batch,
	&command_config,
	&command_version,
	&command_help,
	NULL,
};
