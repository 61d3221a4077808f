/* catalog-list.c - a window of rows over a search of any size. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/visible.h"
#include "ui/catalog-list.h"

#define PAGE_ROWS 256  /* in memory; several screens, and read in a few milliseconds */
#define NEAR_ROWS 1000 /* farther ones have nothing to do with what was asked */
#define CHECKED_MARKS 256

/* ---- searches ---- */

static void
search_free(struct catalog_search *search)
{
	free(search->text);
	free(search->base);
	free(search->near_label);
	free(search->near_values);
	free(search->near_encoder);
	*search = (struct catalog_search){ 0 };
}

static char *
copy_text(const char *text, bool *fine)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	*fine = *fine && (text == NULL || copy != NULL);
	return copy;
}

static float *
copy_values(const float *values, size_t n, bool *fine)
{
	float *copy = values != NULL ? malloc(n * sizeof *copy) : NULL;

	*fine = *fine && (values == NULL || copy != NULL);
	if (copy != NULL)
		memcpy(copy, values, n * sizeof *copy);
	return copy;
}

static bool
search_copy(struct catalog_search *to, const struct catalog_search *from)
{
	bool fine = true;
	struct catalog_search copy = *from;

	copy.text = copy_text(from->text, &fine);
	copy.base = copy_text(from->base, &fine);
	copy.near_label = copy_text(from->near_label, &fine);
	copy.near_encoder = copy_text(from->near_encoder, &fine);
	copy.near_values = copy_values(from->near_values, from->n_near_values, &fine);
	if (!fine) {
		search_free(&copy);
		return false;
	}
	search_free(to);
	*to = copy;
	return true;
}

static void
out_of_memory(struct catalog_list *list)
{
	snprintf(list->message, sizeof list->message, "out of memory");
}

/* What was changed in list->wanted is to be searched for. */
static void
want_search(struct catalog_list *list)
{
	list->want = WANT_SEARCH;
	list->want_row = 0;
	list->broken = false;
}

static void
want_rows(struct catalog_list *list, size_t row)
{
	if (list->want == WANT_SEARCH)
		return;
	list->want = WANT_ROWS;
	list->want_row = row;
}

bool
catalog_list_open(struct catalog_list *list, struct store *store)
{
	*list = (struct catalog_list){ .store = store, .height = 1 };
	list->shown.text = strdup("");
	list->wanted.text = strdup("");
	if (list->shown.text == NULL || list->wanted.text == NULL) {
		catalog_list_close(list);
		return false;
	}
	want_search(list);
	return true;
}

void
catalog_list_close(struct catalog_list *list)
{
	store_free(list->page);
	search_free(&list->shown);
	search_free(&list->wanted);
	free(list->marks);
	*list = (struct catalog_list){ 0 };
}

void
catalog_list_search(struct catalog_list *list, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL) {
		out_of_memory(list);
		return;
	}
	free(list->wanted.text);
	list->wanted.text = copy;
	want_search(list);
}

bool
catalog_list_base(struct catalog_list *list, const char *base)
{
	char *copy = NULL;

	/* The search has no way to write a quote inside quotes. */
	if (base != NULL && strchr(base, '"') != NULL) {
		snprintf(list->message, sizeof list->message,
		    "a base with a quote in its name cannot be searched for");
		return false;
	}
	if (base != NULL && (copy = strdup(base)) == NULL) {
		out_of_memory(list);
		return false;
	}
	free(list->wanted.base);
	list->wanted.base = copy;
	want_search(list);
	return true;
}

void
catalog_list_trash(struct catalog_list *list, bool trashed)
{
	list->wanted.trashed = trashed;
	want_search(list);
}

/* ---- by meaning ---- */

static void
forget_near(struct catalog_search *search)
{
	free(search->near_label);
	free(search->near_values);
	free(search->near_encoder);
	search->near_label = search->near_encoder = NULL;
	search->near_values = NULL;
	search->n_near_values = 0;
	search->near_id = 0;
	if (search->sort == STORE_SORT_NEAREST)
		search->sort = search->far_sort;
}

void
catalog_list_far(struct catalog_list *list)
{
	forget_near(&list->wanted);
	want_search(list);
}

void
catalog_list_sort(struct catalog_list *list, int by)
{
	int n = STORE_SORT_NEAREST; /* the last; it is not for choosing by itself */

	forget_near(&list->wanted);
	list->wanted.sort = (enum store_sort)(((int)list->wanted.sort + by % n + n) % n);
	want_search(list);
}

