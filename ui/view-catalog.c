/* view-catalog.c - the Catalog screen: a search, the list, the details of a row. */

#include "config.h"

#include <stdlib.h>
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
	MAX_SEARCH_BYTES = 4096,
	MAX_PARENTS = 8,
	HISTORY_ROWS = 200,
	NEAREST_MS =
	    150,       /* the cursor rests on a row for so long before its neighbours are sought */
	LOOK_MS = 1000 /* how often others' changes are looked for */
};

enum request {
	REQUEST_SEARCH = 1,
	REQUEST_DETAILS,
	REQUEST_MARK,
	REQUEST_COMPARE,
	REQUEST_MERGE,
	REQUEST_EXPORT,
	REQUEST_TAGS,
	REQUEST_NOTE,
	REQUEST_RENAME,
	REQUEST_TRASH,
	REQUEST_UNDO,
	REQUEST_IMPORT,
	REQUEST_SIMILAR,
	REQUEST_FAVOURITE,
	REQUEST_SORT,
	REQUEST_SORT_BACK,
	REQUEST_BASE,
	REQUEST_SHOW_TRASH,
	REQUEST_UP,
	REQUEST_DOWN,
	REQUEST_PAGE_UP,
	REQUEST_PAGE_DOWN,
	REQUEST_FIRST,
	REQUEST_LAST,
	REQUEST_DETAILS_UP,
	REQUEST_DETAILS_DOWN,
	REQUEST_BACK
};

static const struct binding bindings[] = {
	{ '/', REQUEST_SEARCH, "search",
	    "search: words, tag:x base:y rank>8 made:merged score>0.9 since:7d", "search" },
	{ K_ENTER, REQUEST_DETAILS, "details", "details of the adapter", "inspect" },
	{ ' ', REQUEST_MARK, "mark", "mark it, go to the next", "mark" },
	{ 'c', REQUEST_COMPARE, "compare", "compare what is marked", "compare" },
	{ 'm', REQUEST_MERGE, "merge", "merge what is marked", "merge" },
	{ 'e', REQUEST_EXPORT, "export", "export for PEFT", "export" },
	{ 't', REQUEST_TAGS, "tags", "change tags", "tags" },
	{ 'n', REQUEST_NOTE, "note", "write a note", "note" },
	{ 'r', REQUEST_RENAME, "rename", "rename", "rename" },
	{ 'D', REQUEST_TRASH, "trash", "to the trash (in the trash: restore)", "trash" },
	{ 'u', REQUEST_UNDO, "undo", "take back what went to the trash last", "undo" },
	{ 'i', REQUEST_IMPORT, "import", "import a PEFT folder or a file", "import" },
	{ '~', REQUEST_SIMILAR, "similar",
	    "sort by nearness of meaning to a sentence or to the row", "similar" },
	{ '*', REQUEST_FAVOURITE, "favourite", "favourite, or not any more", NULL },
	{ 's', REQUEST_SORT, "sort", "the next order", "sort" },
	{ 'S', REQUEST_SORT_BACK, "sort-back", "the order before", NULL },
	{ 'f', REQUEST_BASE, "base", "only adapters of this base, or of all", NULL },
	{ 'T', REQUEST_SHOW_TRASH, "show-trash", "show the trash, or the catalog again", NULL },
	{ K_UP, REQUEST_UP, NULL, "up", NULL },
	{ 'k', REQUEST_UP, NULL, "up", NULL },
	{ K_DOWN, REQUEST_DOWN, NULL, "down", NULL },
	{ 'j', REQUEST_DOWN, NULL, "down", NULL },
	{ K_PAGE_UP, REQUEST_PAGE_UP, NULL, "a screen up", NULL },
	{ K_PAGE_DOWN, REQUEST_PAGE_DOWN, NULL, "a screen down", NULL },
	{ K_HOME, REQUEST_FIRST, NULL, "the first row", NULL },
	{ 'g', REQUEST_FIRST, NULL, "the first row", NULL },
	{ K_END, REQUEST_LAST, NULL, "the last row", NULL },
	{ 'G', REQUEST_LAST, NULL, "the last row", NULL },
	{ 'K', REQUEST_DETAILS_UP, NULL, "scroll the details up", NULL },
	{ 'J', REQUEST_DETAILS_DOWN, NULL, "scroll the details down", NULL },
	{ K_ESC, REQUEST_BACK, NULL, "end details, nearness, search, marks: one after the other",
	    NULL },
	{ K_NONE, 0, NULL, NULL, NULL },
};

