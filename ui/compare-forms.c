/* compare-forms.c - a comparison as HTML, Markdown or JSONL. */

#include "config.h"

#include <string.h>

#include "base/visible.h"
#include "ui/compare.h"

const char *
lane_finish_word(const struct lane *lane)
{
	static const char *const words[] = { "stop", "length", "cancelled" };

	return lane->state == LANE_DONE ? words[lane->result.finish] : "cancelled";
}

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
		    lane_finish_word(lane));
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
		buffer_printf(out, "\n%zu tokens, %s\n", lane->n_tokens, lane_finish_word(lane));
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
		    lane->n_tokens, lane_finish_word(lane), lane->result.prefill_ms,
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

compare_form
compare_form_of(const char *path)
{
	const char *ending = strrchr(path, '.');

	for (size_t i = 0; ending != NULL && i < sizeof forms / sizeof forms[0]; i++)
		if (strcmp(forms[i].ending, ending) == 0)
			return forms[i].write;
	return NULL;
}
