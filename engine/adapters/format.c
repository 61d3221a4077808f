/* format.c - the table of adapter formats, and which of them a path is. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/adapters/format.h"
#include "engine/error.h"

/* Tried in this order: what is told by a mark first, what is anything else of its kind last. */
const struct adapter_format *const adapter_format_table[] = {
	&format_gguf,
	&format_ggml,
	&format_ollama,
	&format_mlx,
	&format_peft,
	&format_hf,
	&format_kohya,
	&format_native,
	NULL,
};

const struct t2l_format_facts *
t2l_adapter_format(size_t index)
{
	for (size_t i = 0; adapter_format_table[i] != NULL; i++)
		if (i == index)
			return &adapter_format_table[i]->facts;
	return NULL;
}

static enum t2l_status
look(const char *path, struct adapter_probe *probe, struct t2l_error *err)
{
	struct stat facts;
	FILE *file;

	*probe = (struct adapter_probe){ .path = path };
	if (stat(path, &facts) != 0)
		return t2l_fail_errno(err, "cannot open '%s'", path);
	probe->is_directory = S_ISDIR(facts.st_mode);
	if (probe->is_directory)
		return T2L_OK;
	if (!S_ISREG(facts.st_mode))
		return t2l_fail(err, T2L_EINVAL, "'%s' is neither a file nor a directory", path);
	file = fopen(path, "rb");
	if (file == NULL)
		return t2l_fail_errno(err, "cannot open '%s'", path);
	(void)!fread(probe->head, 1, sizeof probe->head, file);
	fclose(file);
	return T2L_OK;
}

enum t2l_status
t2l_adapter_open(const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	struct adapter_probe probe;
	enum t2l_status status = look(path, &probe, err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; adapter_format_table[i] != NULL; i++) {
		const struct adapter_format *format = adapter_format_table[i];

		if (format->facts.is_directory == probe.is_directory && format->is != NULL &&
		    format->is(&probe))
			return format->read(path, out, err);
	}
	return t2l_fail(err, T2L_EFORMAT, "'%s' is no adapter", path);
}
