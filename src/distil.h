/*
 * src/distil.h - chat fine-tuning data distilled from an adapter.
 *
 * A hosted model takes no LoRA. What can be handed over is what the adapter does: prompts, and its
 * own answers to them on its base, as conversations to train another model on.
 */
#ifndef SRC_DISTIL_H
#define SRC_DISTIL_H

#include "src/lanes.h"
#include "src/options.h"

#define DISTIL_OPTIONS                                                                             \
	{ "prompts", 0, OPTION_PATH, 0, "openai: a prompt a line, or JSONL; - is stdin",           \
		.excludes = "suite suite-task" },                                                  \
	    { "suite", 0, OPTION_PATH, 0, "openai: take the prompts from this task suite" },       \
	    { "suite-task", 0, OPTION_TEXT, 0,                                                     \
		    "openai: id of the suite's task; without it the nearest to the adapter's" },   \
	{                                                                                          \
		"examples", 0, OPTION_INTEGER, 0, "openai: at most this many conversations",       \
		    .min = 10, .max = 1e9                                                          \
	}

/* Writes PATH (JSONL, held against the published rules) and PATH.json (how it was made). -> exit
 * status */
int distil(struct context *ctx, const struct options *options, const struct t2l_adapter *adapter,
    const char *path);

#endif
