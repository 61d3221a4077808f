/* Strings, source files and reproducible chance for the demo suite's generator. */
#include "config.h"

#include "share/tasks/suite-text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

_Noreturn void
die(const char *format, ...)
{
	va_list args;

	fputs("make-demo-suite: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *
grow(void *array, size_t count, size_t size)
{
	void *bigger = reallocarray(array, count, size);

	if (bigger == NULL)
		die("out of memory");
	return bigger;
}

char *
copy_text(const char *text, size_t length)
{
	char *copy = grow(NULL, length + 1, 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *
text_printf(const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		die("out of memory");
	return text;
}

void
strings_add(struct strings *list, char *text)
{
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		list->item = grow(list->item, list->room, sizeof(*list->item));
	}
	list->item[list->n++] = text;
}

/* The slot that holds TEXT, or the empty one where it belongs. */
static size_t
set_slot(const struct string_set *set, const char *text)
{
	size_t at = crc32_of(text) & (set->room - 1);

	while (set->slot[at] != NULL && strcmp(set->slot[at], text) != 0)
		at = (at + 1) & (set->room - 1);
	return at;
}

bool
set_has(const struct string_set *set, const char *text)
{
	return set->room != 0 && set->slot[set_slot(set, text)] != NULL;
}

bool
set_add(struct string_set *set, const char *text)
{
	if (set_has(set, text))
		return false;
	if (2 * (set->n + 1) > set->room) {
		struct string_set bigger = { .room = set->room ? 2 * set->room : 64 };

		bigger.slot = grow(NULL, bigger.room, sizeof(*bigger.slot));
		memset(bigger.slot, 0, bigger.room * sizeof(*bigger.slot));
		for (size_t i = 0; i < set->room; i++)
			if (set->slot[i] != NULL)
				bigger.slot[set_slot(&bigger, set->slot[i])] = set->slot[i];
		bigger.n = set->n;
		free(set->slot);
		*set = bigger;
	}
	set->slot[set_slot(set, text)] = copy_text(text, strlen(text));
	set->n++;
	return true;
}

static void
check_line(const char *path, size_t number, const char *line)
{
	utf8proc_uint8_t *composed = utf8proc_NFC((const utf8proc_uint8_t *)line);

	if (composed == NULL)
		die("%s:%zu: not UTF-8", path, number);
	if (strcmp((const char *)composed, line) != 0)
		die("%s:%zu: not in Unicode's composed form (NFC)", path, number);
	free(composed);
	for (const char *c = line; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == '\x7f')
			die("%s:%zu: a control character", path, number);
}

void
read_lines(const char *directory, const char *name, struct strings *lines)
{
	char *path = text_printf("%s/%s", directory, name), *line = NULL;
	FILE *file = fopen(path, "r");
	size_t room = 0, number = 0;
	ssize_t length;

	if (file == NULL)
		die("%s: cannot be opened", path);
	while ((length = getline(&line, &room, file)) >= 0) {
		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		if (strlen(line) != (size_t)length)
			die("%s:%zu: a NUL byte", path, number + 1);
		check_line(path, ++number, line);
		strings_add(lines, copy_text(line, (size_t)length));
	}
	if (ferror(file))
		die("%s: cannot be read", path);
	fclose(file);
	free(line);
	free(path);
}

void
read_rows(const char *directory, const char *name, size_t min_columns, struct rows *rows)
{
	struct strings lines = { 0 };

	read_lines(directory, name, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		struct strings cells = { 0 };
		char *rest = lines.item[i], *cell;

		if (rest[0] == '\0' || rest[0] == '#')
			continue;
		while ((cell = strsep(&rest, "\t")) != NULL)
			strings_add(&cells, cell);
		if (cells.n < min_columns)
			die("%s/%s:%zu: %zu columns, %zu needed", directory, name, i + 1, cells.n,
			    min_columns);
		rows->row = grow(rows->row, rows->n + 1, sizeof(*rows->row));
		rows->columns = grow(rows->columns, rows->n + 1, sizeof(*rows->columns));
		rows->row[rows->n] = cells.item;
		rows->columns[rows->n++] = cells.n;
	}
}

char *
upper_case(const char *text)
{
	/* No code point of the suite's languages grows by more than a byte in upper case. */
	char *upper = grow(NULL, 2 * strlen(text) + 1, 1), *end = upper;

	while (*text != '\0') {
		utf8proc_int32_t point;
		utf8proc_ssize_t used =
		    utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);

		if (used <= 0)
			die("'%s': not UTF-8", text);
		text += used;
		if (point == 0xdf) {
			*end++ = 'S';
			*end++ = 'S';
		} else {
			end +=
			    utf8proc_encode_char(utf8proc_toupper(point), (utf8proc_uint8_t *)end);
		}
	}
	*end = '\0';
	return upper;
}

static bool
is_gap(utf8proc_int32_t point)
{
	utf8proc_category_t category = utf8proc_category(point);

	return (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) ||
	       category >= UTF8PROC_CATEGORY_ZS;
}

char *
word_form(const char *text)
{
	char *form = grow(NULL, 2 * strlen(text) + 2, 1), *end = form;
	const char *previous = " ";
	bool gap = false;

	while (*text != '\0') {
		utf8proc_int32_t point;
		utf8proc_ssize_t used =
		    utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);

		if (used <= 0)
			die("'%s': not UTF-8", text);
		/* A sign that stands alone is a word: "with ! at the end". */
		if (is_gap(point) &&
		    (*text == ' ' || *previous != ' ' || strchr(" .", text[1]) == NULL)) {
			gap = true;
		} else {
			if (gap && end > form)
				*end++ = ' ';
			gap = false;
			end +=
			    utf8proc_encode_char(utf8proc_tolower(point), (utf8proc_uint8_t *)end);
		}
		previous = text;
		text += used;
	}
	*end = '\0';
	return form;
}

uint32_t
crc32_of(const char *text)
{
	uint32_t crc = 0xffffffff;

	for (; *text != '\0'; text++) {
		crc ^= (unsigned char)*text;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

uint64_t
seed_of(const char *name)
{
	return crc32_of(name);
}

static uint64_t
draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

size_t
draw_below(uint64_t *state, size_t n)
{
	/* The bias of a modulus over 64 bits is far below one draw in a billion here. */
	return (size_t)(draw(state) % n);
}

void
shuffled_order(uint64_t *state, size_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n; i > 1; i--) {
		size_t j = draw_below(state, i), kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}
