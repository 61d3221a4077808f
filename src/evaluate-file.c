/* evaluate-file.c - accuracy and response time of a lane on somebody's own prompts. */

#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "src/evaluate-file.h"
#include "src/json-lines.h"
#include "src/lanes.h"

#define MAX_ANSWER_TOKENS 512

static const char *const metric_names[] = { "accuracy", "response_time" };
enum { ACCURACY, RESPONSE_TIME, N_METRICS };

struct test {
	struct context *ctx;
	struct prompts prompts;
	char **wanted; /* [prompts.n]; NULL: the line has no answer */
	size_t n_wanted, n, correct, n_tokens;
	double *times_ms;
};

/* ---- the file ---- */

static bool
take_line(void *user, const cJSON *line, const char *where)
{
	struct test *test = user;
	const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(line, "prompt");
	const cJSON *response = cJSON_GetObjectItemCaseSensitive(line, "response");
	char **wanted = realloc(test->wanted, (test->prompts.n + 1) * sizeof *wanted);

	if (wanted == NULL) {
		context_fail(test->ctx, "out of memory");
		return false;
	}
	test->wanted = wanted;
	if (!cJSON_IsString(prompt) || (response != NULL && !cJSON_IsString(response))) {
		context_fail(test->ctx, "%s: {\"prompt\":TEXT,\"response\":TEXT} is wanted", where);
		return false;
	}
	wanted[test->prompts.n] = response != NULL ? strdup(response->valuestring) : NULL;
	test->n_wanted += response != NULL;
	return prompts_add_text(test->ctx, &test->prompts, prompt->valuestring);
}

/* "accuracy,response_time" into FLAGS. */
static bool
parse_metrics(struct context *ctx, const char *text, bool flags[N_METRICS])
{
	for (const char *at = text;; at++) {
		size_t n = strcspn(at, ","), i = 0;

		while (i < N_METRICS &&
		       (strlen(metric_names[i]) != n || strncmp(at, metric_names[i], n) != 0))
			i++;
		if (i == N_METRICS) {
			context_usage(ctx, "--metrics: '%.*s' is none of: accuracy response_time",
			    (int)n, at);
			return false;
		}
		flags[i] = true;
		at += n;
		if (*at == '\0')
			return true;
	}
}

/* ---- answers ---- */

static bool
same_text(const char *a, size_t n_a, const char *b)
{
	static const char blanks[] = " \t\r\n";
	size_t n_b = strlen(b);

	while (n_a > 0 && strchr(blanks, a[n_a - 1]) != NULL)
		n_a--;
	while (n_b > 0 && strchr(blanks, b[n_b - 1]) != NULL)
		n_b--;
	while (n_a > 0 && strchr(blanks, *a) != NULL) {
		a++;
		n_a--;
	}
	while (n_b > 0 && strchr(blanks, *b) != NULL) {
		b++;
		n_b--;
	}
	return n_a == n_b && memcmp(a, b, n_a) == 0;
}

static bool
take_output(void *user, const struct lane_output *output)
{
	struct test *test = user;
	size_t at = (size_t)(output->prompt - test->prompts.items);

	test->n_tokens += output->n_ids;
	if (test->wanted[at] != NULL) {
		test->n++;
		test->correct += same_text(output->text, output->n_bytes, test->wanted[at]);
	}
	return true;
}

/* Each prompt alone, as a person who waits for it: what a shared batch takes says nothing of that.
 */
static int
ask_one_by_one(struct test *test, struct lanes_job *job)
{
	struct prompts one = { .n = 1 };
	int status = 0;

	job->prompts = &one;
	for (size_t i = 0; i < test->prompts.n && status == 0; i++) {
		double start = clock_ms();

		progress(test->ctx, "answering", (double)i, (double)test->prompts.n, NULL, -1);
		one.items = &test->prompts.items[i];
		status = lanes_run(test->ctx, job);
		test->times_ms[i] = clock_ms() - start;
	}
	progress(test->ctx, NULL, -1, 0, NULL, -1);
	return status;
}

