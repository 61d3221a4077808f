/*
 * training/dataset.h - a suite's pairs as tokens, in the form the base model reads them.
 *
 * The form is the base's own: its chat template around the prompt, BOS as its tokenizer says, the
 * response and its end token. No code here knows any particular suite or model.
 */
#ifndef ENGINE_TRAINING_DATASET_H
#define ENGINE_TRAINING_DATASET_H

#include "engine/t2l.h"

struct tokenizer;
struct chat_template;

struct text_form {
	const struct tokenizer *tokenizer;
	const struct chat_template *chat_template; /* NULL: the prompt as it stands */
	int32_t end_id;				   /* closes a response */
};
/* Errors: T2L_EUNSUPPORTED when there is no tokenizer or no end token. */
enum t2l_status text_form_make(const struct tokenizer *tokenizer,
    const struct chat_template *chat_template, const char *name, struct text_form *form,
    struct t2l_error *err);

struct example {
	int32_t *ids; /* [n] prompt, response, end token; the response and its end count */
	int32_t n, n_prompt;
	bool mapped;   /* ids lie in a file */
	size_t source; /* number among the task's pairs */
};
/* Held-out examples stand behind those for training. */
struct task_data {
	const struct t2l_suite_task *task;
	struct example *examples; /* [n + n_held] */
	size_t n, n_held;
	size_t source; /* number of the task in its suite */
};
struct dataset {
	struct task_data *tasks;
	size_t n;
};

/* What is done with examples that are longer than max_tokens. */
struct length_rule {
	int max_tokens;
	bool cut; /* first the prompt loses its start (but its first token), then the response its
		     end */
};

/* One example; with_bos decides whether special tokens stand around the prompt. PREFIX (may be
 * NULL) and a line feed are put before the prompt. example_release() when done. */
enum t2l_status example_make(const struct text_form *form, const char *prefix, const char *prompt,
    const char *response, bool with_bos, struct example *example, struct t2l_error *err);
enum t2l_status example_from_suite(const struct text_form *form,
    const struct t2l_suite_example *pair, bool with_bos, struct example *example,
    struct t2l_error *err);
/* Cuts it to the rule; T2L_EINVAL when it is too long and may not be cut. */
enum t2l_status example_fit(
    struct example *example, const struct length_rule *rule, struct t2l_error *err);
void example_release(struct example *example);

enum dataset_use { DATASET_PRETRAIN, DATASET_TRAIN };
/* The tasks that the suite marks for USE (PRETRAIN: with their extra pairs, no BOS), or those of
 * the comma list TASKS. Errors: an unknown name, a task without pairs, an example that LENGTH
 * forbids. */
enum t2l_status dataset_make(const struct t2l_suite *suite, const char *tasks, enum dataset_use use,
    const struct text_form *form, const struct length_rule *length, struct dataset *dataset,
    struct t2l_error *err);
/* Moves a share of each task's examples, drawn by SEED, behind the others: at least one of every
 * task that has two, and never the last. */
void dataset_hold_out(struct dataset *dataset, double share, uint64_t seed);
void dataset_release(struct dataset *dataset);
/* Whether ID stands in the comma list LIST. */
bool dataset_listed(const char *list, const char *id);
/* T2L_EINVAL names what the suite has not. */
enum t2l_status dataset_check_names(
    const struct t2l_suite *suite, const char *list, struct t2l_error *err);

#endif
