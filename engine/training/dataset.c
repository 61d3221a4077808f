/* dataset.c - turns a suite's pairs into tokens. */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/error.h"
#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"
#include "engine/training/batch.h"
#include "engine/training/dataset.h"

enum t2l_status
text_form_make(const struct tokenizer *tokenizer, const struct chat_template *chat_template,
    const char *name, struct text_form *form, struct t2l_error *err)
{
	size_t n_eos = 0;
	const int32_t *eos = tokenizer ? tokenizer_eos(tokenizer, &n_eos) : NULL;

	if (tokenizer == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "'%s' has no tokenizer: training on text needs tokenizer.json beside the model",
		    name);
	if (n_eos == 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "'%s' has no end-of-text token: a response could never end (set eos_token_id "
		    "in "
		    "generation_config.json)",
		    name);
	*form = (struct text_form){ tokenizer, chat_template, eos[0] };
	return T2L_OK;
}

void
example_release(struct example *example)
{
	free(example->ids);
	*example = (struct example){ 0 };
}

/* The prompt's text as the model reads it; the caller frees it. */
static enum t2l_status
render(const struct text_form *form, const char *prefix, const char *prompt, char **text,
    struct t2l_error *err)
{
	struct buffer words = { 0 };
	enum t2l_status status;

	if (prefix != NULL)
		buffer_printf(&words, "%s\n", prefix);
	buffer_text(&words, prompt);
	if (buffer_failed(&words))
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (form->chat_template == NULL) {
		*text = buffer_take(&words);
		return T2L_OK;
	}
	struct chat_message message = { "user", buffer_string(&words) };
	struct chat_options options = { .add_generation_prompt = true };

	status = chat_template_render(form->chat_template, &message, 1, &options, text, err);
	buffer_free(&words);
	return status;
}

enum t2l_status
example_make(const struct text_form *form, const char *prefix, const char *prompt,
    const char *response, bool with_bos, struct example *example, struct t2l_error *err)
{
	unsigned flags = TOKENIZER_PARSE_SPECIAL | (with_bos ? TOKENIZER_ADD_SPECIAL : 0);
	int32_t *head = NULL, *tail = NULL, *ids = NULL;
	size_t n_head = 0, n_tail = 0;
	char *text = NULL;
	enum t2l_status status = render(form, prefix, prompt, &text, err);

	/* Without a template nothing but the user's text is there, and that is never special. */
	if (form->chat_template == NULL)
		flags &= ~(unsigned)TOKENIZER_PARSE_SPECIAL;
	if (status == T2L_OK)
		status = tokenizer_encode(
		    form->tokenizer, text, strlen(text), flags, &head, &n_head, err);
	if (status == T2L_OK)
		status = tokenizer_encode(form->tokenizer, response, strlen(response),
		    TOKENIZER_PLAIN, &tail, &n_tail, err);
	if (status == T2L_OK && n_head + n_tail >= INT32_MAX / 4)
		status = t2l_fail(err, T2L_EINVAL, "training: an example is too long");
	if (status == T2L_OK && (ids = malloc(2 * (n_head + n_tail + 1) * sizeof *ids)) == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (status == T2L_OK) {
		if (n_head > 0)
			memcpy(ids, head, n_head * sizeof *ids);
		if (n_tail > 0)
			memcpy(ids + n_head, tail, n_tail * sizeof *ids);
		ids[n_head + n_tail] = form->end_id;
		*example = (struct example){ .ids = ids,
			.labels = ids + n_head + n_tail + 1,
			.n = (int32_t)(n_head + n_tail + 1),
			.n_prompt = (int32_t)n_head };
		for (int32_t i = 0; i < example->n; i++)
			example->labels[i] = i < example->n_prompt ? LABEL_IGNORED : ids[i];
	}
	free(text);
	free(head);
	free(tail);
	return status;
}

static enum t2l_status
add_examples(struct task_data *data, const struct t2l_suite_example *pairs, size_t n,
    const struct text_form *form, bool with_bos, int max_tokens, struct t2l_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct example *example = &data->examples[data->n];
		enum t2l_status status = example_make(
		    form, NULL, pairs[i].prompt, pairs[i].response, with_bos, example, err);

		if (status != T2L_OK)
			return t2l_context(err, "task '%s'", data->task->id);
		data->n++;
		if (example->n > max_tokens)
			return t2l_fail(err, T2L_EINVAL,
			    "task '%s': the pair that begins '%.40s' has %d tokens; the limit is "
			    "%d",
			    data->task->id, pairs[i].prompt, example->n, max_tokens);
	}
	return T2L_OK;
}

