/*
 * into-base-gguf.c - base + adapter as a GGUF file: keys and types stay, and so does the order of
 * the tensors. Quantised rows that change are widened, added to and quantised again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-folder.h"
#include "engine/adapters/base-shape.h"
#include "engine/adapters/into-base.h"
#include "engine/adapters/module-names.h"
#include "engine/adapters/row-order.h"
#include "engine/formats/gguf-copy.h"

#define PATH_SIZE 4096

/* The alignment is the writer's to say, and a split base becomes one file. */
static enum t2l_status
copy_keys(const struct gguf *gguf, struct gguf_writer *writer, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < gguf_key_count(gguf) && status == T2L_OK; i++) {
		const struct gguf_key *key = gguf_key_at(gguf, i);

		if (strcmp(key->name, "general.alignment") != 0 &&
		    strncmp(key->name, "split.", strlen("split.")) != 0)
			status = gguf_copy_key(gguf, key, writer, err);
	}
	return status;
}

/* The module that changes ENTRY's part for one expert (MODULE_NO_EXPERT: the whole of it). */
static const struct adapter_module *
module_of(const struct into_base *work, const char *architecture, const struct gguf_entry *entry,
    int expert)
{
	const size_t n = strlen(entry->name), n_suffix = strlen(".weight");
	struct adapter_module place = { .layer = MODULE_NO_LAYER };

	if (n <= n_suffix || strcmp(entry->name + n - n_suffix, ".weight") != 0 ||
	    !ggml_module_by_name(entry->name, n - n_suffix, architecture, &place))
		return NULL;
	return adapter_find(work->adapter, place.layer, place.module, expert);
}

static int64_t
n_parts(const struct gguf_entry *entry)
{
	return entry->n_dims == 3 ? entry->shape[0] : 1;
}

static int
expert_of(const struct gguf_entry *entry, int64_t part)
{
	return entry->n_dims == 3 ? (int)part : MODULE_NO_EXPERT;
}

static enum t2l_status
declare(const struct into_base *work, const struct gguf *gguf, const char *architecture,
    struct gguf_writer *writer, struct t2l_error *err)
{
	bool *found = calloc(work->adapter->n_modules, sizeof *found);
	const bool tied = gguf_find(gguf, "output.weight") == NULL;
	enum t2l_status status = T2L_OK;

	if (found == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (size_t i = 0; i < gguf_count(gguf) && status == T2L_OK; i++) {
		const struct gguf_entry *entry = gguf_at(gguf, i);

		if (!entry->convertible)
			status = t2l_fail(err, T2L_EUNSUPPORTED,
			    "tensor '%.120s' is of type %s, which is not written", entry->name,
			    entry->type_name);
		for (int64_t part = 0; part < n_parts(entry) && status == T2L_OK; part++) {
			const struct adapter_module *module =
			    module_of(work, architecture, entry, expert_of(entry, part));

			if (module == NULL)
				continue;
			found[module - work->adapter->modules] = true;
			if (tied && module_is_embedding(module->module))
				status = t2l_fail(err, T2L_EUNSUPPORTED,
				    "'%s' uses its embedding as its output head too; the adapter "
				    "changes one of them and cannot be merged into both",
				    work->base);
		}
		gguf_writer_declare(writer, entry->name, entry->dtype, entry->n_dims, entry->shape);
	}
	if (status == T2L_OK)
		status = into_base_all_found(work, found, err);
	free(found);
	return status;
}

static enum t2l_status
put(void *user, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	return gguf_writer_bytes(user, bytes, n_bytes, err);
}

/* The tensor as it shall be, to be written or to be compared; one of several experts is changed
 * expert by expert. */
static enum t2l_status
put_tensor(const struct into_base *work, const struct gguf_entry *entry, const char *architecture,
    into_base_put *to, void *user, bool *changed, struct t2l_error *err)
{
	const size_t part_bytes = entry->n_bytes / (size_t)n_parts(entry);
	enum t2l_status status = T2L_OK;

	*changed = false;

	for (int64_t part = 0; part < n_parts(entry) && status == T2L_OK; part++) {
		const struct adapter_module *module =
		    module_of(work, architecture, entry, expert_of(entry, part));
		const unsigned char *bytes =
		    (const unsigned char *)entry->bytes + part_bytes * (size_t)part;

		if (module == NULL) {
			status = to(user, bytes, part_bytes, err);
		} else if (entry->n_dims < 2) {
			status = t2l_fail(
			    err, T2L_EMISMATCH, "tensor '%.120s' is no matrix", entry->name);
		} else {
			const struct base_matrix matrix = { entry->name, entry->dtype,
				entry->shape[entry->n_dims - 2], entry->shape[entry->n_dims - 1],
				bytes };

			*changed = true;
			status = into_base_add(&matrix, module, to, user, err);
		}
	}
	return status;
}

static enum t2l_status
write_model(struct into_base *work, const struct gguf *gguf, const char *architecture,
    const char *output, struct t2l_error *err)
{
	struct gguf_writer *writer = gguf_writer_new();
	const size_t n = gguf_count(gguf);
	enum t2l_status status;
	bool changed;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	if ((status = copy_keys(gguf, writer, err)) == T2L_OK &&
	    (status = declare(work, gguf, architecture, writer, err)) == T2L_OK)
		status = gguf_writer_begin(writer, output, err);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		status =
		    put_tensor(work, gguf_at(gguf, i), architecture, put, writer, &changed, err);
		work->report.n_changed += changed;
		if (status == T2L_OK)
			status = into_base_step(work, i + 1, 2 * n, err);
	}
	if (status == T2L_OK)
		status = gguf_writer_finish(writer, err);
	gguf_writer_free(writer);
	work->report.n_tensors = n;
	return status;
}

