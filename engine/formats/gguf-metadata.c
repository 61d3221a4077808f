/* gguf-metadata.c - typed, range-checked getters of GGUF metadata. */

#include <math.h>
#include <string.h>

#include "engine/formats/gguf-format.h"

/* The value at BYTES of an integer TYPE; false when it is none or beyond i64. */
static bool
integer_at(enum gguf_type type, const uint8_t *bytes, int64_t *out)
{
	uint64_t value = gguf_read(bytes, gguf_type_bytes(type));

	switch (type) {
	case GGUF_I8:
		*out = (int8_t)value;
		return true;
	case GGUF_I16:
		*out = (int16_t)value;
		return true;
	case GGUF_I32:
		*out = (int32_t)value;
		return true;
	case GGUF_U8:
	case GGUF_U16:
	case GGUF_U32:
	case GGUF_I64:
		*out = (int64_t)value;
		return true;
	case GGUF_U64:
		*out = (int64_t)value;
		return value <= INT64_MAX;
	default:
		return false;
	}
}

static bool
number_at(enum gguf_type type, const uint8_t *bytes, double *out)
{
	float single;
	int64_t integer = 0;

	switch (type) {
	case GGUF_F32:
		memcpy(&single, bytes, sizeof single);
		*out = (double)single;
		return true;
	case GGUF_F64:
		memcpy(out, bytes, sizeof *out);
		return true;
	default:
		if (!integer_at(type, bytes, &integer))
			return false;
		*out = (double)integer;
		return true;
	}
}

/* KEY, or NULL; then *STATUS says whether that is an error. KEY is the caller's, not the file's. */
static const struct gguf_key *
key_of(const struct gguf *gguf, const char *key, bool required, enum t2l_status *status,
    struct t2l_error *err)
{
	const struct gguf_key *found = gguf_key_find(gguf, key);

	*status = T2L_OK;
	if (found == NULL && required)
		*status =
		    t2l_fail(err, T2L_EFORMAT, "%s: key '%s' is missing", gguf_path(gguf), key);
	return found;
}

static enum t2l_status
wrong(const struct gguf *gguf, const char *key, const char *what, struct t2l_error *err)
{
	return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' must be %s", gguf_path(gguf), key, what);
}

enum t2l_status
gguf_integer(const struct gguf *gguf, const char *key, bool required, int64_t min, int64_t max,
    int64_t *out, struct t2l_error *err)
{
	enum t2l_status status;
	const struct gguf_key *found = key_of(gguf, key, required, &status, err);
	int64_t value = 0;

	if (found == NULL)
		return status;
	if (found->type == GGUF_ARRAY || found->type == GGUF_STRING ||
	    !integer_at(found->type, found->bytes, &value) || value < min || value > max)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: key '%s' must be an integer from %lld to %lld", gguf_path(gguf), key,
		    (long long)min, (long long)max);
	*out = value;
	return T2L_OK;
}

enum t2l_status
gguf_number(
    const struct gguf *gguf, const char *key, bool required, double *out, struct t2l_error *err)
{
	enum t2l_status status;
	const struct gguf_key *found = key_of(gguf, key, required, &status, err);
	double value = 0;

	if (found == NULL)
		return status;
	if (found->type == GGUF_ARRAY || found->type == GGUF_STRING ||
	    !number_at(found->type, found->bytes, &value) || !isfinite(value))
		return wrong(gguf, key, "a finite number", err);
	*out = value;
	return T2L_OK;
}

enum t2l_status
gguf_bool(const struct gguf *gguf, const char *key, bool required, bool *out, struct t2l_error *err)
{
	enum t2l_status status;
	const struct gguf_key *found = key_of(gguf, key, required, &status, err);

	if (found == NULL)
		return status;
	if (found->type != GGUF_BOOL)
		return wrong(gguf, key, "true or false", err);
	*out = found->bytes[0] != 0;
	return T2L_OK;
}

enum t2l_status
gguf_string(const struct gguf *gguf, const char *key, bool required, const char **out,
    struct t2l_error *err)
{
	enum t2l_status status;
	const struct gguf_key *found = key_of(gguf, key, required, &status, err);

	if (found == NULL)
		return status;
	if (found->type != GGUF_STRING || found->text == NULL)
		return wrong(gguf, key, "text", err);
	*out = found->text;
	return T2L_OK;
}

enum t2l_status
gguf_array(const struct gguf *gguf, const char *key, enum gguf_type item_type, bool required,
    const struct gguf_key **out, struct t2l_error *err)
{
	enum t2l_status status;
	const struct gguf_key *found = key_of(gguf, key, required, &status, err);

	*out = NULL;
	if (found == NULL)
		return status;
	if (found->type != GGUF_ARRAY || found->item_type != item_type)
		return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' must be an array of %s",
		    gguf_path(gguf), key, gguf_type_name(item_type));
	*out = found;
	return T2L_OK;
}

const char *
gguf_array_string(const struct gguf_key *array, uint64_t i, size_t *n_bytes)
{
	const uint8_t *at = array->bytes + array->string_offsets[i];

	*n_bytes = (size_t)gguf_read(at, 8);
	return (const char *)at + 8;
}

/* Item I of an array of fixed-size items. */
static const uint8_t *
item_at(const struct gguf_key *array, uint64_t i)
{
	return array->bytes + i * gguf_type_bytes(array->item_type);
}

int64_t
gguf_array_integer(const struct gguf_key *array, uint64_t i)
{
	int64_t value = 0;

	integer_at(array->item_type, item_at(array, i), &value);
	return value;
}

double
gguf_array_number(const struct gguf_key *array, uint64_t i)
{
	double value = 0;

	number_at(array->item_type, item_at(array, i), &value);
	return value;
}