static enum t2l_status
add_task(struct dataset *dataset, const struct t2l_suite_task *task, enum dataset_use use,
    const struct text_form *form, int max_tokens, struct t2l_error *err)
{
	struct task_data *data = &dataset->tasks[dataset->n++];
	bool pretrain = use == DATASET_PRETRAIN;
	size_t n = task->n_examples + (pretrain ? task->n_extra : 0);
	enum t2l_status status;

	*data = (struct task_data){ .task = task };
	if (n == 0)
		return t2l_fail(
		    err, T2L_EFORMAT, "task '%s' has no pairs in train.jsonl", task->id);
	data->examples = calloc(n, sizeof *data->examples);
	if (data->examples == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	status =
	    add_examples(data, task->examples, task->n_examples, form, !pretrain, max_tokens, err);
	if (status == T2L_OK && pretrain)
		status = add_examples(
		    data, task->extra, task->n_extra, form, !pretrain, max_tokens, err);
	return status;
}

/* Whether ID stands in the comma list LIST. */
static bool
listed(const char *list, const char *id)
{
	size_t n = strlen(id);

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, id, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

static enum t2l_status
check_names(const struct t2l_suite *suite, const char *list, struct t2l_error *err)
{
	char id[256];

	for (const char *at = list; *at != '\0';) {
		size_t n = strcspn(at, ",");

		if (n == 0 || n >= sizeof id)
			return t2l_fail(err, T2L_EINVAL,
			    "--tasks '%s': names divided by commas "
			    "are wanted",
			    list);
		memcpy(id, at, n);
		id[n] = '\0';
		if (t2l_suite_find(suite, id) == NULL)
			return t2l_fail(err, T2L_EINVAL, "--tasks: the suite has no task '%s'", id);
		at += n + (at[n] == ',');
	}
	return T2L_OK;
}

enum t2l_status
dataset_make(const struct t2l_suite *suite, const char *tasks, enum dataset_use use,
    const struct text_form *form, int max_tokens, struct dataset *dataset, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	size_t n = t2l_suite_n_tasks(suite);

	*dataset = (struct dataset){ .tasks = calloc(n, sizeof *dataset->tasks) };
	if (dataset->tasks == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (tasks != NULL)
		status = check_names(suite, tasks, err);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct t2l_suite_task *task = t2l_suite_task(suite, i);
		bool marked = use == DATASET_PRETRAIN ? task->pretrain : task->train;

		if (tasks != NULL ? listed(tasks, task->id) : marked)
			status = add_task(dataset, task, use, form, max_tokens, err);
	}
	if (status == T2L_OK && dataset->n == 0)
		status = t2l_fail(err, T2L_EINVAL, "the suite marks no task for this training");
	if (status != T2L_OK)
		dataset_release(dataset);
	return status;
}

void
dataset_release(struct dataset *dataset)
{
	for (size_t i = 0; i < dataset->n; i++) {
		for (size_t j = 0; j < dataset->tasks[i].n; j++)
			example_release(&dataset->tasks[i].examples[j]);
		free(dataset->tasks[i].examples);
	}
	free(dataset->tasks);
	*dataset = (struct dataset){ 0 };
}