/* All of it once more, held against what a reader finds at PATH. */
static enum t2l_status
read_back(struct into_base *work, const struct gguf *gguf, const char *architecture,
    const char *path, struct t2l_error *err)
{
	const size_t n = gguf_count(gguf);
	struct gguf *made;
	enum t2l_status status = gguf_open(path, &made, err);
	bool changed;

	if (status != T2L_OK)
		return t2l_context(err, "what was written cannot be read back");
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct gguf_entry *entry = gguf_at(gguf, i);
		const struct gguf_entry *found = gguf_find(made, entry->name);
		struct written_tensor written = { .name = entry->name };

		if (found == NULL || found->ggml_type != entry->ggml_type ||
		    found->n_bytes != entry->n_bytes) {
			status = t2l_fail(
			    err, T2L_EIO, "tensor '%.120s' cannot be read back", entry->name);
			break;
		}
		written.at = found->bytes;
		written.end = written.at + found->n_bytes;
		status = put_tensor(
		    work, entry, architecture, into_base_compare, &written, &changed, err);
		if (status == T2L_OK)
			status = into_base_step(work, n + i + 1, 2 * n, err);
	}
	gguf_close(made);
	return status;
}

/* Written in a folder beside OUTPUT, which it leaves once it has been read back. */
static enum t2l_status
write_checked(struct into_base *work, const struct gguf *gguf, const char *architecture,
    const char *output, struct t2l_error *err)
{
	char folder[PATH_SIZE], path[PATH_SIZE + 16];
	enum t2l_status status;

	if (atomic_folder_make(output, folder, sizeof folder) != 0)
		return t2l_fail_errno(err, "cannot make a folder beside '%s'", output);
	snprintf(path, sizeof path, "%s/model.gguf", folder);
	if ((status = write_model(work, gguf, architecture, path, err)) == T2L_OK &&
	    (status = read_back(work, gguf, architecture, path, err)) == T2L_OK &&
	    rename(path, output) != 0)
		status = t2l_fail_errno(err, "cannot write '%s'", output);
	atomic_folder_discard(folder);
	return status;
}

enum t2l_status
into_base_gguf(struct into_base *work, const char *base, const char *output, struct t2l_error *err)
{
	const struct t2l_adapter *given = work->adapter;
	struct t2l_adapter *ordered = NULL;
	struct base_shape shape;
	struct gguf *gguf;
	enum t2l_status status;

	if ((status = base_shape_read(base, &shape, err)) != T2L_OK ||
	    (status = gguf_open(base, &gguf, err)) != T2L_OK)
		return status;
	status = adapter_reorder(given, shape.neighbours, shape.head_dim, &ordered, err);
	if (status == T2L_OK) {
		work->adapter = ordered;
		status = write_checked(work, gguf, shape.architecture, output, err);
	}
	work->adapter = given;
	t2l_adapter_close(ordered);
	gguf_close(gguf);
	return status;
}
