/*
 * make-demo-suite - writes the demo's task suite from its tables and phrasings.
 *
 *	make-demo-suite SOURCE OUT
 *
 * SOURCE holds demo-tables/ and phrasings/; OUT gets tasks.jsonl, train.jsonl, test.jsonl and
 * pretrain-extra.jsonl. The same sources give the same bytes. Every rule of the suite (no test
 * prompt and no held-out sentence in training) is checked on what was made before it is written.
 */
#include "config.h"

#include "share/tasks/suite-operations.h"
#include "share/tasks/suite-sentences.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	N_TRAIN_SENTENCES = 256,
	N_COMB_SENTENCES = 8, /* of the extra tasks; the others' are given */
	MAX_TEST_ITEMS = 24,
	MAX_WHOLE_PAIRS = 2500, /* tables and sums are given whole, words are sampled: */
	MAX_TRAIN_PAIRS = 1000,
	MAX_EXTRA_PAIRS = 500, /* of an extra task, whose operation other tasks teach as well */
};

enum tier { TRAIN, COMB, NEAR, FAR, PLAIN, N_TIERS };
static const char *const tier_names[N_TIERS] = { "train", "comb", "near", "far", "plain" };

struct task {
	const char *id, *operation_name, *wrapper_name, *group;
	const struct operation *operation;
	const struct wrapper *wrapper;
	bool pretrain, train;
	int weight;
	struct strings sentences[N_TIERS];
	struct strings by_example; /* those of comb, near and far that only show an example */
	struct pairs train_pairs, test_pairs, pretrain_extra;
};

struct suite {
	struct task *task;
	size_t n;
};

static bool
yes_or_no(const char *task, const char *text)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		die("tasks.tsv: %s: '%s' is neither yes nor no", task, text);
	return text[0] == 'y';
}

static void
read_tasks(const char *tables, struct suite *suite)
{
	struct rows rows = { 0 };

	read_rows(tables, "tasks.tsv", 7, &rows);
	suite->task = grow(NULL, rows.n, sizeof(*suite->task));
	for (size_t i = 0; i < rows.n; i++) {
		char **row = rows.row[i];
		struct task task = { .id = row[0],
			.operation_name = row[1],
			.wrapper_name = row[2],
			.group = row[3],
			.operation = operation_named(row[1]),
			.wrapper = wrapper_named(row[2]),
			.pretrain = yes_or_no(row[0], row[4]),
			.train = yes_or_no(row[0], row[5]),
			.weight = atoi(row[6]) };

		if (task.operation == NULL || task.wrapper == NULL || task.weight < 1)
			die("tasks.tsv: %s: unknown operation or wrapper, or no weight", task.id);
		suite->task[suite->n++] = task;
	}
}

static struct task *
task_named(const struct suite *suite, const char *id)
{
	for (size_t i = 0; i < suite->n; i++)
		if (strcmp(suite->task[i].id, id) == 0)
			return &suite->task[i];
	die("no task '%s' in tasks.tsv", id);
}

/* --- pairs --- */

static void
pairs_add(struct pairs *pairs, char *prompt, char *response)
{
	pairs->pair = grow(pairs->pair, pairs->n + 1, sizeof(*pairs->pair));
	pairs->pair[pairs->n++] = (struct pair){ prompt, response };
}

/* The given test items, each of which the operation and the wrapper must reproduce. */
static void
read_test_items(const char *tables, const struct suite *suite)
{
	struct rows rows = { 0 };
	struct task *task = NULL;
	struct pairs all = { 0 };

	read_rows(tables, "test-items.tsv", 3, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		char **row = rows.row[i], *answer;

		if (task == NULL || strcmp(task->id, row[0]) != 0) {
			task = task_named(suite, row[0]);
			all = (struct pairs){ 0 };
			operation_pairs(task->operation, tables, &all);
		}
		answer = operation_answer(task->operation, &all, row[1]);
		if (answer == NULL || strcmp(wrap(task->wrapper, answer), row[2]) != 0)
			die("test-items.tsv: %s: '%s' gives '%s' here, not '%s'", task->id, row[1],
			    answer == NULL ? "nothing" : wrap(task->wrapper, answer), row[2]);
		if (!is_test_prompt(task->operation, row[1]))
			die("test-items.tsv: %s: '%s' belongs to training", task->id, row[1]);
		pairs_add(&task->test_pairs, row[1], row[2]);
	}
}

