/* adapter-export.c - asks the engine for an export and tells what came of it. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/atomic-folder.h"
#include "base/buffer.h"
#include "base/visible.h"
#include "src/adapter-export.h"

#define MAX_EVALUATIONS 100 /* in a card */

const char *const export_precisions[] = { "fp32", "fp16", "bf16", "int8", "q4_0", "q4_k_m", NULL };
const char *const export_quantizations[] = { "q8_0", "int8", "q4_0", "q4_k_m", NULL };
const char *const export_targets[] = { "mobile", "inference", "size", NULL };

const char *
export_precision(const struct options *options)
{
	const char *quantization = option_text(options, "quantization");

	if (quantization == NULL)
		return option_text(options, "precision");
	return strcmp(quantization, "q8_0") == 0 ? "int8" : quantization;
}

static bool
show_progress(void *user, size_t done, size_t all)
{
	struct context *ctx = user;

	progress(ctx, "writing", (double)done, (double)all, "parts", -1);
	return !atomic_load(ctx->cancelled);
}

/* Formats that are of no use without knowing the base. */
static bool
wants_base(const char *format, const struct t2l_adapter *adapter)
{
	return strcmp(format, "gguf") == 0 || strcmp(format, "ollama") == 0 ||
	       strcmp(format, "hf") == 0 || strcmp(format, "merged") == 0 ||
	       t2l_adapter_facts(adapter)->gguf_rows;
}

/* The base's place: as given, or where the name that the adapter has for it leads. NULL: nowhere.
 */
static const char *
find_base(struct context *ctx, const struct options *opt, const struct t2l_adapter *adapter,
    const char *format, char *path, size_t size)
{
	const char *given = option_text(opt, "base-model");
	const char *name = t2l_adapter_facts(adapter)->base_name;

	if (given != NULL) {
		workplace_find_model(ctx, given, path, size);
		return path;
	}
	if (!wants_base(format, adapter) || option_given(opt, "head-dim") || name[0] == '\0' ||
	    !workplace_find_model(ctx, name, path, size))
		return NULL;
	return path;
}

/* What the catalog has on the adapter, for the card, as lines of a Markdown list. */
static void
describe_scores(struct context *ctx, int64_t id, struct buffer *text)
{
	struct store_evaluations *evaluations;
	struct store_adapter *row;
	struct store *store;

	if (id == 0 || !workplace_store(ctx, &store))
		return;
	if (store_get(store, id, &row) == STORE_OK) {
		if (row->wins + row->losses + row->ties > 0)
			buffer_printf(text,
			    "- side-by-side comparisons: %u won, %u lost, %u even\n", row->wins,
			    row->losses, row->ties);
		store_free(row);
	}
	if (store_evaluations(store, id, NULL, MAX_EVALUATIONS, &evaluations) != STORE_OK)
		return;
	for (size_t i = 0; i < evaluations->n_rows; i++) {
		const struct store_evaluation *one = &evaluations->rows[i];

		buffer_text(text, "- ");
		visible_append(text, one->suite, strlen(one->suite), 0);
		buffer_char(text, ' ');
		visible_append(text, one->group, strlen(one->group), 0);
		buffer_printf(text, ": %llu of %llu right (%s)\n",
		    (unsigned long long)one->n_correct, (unsigned long long)one->n, one->method);
	}
	store_free(evaluations);
}

static void
say_lines(struct context *ctx, const char *mark, const char *lines)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		say(ctx, "  %s", mark);
		say_text(ctx, lines, n);
		say(ctx, "\n");
		lines += n + (lines[n] == '\n');
	}
}

static void
tell(struct context *ctx, const struct t2l_adapter *adapter, const char *format, const char *path,
    const struct t2l_export_report *report)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "format", format);
	cJSON_AddStringToObject(object, "path", path);
	cJSON_AddStringToObject(object, "hash", t2l_adapter_facts(adapter)->hash);
	cJSON_AddStringToObject(object, "precision", report->precision);
	cJSON_AddBoolToObject(object, "verified", true);
	cJSON_AddNumberToObject(object, "bytes", (double)report->n_bytes);
	cJSON_AddNumberToObject(object, "files", report->n_files);
	cJSON_AddNumberToObject(object, "max_error", report->max_error);
	cJSON_AddNumberToObject(object, "rms_error", report->rms_error);
	cJSON_AddNumberToObject(object, "relative_error", report->relative_error);
	cJSON_AddStringToObject(object, "done", report->done);
	cJSON_AddStringToObject(object, "warnings", report->warnings);
	say_json(ctx, object);
	say(ctx, "%s  (%s, %s, %llu bytes, read back and compared)\n", path, format,
	    report->precision, (unsigned long long)report->n_bytes);
	if (report->relative_error > 0)
		say(ctx, "  change of the effect: largest %.3g, rms %.3g, %.3g of the whole\n",
		    report->max_error, report->rms_error, report->relative_error);
	say_lines(ctx, "", report->done);
	if (report->warnings[0] != '\0')
		note(ctx, "%s", report->warnings);
	if (t2l_adapter_facts(adapter)->note[0] != '\0')
		note(ctx, "%s", t2l_adapter_facts(adapter)->note);
}

