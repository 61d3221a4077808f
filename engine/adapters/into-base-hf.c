/*
 * into-base-hf.c - base + adapter as a Hugging Face directory.
 *
 * The directory is made under another name beside its own and renamed when all of it is there, so
 * an interrupted run leaves nothing that looks like a model. Sharded bases become one file.
 */

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/atomic-folder.h"
#include "base/file.h"
#include "engine/adapters/into-base.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"

#define PATH_SIZE 4096
#define MODEL_NAME "model.safetensors"

/* What a model directory holds beside its weights. */
static const char *const companions[] = { "config.json", "generation_config.json",
	"tokenizer*.json", "tokenizer.model", "vocab.*", "merges.txt", "added_tokens.json",
	"special_tokens_map.json", "chat_template.*", "LICENSE*", NULL };

static enum t2l_status
join(const char *directory, const char *name, char path[PATH_SIZE], struct t2l_error *err)
{
	if (snprintf(path, PATH_SIZE, "%s/%s", directory, name) >= PATH_SIZE)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", directory);
	return T2L_OK;
}

static bool
is_companion(const char *name)
{
	for (size_t i = 0; companions[i] != NULL; i++) {
		if (fnmatch(companions[i], name, 0) == 0)
			return true;
	}
	return false;
}

static enum t2l_status
copy_file(const char *from, const char *to, struct t2l_error *err)
{
	struct mapped_file file;
	enum t2l_status status = T2L_OK;

	if (mapped_file_open(from, &file) != 0)
		return t2l_fail_errno(err, "cannot read '%s'", from);
	if (atomic_write(to, file.bytes, file.n) != 0)
		status = t2l_fail_errno(err, "cannot write '%s'", to);
	mapped_file_close(&file);
	return status;
}

static enum t2l_status
copy_companions(const char *base, const char *directory, struct t2l_error *err)
{
	char from[PATH_SIZE], to[PATH_SIZE];
	enum t2l_status status = T2L_OK;
	struct dirent *entry;
	DIR *dir = opendir(base);

	if (dir == NULL)
		return t2l_fail_errno(err, "cannot read '%s'", base);
	while (status == T2L_OK && (entry = readdir(dir)) != NULL) {
		if (is_companion(entry->d_name) &&
		    (status = join(base, entry->d_name, from, err)) == T2L_OK &&
		    (status = join(directory, entry->d_name, to, err)) == T2L_OK)
			status = copy_file(from, to, err);
	}
	closedir(dir);
	return status;
}

/* ---- tensors ---- */

struct names {
	const struct adapter_module *
	    *modules; /* of tensor i: the module that changes it, or NULL */
	bool *found;  /* of module i */
};

static enum t2l_status
find_modules(const struct into_base *work, const struct safetensors *st, struct names *names,
    struct t2l_error *err)
{
	const struct t2l_adapter *adapter = work->adapter;
	const bool tied = safetensors_find(st, "lm_head.weight") == NULL;

	for (size_t i = 0; i < safetensors_count(st); i++) {
		const char *name = safetensors_at(st, i)->name;
		const size_t n = strlen(name), n_suffix = strlen(".weight");
		const struct adapter_module *module = NULL;
		enum module kind;
		int layer, expert;

		if (n > n_suffix && strcmp(name + n - n_suffix, ".weight") == 0 &&
		    module_by_path(name, n - n_suffix, &layer, &kind, &expert))
			module = adapter_find(adapter, layer, kind, expert);
		if (module == NULL)
			continue;
		if (tied && module_is_embedding(module->module))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "'%s' uses its embedding as its output head too; the adapter changes "
			    "one of them and cannot be merged into both",
			    work->base);
		names->modules[i] = module;
		names->found[module - adapter->modules] = true;
	}
	return into_base_all_found(work, names->found, err);
}

static enum t2l_status
declare(const struct safetensors *st, struct safetensors_writer *writer, struct t2l_error *err)
{
	safetensors_writer_metadata(writer, "format", "pt");
	for (size_t i = 0; i < safetensors_count(st); i++) {
		const struct safetensors_entry *entry = safetensors_at(st, i);

		if (!entry->convertible)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "tensor '%.120s' is of type %s, which is "
			    "not written",
			    entry->name, entry->dtype_text);
		safetensors_writer_declare(
		    writer, entry->name, entry->dtype, entry->n_dims, entry->shape);
	}
	return T2L_OK;
}

static enum t2l_status
put(void *user, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	return safetensors_writer_bytes(user, bytes, n_bytes, err);
}