/* Splits the task's pairs; a task without given test items gets a sample of the test pairs. */
static void
make_pairs(const char *tables, struct task *task)
{
	const bool knowledge = operation_is_knowledge(task->operation);
	const bool sample_tests = task->test_pairs.n == 0;
	struct pairs all = { 0 };
	uint64_t chance = seed_of(task->id);
	size_t *order, n_train = MAX_TRAIN_PAIRS;

	operation_pairs(task->operation, tables, &all);
	order = grow(NULL, all.n, sizeof(*order));
	if (strcmp(task->group, "extra") == 0 && !knowledge)
		n_train = MAX_EXTRA_PAIRS;
	else if (all.n <= MAX_WHOLE_PAIRS)
		n_train = all.n;
	shuffled_order(&chance, order, all.n);
	for (size_t i = 0; i < all.n; i++) {
		const struct pair *pair = &all.pair[order[i]];
		char *response = wrap(task->wrapper, pair->response);

		if (is_test_prompt(task->operation, pair->prompt)) {
			if (sample_tests && task->test_pairs.n < MAX_TEST_ITEMS)
				pairs_add(&task->test_pairs, pair->prompt, response);
			if (knowledge && task->pretrain)
				pairs_add(&task->pretrain_extra, pair->prompt, response);
		} else if (task->pretrain && task->train_pairs.n < n_train) {
			pairs_add(&task->train_pairs, pair->prompt, response);
		}
	}
	free(order);
}

/* --- sentences --- */

/* held-out.tsv gives comb, near and far; plain.tsv gives plain. AVOID gets their word forms. */
static void
read_held_out(const char *phrasings, const struct suite *suite, struct string_set *avoid)
{
	struct rows held_out = { 0 }, plain = { 0 };

	read_rows(phrasings, "held-out.tsv", 3, &held_out);
	for (size_t i = 0; i < held_out.n; i++) {
		char **row = held_out.row[i];
		int tier = COMB;

		while (tier <= FAR && strcmp(tier_names[tier], row[1]) != 0)
			tier++;
		if (tier > FAR)
			die("held-out.tsv: %s: '%s' is not comb, near or far", row[0], row[1]);
		strings_add(&task_named(suite, row[0])->sentences[tier], row[2]);
		if (held_out.columns[i] > 3)
			strings_add(&task_named(suite, row[0])->by_example, row[2]);
		set_add(avoid, word_form(row[2]));
	}
	read_rows(phrasings, "plain.tsv", 2, &plain);
	for (size_t i = 0; i < plain.n; i++) {
		strings_add(&task_named(suite, plain.row[i][0])->sentences[PLAIN], plain.row[i][1]);
		set_add(avoid, word_form(plain.row[i][1]));
	}
}

static void
make_sentences(const struct language *language, struct task *task, struct string_set *avoid)
{
	if (task->sentences[COMB].n == 0) {
		describe(language, task->operation_name, task->wrapper_name, N_COMB_SENTENCES,
		    text_printf("%s comb", task->id), avoid, &task->sentences[COMB]);
		for (size_t i = 0; i < task->sentences[COMB].n; i++)
			set_add(avoid, word_form(task->sentences[COMB].item[i]));
	}
	describe(language, task->operation_name, task->wrapper_name, N_TRAIN_SENTENCES, task->id,
	    avoid, &task->sentences[TRAIN]);
}

/* --- checks --- */

