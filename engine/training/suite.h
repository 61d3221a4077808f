/*
 * training/suite.h - a task suite while it is read; its forms are suite.c (one tasks.jsonl) and
 * suite-folders.c (a folder a task, a file of examples, prepared tokens).
 */
#ifndef ENGINE_TRAINING_SUITE_H
#define ENGINE_TRAINING_SUITE_H

#include "engine/formats/json.h"
#include "engine/t2l.h"
#include "engine/tensor/arena.h"

/* Examples of one kind while they are read. */
struct example_list {
	struct t2l_suite_example *items;
	size_t n, n_allocated;
};

enum example_kind { TRAIN, EXTRA, TEST, N_EXAMPLE_KINDS };

struct t2l_suite {
	char *path;
	struct t2l_suite_task *tasks; /* sorted by id in BY_ID, in file order here */
	struct example_list (*lists)[N_EXAMPLE_KINDS];
	size_t *by_id;
	size_t n, n_allocated;
	struct arena *arena; /* strings and tiers */
};

/* Empty; t2l_suite_close() frees it. */
enum t2l_status suite_new(const char *path, struct t2l_suite **suite, struct t2l_error *err);

/* What one line of a JSONL file is read into; WHERE is "PATH line 3". */
typedef enum t2l_status suite_line_reader(struct t2l_suite *suite, const cJSON *object,
    const char *where, void *user, struct t2l_error *err);
/* A file that is absent is an error only when REQUIRED. The suite's own path may be a pipe. */
enum t2l_status suite_read_lines(struct t2l_suite *suite, const char *path, bool required,
    suite_line_reader *reader, void *user, struct t2l_error *err);

/* A copy in the suite's arena; NULL when out of memory. */
char *suite_keep(struct t2l_suite *suite, const char *text);
/* TASK is copied with its strings; its tiers must be the arena's. */
enum t2l_status suite_add_task(struct t2l_suite *suite, const struct t2l_suite_task *task,
    const char *where, struct t2l_error *err);
/* When all tasks are there, before any is looked for. T2L_EFORMAT: two of one id, or none. */
enum t2l_status suite_index(struct t2l_suite *suite, struct t2l_error *err);
/* {"prompt", "response"}, or {"messages": [{"role", "content"}, ..]}: each of the assistant's turns
 * becomes an example with all that stands before it. */
enum t2l_status suite_add_examples(struct t2l_suite *suite, size_t task, enum example_kind kind,
    const cJSON *object, const char *where, struct t2l_error *err);

/* A directory with one folder for each task: metadata.yaml (descriptions, and where the examples
 * are) or descriptions.txt; train.jsonl, and optionally test.jsonl. */
enum t2l_status suite_read_folders(struct t2l_suite *suite, struct t2l_error *err);
/* A JSONL file of examples: one task, named like the file, without descriptions. */
enum t2l_status suite_read_file(struct t2l_suite *suite, struct t2l_error *err);

#endif