/* The tensor as it shall be, to be written or to be compared. */
static enum t2l_status
put_tensor(const struct safetensors_entry *entry, const struct adapter_module *module,
    into_base_put *to, void *user, struct t2l_error *err)
{
	const struct base_matrix matrix = { entry->name, entry->dtype, entry->shape[0],
		entry->shape[1], entry->bytes };

	if (module == NULL)
		return to(user, entry->bytes, entry->n_bytes, err);
	if (entry->n_dims != 2)
		return t2l_fail(err, T2L_EMISMATCH, "tensor '%.120s' is no matrix", entry->name);
	return into_base_add(&matrix, module, to, user, err);
}

static enum t2l_status
write_model(struct into_base *work, const struct safetensors *st, const struct names *names,
    const char *path, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	const size_t n = safetensors_count(st);
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	if ((status = declare(st, writer, err)) == T2L_OK)
		status = safetensors_writer_begin(writer, path, err);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		status = put_tensor(safetensors_at(st, i), names->modules[i], put, writer, err);
		work->report.n_changed += names->modules[i] != NULL;
		if (status == T2L_OK)
			status = into_base_step(work, i + 1, 2 * n, err);
	}
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	safetensors_writer_free(writer);
	work->report.n_tensors = n;
	return status;
}

/* All of it once more, held against what a reader finds in DIRECTORY. */
static enum t2l_status
read_back(struct into_base *work, const struct safetensors *st, const struct names *names,
    const char *directory, struct t2l_error *err)
{
	const size_t n = safetensors_count(st);
	struct safetensors *made;
	enum t2l_status status = safetensors_open(directory, &made, err);

	if (status != T2L_OK)
		return t2l_context(err, "what was written cannot be read back");
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct safetensors_entry *entry = safetensors_at(st, i);
		const struct safetensors_entry *found = safetensors_find(made, entry->name);
		struct written_tensor written = { .name = entry->name };

		if (found == NULL || found->dtype != entry->dtype ||
		    found->n_bytes != entry->n_bytes) {
			status = t2l_fail(
			    err, T2L_EIO, "tensor '%.120s' cannot be read back", entry->name);
			break;
		}
		written.at = found->bytes;
		written.end = written.at + found->n_bytes;
		status = put_tensor(entry, names->modules[i], into_base_compare, &written, err);
		if (status == T2L_OK)
			status = into_base_step(work, n + i + 1, 2 * n, err);
	}
	safetensors_close(made);
	return status;
}

/* ---- the directory ---- */

static enum t2l_status
fill(struct into_base *work, const struct safetensors *st, const char *base, const char *directory,
    struct t2l_error *err)
{
	char path[PATH_SIZE];
	struct names names = {
		.modules = calloc(safetensors_count(st) + 1, sizeof *names.modules),
		.found = calloc(work->adapter->n_modules, sizeof *names.found),
	};
	enum t2l_status status;

	if (names.modules == NULL || names.found == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	else if ((status = find_modules(work, st, &names, err)) == T2L_OK &&
		 (status = join(directory, MODEL_NAME, path, err)) == T2L_OK &&
		 (status = write_model(work, st, &names, path, err)) == T2L_OK &&
		 (status = read_back(work, st, &names, directory, err)) == T2L_OK)
		status = copy_companions(base, directory, err);
	free(names.modules);
	free(names.found);
	return status;
}

enum t2l_status
into_base_hf(struct into_base *work, const char *base, const char *output, struct t2l_error *err)
{
	char temporary[PATH_SIZE];
	struct safetensors *st;
	enum t2l_status status;

	if (work->adapter->facts.gguf_rows)
		return t2l_fail(err, T2L_EMISMATCH,
		    "the adapter has its q and k rows in GGUF's order and '%s' has not; convert it "
		    "first, with its base",
		    work->base);
	if ((status = safetensors_open(base, &st, err)) != T2L_OK)
		return status;
	if (atomic_folder_make(output, temporary, sizeof temporary) != 0) {
		status = t2l_fail_errno(err, "cannot make a directory beside '%s'", output);
	} else {
		status = fill(work, st, base, temporary, err);
		/* Fails when something is there already, but for an empty directory. */
		if (status == T2L_OK && rename(temporary, output) != 0)
			status = t2l_fail_errno(err, "cannot write '%s'", output);
		if (status != T2L_OK)
			atomic_folder_discard(temporary);
	}
	safetensors_close(st);
	return status;
}
