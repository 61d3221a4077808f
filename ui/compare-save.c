/* compare-save.c - a comparison written down: a row of the catalog, HTML, Markdown or JSONL. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/visible.h"
#include "ui/compare.h"

static const char *
finish_word(const struct lane *lane)
{
	static const char *const words[] = { "stop", "length", "cancelled" };

	return lane->state == LANE_DONE ? words[lane->result.finish] : "cancelled";
}

static void
settings_json(const struct run_settings *settings, struct buffer *out)
{
	const struct t2l_sampling *s = &settings->sampling;

	buffer_printf(out,
	    "{\"max_tokens\":%zu,\"temperature\":%.6g,\"top_k\":%d,\"top_p\":%.6g,\"min_p\":%.6g,"
	    "\"repetition_penalty\":%.6g,\"frequency_penalty\":%.6g,\"presence_penalty\":%.6g,"
	    "\"seed\":%llu,\"raw\":%s,\"system\":",
	    settings->max_tokens, (double)s->temperature, s->top_k, (double)s->top_p,
	    (double)s->min_p, (double)s->repetition_penalty, (double)s->frequency_penalty,
	    (double)s->presence_penalty, (unsigned long long)s->seed,
	    settings->raw ? "true" : "false");
	if (settings->system != NULL)
		buffer_json_string(out, settings->system, strlen(settings->system));
	else
		buffer_text(out, "null");
	buffer_char(out, '}');
}

/* The prompt that the lanes answered, which the line may have left behind. */
static const char *
answered_prompt(const struct compare *compare)
{
	for (size_t i = 0; i < compare->n_lanes; i++)
		if (compare->lanes[i]->state == LANE_DONE && compare->lanes[i]->prompt != NULL)
			return compare->lanes[i]->prompt;
	return NULL;
}

int64_t
compare_remember(struct compare *compare)
{
	const struct workbench_host *host = compare->view->host;
	struct workbench *workbench = compare->view->workbench;
	struct store_output outputs[MAX_LANES] = { 0 };
	char labels[MAX_LANES][8], mixes[MAX_LANES][1300];
	struct buffer settings = { 0 };
	const char *prompt = answered_prompt(compare);
	struct store_comparison row = { .base_name = t2l_model_facts(host->model)->name,
		.prompt = prompt,
		.outputs = outputs,
		.n_outputs = compare->n_lanes,
		.vote = STORE_NO_VOTE };

	if (compare->comparison != 0)
		return compare->comparison;
	if (prompt == NULL || job_busy(workbench, TOPIC_RUN)) {
		workbench_status(
		    workbench, ROLE_WARN, "there is nothing to save yet: run a prompt first");
		return 0;
	}
	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];

		snprintf(labels[i], sizeof labels[i], "%c", 'A' + (char)i);
		lane_label(lane, mixes[i], sizeof mixes[i]);
		outputs[i] = (struct store_output){ .label = labels[i],
			.adapter = lane->n_parts == 1 ? lane->parts[0].id : 0,
			.mix = lane->n_parts != 1 || lane->parts[0].id == 0 ? mixes[i] : "",
			.text = buffer_string(&lane->text),
			.text_bytes = lane->text.n,
			.n_tokens = (uint32_t)lane->n_tokens,
			.prefill_ms = lane->result.prefill_ms,
			.decode_ms = lane->result.decode_ms,
			.finish = finish_word(lane) };
	}
	settings_json(&compare->settings, &settings);
	row.settings = buffer_string(&settings);
	if (store_comparison_add(host->store, &row, &compare->comparison) != STORE_OK) {
		compare->comparison = 0;
		workbench_status(workbench, ROLE_BAD, "%s", store_error(host->store));
	}
	buffer_free(&settings);
	return compare->comparison;
}

/* ---- files ---- */

static void
html_text(struct buffer *out, const char *text, size_t n)
{
	struct buffer visible = { 0 };

	visible_append(&visible, text, n, VISIBLE_KEEP_LF | VISIBLE_KEEP_TAB);
	for (size_t i = 0; i < visible.n; i++) {
		char c = visible.bytes[i];

		if (c == '<')
			buffer_text(out, "&lt;");
		else if (c == '>')
			buffer_text(out, "&gt;");
		else if (c == '&')
			buffer_text(out, "&amp;");
		else if (c == '"')
			buffer_text(out, "&quot;");
		else
			buffer_char(out, c);
	}
	buffer_free(&visible);
}

