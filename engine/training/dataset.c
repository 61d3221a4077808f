/* dataset.c - turns a suite's pairs into tokens. */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/error.h"
#include "engine/text/chat.h"
#include "engine/text/tokenizer.h"
#include "engine/training/batch.h"
#include "engine/training/dataset.h"
#include "engine/training/random.h"
#include "engine/training/trainer.h"

/* The end token that the template itself puts behind an answer ("<|im_end|>"); the first end token
 * where it puts none. */
static int32_t
turn_end(const struct tokenizer *tokenizer, const struct chat_template *chat_template,
    const int32_t *eos, size_t n_eos)
{
	const struct chat_message turns[] = { { "user", "a" }, { "assistant", "b" } };
	const struct chat_options options = { .add_generation_prompt = false };
	int32_t end = eos[0], *ids = NULL;
	size_t n = 0;

	if (chat_template == NULL ||
	    chat_encode(tokenizer, chat_template, turns, 2, &options, &ids, &n, NULL) != T2L_OK)
		return end;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n_eos; j++)
			if (ids[i] == eos[j])
				end = ids[i];
	free(ids);
	return end;
}

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
	*form = (struct text_form){ tokenizer, chat_template,
		turn_end(tokenizer, chat_template, eos, n_eos) };
	return T2L_OK;
}

void
example_release(struct example *example)
{
	if (!example->mapped)
		free(example->ids);
	*example = (struct example){ 0 };
}

/* A conversation as ids, up to where the answer begins. WITH_BOS false: no special token stands
 * around it, but for those that the template writes. */
static enum t2l_status
encode_messages(const struct text_form *form, const struct chat_message *messages, size_t n,
    bool with_bos, int32_t **ids, size_t *n_ids, struct t2l_error *err)
{
	struct chat_options options = { .add_generation_prompt = true };
	enum t2l_status status;
	char *text;

	if (with_bos)
		return chat_encode(
		    form->tokenizer, form->chat_template, messages, n, &options, ids, n_ids, err);
	status = chat_template_render(form->chat_template, messages, n, &options, &text, err);
	if (status != T2L_OK)
		return status;
	status = tokenizer_encode(
	    form->tokenizer, text, strlen(text), TOKENIZER_PARSE_SPECIAL, ids, n_ids, err);
	free(text);
	return status;
}

/* What stands before the response. Without a template nothing but the users' text is there, and
 * that is never special. */
static enum t2l_status
encode_before(const struct text_form *form, const struct chat_message *messages, size_t n,
    bool with_bos, int32_t **ids, size_t *n_ids, struct t2l_error *err)
{
	struct buffer text = { 0 };
	enum t2l_status status;

	if (form->chat_template != NULL)
		return encode_messages(form, messages, n, with_bos, ids, n_ids, err);
	for (size_t i = 0; i < n; i++)
		buffer_printf(&text, "%s%s", i > 0 ? "\n" : "", messages[i].content);
	if (buffer_failed(&text))
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	status = tokenizer_encode(form->tokenizer, buffer_string(&text), text.n,
	    with_bos ? TOKENIZER_ADD_SPECIAL : 0, ids, n_ids, err);
	buffer_free(&text);
	return status;
}

