/*
 * src/lanes.h - prompts through lanes: what infer, compare, apply, evaluate and export share.
 *
 * Every (prompt, mix) pair is a lane; as many as fit run in one batch over the base, so K adapters
 * or a file of prompts cost little more than one.
 */
#ifndef SRC_LANES_H
#define SRC_LANES_H

#include "src/command.h"
#include "src/workplace.h"

struct prompt {
	char *text;		      /* the user's words; of messages: the last one */
	struct t2l_message *messages; /* NULL: TEXT is the one message */
	size_t n_messages;
	int32_t *ids; /* with --tokens: taken as they are; NULL else */
	size_t n_ids;
	size_t line; /* in the input file; 0: from the command line */
};
struct prompts {
	struct prompt *items;
	size_t n;
};
bool prompts_add_text(struct context *ctx, struct prompts *prompts, const char *text);
/* One prompt a line, or JSONL {"prompt":..} / {"messages":[..]} / {"tokens":[..]}; "-" reads stdin.
 */
bool prompts_read(struct context *ctx, struct prompts *prompts, const char *path);
/* "1,2,3" */
bool prompts_add_tokens(struct context *ctx, struct prompts *prompts, const char *list);
void prompts_free(struct prompts *prompts);

/* The options that say how tokens are drawn; every command that runs lanes has them. lane_options[]
 * is spliced into a command's table by LANE_OPTIONS. */
#define LANE_OPTIONS                                                                               \
	{ "config", 0, OPTION_PATH, 0, "settings file (TOML or YAML)" },                           \
	    { "max-tokens", 0, OPTION_INTEGER, 0, "new tokens at most", .min = 1, .max = 1e9,      \
		    .setting = "infer.max_tokens" },                                               \
	    { "greedy", 0, OPTION_FLAG, 0, "always the likeliest token",                           \
		    .excludes = "temperature" },                                                   \
	    { "temperature", 0, OPTION_NUMBER, 0, "0: greedy", .min = 0, .max = 100,               \
		    .setting = "infer.temperature" },                                              \
	    { "top-k", 0, OPTION_INTEGER, 0, "0: all", .min = 0, .max = 1e9,                       \
		    .setting = "infer.top_k" },                                                    \
	    { "top-p", 0, OPTION_NUMBER, 0, "nucleus; 1: all", .min = 0, .max = 1,                 \
		    .setting = "infer.top_p" },                                                    \
	    { "min-p", 0, OPTION_NUMBER, 0, "share of the likeliest; 0: all", .min = 0, .max = 1,  \
		    .setting = "infer.min_p" },                                                    \
	    { "repetition-penalty", 0, OPTION_NUMBER, 0, "1: none", .min = 0.01, .max = 100,       \
		    .setting = "infer.repetition_penalty" },                                       \
	    { "frequency-penalty", 0, OPTION_NUMBER, 0, "0: none", .fallback = "0", .min = -10,    \
		    .max = 10 },                                                                   \
	    { "presence-penalty", 0, OPTION_NUMBER, 0, "0: none", .fallback = "0", .min = -10,     \
		    .max = 10 },                                                                   \
	    { "seed", 0, OPTION_INTEGER, 0, "of the sampler", .min = 0, .max = 9e15,               \
		    .setting = "infer.seed" },                                                     \
	    { "stop", 0, OPTION_TEXT, MANY, "text that ends an answer" },                          \
	    { "context", 0, OPTION_INTEGER, 0, "tokens a lane holds; 0: the model's own",          \
		    .min = 0, .max = 1e9, .setting = "infer.context" },                            \
	    { "system", 0, OPTION_TEXT, 0, "system message" },                                     \
	    { "raw", 0, OPTION_FLAG, 0, "no chat template: the prompt as it stands",               \
		    .excludes = "chat-template system" },                                          \
	    { "chat-template", 0, OPTION_PATH, 0,                                                  \
		    "a family (chatml, llama2, ...) or Jinja file instead of the model's own, or " \
		    "none" },                                                                      \
	    { "kv-type", 0, OPTION_CHOICE, 0, "of keys and values: half the memory with q8_0",     \
		    .choices = kv_type_names },                                                    \
	{                                                                                          \
		"precise", 0, OPTION_FLAG, 0, "f32 throughout, no quantised products"              \
	}

struct lane_settings {
	struct t2l_sampling sampling;
	size_t max_tokens, context;
	const char **stop;
	size_t n_stop;
	const char *system;
	bool raw;
	char *chat_template; /* source, NULL: the model's own */
	const char *kv_type; /* NULL: the engine's choice */
};
extern const char *const kv_type_names[];
/* The source of a template by its family's name or from a Jinja file, to be freed; NULL after
 * context_fail(). */
char *read_chat_template(struct context *ctx, const char *name);
/* From a parsed line; also applies --precise to the workplace, so call it before anything is
 * opened. */
bool lane_settings_make(
    struct context *ctx, const struct options *options, struct lane_settings *settings);
void lane_settings_free(struct lane_settings *settings);

struct lane_output {
	const struct prompt *prompt;
	const struct mix *mix;
	size_t prompt_index, mix_index;
	const char *text;
	size_t n_bytes;
	const int32_t *ids;
	size_t n_ids;
	struct t2l_lane_result result;
};

struct lanes_job {
	struct t2l_model *model;
	const struct prompts *prompts;
	const struct mix *mixes;
	size_t n_mixes;
	const struct lane_settings *settings;
	/* Called in the order of prompts, within one in the order of mixes. False: stop. */
	bool (*on_output)(void *user, const struct lane_output *output);
	/* Text as it comes, only when there is one lane; may be NULL. */
	void (*on_text)(void *user, const char *text, size_t n_bytes);
	void *user;
};
/* -> exit status */
int lanes_run(struct context *ctx, const struct lanes_job *job);

/* The JSON form of CLI.md: {"prompt","adapter","text","tokens","finish","prefill_ms","decode_ms"};
 * ids when WITH_IDS. */
cJSON *lane_output_json(const struct lane_output *output, bool with_ids);
const char *finish_name(enum t2l_finish finish);

#endif
