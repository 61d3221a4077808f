/* adapter-output.c - writes a new adapter where the line says, keeps it, tells about it. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/adapter-output.h"

const char *const adapter_formats[] = { "native", "peft", NULL };

static bool
is_native(const char *path, const char *format)
{
	size_t n = strlen(path);

	if (format != NULL)
		return strcmp(format, "native") == 0;
	return n > 12 && strcmp(path + n - 12, ".safetensors") == 0;
}

enum t2l_status
adapter_write_file(
    const struct t2l_adapter *adapter, const char *path, const char *format, struct t2l_error *err)
{
	return is_native(path, format) ? t2l_adapter_save(adapter, path, err)
				       : t2l_adapter_export_peft(adapter, path, NULL, err);
}

bool
adapter_write(
    struct context *ctx, const struct t2l_adapter *adapter, const char *path, const char *format)
{
	struct t2l_error err;
	enum t2l_status status = adapter_write_file(adapter, path, format, &err);

	if (status != T2L_OK)
		context_fail_error(ctx, &err);
	return status == T2L_OK;
}

static void
tell(struct context *ctx, const struct t2l_adapter *adapter, const char *path,
    const struct kept *kept)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	cJSON *object = cJSON_CreateObject();

	if (kept->id > 0) {
		cJSON_AddNumberToObject(object, "id", (double)kept->id);
		cJSON_AddStringToObject(object, "name", kept->name);
	}
	cJSON_AddStringToObject(object, "task", facts->task);
	cJSON_AddStringToObject(object, "path", path ? path : kept->path);
	cJSON_AddStringToObject(object, "hash", facts->hash);
	cJSON_AddNumberToObject(object, "rank", facts->rank);
	cJSON_AddNumberToObject(object, "scale", facts->scale);
	cJSON_AddNumberToObject(object, "parameters", (double)facts->n_parameters);
	cJSON_AddStringToObject(object, "modules", facts->modules);
	say_json(ctx, object);
	if (kept->id > 0)
		say(ctx, "%s  (#%lld, rank %d)\n", kept->name, (long long)kept->id, facts->rank);
	if (path != NULL)
		say(ctx, "%s  (rank %d, %lld numbers)\n", path, facts->rank,
		    (long long)facts->n_parameters);
}

int
adapter_output(struct context *ctx, const struct options *options,
    const struct t2l_adapter *adapter, struct keep_options *keep)
{
	const char *path = option_text(options, "output");
	size_t n_tags = option_count(options, "tag");
	const char **tags = calloc(n_tags + 1, sizeof *tags);
	struct kept kept = { 0 };
	bool fine = tags != NULL;

	for (size_t i = 0; fine && i < n_tags; i++)
		tags[i] = option_nth(options, "tag", i);
	keep->name = option_text(options, "name");
	keep->tags = tags;
	keep->n_tags = n_tags;
	if (path != NULL)
		fine = fine && adapter_write(ctx, adapter, path, option_text(options, "format"));
	if (path == NULL || keep->name != NULL || n_tags > 0 || option_flag(options, "keep"))
		fine = fine && workplace_keep(ctx, adapter, keep, &kept);
	if (fine)
		tell(ctx, adapter, path, &kept);
	free(tags);
	return fine ? 0 : 1;
}