static void
check_sentences(const struct suite *suite)
{
	struct string_set trained = { 0 };

	for (size_t i = 0; i < suite->n; i++) {
		const struct task *task = &suite->task[i];

		if (task->sentences[TRAIN].n < N_TRAIN_SENTENCES / 2)
			die("%s: only %zu training sentences: more phrasings are needed", task->id,
			    task->sentences[TRAIN].n);
		for (size_t j = 0; j < task->sentences[TRAIN].n; j++)
			set_add(&trained, word_form(task->sentences[TRAIN].item[j]));
	}
	for (size_t i = 0; i < suite->n; i++)
		for (int tier = COMB; tier < N_TIERS; tier++)
			for (size_t j = 0; j < suite->task[i].sentences[tier].n; j++) {
				const char *sentence = suite->task[i].sentences[tier].item[j];

				if (set_has(&trained, word_form(sentence)))
					die("%s: the %s sentence '%s' is in training",
					    suite->task[i].id, tier_names[tier], sentence);
			}
}

/* Plain sentences are there to show what unseen wording costs, so they must not be made of
 * training phrasings only. A composition that is itself never trained is new in any wording. */
static void
check_plain_sentences(const struct language *language, const struct task *task)
{
	struct string_set sayable = { 0 };

	if (task->sentences[PLAIN].n == 0 || !task->train)
		return;
	collect_sayable(language, task->operation_name, task->wrapper_name, &sayable);
	for (size_t i = 0; i < task->sentences[PLAIN].n; i++)
		if (set_has(&sayable, core_form(task->sentences[PLAIN].item[i])))
			die("%s: the plain sentence '%s' is made of training phrasings", task->id,
			    task->sentences[PLAIN].item[i]);
}

/* An operation's test prompts stay out of the training pairs of every task of that operation. */
static void
check_pairs(const struct suite *suite)
{
	struct string_set tests = { 0 };

	for (size_t i = 0; i < suite->n; i++) {
		const struct task *task = &suite->task[i];

		if (task->test_pairs.n == 0 || task->test_pairs.n > MAX_TEST_ITEMS)
			die("%s: %zu test items", task->id, task->test_pairs.n);
		for (size_t j = 0; j < task->test_pairs.n; j++)
			set_add(&tests, text_printf("%s\t%s", task->operation_name,
					    task->test_pairs.pair[j].prompt));
	}
	for (size_t i = 0; i < suite->n; i++)
		for (size_t j = 0; j < suite->task[i].train_pairs.n; j++) {
			const char *prompt = suite->task[i].train_pairs.pair[j].prompt;

			if (set_has(&tests,
				text_printf("%s\t%s", suite->task[i].operation_name, prompt)))
				die("%s: the test prompt '%s' is in training", suite->task[i].id,
				    prompt);
		}
}

/* --- writing --- */

static FILE *
create(const char *directory, const char *name)
{
	char *path = text_printf("%s/%s", directory, name);
	FILE *file = fopen(path, "w");

	if (file == NULL)
		die("%s: cannot be written", path);
	free(path);
	return file;
}

static void
finish(FILE *file, const char *name)
{
	if (ferror(file) || fclose(file) != 0)
		die("%s: writing failed", name);
}

static void
write_line(FILE *file, cJSON *object)
{
	char *line = cJSON_PrintUnformatted(object);

	if (line == NULL)
		die("out of memory");
	fprintf(file, "%s\n", line);
	cJSON_free(line);
	cJSON_Delete(object);
}

static void
add_list(cJSON *object, const char *name, const struct strings *list)
{
	cJSON *array = cJSON_AddArrayToObject(object, name);

	for (size_t i = 0; i < list->n; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(list->item[i]));
}

