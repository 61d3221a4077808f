/* output.c - what a command says: results, notes, errors, tables and progress bars. */

#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/visible.h"
#include "base/width.h"
#include "engine/t2l.h"
#include "src/context.h"

static void
write_buffer(const struct output *output, struct buffer *buffer)
{
	if (!buffer_failed(buffer))
		output->write(output->user, buffer_string(buffer), buffer->n);
	buffer_free(buffer);
}

void
say(struct context *ctx, const char *format, ...)
{
	struct buffer text = { 0 };
	va_list args;

	if (ctx->json)
		return;
	va_start(args, format);
	buffer_vprintf(&text, format, args);
	va_end(args);
	write_buffer(&ctx->out, &text);
}

void
say_text(struct context *ctx, const char *text, size_t n)
{
	struct buffer shown = { 0 };

	if (ctx->json)
		return;
	if (ctx->out.terminal)
		visible_append(&shown, text, n, VISIBLE_KEEP_LF | VISIBLE_KEEP_TAB);
	else
		buffer_append(&shown, text, n);
	write_buffer(&ctx->out, &shown);
}

void
say_json(struct context *ctx, cJSON *object)
{
	char *text;

	if (ctx->json && object != NULL) {
		text = cJSON_PrintUnformatted(object);
		if (text != NULL) {
			ctx->out.write(ctx->out.user, text, strlen(text));
			ctx->out.write(ctx->out.user, "\n", 1);
			cJSON_free(text);
		}
	}
	cJSON_Delete(object);
}

/* Ends a bar that stands on the line, then writes. */
static void
log_line(struct context *ctx, const char *prefix, const char *format, va_list args)
{
	struct buffer text = { 0 }, shown = { 0 };

	buffer_text(&text, prefix);
	buffer_vprintf(&text, format, args);
	progress(ctx, NULL, -1, 0, NULL, -1);
	visible_append(&shown, buffer_string(&text), text.n, VISIBLE_KEEP_LF | VISIBLE_KEEP_TAB);
	buffer_char(&shown, '\n');
	write_buffer(&ctx->log, &shown);
	buffer_free(&text);
}

void
note(struct context *ctx, const char *format, ...)
{
	va_list args;

	if (ctx->quiet)
		return;
	va_start(args, format);
	log_line(ctx, "", format, args);
	va_end(args);
}

static void
error_prefix(struct context *ctx, char *prefix, size_t size)
{
	snprintf(
	    prefix, size, "t2l%s%s: ", ctx->command ? " " : "", ctx->command ? ctx->command : "");
}

int
context_fail(struct context *ctx, const char *format, ...)
{
	char prefix[64];
	va_list args;

	error_prefix(ctx, prefix, sizeof prefix);
	va_start(args, format);
	log_line(ctx, prefix, format, args);
	va_end(args);
	return 1;
}

int
context_fail_error(struct context *ctx, const struct t2l_error *err)
{
	const char *message = err->message;
	size_t n = ctx->command ? strlen(ctx->command) : 0;

	/* "merge: ..." of the engine's is the command's own name once more. */
	if (n > 0 && strncmp(message, ctx->command, n) == 0 && strncmp(message + n, ": ", 2) == 0)
		message += n + 2;
	context_fail(ctx, "%s", message);
	return err->status == T2L_ECANCELLED ? 130 : 1;
}

int
context_usage(struct context *ctx, const char *format, ...)
{
	char prefix[64];
	va_list args;

	error_prefix(ctx, prefix, sizeof prefix);
	va_start(args, format);
	log_line(ctx, prefix, format, args);
	va_end(args);
	note(ctx, "Try 't2l %s%s--help'.", ctx->command ? ctx->command : "",
	    ctx->command ? " " : "");
	return 2;
}

/* ---- progress ---- */

#define BAR_CELLS 24
#define REDRAW_S 0.1

void
progress(
    struct context *ctx, const char *what, double done, double all, const char *unit, double eta_s)
{
	struct buffer line = { 0 };
	double share = all > 0 ? fmin(1, done / all) : 0, now;

