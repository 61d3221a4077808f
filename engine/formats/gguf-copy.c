/* gguf-copy.c - copies a key whatever its type. */

#include <stdlib.h>

#include "engine/formats/gguf-copy.h"

static enum t2l_status
copy_strings(const struct gguf_key *key, struct gguf_writer *writer, struct t2l_error *err)
{
	const char **texts = calloc((size_t)key->n + 1, sizeof *texts);
	size_t *sizes = calloc((size_t)key->n + 1, sizeof *sizes);
	bool fine = texts != NULL && sizes != NULL;

	for (uint64_t i = 0; fine && i < key->n; i++)
		texts[i] = gguf_array_string(key, i, &sizes[i]);
	if (fine)
		gguf_writer_strings(writer, key->name, texts, sizes, (size_t)key->n);
	free(texts);
	free(sizes);
	return fine ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "out of memory");
}

enum t2l_status
gguf_copy_key(const struct gguf *gguf, const struct gguf_key *key, struct gguf_writer *writer,
    struct t2l_error *err)
{
	enum t2l_status status;
	int64_t integer = 0;
	double number = 0;
	bool yes = false;

	switch (key->type) {
	case GGUF_ARRAY:
		if (key->item_type == GGUF_STRING)
			return copy_strings(key, writer, err);
		gguf_writer_array(writer, key->name, key->item_type, key->bytes, (size_t)key->n);
		return T2L_OK;
	case GGUF_STRING:
		if (key->text == NULL)
			return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' is no valid text",
			    gguf_path(gguf), key->name);
		gguf_writer_string(writer, key->name, key->text);
		return T2L_OK;
	case GGUF_BOOL:
		status = gguf_bool(gguf, key->name, true, &yes, err);
		gguf_writer_bool(writer, key->name, yes);
		return status;
	case GGUF_F32:
	case GGUF_F64:
		status = gguf_number(gguf, key->name, true, &number, err);
		gguf_writer_number(writer, key->name, key->type, number);
		return status;
	default:
		status = gguf_integer(gguf, key->name, true, INT64_MIN, INT64_MAX, &integer, err);
		gguf_writer_integer(writer, key->name, key->type, integer);
		return status;
	}
}
