/* catalog-draw.c - draws the Catalog screen: the search, the list, the details of a row. */

#include "config.h"

#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "ui/catalog-columns.h"
#include "ui/catalog.h"
#include "ui/field.h"

enum {
	LEAD_COLUMNS = 5,     /* cursor, mark, star and their blanks */
	WIDE_COLUMNS = 150,   /* from here on the details are always in sight */
	MIDDLE_COLUMNS = 100, /* from here on they have room beside the list */
	SEARCH_COLUMNS = 24,  /* of the field, at least */
	MESSAGE_ROWS = 3,
	MAX_PARENTS = 8,
	NEAREST_MS =
	    150 /* the cursor rests on a row for so long before its neighbours are sought */
};

/* "14 of 103 212 · 2 ms   sort: newest ▾  filter: base=demo" */
static void
describe_search(struct catalog *catalog, struct buffer *out)
{
	const struct catalog_list *list = &catalog->list;

	catalog_count(out, list->n_rows);
	if (!list->shown.trashed) {
		buffer_text(out, " of ");
		catalog_count(out, list->n_living);
	}
	buffer_printf(out, " %s %.0f ms  ", draw_symbol(SYMBOL_SEPARATOR),
	    workbench_measured(catalog->view->workbench, list->elapsed_ms));
	if (list->n_marks > 0)
		buffer_printf(out, " %zu marked  ", list->n_marks);
	if (list->shown.trashed)
		buffer_text(out, " in the trash  ");
	if (list->shown.near_label != NULL)
		buffer_printf(out, " near: %.40s", list->shown.near_label);
	else
		buffer_printf(out, " sort: %s %s", store_sort_name(list->shown.sort),
		    draw_symbol(SYMBOL_DOWN));
	if (list->shown.base != NULL)
		buffer_printf(out, "  base: %.40s", list->shown.base);
}

static void
draw_search(struct catalog *catalog, struct area area)
{
	struct buffer right = { 0 };
	struct area field;
	int width, room = area.columns - SEARCH_COLUMNS - 4;

	describe_search(catalog, &right);
	width = draw_width(buffer_string(&right));
	width = width < room ? width : room;
	draw_string(area, 0, 1, catalog->typing ? ROLE_FOCUS : ROLE_DIM, "/");
	field = (struct area){ area.row, area.column + 2, 1, area.columns - width - 4 };
	field_draw(
	    &catalog->search, field, catalog->typing ? "words and filters" : NULL, catalog->typing);
	draw_short(area, 0, area.columns - width - 1, width, ROLE_DIM, buffer_string(&right));
	buffer_free(&right);
}

static void
draw_titles(struct area area, const int widths[N_COLUMNS])
{
	int column = LEAD_COLUMNS;

	for (int c = 0; c < N_COLUMNS; c++)
		if (widths[c] > 0) {
			draw_short(area, 0, column, widths[c], ROLE_STRONG,
			    catalog_column_title((enum catalog_column)c));
			column += widths[c] + COLUMN_GAP;
		}
}

/* What a merge without a task of its own was made from: "translate-es, translate-fr". */
static void
add_parents(struct catalog *catalog, const struct store_adapter *adapter, struct buffer *out)
{
	struct store_relatives *tree;
	const char *comma = "";

	if (adapter->source != STORE_MERGED || adapter->task[0] != '\0' ||
	    adapter->note[0] != '\0' ||
	    store_lineage(catalog->list.store, adapter->id, STORE_ANCESTORS, MAX_PARENTS, &tree) !=
		STORE_OK)
		return;
	for (size_t i = 0; i < tree->n_rows; i++)
		if (tree->rows[i].depth == 1) {
			if (i == 0) {
				buffer_clear(out);
				buffer_printf(out, "%s: ", tree->rows[i].kind);
			}
			buffer_printf(out, "%s%s", comma, tree->rows[i].name);
			comma = ", ";
		}
	store_free(tree);
}

static void
cut_name(struct buffer *name, int columns)
{
	struct buffer cut = { 0 };

	draw_cut_name(buffer_string(name), columns, &cut);
	buffer_free(name);
	*name = cut;
}

static void
draw_row(struct catalog *catalog, struct area area, int row, const struct store_adapter *adapter,
    const int widths[N_COLUMNS], bool selected)
{
	bool marked = catalog_list_marked(&catalog->list, adapter->id);
	enum role role = selected ? ROLE_SELECTED : marked ? ROLE_MARKED : ROLE_TEXT;
	int64_t now = (int64_t)time(NULL) * 1000;
	struct buffer text = { 0 };
	int column = LEAD_COLUMNS;

	if (selected)
		draw_fill(area, row, ROLE_SELECTED);
	draw_string(area, row, 0, role, selected ? draw_symbol(SYMBOL_ARROW) : " ");
	draw_string(area, row, 1, role, marked ? draw_symbol(SYMBOL_CHECK) : " ");
	draw_string(area, row, 3, role, adapter->favourite ? draw_symbol(SYMBOL_STAR) : " ");
	for (int c = 0; c < N_COLUMNS; c++) {
		if (widths[c] == 0)
			continue;
		buffer_clear(&text);
		catalog_cell(adapter, (enum catalog_column)c, now, draw_symbol(SYMBOL_DASH), &text);
		if (c == COLUMN_TASK)
			add_parents(catalog, adapter, &text);
		if (c == COLUMN_NAME)
			cut_name(&text, widths[c]);
		draw_short(area, row, column, widths[c], role, buffer_string(&text));
		column += widths[c] + COLUMN_GAP;
	}
	buffer_free(&text);
}