static void
write_html(const struct compare *compare, const char *prompt, struct buffer *out)
{
	char label[1300];

	buffer_text(out,
	    "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>t2l comparison"
	    "</title>\n<style>body{font-family:sans-serif;margin:2em}table{border-collapse:"
	    "collapse}td,th{border:1px solid #999;padding:.5em;vertical-align:top;text-align:left}"
	    "pre{white-space:pre-wrap;margin:0}small{color:#666}</style>\n<h1>");
	html_text(out, prompt, strlen(prompt));
	buffer_text(out, "</h1>\n<table><tr>");
	for (size_t i = 0; i < compare->n_lanes; i++) {
		lane_label(compare->lanes[i], label, sizeof label);
		buffer_printf(out, "<th>%c ", 'A' + (char)i);
		html_text(out, label, strlen(label));
		buffer_text(out, "</th>");
	}
	buffer_text(out, "</tr>\n<tr>");
	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];

		buffer_text(out, "<td><pre>");
		html_text(out, buffer_string(&lane->text), lane->text.n);
		buffer_printf(out, "</pre><small>%zu tokens, %s</small></td>", lane->n_tokens,
		    finish_word(lane));
	}
	buffer_text(out, "</tr></table></html>\n");
}

/* A fence longer than any run of backquotes in the text cannot be closed by it. */
static void
markdown_block(struct buffer *out, const char *text, size_t n)
{
	size_t longest = 2, run = 0;

	for (size_t i = 0; i < n; i++) {
		run = text[i] == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i <= longest; i++)
			buffer_char(out, '`');
		buffer_char(out, '\n');
		if (side == 0) {
			visible_append(out, text, n, VISIBLE_KEEP_LF | VISIBLE_KEEP_TAB);
			buffer_char(out, '\n');
		}
	}
}

static void
write_markdown(const struct compare *compare, const char *prompt, struct buffer *out)
{
	char label[1300];

	buffer_text(out, "# Comparison\n\nPrompt\n\n");
	markdown_block(out, prompt, strlen(prompt));
	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];

		lane_label(lane, label, sizeof label);
		buffer_printf(out, "\n## %c %s\n\n", 'A' + (char)i, label);
		markdown_block(out, buffer_string(&lane->text), lane->text.n);
		buffer_printf(out, "\n%zu tokens, %s\n", lane->n_tokens, finish_word(lane));
	}
}

static void
write_jsonl(const struct compare *compare, const char *prompt, struct buffer *out)
{
	char spec[1300];

	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];

		lane_spec(lane, spec, sizeof spec);
		buffer_text(out, "{\"prompt\":");
		buffer_json_string(out, prompt, strlen(prompt));
		buffer_text(out, ",\"adapter\":");
		buffer_json_string(out, spec, strlen(spec));
		buffer_text(out, ",\"text\":");
		buffer_json_string(out, buffer_string(&lane->text), lane->text.n);
		buffer_printf(out,
		    ",\"tokens\":%zu,\"finish\":\"%s\",\"prefill_ms\":%.3f,\"decode_ms\":%.3f}\n",
		    lane->n_tokens, finish_word(lane), lane->result.prefill_ms,
		    lane->result.decode_ms);
	}
}

static const struct {
	const char *ending;
	void (*write)(const struct compare *compare, const char *prompt, struct buffer *out);
} forms[] = {
	{ ".html", write_html },
	{ ".htm", write_html },
	{ ".md", write_markdown },
	{ ".jsonl", write_jsonl },
};

static bool
write_file(const char *path, const struct buffer *text)
{
	struct atomic_file *file = atomic_file_open(path);

	if (file == NULL)
		return false;
	if (buffer_failed(text) || atomic_file_write(file, text->bytes, text->n) != 0) {
		atomic_file_abort(file);
		return false;
	}
	return atomic_file_commit(file) == 0;
}

void
compare_save(struct compare *compare, const char *path)
{
	struct workbench *workbench = compare->view->workbench;
	const char *ending = strrchr(path, '.');
	struct buffer text = { 0 };
	int64_t id = compare_remember(compare);

	if (id == 0)
		return;
	if (path[0] == '\0') {
		workbench_status(
		    workbench, ROLE_GOOD, "comparison %lld is in the catalog", (long long)id);
		return;
	}
	for (size_t i = 0; ending != NULL && i < sizeof forms / sizeof forms[0]; i++)
		if (strcmp(forms[i].ending, ending) == 0) {
			forms[i].write(compare, answered_prompt(compare), &text);
			if (write_file(path, &text))
				workbench_status(workbench, ROLE_GOOD,
				    "saved: %s, and comparison %lld in the catalog", path,
				    (long long)id);
			else
				workbench_status(workbench, ROLE_BAD, "cannot write '%s': %s", path,
				    strerror(errno));
			buffer_free(&text);
			return;
		}
	workbench_status(workbench, ROLE_BAD, "'%s' must end in .html, .md or .jsonl", path);
}
