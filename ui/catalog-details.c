/* catalog-details.c - task, origin, lineage, results and neighbours of one adapter. */

#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "ui/catalog-columns.h"
#include "ui/catalog-details.h"

enum {
	LABEL_COLUMNS = 10,
	MAX_RELATIVES = 50,
	MAX_EVALUATIONS = 20,
	MAX_ROWS = 400 /* of one line, wrapped; a task may be 64 KiB long */
};

/* ---- making lines ---- */

static void
add_line(struct catalog_details *details, const char *label, enum role role, struct buffer *text)
{
	struct detail_line *lines = realloc(details->lines, (details->n_lines + 1) * sizeof *lines);
	char *copy = strdup(buffer_string(text));

	buffer_clear(text);
	if (lines != NULL)
		details->lines = lines;
	if (lines == NULL || copy == NULL)
		free(copy);
	else
		lines[details->n_lines++] = (struct detail_line){ label, copy, role };
}

static void
add_text(struct catalog_details *details, const char *label, enum role role, const char *text)
{
	struct buffer buffer = { 0 };

	if (text[0] == '\0')
		return;
	buffer_text(&buffer, text);
	add_line(details, label, role, &buffer);
	buffer_free(&buffer);
}

static void
forget_lines(struct catalog_details *details)
{
	for (size_t i = 0; i < details->n_lines; i++)
		free(details->lines[i].text);
	free(details->lines);
	details->lines = NULL;
	details->n_lines = 0;
}

static void
add_what_it_is(struct catalog_details *details, const struct store_adapter *adapter)
{
	struct buffer text = { 0 };

	if (adapter->favourite)
		buffer_printf(&text, "%s ", draw_symbol(SYMBOL_STAR));
	buffer_text(&text, adapter->name);
	add_line(details, NULL, ROLE_STRONG, &text);
	add_text(details, "task", ROLE_TEXT, adapter->task);
	add_text(details, "note", ROLE_TEXT, adapter->note);
	for (size_t i = 0; i < adapter->n_tags; i++)
		buffer_printf(&text, "%s%s", i > 0 ? " " : "", adapter->tags[i]);
	if (text.n > 0)
		add_line(details, "tags", ROLE_MARKED, &text);
	buffer_free(&text);
}

static void
add_origin(
    struct catalog_details *details, const struct store_adapter *adapter, double generation_ms)
{
	const char *dot = draw_symbol(SYMBOL_SEPARATOR);
	int64_t now = (int64_t)time(NULL) * 1000;
	struct buffer text = { 0 };

	buffer_text(&text, store_source_name(adapter->source));
	if (adapter->hypernet_name[0] != '\0')
		buffer_printf(&text, " by %s", adapter->hypernet_name);
	if (adapter->generation_ms > 0)
		buffer_printf(&text, " in %.0f ms", generation_ms);
	buffer_printf(&text, " %s ", dot);
	catalog_age(&text, adapter->created_ms, now);
	add_line(details, "made", ROLE_TEXT, &text);
	buffer_text(&text, adapter->base_name);
	if (adapter->base_fingerprint[0] != '\0')
		buffer_printf(&text, " %s %.12s", dot, adapter->base_fingerprint);
	if (text.n > 0)
		add_line(details, "base", ROLE_TEXT, &text);
	add_text(details, "encoder", ROLE_TEXT, adapter->encoder_name);
	buffer_printf(&text, "rank %" PRIu32 " %s alpha %g %s scale %g%s", adapter->rank, dot,
	    adapter->alpha, dot, adapter->scale, adapter->rslora ? " (rsLoRA)" : "");
	add_line(details, "LoRA", ROLE_TEXT, &text);
	add_text(details, "modules", ROLE_TEXT, adapter->modules);
	catalog_size(&text, adapter->size_bytes);
	add_line(details, "size", ROLE_TEXT, &text);
	add_text(details, "file", ROLE_DIM, adapter->path);
	add_text(details, "sha256", ROLE_DIM, adapter->hash);
	if (adapter->uses > 0) {
		buffer_printf(&text, "%" PRIu32 " time%s, last ", adapter->uses,
		    adapter->uses > 1 ? "s" : "");
		catalog_age(&text, adapter->used_ms, now);
		add_line(details, "used", ROLE_TEXT, &text);
	}
	buffer_free(&text);
}

/* Row I's branches, as a tree is drawn: a line goes on where another relative of that depth
 * follows. */
static void
branches(const struct store_relatives *tree, size_t i, struct buffer *out)
{
	static const char *const pieces[][2] = { { "\u2514 ", "`-" }, { "\u251c ", "|-" },
		{ "  ", "  " }, { "\u2502 ", "| " } };

	for (uint32_t depth = 1; depth <= tree->rows[i].depth; depth++) {
		bool last = depth == tree->rows[i].depth, more = false;

		for (size_t j = i + 1; j < tree->n_rows && tree->rows[j].depth >= depth; j++)
			if (tree->rows[j].depth == depth) {
				more = true;
				break;
			}
		buffer_text(out, pieces[more + (last ? 0 : 2)][draw_ascii()]);
	}
}

static void
add_tree(struct catalog_details *details, struct store *store, int64_t id, const char *label,
    enum store_direction direction)
{
	struct store_relatives *tree;
	struct buffer text = { 0 };