/* ---- opening ---- */

static bool
catalog_open(struct view *view)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);

	if (catalog == NULL || view->host->store == NULL ||
	    !catalog_list_open(&catalog->list, view->host->store)) {
		free(catalog);
		workbench_status(view->workbench, ROLE_BAD, "the catalog cannot be shown");
		return false;
	}
	catalog->view = view;
	prompt_line_init(&catalog->search, MAX_SEARCH_BYTES);
	view->state = catalog;
	return true;
}

static void
catalog_close(struct view *view)
{
	struct catalog *catalog = view->state;

	catalog_list_close(&catalog->list);
	catalog_details_free(&catalog->details);
	prompt_line_free(&catalog->search);
	store_free(catalog->history);
	store_close(catalog->near_store);
	free(catalog->ids);
	free(catalog->strategy);
	free(catalog->weights);
	free(catalog);
}

/* Asks to be woken; a script's wait-idle would wait for ever for what comes again and again. */
static void
wake_in(struct catalog *catalog, int64_t ms)
{
	int64_t when = workbench_now_ms() + ms;

	if (catalog->view->wake_ms == 0 || when < catalog->view->wake_ms)
		catalog->view->wake_ms = when;
}

static void
catalog_shown(struct view *view)
{
	struct catalog *catalog = view->state;

	catalog_list_refresh(&catalog->list, false);
	if (view->host->script == NULL)
		wake_in(catalog, LOOK_MS);
}

static void
catalog_tick(struct view *view, int64_t now_ms)
{
	struct catalog *catalog = view->state;
	const struct store_adapter *current = catalog_list_current(&catalog->list);

	(void)now_ms;
	if (current != NULL && catalog->details_in_sight && !catalog->embedding &&
	    !catalog->nearing && catalog->wanted_nearest == current->id &&
	    catalog->details.nearest_of != current->id)
		catalog_ask_nearest(catalog, current->id);
	catalog_list_refresh(&catalog->list, false);
	if (view->host->script == NULL)
		wake_in(catalog, LOOK_MS);
}

/* ---- drawing ---- */

/* "14 of 103 212 · 2 ms   sort: newest ▾  filter: base=demo" */
static void
describe_search(struct catalog *catalog, struct buffer *out)
{
	const struct catalog_list *list = &catalog->list;

	catalog_count(out, list->n_rows);
	if (!list->trashed) {
		buffer_text(out, " of ");
		catalog_count(out, list->n_living);
	}
	buffer_printf(out, " %s %.0f ms  ", draw_symbol(SYMBOL_SEPARATOR),
	    workbench_measured(catalog->view->workbench, list->elapsed_ms));
	if (list->n_marks > 0)
		buffer_printf(out, " %zu marked  ", list->n_marks);
	if (list->trashed)
		buffer_text(out, " in the trash  ");
	if (list->near_label != NULL)
		buffer_printf(out, " near: %.40s", list->near_label);
	else
		buffer_printf(
		    out, " sort: %s %s", store_sort_name(list->sort), draw_symbol(SYMBOL_DOWN));
	if (list->base != NULL)
		buffer_printf(out, "  base: %.40s", list->base);
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
		draw_short(area, row, column, widths[c], role, buffer_string(&text));
		column += widths[c] + COLUMN_GAP;
	}
	buffer_free(&text);
}

