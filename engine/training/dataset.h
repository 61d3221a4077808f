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
	int32_t *ids;	 /* [n] prompt, response, end token */
	int32_t *labels; /* [n] as batch_add() wants them: the response and its end count */
	int32_t n, n_prompt;
};
struct task_data {
	const struct t2l_suite_task *task;
	struct example *examples;
	size_t n;
};
struct dataset {
	struct task_data *tasks;
	size_t n;
};

/* One example; with_bos decides whether special tokens stand around the prompt. PREFIX (may be
 * NULL) and a line feed are put before the prompt. example_release() when done. */
enum t2l_status example_make(const struct text_form *form, const char *prefix, const char *prompt,
    const char *response, bool with_bos, struct example *example, struct t2l_error *err);
void example_release(struct example *example);

enum dataset_use { DATASET_PRETRAIN, DATASET_TRAIN };
/* The tasks that the suite marks for USE (PRETRAIN: with their extra pairs, no BOS), or those of
 * the comma list TASKS. Errors: an unknown name, a task without pairs, an example longer than
 * MAX_TOKENS. */
enum t2l_status dataset_make(const struct t2l_suite *suite, const char *tasks, enum dataset_use use,
    const struct text_form *form, int max_tokens, struct dataset *dataset, struct t2l_error *err);
void dataset_release(struct dataset *dataset);

#endif