	if (!ctx->log.terminal || ctx->quiet)
		return;
	if (done < 0) {
		if (ctx->bar_shown)
			ctx->log.write(ctx->log.user, "\r\033[K", 4);
		ctx->bar_shown = false;
		return;
	}
	now = clock_seconds();
	if (ctx->bar_shown && now - ctx->bar_drawn_s < REDRAW_S && done < all)
		return;
	ctx->bar_drawn_s = now;
	ctx->bar_shown = true;
	buffer_printf(&line, "\r\033[K%s [", what);
	for (int i = 0; i < BAR_CELLS; i++)
		buffer_char(&line, i < (int)(share * BAR_CELLS + 0.5) ? '#' : '.');
	buffer_printf(&line, "] %3.0f %%", 100 * share);
	if (unit != NULL && unit[0] != '\0')
		buffer_printf(&line, "  %s", unit);
	if (eta_s >= 0)
		buffer_printf(&line, "  %d:%02d left", (int)eta_s / 60, (int)eta_s % 60);
	write_buffer(&ctx->log, &line);
}

/* ---- tables ---- */

#define MAX_COLUMNS 16

struct table {
	int n_columns;
	struct table_cells {
		char *cell[MAX_COLUMNS];
	} * rows; /* the first is the heading */
	size_t n, n_allocated;
	bool failed;
};

struct table *
table_new(const char *const *headings)
{
	struct table *table = calloc(1, sizeof *table);

	if (table == NULL)
		return NULL;
	while (headings[table->n_columns] != NULL && table->n_columns < MAX_COLUMNS)
		table->n_columns++;
	table_row(table, headings);
	return table;
}

void
table_row(struct table *table, const char *const *cells)
{
	if (table == NULL || table->failed)
		return;
	if (table->n == table->n_allocated) {
		size_t n = table->n_allocated ? 2 * table->n_allocated : 16;
		struct table_cells *rows = realloc(table->rows, n * sizeof *rows);

		if (rows == NULL) {
			table->failed = true;
			return;
		}
		table->rows = rows;
		table->n_allocated = n;
	}
	struct table_cells *row = &table->rows[table->n++];

	for (int i = 0; i < table->n_columns; i++) {
		struct buffer cell = { 0 };

		visible_append(&cell, cells[i] ? cells[i] : "", cells[i] ? strlen(cells[i]) : 0, 0);
		row->cell[i] = buffer_take(&cell);
		table->failed |= row->cell[i] == NULL;
	}
}

/* Narrows the widest column until the row fits. */
static void
fit(int *widths, int n_columns, int total)
{
	for (;;) {
		int sum = 2 * (n_columns - 1), widest = 0;

		for (int i = 0; i < n_columns; i++) {
			sum += widths[i];
			if (widths[i] > widths[widest])
				widest = i;
		}
		if (sum <= total || widths[widest] <= 8)
			return;
		widths[widest]--;
	}
}

static void
print_cell(struct buffer *text, const char *cell, int width, bool last)
{
	int used = text_width(cell);

	if (used > width) {
		buffer_append(text, cell, text_fit(cell, width - 1));
		buffer_text(text, "…");
		used = text_width("…") + width - 1;
	} else {
		buffer_text(text, cell);
	}
	while (!last && used++ < width + 2)
		buffer_char(text, ' ');
}

static void
print_rows(struct context *ctx, const struct table *table)
{
	int widths[MAX_COLUMNS] = { 0 };
	struct buffer text = { 0 };

	for (size_t r = 0; r < table->n; r++) {
		for (int i = 0; i < table->n_columns; i++) {
			int width = text_width(table->rows[r].cell[i]);

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	if (ctx->out.terminal && ctx->out.columns > 0)
		fit(widths, table->n_columns, ctx->out.columns);
	for (size_t r = 0; r < table->n; r++) {
		for (int i = 0; i < table->n_columns; i++)
			print_cell(
			    &text, table->rows[r].cell[i], widths[i], i + 1 == table->n_columns);
		buffer_char(&text, '\n');
	}
	write_buffer(&ctx->out, &text);
}

void
table_print(struct context *ctx, struct table *table)
{
	if (table == NULL || table->failed)
		context_fail(ctx, "out of memory");
	else if (!ctx->json)
		print_rows(ctx, table);
	for (size_t r = 0; table != NULL && r < table->n; r++)
		for (int i = 0; i < table->n_columns; i++)
			free(table->rows[r].cell[i]);
	if (table != NULL)
		free(table->rows);
	free(table);
}