static void
write_tasks(const char *out, const struct suite *suite)
{
	FILE *file = create(out, "tasks.jsonl");

	for (size_t i = 0; i < suite->n; i++) {
		const struct task *task = &suite->task[i];
		cJSON *object = cJSON_CreateObject(), *descriptions;

		cJSON_AddStringToObject(object, "id", task->id);
		cJSON_AddStringToObject(object, "op", task->operation_name);
		cJSON_AddStringToObject(object, "wrapper", task->wrapper_name);
		cJSON_AddStringToObject(object, "group", task->group);
		cJSON_AddBoolToObject(object, "pretrain", task->pretrain);
		cJSON_AddBoolToObject(object, "train", task->train);
		cJSON_AddNumberToObject(object, "weight", task->weight);
		descriptions = cJSON_AddObjectToObject(object, "descriptions");
		for (int tier = TRAIN; tier < N_TIERS; tier++)
			add_list(descriptions, tier_names[tier], &task->sentences[tier]);
		add_list(object, "by_example", &task->by_example);
		write_line(file, object);
	}
	finish(file, "tasks.jsonl");
}

static void
write_pairs(const char *out, const char *name, const struct suite *suite, size_t which)
{
	FILE *file = create(out, name);

	for (size_t i = 0; i < suite->n; i++) {
		const struct task *task = &suite->task[i];
		const struct pairs *pairs =
		    (const struct pairs *)(const void *)((const char *)task + which);

		for (size_t j = 0; j < pairs->n; j++) {
			cJSON *object = cJSON_CreateObject();

			cJSON_AddStringToObject(object, "task", task->id);
			cJSON_AddStringToObject(object, "prompt", pairs->pair[j].prompt);
			cJSON_AddStringToObject(object, "response", pairs->pair[j].response);
			write_line(file, object);
		}
	}
	finish(file, name);
}

static void
print_summary(const struct suite *suite, const struct language *language)
{
	size_t train = 0, test = 0, extra = 0, sentences = 0;

	for (size_t i = 0; i < suite->n; i++) {
		train += suite->task[i].train_pairs.n;
		test += suite->task[i].test_pairs.n;
		extra += suite->task[i].pretrain_extra.n;
		sentences += suite->task[i].sentences[TRAIN].n;
		if (strcmp(suite->task[i].wrapper_name, "plain") == 0) {
			const struct phrasings *own =
			    language_phrasings(language, suite->task[i].operation_name);

			printf("%-12s %3zu phrasings, %zu held out\n",
			    suite->task[i].operation_name, own->n, own->held_out);
		}
	}
	printf("%zu tasks, %zu training sentences, %zu training pairs, %zu test items, %zu pairs "
	       "for pre-training only\n",
	    suite->n, sentences, train, test, extra);
}

int
main(int argc, char **argv)
{
	struct suite suite = { 0 };
	struct string_set avoid = { 0 };
	const struct language *language;
	char *tables, *phrasings;

	if (argc != 3)
		die("usage: make-demo-suite SOURCE OUT");
	tables = text_printf("%s/demo-tables", argv[1]);
	phrasings = text_printf("%s/phrasings", argv[1]);
	read_tasks(tables, &suite);
	read_test_items(tables, &suite);
	for (size_t i = 0; i < suite.n; i++)
		make_pairs(tables, &suite.task[i]);
	read_held_out(phrasings, &suite, &avoid);
	language = language_read(phrasings);
	for (size_t i = 0; i < suite.n; i++)
		make_sentences(language, &suite.task[i], &avoid);
	check_sentences(&suite);
	for (size_t i = 0; i < suite.n; i++)
		check_plain_sentences(language, &suite.task[i]);
	check_pairs(&suite);
	write_tasks(argv[2], &suite);
	write_pairs(argv[2], "train.jsonl", &suite, offsetof(struct task, train_pairs));
	write_pairs(argv[2], "test.jsonl", &suite, offsetof(struct task, test_pairs));
	write_pairs(argv[2], "pretrain-extra.jsonl", &suite, offsetof(struct task, pretrain_extra));
	print_summary(&suite, language);
	return 0;
}
