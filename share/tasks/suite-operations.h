/*
 * share/tasks/suite-operations.h - what the demo's tasks compute.
 *
 * A task is an operation (translate, reverse, add one) whose result goes through a wrapper (as it
 * is, in capitals, in quotes). An operation's pairs come from the tables in demo-tables/, from a
 * range of numbers, from all pairs of two small numbers, or from the word list.
 */
#ifndef T2L_SHARE_TASKS_SUITE_OPERATIONS_H
#define T2L_SHARE_TASKS_SUITE_OPERATIONS_H

#include "share/tasks/suite-text.h"

struct pair {
	char *prompt, *response;
};

struct pairs {
	struct pair *pair;
	size_t n;
};

struct operation;
struct wrapper;

/* NULL when there is no such operation or wrapper. */
const struct operation *operation_named(const char *name);
const struct wrapper *wrapper_named(const char *name);

/* All pairs of the operation, each prompt once (the first row wins); nothing wrapped. */
void operation_pairs(const struct operation *operation, const char *directory, struct pairs *pairs);

/* The response to any prompt the operation is defined for, also words outside the list;
 * NULL when it is not defined for PROMPT. PAIRS are those of operation_pairs(). */
char *operation_answer(
    const struct operation *operation, const struct pairs *pairs, const char *prompt);

/* A knowledge operation can only be learnt pair by pair; a rule (letters, sums) goes beyond them.
 */
bool operation_is_knowledge(const struct operation *operation);

/* The split that everything relies on: CRC-32 of the prompt, 1 in 5 of knowledge, 1 in 10 of
 * words and number pairs. */
bool is_test_prompt(const struct operation *operation, const char *prompt);

char *wrap(const struct wrapper *wrapper, const char *text);

#endif