static void
go_near(struct catalog_list *list, int64_t id, const struct store_vector *vector, const char *label)
{
	struct catalog_search *wanted = &list->wanted;
	bool fine = true;
	char *copy = copy_text(label, &fine), *encoder = NULL;
	float *values = NULL;

	if (vector != NULL) {
		encoder = copy_text(vector->encoder_fingerprint, &fine);
		values = copy_values(vector->values, vector->n_values, &fine);
	}
	if (!fine) {
		free(copy);
		free(encoder);
		free(values);
		out_of_memory(list);
		return;
	}
	forget_near(wanted);
	wanted->near_label = copy;
	wanted->near_id = id;
	wanted->near_encoder = encoder;
	wanted->near_values = values;
	wanted->n_near_values = vector != NULL ? vector->n_values : 0;
	wanted->far_sort = wanted->sort;
	wanted->sort = STORE_SORT_NEAREST;
	want_search(list);
}

void
catalog_list_near_row(struct catalog_list *list, int64_t id, const char *label)
{
	go_near(list, id, NULL, label);
}

void
catalog_list_near_vector(
    struct catalog_list *list, const struct store_vector *vector, const char *label)
{
	go_near(list, 0, vector, label);
}

/* ---- asking ---- */

/* The text that the store sees: what was typed, and the base. */
static char *
full_text(const struct catalog_search *search)
{
	struct buffer text = { 0 };

	if (search->base != NULL)
		buffer_printf(&text, "base:\"%s\" ", search->base);
	buffer_text(&text, search->text);
	return buffer_take(&text);
}

static bool
query_make(const struct catalog_search *search, size_t row, struct catalog_query *out)
{
	bool near = search->sort == STORE_SORT_NEAREST, fine = true;

	out->text = full_text(search);
	out->encoder = copy_text(search->near_encoder, &fine);
	out->values = copy_values(search->near_values, search->n_near_values, &fine);
	out->vector = (struct store_vector){ out->encoder, out->values, search->n_near_values };
	out->query = (struct store_query){ .text = out->text,
		.sort = search->sort,
		.trashed = search->trashed,
		.offset = !near && row > PAGE_ROWS / 2 ? row - PAGE_ROWS / 2 : 0,
		.limit = near ? NEAR_ROWS : PAGE_ROWS,
		.near = near && search->near_id == 0 ? &out->vector : NULL,
		.near_id = search->near_id };
	if (fine && out->text != NULL)
		return true;
	catalog_query_free(out);
	return false;
}

bool
catalog_list_query(struct catalog_list *list, struct catalog_query *query)
{
	bool search = list->want == WANT_SEARCH;

	if (list->want == WANT_NOTHING || (!search && list->awaited))
		return false;
	list->want = WANT_NOTHING;
	*query = (struct catalog_query){ .number = ++list->n_asked };
	if (!query_make(search ? &list->wanted : &list->shown, list->want_row, query)) {
		out_of_memory(list);
		return false;
	}
	/* Before the store is asked: what changes in between will be seen as a change. */
	list->asked_generation = store_generation(list->store);
	list->asked_offset = query->query.offset;
	list->awaited = true;
	list->search_awaited = search;
	return true;
}

void
catalog_query_free(struct catalog_query *query)
{
	free(query->text);
	free(query->encoder);
	free(query->values);
	query->text = query->encoder = NULL;
	query->values = NULL;
}

static bool
in_window(const struct catalog_list *list, size_t index)
{
	return list->page != NULL && index >= list->page_first &&
	       index - list->page_first < list->page->n_rows;
}

static void
keep_in_sight(struct catalog_list *list)
{
	size_t height = list->height > 0 ? list->height : 1;
	size_t last_top = list->n_rows > height ? list->n_rows - height : 0;

	if (list->cursor >= list->n_rows)
		list->cursor = list->n_rows > 0 ? list->n_rows - 1 : 0;
	if (list->top > list->cursor)
		list->top = list->cursor;
	if (list->cursor - list->top >= height)
		list->top = list->cursor - height + 1;
	if (list->top > last_top)
		list->top = last_top;
}

/* Adapters that are gone (or came out of the trash) cannot stay marked. */
static void
drop_dead_marks(struct catalog_list *list)
{
	size_t kept = 0;

	if (list->n_marks > CHECKED_MARKS)
		return;
	for (size_t i = 0; i < list->n_marks; i++) {
		struct store_adapter *adapter;
		bool alive = false;

		if (store_get(list->store, list->marks[i], &adapter) == STORE_OK) {
			alive = (adapter->trashed_ms != 0) == list->shown.trashed;
			store_free(adapter);
		}
		if (alive)
			list->marks[kept++] = list->marks[i];
	}
	list->n_marks = kept;
}

static void
take_page(struct catalog_list *list, struct store_adapters *page)
{
	/* A search by meaning is one page: what is farther away is no row. */
	if (list->shown.sort == STORE_SORT_NEAREST && page->n_matching > page->n_rows)
		page->n_matching = page->n_rows;
	store_free(list->page);
	list->page = page;
	list->page_first = list->asked_offset;
	list->n_rows = (size_t)page->n_matching;
	list->n_living = page->n_living;
	list->generation = list->asked_generation;
	list->message[0] = '\0';
	list->broken = false;
}