static void
draw_nothing(struct catalog *catalog, struct area area)
{
	const struct catalog_list *list = &catalog->list;

	if (list->page == NULL)
		return; /* it is not known yet */
	if (list->shown.trashed)
		draw_string(area, 1, LEAD_COLUMNS, ROLE_DIM, "Nothing in the trash. T goes back.");
	else if (list->n_living > 0)
		draw_string(
		    area, 1, LEAD_COLUMNS, ROLE_DIM, "No adapter matches. Esc clears the search.");
	else {
		draw_string(area, 1, LEAD_COLUMNS, ROLE_TEXT, "No adapters are kept yet.");
		draw_string(area, 2, LEAD_COLUMNS, ROLE_DIM,
		    "Describe a task in Compare (1) and press Enter, or import one with i.");
	}
}

static void
draw_list(struct catalog *catalog, struct area area)
{
	struct catalog_list *list = &catalog->list;
	struct area titles = area_top(&area, 1);
	int widths[N_COLUMNS];

	catalog_list_set_height(list, area.rows > 0 ? (size_t)area.rows : 1);
	if (list->n_rows == 0) {
		draw_nothing(catalog, area);
		return;
	}
	catalog_columns_fit(
	    area.columns - LEAD_COLUMNS - 1, list->shown.near_label != NULL, widths);
	draw_titles(titles, widths);
	for (int row = 0; row < area.rows; row++) {
		size_t index = list->top + (size_t)row;
		const struct store_adapter *adapter = catalog_list_row(list, index);

		if (adapter == NULL && index < list->n_rows) {
			draw_string(area, row, LEAD_COLUMNS, ROLE_DIM,
			    draw_symbol(SYMBOL_ELLIPSIS)); /* on its way */
			continue;
		}
		if (adapter == NULL)
			break;
		draw_row(catalog, area, row, adapter, widths, index == list->cursor);
	}
}

static void
draw_details(struct catalog *catalog, struct area area)
{
	const struct box_titles titles = { .bottom_right = "J K scroll" };
	const struct store_adapter *current = catalog_list_current(&catalog->list);
	struct area inside = area_inside(area);

	draw_box(area, ROLE_BORDER, &titles);
	inside.column++;
	inside.columns -= 2;
	if (current == NULL)
		return;
	catalog_details_read(&catalog->details, catalog->list.store, current,
	    catalog->list.generation,
	    workbench_measured(catalog->view->workbench, current->generation_ms));
	if (catalog->wanted_nearest != current->id) {
		catalog->wanted_nearest = current->id;
		catalog_wake_in(catalog, NEAREST_MS);
	}
	catalog_details_draw(&catalog->details, inside);
}

/* The sentence of a search that is not possible, as long as it is being typed. */
static void
draw_message(struct catalog *catalog, struct area *rest)
{
	const char *message = catalog->list.message;
	size_t n = strlen(message), n_rows;
	struct area area;

	if (n == 0)
		return;
	n_rows = draw_wrap(message, n, rest->columns - LEAD_COLUMNS, NULL, 0);
	area = area_top(rest, n_rows < MESSAGE_ROWS ? (int)n_rows : MESSAGE_ROWS);
	area_left(&area, LEAD_COLUMNS);
	draw_wrapped(area, 0, ROLE_BAD, message, n);
}

void
catalog_draw(struct view *view, struct area area)
{
	struct catalog *catalog = view->state;
	bool wide = area.columns >= WIDE_COLUMNS;
	struct area list;

	catalog_list_refresh(&catalog->list, false);
	draw_search(catalog, area_top(&area, 1));
	draw_message(catalog, &area);
	catalog->details_in_sight =
	    (wide || catalog->opened) && catalog_list_current(&catalog->list) != NULL;
	if (!catalog->details_in_sight) {
		draw_list(catalog, area);
	} else if (area.columns < MIDDLE_COLUMNS) {
		/* In place of the list, which keeps its place. */
		catalog_list_set_height(&catalog->list, area.rows > 1 ? (size_t)area.rows - 1 : 1);
		draw_details(catalog, area);
	} else {
		list = area_left(&area, wide ? area.columns * 3 / 5 : area.columns / 2);
		draw_list(catalog, list);
		draw_details(catalog, area);
	}
	catalog_pursue(catalog);
}