int
adapter_export(struct context *ctx, const struct options *opt, const struct t2l_adapter *adapter,
    int64_t id, const char *format, const char *path)
{
	char base[PATH_MAX];
	struct buffer scores = { 0 };
	const char *target = option_text(opt, "optimize-for");
	struct t2l_export_options options = {
		.format = format,
		.precision = export_precision(opt),
		.base_model = find_base(ctx, opt, adapter, format, base, sizeof base),
		.architecture = option_text(opt, "architecture"),
		.head_dim =
		    option_given(opt, "head-dim") ? (int)option_integer(opt, "head-dim") : 0,
		.target_model = option_text(opt, "target-model"),
		.optimize_for = target,
		.adapter_only = option_flag(opt, "adapter-only"),
		.copy_base = option_flag(opt, "copy-base"),
		.model_card = option_flag(opt, "generate-model-card"),
		.task = option_text(opt, "task-description"),
		.on_progress = show_progress,
		.user = ctx,
	};
	struct t2l_export_report report;
	struct t2l_error err;
	enum t2l_status status;

	if (option_flag(opt, "optimize-for-inference")) {
		if (target != NULL && strcmp(target, "inference") != 0)
			return context_usage(
			    ctx, "--optimize-for %s and --optimize-for-inference differ", target);
		options.optimize_for = "inference";
	}
	describe_scores(ctx, id, &scores);
	options.card_scores = buffer_string(&scores);
	status = t2l_adapter_export(adapter, path, &options, &report, &err);
	buffer_free(&scores);
	progress(ctx, "writing", -1, 0, "parts", -1);
	if (status != T2L_OK)
		return context_fail_error(ctx, &err);
	tell(ctx, adapter, format, path, &report);
	return 0;
}

/* A Modelfile and the whole model beside it. */
static bool
write_ollama(struct context *ctx, const struct t2l_adapter *adapter, const char *base,
    const char *path, struct t2l_into_base_report *report)
{
	static const char modelfile[] = "FROM ./model.gguf\n";
	const struct t2l_into_base_options options = { .on_tensor = show_progress, .user = ctx };
	char folder[PATH_MAX], file[PATH_MAX + 16];
	struct t2l_error err;
	bool fine = atomic_folder_make(path, folder, sizeof folder) == 0;

	if (!fine) {
		context_fail(ctx, "cannot make a folder beside '%s': %s", path, strerror(errno));
		return false;
	}
	snprintf(file, sizeof file, "%s/model.gguf", folder);
	fine = t2l_adapter_into_base(adapter, base, file, &options, report, &err) == T2L_OK;
	progress(ctx, "writing", -1, 0, "parts", -1);
	snprintf(file, sizeof file, "%s/Modelfile", folder);
	if (!fine) {
		context_fail_error(ctx, &err);
	} else if (atomic_write(file, modelfile, sizeof modelfile - 1) != 0 ||
		   atomic_folder_install(folder, path) != 0) {
		context_fail(ctx, "cannot write '%s': %s", path, strerror(errno));
		fine = false;
	}
	if (!fine)
		atomic_folder_discard(folder);
	return fine;
}

static bool
write_merged(struct context *ctx, const struct t2l_adapter *adapter, const char *base,
    const char *path, struct t2l_into_base_report *report)
{
	const struct t2l_into_base_options options = { .on_tensor = show_progress, .user = ctx };
	struct t2l_error err;
	enum t2l_status status = t2l_adapter_into_base(adapter, base, path, &options, report, &err);

	progress(ctx, "writing", -1, 0, "parts", -1);
	if (status != T2L_OK)
		context_fail_error(ctx, &err);
	return status == T2L_OK;
}

int
adapter_export_merged(struct context *ctx, const struct options *opt,
    const struct t2l_adapter *adapter, bool for_ollama, const char *path)
{
	struct t2l_into_base_report report;
	char found[PATH_MAX];
	const char *base = find_base(ctx, opt, adapter, "merged", found, sizeof found);
	cJSON *object;

	if (base == NULL)
		return context_usage(
		    ctx, "the adapter's base is not known here; name it with --base-model");
	if (!(for_ollama ? write_ollama : write_merged)(ctx, adapter, base, path, &report))
		return 1;
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "format", for_ollama ? "ollama" : "merged");
	cJSON_AddStringToObject(object, "path", path);
	cJSON_AddStringToObject(object, "base", base);
	cJSON_AddStringToObject(object, "hash", t2l_adapter_facts(adapter)->hash);
	cJSON_AddNumberToObject(object, "tensors", (double)report.n_tensors);
	cJSON_AddNumberToObject(object, "changed", (double)report.n_changed);
	say_json(ctx, object);
	say(ctx, "%s  (%s with the adapter in its weights: %zu of %zu tensors changed)\n", path,
	    base, report.n_changed, report.n_tensors);
	return 0;
}
