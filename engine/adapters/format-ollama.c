/*
 * format-ollama.c - what `ollama create` takes: a Modelfile and the adapter as GGUF beside it.
 *
 * The Modelfile says FROM the base and ADAPTER ./adapter.gguf. Ollama applies an adapter to
 * whatever base it is told; it must be the very one that the adapter was made for.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/adapters/format.h"
#include "engine/error.h"

#define MODELFILE "Modelfile"
#define ADAPTER_NAME "adapter.gguf"
#define MODELFILE_LIMIT (1 << 20)

/* A name that can only mean a file beside the Modelfile. */
static bool
is_plain_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/* The file that the line "ADAPTER ./NAME" speaks of; TEXT is changed. NULL: there is none. */
static char *
find_adapter(char *text)
{
	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		char *name = line + 8;

		if (strncmp(line, "ADAPTER ", 8) != 0)
			continue;
		name += strspn(name, " \t");
		name[strcspn(name, " \t\r")] = '\0';
		if (strncmp(name, "./", 2) == 0)
			name += 2;
		return name;
	}
	return NULL;
}

static enum t2l_status
ollama_read(const char *directory, struct t2l_adapter **out, struct t2l_error *err)
{
	char path[EXPORT_PATH_SIZE], *text, *name;
	enum t2l_status status = export_path(directory, MODELFILE, path, err);

	if (status != T2L_OK)
		return status;
	text = read_whole_file(path, MODELFILE_LIMIT, NULL);
	if (text == NULL)
		return t2l_fail_errno(err, "cannot read '%s'", path);
	name = find_adapter(text);
	if (name == NULL || !is_plain_name(name))
		status = t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s names no adapter that lies beside it (ADAPTER ./adapter.gguf)", path);
	else
		status = export_path(directory, name, path, err);
	free(text);
	if (status != T2L_OK)
		return status;
	if ((status = format_gguf.read(path, out, err)) == T2L_OK)
		snprintf((*out)->facts.format, sizeof(*out)->facts.format, "ollama");
	return status;
}

static bool
is_ollama(const struct adapter_probe *probe)
{
	char path[EXPORT_PATH_SIZE];

	return export_path(probe->path, MODELFILE, path, NULL) == T2L_OK && access(path, R_OK) == 0;
}

static enum t2l_status
ollama_write(struct export_job *job, const char *directory, struct t2l_error *err)
{
	char path[EXPORT_PATH_SIZE];
	struct buffer text = { 0 };
	enum t2l_status status;

	if (job->base_name[0] == '\0')
		return t2l_fail(err, T2L_EINVAL,
		    "a Modelfile names the base it starts FROM; give it (--target-model)");
	if (strpbrk(job->base_name, "\n\r") != NULL)
		return t2l_fail(err, T2L_EINVAL, "the base's name has a line break in it");
	if ((status = export_path(directory, ADAPTER_NAME, path, err)) != T2L_OK ||
	    (status = format_gguf.write(job, path, err)) != T2L_OK)
		return status;
	buffer_printf(&text, "FROM %s\nADAPTER ./" ADAPTER_NAME "\n", job->base_name);
	if (buffer_failed(&text))
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	else
		status = export_text(directory, MODELFILE, buffer_string(&text), err);
	buffer_free(&text);
	export_tell(job->done, "then: ollama create NAME -f %s", MODELFILE);
	return status;
}

const struct adapter_format format_ollama = {
	.facts = {
		.name = "ollama",
		.holds = "a directory for ollama create: Modelfile and GGUF",
		.precisions = "fp32 fp16 bf16 int8 q4_0 q4_k_m",
		.is_directory = true,
		.reads = true,
		.writes = true,
	},
	.mobile = "int8",
	.size = "q4_0",
	.is = is_ollama,
	.read = ollama_read,
	.write = ollama_write,
};
