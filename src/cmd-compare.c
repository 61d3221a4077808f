/* t2l compare - the same prompts through several adapters, side by side. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "src/lanes.h"
#include "src/options.h"

static const char *const format_names[] = { "table", "json", "markdown", "html", NULL };

static const struct option_spec options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "HF directory, GGUF file or a known name",
	    .setting = "base.model" },
	{ "adapter", 'a', OPTION_ADAPTER, MANY | REQUIRED,
	    "a lane: path, catalog name, mix a:0.5+b:0.5, or base" },
	{ "prompt", 'p', OPTION_TEXT, MANY, "what to say to the model" },
	{ "input-file", 'f', OPTION_PATH, 0, "a prompt a line, or JSONL; - is stdin" },
	{ "format", 0, OPTION_CHOICE, 0, "of the result", .choices = format_names,
	    .fallback = "table" },
	{ "output", 'o', OPTION_PATH, 0, "write there" },
	{ "keep", 'k', OPTION_FLAG, 0, "keep the comparison in the catalog" },
	LANE_OPTIONS,
	{ 0 },
};

/* The outputs in the order of prompts and mixes. */
struct cell {
	char *text;
	struct t2l_lane_result result;
	size_t n_tokens;
};
struct sheet {
	struct context *ctx;
	const struct mix *mixes;
	const struct prompts *prompts;
	size_t n_mixes;
	struct cell *cells; /* [prompts, mixes] */
};

static bool
fill_cell(void *user, const struct lane_output *output)
{
	struct sheet *sheet = user;
	struct cell *cell =
	    &sheet->cells[output->prompt_index * sheet->n_mixes + output->mix_index];

	cell->text = strndup(output->text, output->n_bytes);
	cell->result = output->result;
	cell->n_tokens = output->n_ids;
	say_json(sheet->ctx, lane_output_json(output, false));
	return cell->text != NULL;
}

/* Text for Markdown cells and for HTML: what would be markup is written out. */
static void
escape(struct buffer *out, const char *text, bool html)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (html && c == '<')
			buffer_text(out, "&lt;");
		else if (html && c == '>')
			buffer_text(out, "&gt;");
		else if (html && c == '&')
			buffer_text(out, "&amp;");
		else if (html && c == '"')
			buffer_text(out, "&quot;");
		else if (!html && strchr("|\\`*_<[", c) != NULL)
			buffer_printf(out, "\\%c", c);
		else if (c == '\n')
			buffer_text(out, "<br>");
		else if (c >= 0x20 && c != 0x7f)
			buffer_char(out, (char)c);
		else
			buffer_text(out, html ? "&#xFFFD;" : "\xEF\xBF\xBD");
	}
}

static void
write_markdown(const struct sheet *sheet, struct buffer *out)
{
	buffer_text(out, "| prompt |");
	for (size_t i = 0; i < sheet->n_mixes; i++) {
		buffer_char(out, ' ');
		escape(out, sheet->mixes[i].label, false);
		buffer_text(out, " |");
	}
	buffer_text(out, "\n|---|");
	for (size_t i = 0; i < sheet->n_mixes; i++)
		buffer_text(out, "---|");
	for (size_t p = 0; p < sheet->prompts->n; p++) {
		buffer_text(out, "\n| ");
		escape(out, sheet->prompts->items[p].text, false);
		buffer_text(out, " |");
		for (size_t i = 0; i < sheet->n_mixes; i++) {
			buffer_char(out, ' ');
			escape(out, sheet->cells[p * sheet->n_mixes + i].text, false);
			buffer_text(out, " |");
		}
	}
	buffer_char(out, '\n');
}

static void
write_html(const struct sheet *sheet, struct buffer *out)
{
	buffer_text(out,
	    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>t2l "
	    "comparison</title>\n"
	    "<style>body{font:15px/1.5 "
	    "system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
	    "th,td{border:1px solid #bbb;padding:.4em .7em;text-align:left;vertical-align:top;"
	    "white-space:pre-wrap}</style>\n<table>\n<tr><th>prompt</th>");
	for (size_t i = 0; i < sheet->n_mixes; i++) {
		buffer_text(out, "<th>");
		escape(out, sheet->mixes[i].label, true);
		buffer_text(out, "</th>");
	}
	for (size_t p = 0; p < sheet->prompts->n; p++) {
		buffer_text(out, "</tr>\n<tr><td>");
		escape(out, sheet->prompts->items[p].text, true);
		for (size_t i = 0; i < sheet->n_mixes; i++) {
			buffer_text(out, "</td><td>");
			escape(out, sheet->cells[p * sheet->n_mixes + i].text, true);
		}
		buffer_text(out, "</td>");
	}
	buffer_text(out, "</tr>\n</table>\n</html>\n");
}

static void
write_json(const struct sheet *sheet, struct buffer *out)
{
	for (size_t p = 0; p < sheet->prompts->n; p++) {
		for (size_t i = 0; i < sheet->n_mixes; i++) {
			const struct cell *cell = &sheet->cells[p * sheet->n_mixes + i];
			struct lane_output output = { .prompt = &sheet->prompts->items[p],
				.mix = &sheet->mixes[i],
				.text = cell->text,
				.n_ids = cell->n_tokens,
				.result = cell->result };
			cJSON *object = lane_output_json(&output, false);
			char *text = cJSON_PrintUnformatted(object);

			buffer_printf(out, "%s\n", text ? text : "");
			cJSON_free(text);
			cJSON_Delete(object);
		}
	}
}

