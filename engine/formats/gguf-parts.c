/*
 * gguf-parts.c - opens a GGUF model, which may be split into files NAME-00001-of-00003.gguf.
 *
 * Each part is a GGUF file of its own: it says which part it is (split.no, from 0) of how many
 * (split.count) and how many tensors they hold together (split.tensors.count). The first has the
 * metadata. Naming any of them opens all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/gguf-format.h"

#define MAX_PARTS 1024
#define SUFFIX_SIZE 32

struct part {
	int64_t number, count; /* number from 0 */
};

static enum t2l_status
read_part(const struct gguf *gguf, struct part *part, struct t2l_error *err)
{
	enum t2l_status status =
	    gguf_integer(gguf, "split.count", false, 0, MAX_PARTS, &part->count, err);

	if (status == T2L_OK && part->count > 1)
		status =
		    gguf_integer(gguf, "split.no", true, 0, part->count - 1, &part->number, err);
	return status;
}

static void
write_suffix(char out[SUFFIX_SIZE], int64_t number, int64_t count)
{
	snprintf(out, SUFFIX_SIZE, "-%05d-of-%05d.gguf", (int)number + 1, (int)count);
}

/* The path of another part; NULL: out of memory. */
static char *
part_path(const char *stem, size_t n_stem, int64_t number, int64_t count)
{
	char *path = malloc(n_stem + SUFFIX_SIZE);

	if (path == NULL)
		return NULL;
	memcpy(path, stem, n_stem);
	write_suffix(path + n_stem, number, count);
	return path;
}

static enum t2l_status
open_part(const char *path, struct part wanted, struct gguf **out, struct t2l_error *err)
{
	struct part found = { 0, 1 };
	struct gguf *gguf = NULL;
	enum t2l_status status = gguf_open_file(path, &gguf, err);

	if (status == T2L_ENOENT)
		return t2l_fail(err, T2L_ENOENT,
		    "%s: part %d of %d of this model is missing; all parts must be in one folder",
		    path, (int)wanted.number + 1, (int)wanted.count);
	if (status == T2L_OK)
		status = read_part(gguf, &found, err);
	if (status == T2L_OK && (found.number != wanted.number || found.count != wanted.count))
		status = t2l_fail(err, T2L_EFORMAT,
		    "%s: it says that it is part %d of %d, its name says %d of %d", path,
		    (int)found.number + 1, (int)found.count, (int)wanted.number + 1,
		    (int)wanted.count);
	if (status != T2L_OK) {
		gguf_close(gguf);
		return status;
	}
	*out = gguf;
	return T2L_OK;
}

static enum t2l_status
check_total(const struct gguf *gguf, int64_t n_parts, struct t2l_error *err)
{
	int64_t total = (int64_t)gguf_count(gguf);
	enum t2l_status status =
	    gguf_integer(gguf, "split.tensors.count", false, 0, INT64_MAX, &total, err);

	if (status == T2L_OK && total != (int64_t)gguf_count(gguf))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: its %d parts hold %zu tensors, but split.tensors.count says %lld",
		    gguf_path(gguf), (int)n_parts, gguf_count(gguf), (long long)total);
	return status;
}

/* All parts of STEM; the first owns the others. */
static enum t2l_status
open_parts(const char *stem, size_t n_stem, int64_t count, struct gguf **out, struct t2l_error *err)
{
	struct gguf **parts = calloc((size_t)count, sizeof *parts), *first = NULL;
	enum t2l_status status = T2L_OK;
	size_t n = 0;

	for (int64_t i = 0; parts != NULL && i < count && status == T2L_OK; i++) {
		char *path = part_path(stem, n_stem, i, count);
		struct gguf **part = i == 0 ? &first : &parts[n];

		if (path == NULL)
			break;
		status = open_part(path, (struct part){ i, count }, part, err);
		n += i > 0 && status == T2L_OK;
		free(path);
	}
	if (status == T2L_OK && n + 1 < (size_t)count)
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", stem);
	if (status == T2L_OK) {
		status = gguf_join(first, parts, n, err);
		parts = NULL; /* first's, even when that failed */
	}
	if (status == T2L_OK)
		status = check_total(first, count, err);
	for (size_t i = 0; parts != NULL && i < n; i++)
		gguf_close(parts[i]);
	free(parts);
	if (status != T2L_OK) {
		gguf_close(first);
		return status;
	}
	*out = first;
	return T2L_OK;
}

enum t2l_status
gguf_open(const char *path, struct gguf **out, struct t2l_error *err)
{
	struct part part = { 0, 1 };
	struct gguf *gguf = NULL;
	char suffix[SUFFIX_SIZE];
	size_t n = strlen(path), n_suffix;
	enum t2l_status status = gguf_open_file(path, &gguf, err);

	if (status == T2L_OK)
		status = read_part(gguf, &part, err);
	if (status == T2L_OK && part.count <= 1) {
		*out = gguf;
		return T2L_OK;
	}
	gguf_close(gguf);
	if (status != T2L_OK)
		return status;
	write_suffix(suffix, part.number, part.count);
	n_suffix = strlen(suffix);
	if (n < n_suffix || strcmp(path + n - n_suffix, suffix) != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "%s: it is part %d of %d of a model, so its name must end in '%s' for the "
		    "others to "
		    "be found",
		    path, (int)part.number + 1, (int)part.count, suffix);
	return open_parts(path, n - n_suffix, part.count, out, err);
}
