/* names.c - what may be a name or a tag, names that are free, names made from descriptions. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "store/internal.h"

enum store_status
check_text(struct store *store, const char *what, const char *text, size_t limit)
{
	size_t length = text != NULL ? strlen(text) : 0;

	if (length > limit)
		return store_fail(store, STORE_EINVAL,
		    "the %s has %zu bytes and at most %zu are kept; shorten it", what, length,
		    limit);
	return STORE_OK;
}

/* C0, DEL, C1, and the line and direction marks that make one name look like another. */
static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* The character of NAME that may not be there, in WHY; NULL when all may. */
static const char *
find_bad_character(const char *name, size_t length, const char *forbidden)
{
	for (size_t i = 0; i < length;) {
		uint32_t c;
		bool valid;
		size_t n = utf8_decode(name + i, length - i, &c, &valid);

		if (!valid)
			return "it is not valid UTF-8";
		if (is_control(c))
			return "it has a control character";
		if (c < 0x80 && strchr(forbidden, (int)c) != NULL)
			return "it has a character that commands use ('/', ':', ',', '\"')";
		i += n;
	}
	return NULL;
}

static const char *
why_no_name(const char *name, size_t limit, const char *forbidden)
{
	size_t length = strlen(name);
	const char *why;

	if (length == 0)
		return "it is empty";
	if (length > limit)
		return "it is too long";
	why = find_bad_character(name, length, forbidden);
	if (why != NULL)
		return why;
	if (name[0] == ' ' || name[length - 1] == ' ')
		return "it has a space at an end";
	if (strchr("-#~@", name[0]) != NULL)
		return "it begins with '-', '#', '~' or '@'";
	return NULL;
}

enum store_status
store_check_name(struct store *store, const char *name)
{
	const char *why = why_no_name(name, STORE_NAME_MAX, "/:,\"");

	if (why == NULL && name[strspn(name, "0123456789")] == '\0')
		why = "it is a number, which would be taken for an id";
	if (why == NULL && name[strspn(name, ".")] == '\0')
		why = "it would be taken for a folder";
	if (why == NULL && strcasecmp(name, "base") == 0)
		why = "it stands for the base model without an adapter";
	if (why != NULL)
		return store_fail(store, STORE_EINVAL,
		    "'%.200s' cannot be an adapter's name: %s; choose another", name, why);
	return STORE_OK;
}

enum store_status
check_tag(struct store *store, const char *tag)
{
	const char *why = why_no_name(tag, STORE_TAG_MAX, "/:,\" ");

	if (why != NULL)
		return store_fail(store, STORE_EINVAL, "'%.200s' cannot be a tag: %s%s", tag, why,
		    strchr(tag, ' ') != NULL ? "; a tag is one word" : "; choose another");
	return STORE_OK;
}

/* How many bytes of NAME fit into LIMIT without cutting a character. */
static size_t
fitting(const char *name, size_t limit)
{
	size_t length = strlen(name);

	if (length <= limit)
		return length;
	while (limit > 0 && ((unsigned char)name[limit] & 0xc0) == 0x80)
		limit--;
	return limit;
}

static enum store_status
is_taken(struct store *store, const char *name, bool *taken)
{
	int64_t id;
	enum store_status status = sql_int64(
	    store, &id, "SELECT id FROM adapters WHERE name = ? AND trashed_ms IS NULL", "t", name);

	*taken = status == STORE_OK;
	return status == STORE_ENOENT ? STORE_OK : status;
}

/* "es-upper-2" goes on at 3, so that names do not grow tails. */
static int64_t
split_number(const char *name, size_t *stem)
{
	size_t length = strlen(name), digits = length;

	while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
		digits--;
	if (digits < 2 || digits == length || length - digits > 6 || name[digits - 1] != '-' ||
	    name[digits] == '0') {
		*stem = length;
		return 1;
	}
	*stem = digits - 1;
	return atoi(name + digits);
}

enum store_status
name_uniquify(struct store *store, const char *name, char free_name[STORE_NAME_MAX + 1])
{
	char candidate[STORE_NAME_MAX + 1];
	enum store_status status;
	int64_t number;
	size_t stem;
	bool taken;

	snprintf(candidate, sizeof candidate, "%.*s", (int)fitting(name, STORE_NAME_MAX), name);
	number = split_number(candidate, &stem);
	for (int64_t step = 1;; number += step) {
		status = is_taken(store, candidate, &taken);
		if (status != STORE_OK)
			return status;
		if (!taken)
			break;
		/* One by one at first; with a thousand of the same name, in strides. */
		if (number > 1000)
			step = 1 + number / 16;
		snprintf(candidate, sizeof candidate, "%.*s-%lld",
		    (int)fitting(name, stem < STORE_NAME_MAX - 20 ? stem : STORE_NAME_MAX - 20),
		    name, (long long)(number + step));
	}
	memcpy(free_name, candidate, sizeof candidate);
	return STORE_OK;
}

/* Words that say nothing about a task. */
static bool
is_filler(const char *word, size_t length)
{
	static const char *const fillers[] = { "a", "an", "the", "to", "of", "in", "on", "for",
		"and", "or", "it", "its", "is", "be", "that", "this", "with", "please", "you",
		"your", "given", "into", "from", "as", "by" };

	for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
		if (strlen(fillers[i]) == length && strncasecmp(fillers[i], word, length) == 0)
			return true;
	return false;
}

static bool
is_word_byte(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

#define SUGGESTED_WORDS 4
#define SUGGESTED_BYTES 40

static void
slug(const char *task, bool keep_fillers, char name[SUGGESTED_BYTES + 1])
{
	size_t used = 0;
	int n_words = 0;

	name[0] = '\0';
	while (*task != '\0' && n_words < SUGGESTED_WORDS) {
		size_t length = 0;

		while (is_word_byte((unsigned char)task[length]))
			length++;
		if (length == 0) {
			task++;
			continue;
		}
		if ((keep_fillers || !is_filler(task, length)) &&
		    used + (used > 0) + length <= SUGGESTED_BYTES) {
			if (used > 0)
				name[used++] = '-';
			for (size_t i = 0; i < length; i++)
				name[used++] = task[i] >= 'A' && task[i] <= 'Z'
						   ? (char)(task[i] + 32)
						   : task[i];
			name[used] = '\0';
			n_words++;
		}
		task += length;
	}
}

enum store_status
store_suggest_name(struct store *store, const char *task, char name[STORE_NAME_MAX + 1])
{
	char suggested[SUGGESTED_BYTES + 1];

	slug(task != NULL ? task : "", false, suggested);
	if (suggested[0] == '\0' && task != NULL)
		slug(task, true, suggested);
	/* A description of signs only, of bad UTF-8, or one long word gives no name. */
	if (store_check_name(store, suggested) != STORE_OK)
		strcpy(suggested, "adapter");
	return name_uniquify(store, suggested, name);
}