/* The cursor goes to the adapter it was on, if that is among the new rows. */
static void
follow(struct catalog_list *list, int64_t id)
{
	for (size_t i = 0; i < list->page->n_rows && id != 0; i++)
		if (list->page->rows[i].id == id) {
			size_t at = list->page_first + i, above = list->cursor - list->top;

			list->cursor = at;
			list->top = at > above ? at - above : 0;
			break;
		}
}

/* Whose rows they are is known now. */
static bool
take_search(struct catalog_list *list)
{
	bool trashed = list->shown.trashed;

	if (!search_copy(&list->shown, &list->wanted))
		return false;
	if (trashed != list->shown.trashed)
		catalog_list_unmark_all(list);
	list->cursor = list->top = 0;
	list->want = WANT_NOTHING;
	return true;
}

static void
refused(struct catalog_list *list, const char *message)
{
	visible_copy(list->message, sizeof list->message, message, strlen(message), 0);
	if (!list->search_awaited) {
		list->broken = true;
		return;
	}
	list->asked_generation = list->generation;
	if (!search_copy(&list->wanted, &list->shown))
		out_of_memory(list);
}

void
catalog_list_done(
    struct catalog_list *list, uint64_t number, struct store_adapters *page, const char *message)
{
	size_t at = list->cursor - list->page_first;
	int64_t id;

	if (number != list->n_asked || !list->awaited) {
		store_free(page);
		return;
	}
	list->awaited = false;
	if (list->want == WANT_SEARCH) { /* something newer is about to be asked */
		store_free(page);
		return;
	}
	if (page == NULL) {
		refused(list, message);
		return;
	}
	if (list->search_awaited && !take_search(list)) {
		store_free(page);
		out_of_memory(list);
		return;
	}
	id = !list->search_awaited && in_window(list, list->cursor) ? list->page->rows[at].id : 0;
	take_page(list, page);
	if (list->search_awaited) {
		list->elapsed_ms = page->elapsed_ms;
	} else {
		follow(list, id);
		drop_dead_marks(list);
	}
	keep_in_sight(list);
}

/* ---- refreshing ---- */

void
catalog_list_refresh(struct catalog_list *list, bool always)
{
	if (!always && store_generation(list->store) == list->asked_generation)
		return;
	list->broken = false;
	want_rows(list, list->cursor);
}

/* ---- rows ---- */

const struct store_adapter *
catalog_list_row(struct catalog_list *list, size_t index)
{
	if (index >= list->n_rows)
		return NULL;
	if (in_window(list, index))
		return &list->page->rows[index - list->page_first];
	if (!list->broken)
		want_rows(list, index);
	return NULL;
}

const struct store_adapter *
catalog_list_current(struct catalog_list *list)
{
	return catalog_list_row(list, list->cursor);
}

void
catalog_list_move(struct catalog_list *list, long by)
{
	if (by < 0 && (size_t)-by > list->cursor)
		list->cursor = 0;
	else
		list->cursor += (size_t)by; /* modular, as by is when negative */
	list->broken = false;
	keep_in_sight(list);
}

void
catalog_list_move_to(struct catalog_list *list, size_t index)
{
	list->cursor = index;
	list->broken = false;
	keep_in_sight(list);
}

void
catalog_list_set_height(struct catalog_list *list, size_t height)
{
	list->height = height;
	keep_in_sight(list);
}

/* ---- marks ---- */

bool
catalog_list_marked(const struct catalog_list *list, int64_t id)
{
	for (size_t i = 0; i < list->n_marks; i++)
		if (list->marks[i] == id)
			return true;
	return false;
}

void
catalog_list_mark(struct catalog_list *list, int64_t id, bool marked)
{
	int64_t *marks;

	if (marked == catalog_list_marked(list, id))
		return;
	if (marked) {
		marks = realloc(list->marks, (list->n_marks + 1) * sizeof *marks);
		if (marks == NULL)
			return;
		list->marks = marks;
		marks[list->n_marks++] = id;
		return;
	}
	for (size_t i = 0, kept = 0; i < list->n_marks; i++)
		if (list->marks[i] != id)
			list->marks[kept++] = list->marks[i];
	list->n_marks--;
}

void
catalog_list_unmark_all(struct catalog_list *list)
{
	list->n_marks = 0;
}

int64_t *
catalog_list_targets(struct catalog_list *list, size_t *n_ids)
{
	const struct store_adapter *current = catalog_list_current(list);
	const int64_t *from = list->marks;
	int64_t *ids;

	*n_ids = list->n_marks;
	if (*n_ids == 0) {
		if (current == NULL)
			return NULL;
		from = &current->id;
		*n_ids = 1;
	}
	ids = malloc(*n_ids * sizeof *ids);
	if (ids != NULL)
		memcpy(ids, from, *n_ids * sizeof *ids);
	return ids;
}
