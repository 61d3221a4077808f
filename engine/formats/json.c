/* json.c - bounded parsing of untrusted JSON, and getters that name what is wrong. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "engine/formats/json.h"

/* cJSON spends about 80 bytes on a value of 2 ("1,"): bound the values, not only the bytes. */
#define MAX_VALUES (8 << 20)

/* Finds what cJSON would let through: NUL, raw or escaped (it would cut a string short). */
static const char *
fault_of_text(const char *text, size_t n)
{
	size_t n_values = 0;

	for (size_t i = 0; i < n; i++) {
		switch (text[i]) {
		case '\0':
			return "a NUL byte";
		case '\\':
			if (n - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0)
				return "a NUL character in a string";
			i++; /* so that the second of "\\\\" escapes nothing */
			if (i < n && text[i] == '\0')
				return "a NUL byte";
			break;
		case ',':
		case ':':
		case '[':
		case '{':
			if (++n_values > MAX_VALUES)
				return "too many values";
			break;
		}
	}
	return utf8_valid(text, n) ? NULL : "malformed UTF-8";
}

static int
line_of(const char *text, const char *at)
{
	int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

enum t2l_status
json_parse(const char *text, size_t n, const char *name, cJSON **out, struct t2l_error *err)
{
	const char *fault, *end = NULL;
	cJSON *root;

	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		n -= 3;
	}
	fault = fault_of_text(text, n);
	if (fault != NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s: damaged JSON: it has %s", name, fault);
	root = cJSON_ParseWithLengthOpts(text, n, &end, 0);
	if (root == NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s:%d: damaged JSON", name,
		    end != NULL && end >= text && end <= text + n ? line_of(text, end) : 1);
	while (end < text + n && strchr(" \t\r\n", *end) != NULL)
		end++;
	if (end != text + n) {
		cJSON_Delete(root);
		return t2l_fail(err, T2L_EFORMAT, "%s:%d: text behind the end of the JSON document",
		    name, line_of(text, end));
	}
	*out = root;
	return T2L_OK;
}

enum t2l_status
json_open(const char *path, size_t limit, cJSON **out, struct t2l_error *err)
{
	enum t2l_status status;
	size_t n;
	char *text = read_whole_file(path, limit, &n);

	if (text == NULL && errno == EFBIG)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: larger than the %zu bytes allowed for it", path, limit);
	if (text == NULL)
		return t2l_fail_errno(err, "%s", path);
	status = json_parse(text, n, path, out, err);
	free(text);
	return status;
}

bool
json_whole(const cJSON *item, int64_t *out)
{
	double value;

	if (!cJSON_IsNumber(item))
		return false;
	value = item->valuedouble;
	if (!(fabs(value) <= 9007199254740992.0) || value != floor(value))
		return false;
	*out = (int64_t)value;
	return true;
}

/* Fails for KEY: "must be WHAT", or "is missing". */
static enum t2l_status
wrong(const char *name, const char *key, const char *what, struct t2l_error *err)
{
	char shown[128];

	visible_copy(shown, sizeof shown, key, strlen(key), 0);
	return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' must be %s", name, shown, what);
}

/* The value of KEY, or NULL when it is absent or null; then *STATUS says whether that is fine. */
static const cJSON *
value_of(const cJSON *object, const char *key, enum json_need need, const char *name,
    enum t2l_status *status, struct t2l_error *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	char shown[128];

	*status = T2L_OK;
	if (item != NULL && !cJSON_IsNull(item))
		return item;
	if (need == JSON_REQUIRED) {
		visible_copy(shown, sizeof shown, key, strlen(key), 0);
		*status = t2l_fail(err, T2L_EFORMAT, "%s: key '%s' is missing", name, shown);
	}
	return NULL;
}

enum t2l_status
json_integer(const cJSON *object, const char *key, enum json_need need, int64_t min, int64_t max,
    const char *name, int64_t *out, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);
	char what[96];
	int64_t value;

	if (item == NULL)
		return status;
	if (json_whole(item, &value) && value >= min && value <= max) {
		*out = value;
		return T2L_OK;
	}
	if (min == 1 && max == INT64_MAX)
		return wrong(name, key, "a positive integer", err);
	snprintf(what, sizeof what, "an integer from %lld to %lld", (long long)min, (long long)max);
	return wrong(name, key, what, err);
}

enum t2l_status
json_number(const cJSON *object, const char *key, enum json_need need, double min, double max,
    const char *name, double *out, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);
	char what[96];

	if (item == NULL)
		return status;
	if (cJSON_IsNumber(item) && isfinite(item->valuedouble) && item->valuedouble >= min &&
	    item->valuedouble <= max) {
		*out = item->valuedouble;
		return T2L_OK;
	}
	snprintf(what, sizeof what, "a number from %g to %g", min, max);
	return wrong(name, key, what, err);
}

enum t2l_status
json_bool(const cJSON *object, const char *key, enum json_need need, const char *name, bool *out,
    struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);

	if (item == NULL)
		return status;
	if (!cJSON_IsBool(item))
		return wrong(name, key, "true or false", err);
	*out = cJSON_IsTrue(item);
	return T2L_OK;
}

enum t2l_status
json_string(const cJSON *object, const char *key, enum json_need need, const char *name,
    const char **out, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);

	if (item == NULL)
		return status;
	if (!cJSON_IsString(item))
		return wrong(name, key, "a string", err);
	*out = item->valuestring;
	return T2L_OK;
}

enum t2l_status
json_object(const cJSON *object, const char *key, enum json_need need, const char *name,
    const cJSON **out, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);

	if (item == NULL)
		return status;
	if (!cJSON_IsObject(item))
		return wrong(name, key, "an object", err);
	*out = item;
	return T2L_OK;
}

enum t2l_status
json_array(const cJSON *object, const char *key, enum json_need need, const char *name,
    const cJSON **out, struct t2l_error *err)
{
	enum t2l_status status;
	const cJSON *item = value_of(object, key, need, name, &status, err);

	if (item == NULL)
		return status;
	if (!cJSON_IsArray(item))
		return wrong(name, key, "an array", err);
	*out = item;
	return T2L_OK;
}
