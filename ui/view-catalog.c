/* view-catalog.c - the Catalog screen: its keys, and when it looks again. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ui/catalog.h"

enum {
	MAX_SEARCH_BYTES = 4096,
	HISTORY_ROWS = 200,
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
	free(catalog->ids);
	free(catalog->strategy);
	free(catalog->weights);
	free(catalog);
}

void
catalog_wake_in(struct catalog *catalog, int64_t ms)
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
	catalog_pursue(catalog);
	if (view->host->script == NULL)
		catalog_wake_in(catalog, LOOK_MS); /* a script's wait-idle would wait for ever */
}

static void
catalog_tick(struct view *view, int64_t now_ms)
{
	struct catalog *catalog = view->state;
	const struct store_adapter *current = catalog_list_current(&catalog->list);

	(void)now_ms;
	if (current != NULL && catalog->details_in_sight && !catalog->embedding &&
	    catalog->wanted_nearest == current->id && catalog->details.nearest_of != current->id)
		catalog_ask_nearest(catalog, current->id);
	catalog_list_refresh(&catalog->list, false);
	catalog_pursue(catalog);
	if (view->host->script == NULL)
		catalog_wake_in(catalog, LOOK_MS);
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
	catalog_pursue(catalog);
}

void
catalog_take_message(struct catalog *catalog)
{
	char *message = catalog->list.message;

	if (message[0] == '\0')
		return;
	workbench_status(catalog->view->workbench, ROLE_BAD, "%s", message);
	message[0] = '\0';
	prompt_line_set(&catalog->search, catalog->list.shown.text);
}

static void
stop_typing(struct catalog *catalog)
{
	const char *text = prompt_line_text(&catalog->search);

	catalog->typing = false;
	if (catalog->list.message[0] == '\0') {
		workbench_remember(catalog->view->workbench, STORE_HISTORY_SEARCH, text);
		return;
	}
	/* What could not be searched for, and was told so, gives way to what is shown. */
	prompt_line_set(&catalog->search, catalog->list.shown.text);
	catalog->list.message[0] = '\0';
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
toggle_base(struct catalog *catalog)
{
	const char *base = t2l_model_facts(catalog->view->host->model)->name;

	if (!catalog_list_base(&catalog->list, catalog->list.wanted.base == NULL ? base : NULL))
		catalog_take_message(catalog);
}

/* Esc undoes one thing at a time. */
static bool
go_back(struct catalog *catalog)
{
	struct catalog_list *list = &catalog->list;

	if (catalog->opened)
		catalog->opened = false;
	else if (list->wanted.near_label != NULL)
		catalog_list_far(list);
	else if (list->wanted.text[0] != '\0')
		clear_search(catalog);
	else if (list->n_marks > 0)
		catalog_list_unmark_all(list);
	else if (list->wanted.trashed)
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
list_key(struct catalog *catalog, key_code key)
{
	struct catalog_list *list = &catalog->list;
	enum request request = (enum request)binding_find(bindings, key);

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
		catalog_list_sort(list, request == REQUEST_SORT ? 1 : -1);
		return true;
	case REQUEST_BASE:
		toggle_base(catalog);
		return true;
	case REQUEST_SHOW_TRASH:
		catalog_list_trash(list, !list->wanted.trashed);
		return true;
	case REQUEST_BACK:
		return go_back(catalog);
	default:
		return false;
	}
}

static bool
catalog_key(struct view *view, key_code key)
{
	struct catalog *catalog = view->state;
	bool used = catalog->typing ? typing_key(catalog, key) : list_key(catalog, key);

	catalog_pursue(catalog);
	return used;
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