static enum t2l_status
join(const struct text_form *form, const int32_t *head, size_t n_head, const int32_t *tail,
    size_t n_tail, struct example *example, struct t2l_error *err)
{
	int32_t *ids;

	if (n_head + n_tail >= INT32_MAX / 4)
		return t2l_fail(err, T2L_EINVAL, "training: an example is too long");
	ids = malloc((n_head + n_tail + 1) * sizeof *ids);
	if (ids == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (n_head > 0)
		memcpy(ids, head, n_head * sizeof *ids);
	if (n_tail > 0)
		memcpy(ids + n_head, tail, n_tail * sizeof *ids);
	ids[n_head + n_tail] = form->end_id;
	*example = (struct example){
		.ids = ids, .n = (int32_t)(n_head + n_tail + 1), .n_prompt = (int32_t)n_head
	};
	return T2L_OK;
}

static enum t2l_status
make_example(const struct text_form *form, const struct chat_message *messages, size_t n,
    const char *response, bool with_bos, struct example *example, struct t2l_error *err)
{
	int32_t *head = NULL, *tail = NULL;
	size_t n_head = 0, n_tail = 0;
	enum t2l_status status = encode_before(form, messages, n, with_bos, &head, &n_head, err);

	if (status == T2L_OK)
		status = tokenizer_encode(form->tokenizer, response, strlen(response),
		    TOKENIZER_PLAIN, &tail, &n_tail, err);
	if (status == T2L_OK)
		status = join(form, head, n_head, tail, n_tail, example, err);
	free(head);
	free(tail);
	return status;
}

enum t2l_status
example_make(const struct text_form *form, const char *prefix, const char *prompt,
    const char *response, bool with_bos, struct example *example, struct t2l_error *err)
{
	struct buffer words = { 0 };
	struct chat_message message = { "user", NULL };
	enum t2l_status status;

	if (prefix != NULL)
		buffer_printf(&words, "%s\n", prefix);
	buffer_text(&words, prompt);
	if (buffer_failed(&words))
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	message.content = buffer_string(&words);
	status = make_example(form, &message, 1, response, with_bos, example, err);
	buffer_free(&words);
	return status;
}

enum t2l_status
example_from_suite(const struct text_form *form, const struct t2l_suite_example *pair,
    bool with_bos, struct example *example, struct t2l_error *err)
{
	struct chat_message *messages;
	enum t2l_status status;

	if (pair->messages == NULL)
		return example_make(
		    form, NULL, pair->prompt, pair->response, with_bos, example, err);
	messages = calloc(pair->n_messages, sizeof *messages);
	if (messages == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (size_t i = 0; i < pair->n_messages; i++)
		messages[i] =
		    (struct chat_message){ pair->messages[i].role, pair->messages[i].content };
	status =
	    make_example(form, messages, pair->n_messages, pair->response, with_bos, example, err);
	free(messages);
	return status;
}

enum t2l_status
example_fit(struct example *example, const struct length_rule *rule, struct t2l_error *err)
{
	int32_t over = example->n - rule->max_tokens, gone;

	if (over <= 0)
		return T2L_OK;
	if (!rule->cut)
		return t2l_fail(err, T2L_EINVAL,
		    "it has %d tokens; the limit is %d (max_tokens in [data] cuts)", example->n,
		    rule->max_tokens);
	/* The first token stays: BOS, or the start of a turn. */
	gone = over < example->n_prompt - 1 ? over : example->n_prompt - 1;
	if (gone > 0) {
		size_t n = (size_t)(example->n - 1 - gone);

		memmove(example->ids + 1, example->ids + 1 + gone, n * sizeof *example->ids);
		example->n -= gone;
		example->n_prompt -= gone;
	}
	if (example->n > rule->max_tokens)
		example->n = rule->max_tokens;
	return T2L_OK;
}

static enum t2l_status
add_examples(struct task_data *data, const struct t2l_suite_example *pairs, size_t n,
    const struct text_form *form, bool with_bos, const struct length_rule *length,
    struct t2l_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct example *example = &data->examples[data->n];
		enum t2l_status status =
		    example_from_suite(form, &pairs[i], with_bos, example, err);

		if (status != T2L_OK)
			return t2l_context(err, "task '%s'", data->task->id);
		example->source = i;
		data->n++;
		status = example_fit(example, length, err);
		if (status != T2L_OK)
			return t2l_context(err, "task '%s': the pair that begins '%.40s'",
			    data->task->id, pairs[i].prompt);
	}
	return T2L_OK;
}

static enum t2l_status
add_task(struct dataset *dataset, const struct t2l_suite_task *task, enum dataset_use use,
    const struct text_form *form, const struct length_rule *length, struct t2l_error *err)
{
	struct task_data *data = &dataset->tasks[dataset->n++];
	bool pretrain = use == DATASET_PRETRAIN;
	size_t n = task->n_examples + (pretrain ? task->n_extra : 0);
	enum t2l_status status;

	*data = (struct task_data){ .task = task };
	if (n == 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "task '%s' has no examples to train on (lines of prompt and response)",
		    task->id);
	data->examples = calloc(n, sizeof *data->examples);
	if (data->examples == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	status = add_examples(data, task->examples, task->n_examples, form, !pretrain, length, err);
	if (status == T2L_OK && pretrain)
		status =
		    add_examples(data, task->extra, task->n_extra, form, !pretrain, length, err);
	return status;
}

/* The first name of LIST without the blanks around it. -> the rest of the list. */
static const char *
first_name(const char *list, const char **name, size_t *n)
{
	size_t all = strcspn(list, ",");

	*name = list + strspn(list, " \t");
	*n = *name < list + all ? (size_t)(list + all - *name) : 0;
	while (*n > 0 && ((*name)[*n - 1] == ' ' || (*name)[*n - 1] == '\t'))
		(*n)--;
	return list + all + (list[all] == ',');
}

bool
dataset_listed(const char *list, const char *id)
{
	const char *name;
	size_t n;

	while (*list != '\0') {
		list = first_name(list, &name, &n);
		if (n == strlen(id) && memcmp(name, id, n) == 0)
			return true;
	}
	return false;
}

enum t2l_status
dataset_check_names(const struct t2l_suite *suite, const char *list, struct t2l_error *err)
{
	const char *at = list, *name;
	char id[256];
	size_t n;

	do {
		at = first_name(at, &name, &n);
		if (n == 0 || n >= sizeof id)
			return t2l_fail(err, T2L_EINVAL,
			    "--tasks '%s': names divided by commas "
			    "are wanted",
			    list);
		memcpy(id, name, n);
		id[n] = '\0';
		if (t2l_suite_find(suite, id) == NULL)
			return t2l_fail(err, T2L_EINVAL, "--tasks: there is no task '%s'", id);
	} while (*at != '\0');
	return T2L_OK;
}

enum t2l_status
dataset_make(const struct t2l_suite *suite, const char *tasks, enum dataset_use use,
    const struct text_form *form, const struct length_rule *length, struct dataset *dataset,
    struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	size_t n = t2l_suite_n_tasks(suite);

	*dataset = (struct dataset){ .tasks = calloc(n, sizeof *dataset->tasks) };
	if (dataset->tasks == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (tasks != NULL)
		status = dataset_check_names(suite, tasks, err);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct t2l_suite_task *task = t2l_suite_task(suite, i);
		bool marked = use == DATASET_PRETRAIN ? task->pretrain : task->train;

		if (tasks != NULL ? dataset_listed(tasks, task->id) : marked)
			status = add_task(dataset, task, use, form, length, err);
	}
	if (status == T2L_OK && dataset->n == 0)
		status = t2l_fail(err, T2L_EINVAL, "the suite marks no task for this training");
	if (status != T2L_OK)
		dataset_release(dataset);
	return status;
}

void
dataset_hold_out(struct dataset *dataset, double share, uint64_t seed)
{
	for (size_t i = 0; i < dataset->n; i++) {
		struct task_data *data = &dataset->tasks[i];
		struct random random = random_at(seed, STREAM_HELD_OUT, i);
		size_t held = (size_t)(share * (double)data->n + 0.5);

		if (held == 0)
			held = 1;
		for (; held > 0 && data->n > 1; held--) {
			size_t at = (size_t)random_below(&random, data->n--);
			struct example taken = data->examples[at];

			data->examples[at] = data->examples[data->n];
			data->examples[data->n] = taken;
			data->n_held++;
		}
	}
}

void
dataset_release(struct dataset *dataset)
{
	for (size_t i = 0; i < dataset->n; i++) {
		size_t n = dataset->tasks[i].n + dataset->tasks[i].n_held;

		for (size_t j = 0; j < n; j++)
			example_release(&dataset->tasks[i].examples[j]);
		free(dataset->tasks[i].examples);
	}
	free(dataset->tasks);
	*dataset = (struct dataset){ 0 };
}