/* ---- results ---- */

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
tell(struct test *test, const struct options *opt, const char *method, const bool metrics[])
{
	const char *file = option_text(opt, "test-data"), *path = option_text(opt, "output");
	size_t n = test->prompts.n;
	double sum = 0, share = test->n ? (double)test->correct / (double)test->n : 0;
	cJSON *object = cJSON_CreateObject();
	struct buffer line = { 0 };
	char *text;
	int status = 0;

	cJSON_AddStringToObject(object, "suite", file);
	cJSON_AddStringToObject(object, "group", "");
	cJSON_AddStringToObject(object, "method", method);
	cJSON_AddNumberToObject(object, "prompts", (double)n);
	cJSON_AddNumberToObject(object, "n", (double)test->n);
	cJSON_AddNumberToObject(object, "correct", (double)test->correct);
	if (metrics[ACCURACY]) {
		cJSON_AddNumberToObject(object, "exact_match", share);
		say(test->ctx, "accuracy        %5.1f %%  (%zu of %zu)\n", 100 * share,
		    test->correct, test->n);
	}
	if (metrics[RESPONSE_TIME]) {
		qsort(test->times_ms, n, sizeof *test->times_ms, by_size);
		for (size_t i = 0; i < n; i++)
			sum += test->times_ms[i];
		cJSON_AddNumberToObject(object, "response_ms_mean", sum / (double)n);
		cJSON_AddNumberToObject(object, "response_ms_median", test->times_ms[n / 2]);
		cJSON_AddNumberToObject(
		    object, "response_ms_p95", test->times_ms[(size_t)(0.95 * (double)(n - 1))]);
		cJSON_AddNumberToObject(
		    object, "tokens_per_second", sum > 0 ? 1e3 * (double)test->n_tokens / sum : 0);
		say(test->ctx,
		    "response time   %.1f ms mean, %.1f median, %.1f for the slowest of 20; "
		    "%.0f tokens/s\n",
		    sum / (double)n, test->times_ms[n / 2],
		    test->times_ms[(size_t)(0.95 * (double)(n - 1))],
		    sum > 0 ? 1e3 * (double)test->n_tokens / sum : 0);
	}
	text = cJSON_PrintUnformatted(object);
	buffer_printf(&line, "%s\n", text != NULL ? text : "");
	if (path != NULL && (text == NULL || atomic_write(path, buffer_string(&line), line.n) != 0))
		status = context_fail(test->ctx, "cannot write '%s': %s", path, strerror(errno));
	buffer_free(&line);
	cJSON_free(text);
	say_json(test->ctx, object);
	return status;
}

static int
run(struct test *test, const struct options *opt, struct t2l_model *model)
{
	const char *adapter = option_text(opt, "adapter");
	bool metrics[N_METRICS] = { false };
	struct lane_settings settings = { .sampling = t2l_sampling_default(),
		.max_tokens = MAX_ANSWER_TOKENS };
	struct mix mix;
	struct lanes_job job = { .model = model,
		.prompts = &test->prompts,
		.mixes = &mix,
		.n_mixes = 1,
		.settings = &settings,
		.on_output = take_output,
		.user = test };
	int status;

	settings.sampling.greedy = true;
	if (!parse_metrics(test->ctx, option_text(opt, "metrics"), metrics))
		return 2;
	if (!json_lines(test->ctx, option_text(opt, "test-data"), take_line, test))
		return 1;
	if (test->prompts.n == 0 || (metrics[ACCURACY] && test->n_wanted == 0))
		return context_fail(test->ctx, "'%s' holds no %s", option_text(opt, "test-data"),
		    test->prompts.n == 0 ? "prompt" : "\"response\" to compare answers with");
	test->times_ms = calloc(test->prompts.n, sizeof *test->times_ms);
	if (test->times_ms == NULL)
		return context_fail(test->ctx, "out of memory");
	if (!mix_parse(test->ctx, adapter != NULL ? adapter : "base", &mix))
		return 1;
	status = metrics[RESPONSE_TIME] ? ask_one_by_one(test, &job) : lanes_run(test->ctx, &job);
	mix_release(&mix);
	return status != 0 ? status
			   : tell(test, opt, adapter != NULL ? "adapter" : "base", metrics);
}

int
evaluate_file(struct context *ctx, const struct options *opt, struct t2l_model *model)
{
	struct test test = { .ctx = ctx };
	int status = run(&test, opt, model);

	for (size_t i = 0; i < test.prompts.n; i++)
		free(test.wanted[i]);
	free(test.wanted);
	free(test.times_ms);
	prompts_free(&test.prompts);
	return status;
}
