/* tensor-reports.c - a line a tensor, and one on all of them. */

#include "config.h"

#include <stdio.h>
#include <string.h>

#include "src/tensor-reports.h"

static void
tell_json(struct context *ctx, const struct t2l_quantize_report *report)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "tensor", report->tensor);
	cJSON_AddStringToObject(object, "from", report->from);
	cJSON_AddStringToObject(object, "to", report->to);
	cJSON_AddNumberToObject(object, "parameters", (double)report->n);
	cJSON_AddNumberToObject(object, "bytes", (double)report->n_bytes);
	cJSON_AddNumberToObject(object, "max_error", report->max_error);
	cJSON_AddNumberToObject(object, "rms_error", report->rms_error);
	cJSON_AddNumberToObject(object, "relative_error", report->relative_error);
	say_json(ctx, object);
}

bool
tensor_reports_tell(void *user, const struct t2l_quantize_report *report)
{
	struct tensor_reports *reports = user;
	struct context *ctx = reports->ctx;
	const int n_name = (int)strlen(report->tensor);

	tell_json(ctx, report);
	progress(ctx, reports->what, (double)report->done, (double)report->all, "tensors", -1);
	if (!reports->only_lossy || report->max_error > 0) {
		say_text(ctx, report->tensor, strlen(report->tensor));
		say(ctx, "%*s %-5s -> %-5s  max %.2e  rms %.2e  %6.3f %%\n",
		    n_name < 32 ? 32 - n_name : 0, "", report->from, report->to, report->max_error,
		    report->rms_error, 100 * report->relative_error);
	}
	reports->n_tensors++;
	reports->n += (double)report->n;
	reports->bytes += (double)report->n_bytes;
	if (report->relative_error > reports->worst) {
		reports->worst = report->relative_error;
		snprintf(reports->worst_name, sizeof reports->worst_name, "%s", report->tensor);
	}
	return !atomic_load(ctx->cancelled);
}

void
tensor_reports_end(const struct tensor_reports *reports, const char *path)
{
	struct context *ctx = reports->ctx;

	say(ctx, "%s: %.1f MB, %.2f bits a number", path, reports->bytes * 1e-6,
	    8 * reports->bytes / reports->n);
	if (reports->worst > 0) {
		say(ctx, "; the most is lost in ");
		say_text(ctx, reports->worst_name, strlen(reports->worst_name));
		say(ctx, ": %.3f %%", 100 * reports->worst);
	}
	say(ctx, "\n");
}
