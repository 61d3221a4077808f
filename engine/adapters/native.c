/*
 * native.c - the native adapter file.
 *
 * One safetensors file: tensors in f32 under PEFT's names, and in the metadata
 *   format "pt", t2l.kind "adapter", t2l.version "1"
 *   t2l.adapter_config: what PEFT's adapter_config.json would hold (rank, alpha, rsLoRA, modules)
 *   t2l.name, t2l.task: labels
 *   t2l.base, t2l.base_fingerprint, t2l.hypernet, t2l.encoder: what it was made for and by
 *   t2l.lineage: JSON array of {"hash", "name", "weight"}: what it was merged from
 *   t2l.rows "gguf": rows of q and k lie as in GGUF files (row-order.h)
 *   t2l.note: what the reader of the file it came from could not be sure of
 * Labels that are empty are left out.
 */

#include <stdio.h>
#include <string.h>

#include "engine/adapters/format.h"
#include "engine/adapters/peft.h"
#include "engine/error.h"
#include "engine/formats/json.h"

#define KIND "adapter"
#define VERSION "1"
#define GGUF_ROWS "gguf"

static enum t2l_status
check_lineage(const char *lineage, const char *path, struct t2l_error *err)
{
	enum t2l_status status;
	cJSON *root;
	bool array;

	if (lineage == NULL || lineage[0] == '\0')
		return T2L_OK;
	if ((status = json_parse(lineage, strlen(lineage), path, &root, err)) != T2L_OK)
		return t2l_context(err, "t2l.lineage");
	array = cJSON_IsArray(root);
	cJSON_Delete(root);
	return array ? T2L_OK
		     : t2l_fail(err, T2L_EFORMAT, "%s: t2l.lineage is no JSON array", path);
}

enum t2l_status
native_read(const struct safetensors *st, struct t2l_adapter **out, struct t2l_error *err)
{
	const char *path = safetensors_path(st);
	const char *kind = safetensors_metadata(st, "t2l.kind");
	const char *version = safetensors_metadata(st, "t2l.version");
	const char *config = safetensors_metadata(st, "t2l.adapter_config");
	const char *base_name = safetensors_metadata(st, "t2l.base");
	const struct adapter_labels labels = {
		.name = safetensors_metadata(st, "t2l.name"),
		.task = safetensors_metadata(st, ADAPTER_TASK_KEY),
		.base_name = base_name != NULL ? base_name : "",
		.base_fingerprint = safetensors_metadata(st, "t2l.base_fingerprint"),
		.hypernet = safetensors_metadata(st, "t2l.hypernet"),
		.encoder = safetensors_metadata(st, "t2l.encoder"),
		.lineage = safetensors_metadata(st, "t2l.lineage"),
		.note = safetensors_metadata(st, "t2l.note"),
	};
	const char *rows = safetensors_metadata(st, "t2l.rows");
	struct t2l_adapter *adapter = NULL;
	enum t2l_status status;
	cJSON *root;

	if (kind == NULL)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s has no t2l metadata; of a PEFT adapter give the directory", path);
	if (strcmp(kind, KIND) != 0)
		return t2l_fail(err, T2L_EFORMAT, "%s is a %.32s, not an adapter", path, kind);
	if (version == NULL || strcmp(version, VERSION) != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: version '%.16s' of the adapter format; this program reads "
		    "version " VERSION,
		    path, version == NULL ? "" : version);
	if (config == NULL)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: metadata without 't2l.adapter_config'", path);
	if ((status = check_lineage(labels.lineage, path, err)) != T2L_OK ||
	    (status = json_parse(config, strlen(config), path, &root, err)) != T2L_OK)
		return status;
	status = peft_read(root, path, st, &labels, &adapter, err);
	cJSON_Delete(root);
	if (status == T2L_OK && rows != NULL && strcmp(rows, GGUF_ROWS) == 0) {
		adapter->facts.gguf_rows = true;
		status = adapter_seal(adapter, err);
	}
	if (status != T2L_OK) {
		t2l_adapter_close(adapter);
		return status;
	}
	*out = adapter;
	return T2L_OK;
}

static enum t2l_status
native_open(const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	struct safetensors *st;
	enum t2l_status status = safetensors_open(path, &st, err);

	if (status != T2L_OK)
		return status;
	status = native_read(st, out, err);
	safetensors_close(st);
	return status;
}

enum t2l_status
t2l_adapter_save(const struct t2l_adapter *adapter, const char *path, struct t2l_error *err)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;
	struct safetensors_writer *writer = safetensors_writer_new(64);
	char *config = peft_config_text(adapter, facts->base_name);
	enum t2l_status status;

	if (writer == NULL || config == NULL) {
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	} else {
		const char *const metadata[][2] = {
			{ "format", "pt" },
			{ "t2l.kind", KIND },
			{ "t2l.version", VERSION },
			{ "t2l.adapter_config", config },
			{ "t2l.name", facts->name },
			{ ADAPTER_TASK_KEY, facts->task },
			{ "t2l.base", facts->base_name },
			{ "t2l.base_fingerprint", facts->base_fingerprint },
			{ "t2l.hypernet", facts->hypernet },
			{ "t2l.encoder", facts->encoder },
			{ "t2l.lineage", facts->lineage },
			{ "t2l.rows", facts->gguf_rows ? GGUF_ROWS : "" },
			{ "t2l.note", facts->note },
		};

		for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
			if (metadata[i][1][0] != '\0')
				safetensors_writer_metadata(writer, metadata[i][0], metadata[i][1]);
		}
		status = peft_write_tensors(writer, adapter, DTYPE_F32, path, err);
	}
	cJSON_free(config);
	safetensors_writer_free(writer);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "cannot save the adapter");
}

static enum t2l_status
native_write(struct export_job *job, const char *path, struct t2l_error *err)
{
	struct t2l_adapter *labelled;
	enum t2l_status status = t2l_adapter_relabel(job->adapter, NULL, job->task, &labelled, err);

	if (status != T2L_OK)
		return status;
	status = t2l_adapter_save(labelled, path, err);
	t2l_adapter_close(labelled);
	return status;
}

/* What no other format claims: its reader says what is missing. */
static bool
is_any_file(const struct adapter_probe *probe)
{
	return !probe->is_directory;
}

const struct adapter_format format_native = {
	.facts = {
		.name = "native",
		.holds = "one safetensors file: everything, with task, base and lineage",
		.precisions = "fp32",
		.reads = true,
		.writes = true,
	},
	.mobile = "fp32",
	.size = "fp32",
	.is = is_any_file,
	.read = native_open,
	.write = native_write,
};
