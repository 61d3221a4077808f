/*
 * share/tasks/suite-text.h - strings and source files of the demo suite's generator.
 *
 * A program that runs once and exits: every failure ends it with a message (die), memory is kept
 * until the end, and no function returns NULL.
 */
#ifndef T2L_SHARE_TASKS_SUITE_TEXT_H
#define T2L_SHARE_TASKS_SUITE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing list of strings, in the order they were added. */
struct strings {
	char **item;
	size_t n, room;
};

/* A set of strings (open addressing); strings_set_add() says whether the string was new. */
struct string_set {
	char **slot;
	size_t n, room;
};

/* The rows of a tab-separated file; lines that are empty or start with '#' are left out. */
struct rows {
	char ***row;
	size_t *columns;
	size_t n;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *grow(void *array, size_t count, size_t size);
char *copy_text(const char *text, size_t length);
char *text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

void strings_add(struct strings *list, char *text);
bool set_add(struct string_set *set, const char *text);
bool set_has(const struct string_set *set, const char *text);

/* Lines without their LF; checked to be UTF-8 in NFC without control characters but TAB. */
void read_lines(const char *directory, const char *name, struct strings *lines);
void read_rows(const char *directory, const char *name, size_t min_columns, struct rows *rows);

/* Upper case by Unicode's simple mapping, and sharp s -> SS. */
char *upper_case(const char *text);
/* What two sentences have in common when only their words count: case-folded, punctuation and
 * spaces squeezed to one space, but for a sign that stands alone ("with ! at the end"). */
char *word_form(const char *text);
/* CRC-32 of zlib and PNG (reflected 0xEDB88320). */
uint32_t crc32_of(const char *text);

/* A reproducible sequence (splitmix64), seeded by a name. */
uint64_t seed_of(const char *name);
size_t draw_below(uint64_t *state, size_t n);
/* Fisher-Yates over order[0..n), which is filled with 0..n-1 first. */
void shuffled_order(uint64_t *state, size_t *order, size_t n);

#endif