	if (store_lineage(store, id, direction, MAX_RELATIVES, &tree) != STORE_OK) {
		add_text(details, label, ROLE_BAD, store_error(store));
		return;
	}
	for (size_t i = 0; i < tree->n_rows; i++) {
		const struct store_relative *row = &tree->rows[i];

		branches(tree, i, &text);
		buffer_text(&text, row->name);
		if (row->weight != 0)
			buffer_printf(&text, " x %g", row->weight);
		if (row->kind[0] != '\0')
			buffer_printf(&text, " (%s)", row->kind);
		buffer_text(&text, row->id == 0	  ? ", deleted"
				   : row->trashed ? ", in the trash"
						  : "");
		add_line(details, i == 0 ? label : NULL, ROLE_TEXT, &text);
	}
	if (tree->cut)
		add_text(details, NULL, ROLE_DIM, "and more");
	store_free(tree);
	buffer_free(&text);
}

static void
add_results(
    struct catalog_details *details, struct store *store, const struct store_adapter *adapter)
{
	struct store_evaluations *evaluations;
	struct buffer text = { 0 };

	if (adapter->wins + adapter->losses + adapter->ties > 0) {
		buffer_printf(&text, "%" PRIu32 " won, %" PRIu32 " lost, %" PRIu32 " tied",
		    adapter->wins, adapter->losses, adapter->ties);
		add_line(details, "votes", ROLE_TEXT, &text);
	}
	if (isfinite(adapter->score)) {
		buffer_printf(&text, "%.3f", adapter->score);
		add_line(details, "score", ROLE_TEXT, &text);
	}
	if (store_evaluations(store, adapter->id, NULL, MAX_EVALUATIONS, &evaluations) ==
	    STORE_OK) {
		for (size_t i = 0; i < evaluations->n_rows; i++) {
			const struct store_evaluation *row = &evaluations->rows[i];

			buffer_printf(&text, "%s%s%s %s: %" PRIu64 " of %" PRIu64, row->suite,
			    row->group[0] != '\0' ? " " : "", row->group, row->method,
			    row->n_correct, row->n);
			if (row->n > 0)
				buffer_printf(&text, ", %.1f %%",
				    100 * (double)row->n_correct / (double)row->n);
			add_line(details, i == 0 ? "evaluated" : NULL, ROLE_TEXT, &text);
		}
		store_free(evaluations);
	}
	buffer_free(&text);
}

static void
add_nearest(struct catalog_details *details)
{
	struct buffer text = { 0 };

	for (size_t i = 0; i < details->nearest->n_rows; i++) {
		const struct store_adapter *row = &details->nearest->rows[i];

		buffer_printf(&text, "%.2f %s", row->nearness, row->name);
		add_line(details, i == 0 ? "nearest" : NULL, ROLE_TEXT, &text);
	}
	buffer_free(&text);
}

void
catalog_details_read(struct catalog_details *details, struct store *store,
    const struct store_adapter *adapter, uint64_t generation, double generation_ms)
{
	if (details->id == adapter->id && details->generation == generation && details->n_lines > 0)
		return;
	if (details->id != adapter->id)
		details->scroll = 0;
	forget_lines(details);
	details->id = adapter->id;
	details->generation = generation;
	add_what_it_is(details, adapter);
	add_origin(details, adapter, generation_ms);
	add_results(details, store, adapter);
	add_tree(details, store, adapter->id, "from", STORE_ANCESTORS);
	add_tree(details, store, adapter->id, "led to", STORE_DESCENDANTS);
	if (details->nearest != NULL && details->nearest_of == adapter->id)
		add_nearest(details);
}

void
catalog_details_nearest(struct catalog_details *details, int64_t id, struct store_adapters *nearest)
{
	store_free(details->nearest);
	details->nearest = nearest;
	details->nearest_of = id;
	if (nearest != NULL && id == details->id) {
		/* Read anew at the next drawing: nearest may have been there already. */
		forget_lines(details);
	}
}

void
catalog_details_free(struct catalog_details *details)
{
	forget_lines(details);
	store_free(details->nearest);
	*details = (struct catalog_details){ 0 };
}

/* ---- drawing ---- */

/* Draws LINE at ROW (which may be above or below the area) and returns its rows. */
static int
draw_line(const struct detail_line *line, struct area area, int row)
{
	struct line_span spans[MAX_ROWS];
	int indent = line->role == ROLE_STRONG ? 0 : LABEL_COLUMNS;
	size_t n =
	    draw_wrap(line->text, strlen(line->text), area.columns - indent, spans, MAX_ROWS);

	if (line->label != NULL)
		draw_string(area, row, 0, ROLE_DIM, line->label);
	for (size_t i = 0; i < n && i < MAX_ROWS; i++)
		draw_text(area, row + (int)i, indent, line->role, line->text + spans[i].start,
		    spans[i].n_bytes);
	return n < MAX_ROWS ? (int)n : MAX_ROWS;
}

static int
draw_from(struct catalog_details *details, struct area area, int row)
{
	for (size_t i = 0; i < details->n_lines; i++)
		row += draw_line(&details->lines[i], area, row);
	return row;
}

void
catalog_details_draw(struct catalog_details *details, struct area area)
{
	/* An area without rows draws nothing: this only counts. */
	struct area none = { area.row, area.column, 0, area.columns };
	int n_rows = draw_from(details, none, 0);
	size_t most = n_rows > area.rows ? (size_t)(n_rows - area.rows) : 0;

	if (details->scroll > most)
		details->scroll = most;
	draw_from(details, area, -(int)details->scroll);
}