static void
print_table(const struct sheet *sheet)
{
	const char *headings[32] = { "PROMPT" };
	size_t columns = sheet->n_mixes < 15 ? sheet->n_mixes : 15;
	struct table *table;

	for (size_t i = 0; i < columns; i++)
		headings[1 + i] = sheet->mixes[i].label;
	table = table_new(headings);
	for (size_t p = 0; p < sheet->prompts->n; p++) {
		const char *cells[32] = { sheet->prompts->items[p].text };

		for (size_t i = 0; i < columns; i++)
			cells[1 + i] = sheet->cells[p * sheet->n_mixes + i].text;
		table_row(table, cells);
	}
	table_print(sheet->ctx, table);
}

static int
keep(const struct sheet *sheet, const struct lane_settings *settings, const char *base)
{
	struct store *store;
	char words[256];

	if (!workplace_store(sheet->ctx, &store))
		return 1;
	snprintf(words, sizeof words,
	    "{\"greedy\":%s,\"temperature\":%g,\"max_tokens\":%zu,\"seed\":%llu}",
	    settings->sampling.greedy ? "true" : "false", (double)settings->sampling.temperature,
	    settings->max_tokens, (unsigned long long)settings->sampling.seed);
	for (size_t p = 0; p < sheet->prompts->n; p++) {
		struct store_output outputs[64] = { 0 };
		size_t n = sheet->n_mixes < 64 ? sheet->n_mixes : 64;
		struct store_comparison comparison = { .prompt = sheet->prompts->items[p].text,
			.settings = words,
			.base_name = base,
			.outputs = outputs,
			.n_outputs = n };
		int64_t id;

		for (size_t i = 0; i < n; i++) {
			const struct cell *cell = &sheet->cells[p * sheet->n_mixes + i];

			outputs[i] = (struct store_output){ .label = sheet->mixes[i].label,
				.adapter = sheet->mixes[i].adapter_id,
				.mix = sheet->mixes[i].n > 1 ? sheet->mixes[i].label : "",
				.text = cell->text,
				.text_bytes = strlen(cell->text),
				.n_tokens = (uint32_t)cell->n_tokens,
				.prefill_ms = cell->result.prefill_ms,
				.decode_ms = cell->result.decode_ms,
				.finish = finish_name(cell->result.finish) };
		}
		if (store_comparison_add(store, &comparison, &id) != STORE_OK)
			return context_fail(sheet->ctx, "%s", store_error(store));
	}
	return 0;
}

static int
write_result(const struct sheet *sheet, const char *format, const char *path)
{
	struct context *ctx = sheet->ctx;
	struct buffer out = { 0 };
	int status = 0;

	if (strcmp(format, "table") == 0 && path == NULL) {
		print_table(sheet);
		return 0;
	}
	if (strcmp(format, "html") == 0)
		write_html(sheet, &out);
	else if (strcmp(format, "json") == 0)
		write_json(sheet, &out);
	else
		write_markdown(sheet, &out);
	if (buffer_failed(&out))
		status = context_fail(ctx, "out of memory");
	else if (path != NULL && atomic_write(path, buffer_string(&out), out.n) != 0)
		status = context_fail(ctx, "cannot write '%s': %s", path, strerror(errno));
	else if (path == NULL && !ctx->json)
		say_text(ctx, buffer_string(&out), out.n);
	buffer_free(&out);
	return status;
}

static int
compare_prompts(struct context *ctx, const struct options *opt, struct lanes_job *job)
{
	struct sheet sheet = { ctx, job->mixes, job->prompts, job->n_mixes, NULL };
	size_t n = job->n_mixes * job->prompts->n;
	int status;

	sheet.cells = calloc(n, sizeof *sheet.cells);
	if (sheet.cells == NULL)
		return context_fail(ctx, "out of memory");
	job->on_output = fill_cell;
	job->user = &sheet;
	status = lanes_run(ctx, job);
	if (status == 0)
		status =
		    write_result(&sheet, option_text(opt, "format"), option_text(opt, "output"));
	if (status == 0 && option_flag(opt, "keep"))
		status = keep(&sheet, job->settings, t2l_model_facts(job->model)->name);
	for (size_t i = 0; i < n; i++)
		free(sheet.cells[i].text);
	free(sheet.cells);
	return status;
}

static int
compare_run(struct context *ctx, const struct options *opt)
{
	size_t n = option_count(opt, "adapter");
	struct mix *mixes = calloc(n, sizeof *mixes);
	struct lane_settings settings = { 0 };
	struct prompts prompts = { 0 };
	struct lanes_job job = { .mixes = mixes, .settings = &settings, .prompts = &prompts };
	const char *file = option_text(opt, "input-file");
	bool fine = mixes != NULL;
	int status = 1;

	for (size_t i = 0; fine && i < option_count(opt, "prompt"); i++)
		fine = prompts_add_text(ctx, &prompts, option_nth(opt, "prompt", i));
	fine = fine && (file == NULL || prompts_read(ctx, &prompts, file));
	if (fine && prompts.n == 0) {
		status = context_usage(ctx, "--prompt or --input-file is wanted");
		fine = false;
	}
	fine = fine && lane_settings_make(ctx, opt, &settings) &&
	       workplace_model(ctx, option_text(opt, "base-model"), &job.model);
	for (; fine && job.n_mixes < n; job.n_mixes++)
		fine = mix_parse(ctx, option_nth(opt, "adapter", job.n_mixes), &mixes[job.n_mixes]);
	if (fine)
		status = compare_prompts(ctx, opt, &job);
	for (size_t i = 0; i < job.n_mixes; i++)
		mix_release(&mixes[i]);
	free(mixes);
	prompts_free(&prompts);
	lane_settings_free(&settings);
	return status;
}

const struct command command_compare = {
	.name = "compare",
	.summary = "the same prompts through several adapters, side by side",
	.example =
	    "t2l compare --adapter translate-es --adapter es-upper --adapter base --prompt house",
	.options = options,
	.run = compare_run,
};