static void
draw_nothing(struct catalog *catalog, struct area area)
{
	const struct catalog_list *list = &catalog->list;

	if (list->trashed)
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
	catalog_columns_fit(area.columns - LEAD_COLUMNS - 1, list->near_label != NULL, widths);
	draw_titles(titles, widths);
	for (int row = 0; row < area.rows; row++) {
		size_t index = list->top + (size_t)row;
		const struct store_adapter *adapter = catalog_list_row(list, index);

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
		wake_in(catalog, NEAREST_MS);
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

static void
catalog_draw(struct view *view, struct area area)
{
	struct catalog *catalog = view->state;
	bool wide = area.columns >= WIDE_COLUMNS;
	struct area list;

	catalog_list_refresh(&catalog->list, false);
	catalog_pursue_near(catalog);
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
}

/* ---- the search field ---- */

static void
start_typing(struct catalog *catalog)
{
	struct store_strings *history;

	catalog->typing = true;
	prompt_line_edit(&catalog->search, LINE_END);
	if (store_history(catalog->list.store, STORE_HISTORY_SEARCH, HISTORY_ROWS, &history) !=
	    STORE_OK)
		return;
	prompt_line_history(&catalog->search, history->rows, history->n_rows);
	store_free(catalog->history);
	catalog->history = history;
}

static void
search_typed(struct catalog *catalog)
{
	catalog_list_search(&catalog->list, prompt_line_text(&catalog->search));
	catalog_pursue_near(catalog);
}

static void
stop_typing(struct catalog *catalog)
{
	const char *text = prompt_line_text(&catalog->search);

	catalog->typing = false;
	if (text[0] != '\0' && catalog->list.message[0] == '\0' &&
	    !store_is_read_only(catalog->list.store))
		catalog_write(catalog, WRITE_HISTORY, NULL, 0, text, NULL, false);
	/* What could not be searched for gives way to what is shown. */
	if (catalog->list.message[0] != '\0') {
		prompt_line_set(&catalog->search, catalog->list.text);
		catalog->list.message[0] = '\0';
	}
}

static void
clear_search(struct catalog *catalog)
{
	prompt_line_set(&catalog->search, "");
	search_typed(catalog);
}

static bool
typing_key(struct catalog *catalog, key_code key)
{
	long page = (long)catalog->list.height;

	switch (key) {
	case K_ENTER:
	case K_TAB:
		stop_typing(catalog);
		return true;
	case K_ESC:
		catalog->typing = false;
		clear_search(catalog);
		return true;
	case K_UP:
	case K_DOWN:
		catalog_list_move(&catalog->list, key == K_UP ? -1 : 1);
		return true;
	case K_PAGE_UP:
	case K_PAGE_DOWN:
		catalog_list_move(&catalog->list, key == K_PAGE_UP ? -page : page);
		return true;
	default:
		break;
	}
	switch (prompt_line_key(&catalog->search, key, NULL)) {
	case LINE_CHANGED:
		search_typed(catalog);
		return true;
	case LINE_MOVED:
		return true;
	default:
		return false;
	}
}

static void
catalog_paste(struct view *view, const char *text, size_t n_bytes)
{
	struct catalog *catalog = view->state;

	if (!catalog->typing)
		return;
	prompt_line_insert(&catalog->search, text, n_bytes);
	search_typed(catalog);
}

/* ---- keys of the list ---- */

static void
mark_and_go_on(struct catalog *catalog)
{
	const struct store_adapter *current = catalog_list_current(&catalog->list);

	if (current == NULL)
		return;
	catalog_list_mark(
	    &catalog->list, current->id, !catalog_list_marked(&catalog->list, current->id));
	catalog_list_move(&catalog->list, 1);
}

static void
say_if_not(struct catalog *catalog, bool fine)
{
	if (!fine)
		workbench_status(catalog->view->workbench, ROLE_BAD, "%s", catalog->list.message);
}

static void
toggle_base(struct catalog *catalog)
{
	const char *base = t2l_model_facts(catalog->view->host->model)->name;

	say_if_not(
	    catalog, catalog_list_base(&catalog->list, catalog->list.base == NULL ? base : NULL));
}

/* Esc undoes one thing at a time. */
static bool
go_back(struct catalog *catalog)
{
	struct catalog_list *list = &catalog->list;

	if (catalog->opened)
		catalog->opened = false;
	else if (list->near_label != NULL)
		catalog_list_far(list);
	else if (list->text[0] != '\0')
		clear_search(catalog);
	else if (list->n_marks > 0)
		catalog_list_unmark_all(list);
	else if (list->trashed)
		catalog_list_trash(list, false);
	else
		return false;
	return true;
}

static bool
move(struct catalog *catalog, enum request request)
{
	struct catalog_list *list = &catalog->list;
	size_t scroll = catalog->details.scroll;

	switch (request) {
	case REQUEST_UP:
		catalog_list_move(list, -1);
		return true;
	case REQUEST_DOWN:
		catalog_list_move(list, 1);
		return true;
	case REQUEST_PAGE_UP:
		catalog_list_move(list, -(long)list->height);
		return true;
	case REQUEST_PAGE_DOWN:
		catalog_list_move(list, (long)list->height);
		return true;
	case REQUEST_FIRST:
		catalog_list_move_to(list, 0);
		return true;
	case REQUEST_LAST:
		catalog_list_move_to(list, list->n_rows);
		return true;
	case REQUEST_DETAILS_UP:
		catalog->details.scroll = scroll > 0 ? scroll - 1 : 0;
		return true;
	case REQUEST_DETAILS_DOWN:
		catalog->details.scroll = scroll + 1;
		return true;
	default:
		return false;
	}
}

static bool
catalog_key(struct view *view, key_code key)
{
	struct catalog *catalog = view->state;
	struct catalog_list *list = &catalog->list;
	enum request request = (enum request)binding_find(bindings, key);

	if (catalog->typing)
		return typing_key(catalog, key);
	if (move(catalog, request))
		return true;
	switch (request) {
	case REQUEST_SEARCH:
		start_typing(catalog);
		return true;
	case REQUEST_DETAILS:
		catalog->opened = !catalog->opened;
		return true;
	case REQUEST_MARK:
		mark_and_go_on(catalog);
		return true;
	case REQUEST_COMPARE:
		catalog_compare(catalog);
		return true;
	case REQUEST_MERGE:
		catalog_merge(catalog);
		return true;
	case REQUEST_EXPORT:
		catalog_export(catalog);
		return true;
	case REQUEST_TAGS:
		catalog_tag(catalog);
		return true;
	case REQUEST_NOTE:
		catalog_note(catalog);
		return true;
	case REQUEST_RENAME:
		catalog_rename(catalog);
		return true;
	case REQUEST_TRASH:
		catalog_trash(catalog);
		return true;
	case REQUEST_UNDO:
		catalog_write(catalog, WRITE_UNDO, NULL, 0, NULL, NULL, false);
		return true;
	case REQUEST_IMPORT:
		catalog_import(catalog);
		return true;
	case REQUEST_SIMILAR:
		catalog_similar(catalog);
		return true;
	case REQUEST_FAVOURITE:
		catalog_favourite(catalog);
		return true;
	case REQUEST_SORT:
	case REQUEST_SORT_BACK:
		say_if_not(catalog, catalog_list_sort(list, request == REQUEST_SORT ? 1 : -1));
		return true;
	case REQUEST_BASE:
		toggle_base(catalog);
		return true;
	case REQUEST_SHOW_TRASH:
		say_if_not(catalog, catalog_list_trash(list, !list->trashed));
		return true;
	case REQUEST_BACK:
		return go_back(catalog);
	default:
		return false;
	}
}

static bool
catalog_typing(struct view *view)
{
	const struct catalog *catalog = view->state;

	return catalog->typing;
}

const struct view_ops view_catalog = {
	.name = "catalog",
	.title = "Catalog",
	.bindings = bindings,
	.typing = catalog_typing,
	.open = catalog_open,
	.close = catalog_close,
	.shown = catalog_shown,
	.draw = catalog_draw,
	.key = catalog_key,
	.paste = catalog_paste,
	.message = catalog_message,
	.tick = catalog_tick,
};
