/* pattern.c - looks a module's path up among the keys of a PEFT pattern. */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/pattern.h"

#define MAX_KEYS 8192
#define MAX_KEY_BYTES 1000
#define MATCH_LIMIT 20000  /* steps of one match; a path has some 40 characters */
#define HEAP_LIMIT_KB 1024 /* of one match */
#define MAX_MATCHES 200000 /* of regular expressions, in all */

struct key {
	const char *text;
	double number;
	pcre2_code *code; /* NULL: plain characters, which need no engine */
};

struct pattern_table {
	const char *path, *name;
	struct key *keys;
	size_t n_keys;
	pcre2_match_context *limits;
	pcre2_match_data *match;
	size_t n_matches;
};

/* Letters, digits, '_' and '-', and dots, plain or escaped: nearly all keys. */
static bool
is_plain(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '\\' && at[1] == '.')
			at++;
		else if (*at != '.' && *at != '_' && *at != '-' && !(*at >= '0' && *at <= '9') &&
			 !((*at | 32) >= 'a' && (*at | 32) <= 'z'))
			return false;
	}
	return *text != '\0';
}

/* Matches a plain key from the end of the path backwards; an unescaped dot is any character. */
static bool
plain_match(const char *key, const char *path)
{
	size_t i = strlen(key), j = strlen(path);

	while (i > 0) {
		bool escaped = i > 1 && key[i - 1] == '.' && key[i - 2] == '\\';

		if (j == 0 || (key[i - 1] != path[j - 1] && (key[i - 1] != '.' || escaped)))
			return false;
		i -= escaped ? 2 : 1;
		j--;
	}
	return j == 0 || path[j - 1] == '.';
}

static enum t2l_status
compile(struct pattern_table *table, struct key *key, struct t2l_error *err)
{
	char expression[MAX_KEY_BYTES + 32];
	PCRE2_SIZE offset;
	int code;

	snprintf(expression, sizeof expression, "^(?:.*\\.)?(?:%s)$", key->text);
	key->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
	    PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
	if (key->code == NULL) {
		PCRE2_UCHAR message[128];

		pcre2_get_error_message(code, message, sizeof message);
		return t2l_fail(err, T2L_EFORMAT, "%s: %s: '%.60s' is not a regular expression: %s",
		    table->path, table->name, key->text, (const char *)message);
	}
	return T2L_OK;
}

static enum t2l_status
add_key(struct pattern_table *table, const cJSON *item, struct t2l_error *err)
{
	struct key *key = &table->keys[table->n_keys];

	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
		return t2l_fail(err, T2L_EFORMAT, "%s: %s: '%.60s' must be a number", table->path,
		    table->name, item->string);
	if (strlen(item->string) > MAX_KEY_BYTES)
		return t2l_fail(err, T2L_EFORMAT, "%s: %s: a key is longer than %d bytes",
		    table->path, table->name, MAX_KEY_BYTES);
	key->text = item->string;
	key->number = item->valuedouble;
	key->code = NULL;
	table->n_keys++;
	return is_plain(key->text) ? T2L_OK : compile(table, key, err);
}

static enum t2l_status
fill(struct pattern_table *table, const cJSON *object, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, object) n++;
	if (n > MAX_KEYS)
		return t2l_fail(err, T2L_EFORMAT, "%s: %s has more than %d keys", table->path,
		    table->name, MAX_KEYS);
	table->keys = calloc(n > 0 ? n : 1, sizeof *table->keys);
	table->limits = pcre2_match_context_create(NULL);
	table->match = pcre2_match_data_create(1, NULL);
	if (table->keys == NULL || table->limits == NULL || table->match == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", table->path);
	pcre2_set_match_limit(table->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(table->limits, MATCH_LIMIT);
	pcre2_set_heap_limit(table->limits, HEAP_LIMIT_KB);
	cJSON_ArrayForEach(item, object)
	{
		if ((status = add_key(table, item, err)) != T2L_OK)
			return status;
	}
	return T2L_OK;
}

enum t2l_status
pattern_table_make(const cJSON *object, const char *path, const char *name,
    struct pattern_table **out, struct t2l_error *err)
{
	struct pattern_table *table = calloc(1, sizeof *table);
	enum t2l_status status;

	if (table == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	table->path = path;
	table->name = name;
	if ((status = fill(table, object, err)) != T2L_OK) {
		pattern_table_free(table);
		return status;
	}
	*out = table;
	return T2L_OK;
}

void
pattern_table_free(struct pattern_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->n_keys; i++)
		pcre2_code_free(table->keys[i].code);
	pcre2_match_data_free(table->match);
	pcre2_match_context_free(table->limits);
	free(table->keys);
	free(table);
}

static enum t2l_status
matches(struct pattern_table *table, const struct key *key, const char *module_path, bool *out,
    struct t2l_error *err)
{
	int result;

	if (key->code == NULL) {
		*out = plain_match(key->text, module_path);
		return T2L_OK;
	}
	result = ++table->n_matches > MAX_MATCHES
		     ? PCRE2_ERROR_MATCHLIMIT
		     : pcre2_match(key->code, (PCRE2_SPTR)module_path, strlen(module_path), 0, 0,
			   table->match, table->limits);
	if (result < 0 && result != PCRE2_ERROR_NOMATCH)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: %s: '%.60s' takes too long to match; write it as a plain name",
		    table->path, table->name, key->text);
	*out = result >= 0;
	return T2L_OK;
}

enum t2l_status
pattern_table_find(
    struct pattern_table *table, const char *module_path, double *number, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	bool found = false;

	for (size_t i = 0; i < table->n_keys && status == T2L_OK && !found; i++) {
		status = matches(table, &table->keys[i], module_path, &found, err);
		if (found)
			*number = table->keys[i].number;
	}
	return status;
}
