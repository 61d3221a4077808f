/* catalog-list.c - a window of rows over a search of any size. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/visible.h"
#include "ui/catalog-list.h"

#define PAGE_ROWS 256  /* in memory; several screens, and read in a few milliseconds */
#define NEAR_ROWS 1000 /* farther ones have nothing to do with what was asked */
#define CHECKED_MARKS 256

/* ---- searching ---- */

static void
remember_failure(struct catalog_list *list)
{
	const char *sentence = store_error(list->store);

	visible_copy(list->message, sizeof list->message, sentence, strlen(sentence), 0);
}

/* The text that the store sees: what was typed, and the base. */
static void
full_text(const struct catalog_list *list, const char *text, struct buffer *out)
{
	if (list->base != NULL)
		buffer_printf(out, "base:\"%s\" ", list->base);
	buffer_text(out, text);
}

static void
take_page(struct catalog_list *list, struct store_adapters *page, size_t first)
{
	store_free(list->page);
	list->page = page;
	list->page_first = first;
	list->n_rows = (size_t)page->n_matching;
	list->n_living = page->n_living;
	list->message[0] = '\0';
}

/* Reads the window that holds row INDEX of the search for TEXT. */
static bool
load(struct catalog_list *list, const char *text, size_t index)
{
	struct buffer full = { 0 };
	struct store_adapters *page;
	struct store_query query = {
		.sort = list->sort,
		.trashed = list->trashed,
		.offset = index > PAGE_ROWS / 2 ? index - PAGE_ROWS / 2 : 0,
		.limit = PAGE_ROWS,
	};
	uint64_t generation = store_generation(list->store);
	enum store_status status;

	full_text(list, text, &full);
	query.text = buffer_string(&full);
	if (list->sort == STORE_SORT_NEAREST) {
		/* Only whether the words and filters are acceptable, and then by somebody else. */
		query.sort = STORE_SORT_NEWEST;
		query.limit = 0;
	}
	if (buffer_failed(&full)) {
		snprintf(list->message, sizeof list->message, "out of memory");
		buffer_free(&full);
		return false;
	}
	status = store_search(list->store, &query, &page);
	buffer_free(&full);
	if (status != STORE_OK) {
		remember_failure(list);
		return false;
	}
	list->generation = generation;
	if (list->sort == STORE_SORT_NEAREST) {
		store_free(page);
		list->message[0] = '\0';
		list->near_wanted = true;
	} else {
		take_page(list, page, query.offset);
	}
	return true;
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

/* Asks anew, from the first row on. */
static bool
search(struct catalog_list *list, const char *text)
{
	if (!load(list, text, 0))
		return false;
	if (list->page != NULL)
		list->elapsed_ms = list->page->elapsed_ms;
	list->cursor = list->top = 0;
	return true;
}

bool
catalog_list_open(struct catalog_list *list, struct store *store)
{
	*list = (struct catalog_list){ .store = store, .text = strdup(""), .height = 1 };
	if (list->text == NULL)
		return false;
	search(list, "");
	return true;
}

void
catalog_list_close(struct catalog_list *list)
{
	store_free(list->page);
	free(list->text);
	free(list->base);
	free(list->near_label);
	free(list->near_values);
	free(list->near_encoder);
	free(list->marks);
	*list = (struct catalog_list){ 0 };
}

bool
catalog_list_search(struct catalog_list *list, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL || !search(list, text)) {
		free(copy);
		return false;
	}
	free(list->text);
	list->text = copy;
	return true;
}

/* Searches with what was just changed in LIST; on failure the caller puts it back. */
static bool
search_again(struct catalog_list *list)
{
	return search(list, list->text);
}

bool
catalog_list_base(struct catalog_list *list, const char *base)
{
	char *before = list->base, *copy = NULL;

	/* The search has no way to write a quote inside quotes. */
	if (base != NULL && strchr(base, '"') != NULL) {
		snprintf(list->message, sizeof list->message,
		    "a base with a quote in its name cannot be searched for");
		return false;
	}
	if (base != NULL && (copy = strdup(base)) == NULL)
		return false;
	list->base = copy;
	if (!search_again(list)) {
		list->base = before;
		free(copy);
		return false;
	}
	free(before);
	return true;
}

bool
catalog_list_trash(struct catalog_list *list, bool trashed)
{
	bool before = list->trashed;

	list->trashed = trashed;
	if (search_again(list)) {
		catalog_list_unmark_all(list);
		return true;
	}
	list->trashed = before;
	return false;
}

/* ---- by meaning ---- */

static void
forget_near(struct catalog_list *list)
{
	free(list->near_label);
	free(list->near_values);
	free(list->near_encoder);
	list->near_label = list->near_encoder = NULL;
	list->near_values = NULL;
	list->n_near_values = 0;
	list->near_id = 0;
	list->near_wanted = false;
	if (list->sort == STORE_SORT_NEAREST)
		list->sort = list->far_sort;
}

bool
catalog_list_far(struct catalog_list *list)
{
	forget_near(list);
	return search_again(list);
}

bool
catalog_list_sort(struct catalog_list *list, int by)
{
	int n = STORE_SORT_NEAREST; /* the last; it is not for choosing by itself */

	forget_near(list);
	list->sort = (enum store_sort)(((int)list->sort + by % n + n) % n);
	return search_again(list);
}

/* Goes over to nearness; a failure leaves the message and ends it. */
static bool
go_near(struct catalog_list *list)
{
	char message[sizeof list->message];

	if (list->sort != STORE_SORT_NEAREST)
		list->far_sort = list->sort;
	list->sort = STORE_SORT_NEAREST;
	if (list->near_label != NULL && search_again(list))
		return true;
	snprintf(message, sizeof message, "%s", list->message);
	catalog_list_far(list);
	memcpy(list->message, message, sizeof message);
	return false;
}

bool
catalog_list_near_row(struct catalog_list *list, int64_t id, const char *label)
{
	char *copy = strdup(label);

	forget_near(list);
	list->near_label = copy;
	list->near_id = id;
	return go_near(list);
}

bool
catalog_list_near_vector(
    struct catalog_list *list, const struct store_vector *vector, const char *label)
{
	float *values = malloc(vector->n_values * sizeof *values);
	char *copy = strdup(label), *encoder = strdup(vector->encoder_fingerprint);

	if (values == NULL || copy == NULL || encoder == NULL) {
		free(values);
		free(copy);
		free(encoder);
		snprintf(list->message, sizeof list->message, "out of memory");
		return false;
	}
	memcpy(values, vector->values, vector->n_values * sizeof *values);
	forget_near(list);
	list->near_label = copy;
	list->near_values = values;
	list->n_near_values = vector->n_values;
	list->near_encoder = encoder;
	return go_near(list);
}

void
catalog_list_near_query(struct catalog_list *list, struct store_query *query,
    struct store_vector *vector, struct buffer *text)
{
	full_text(list, list->text, text);
	*vector =
	    (struct store_vector){ list->near_encoder, list->near_values, list->n_near_values };
	*query = (struct store_query){ .text = buffer_string(text),
		.sort = STORE_SORT_NEAREST,
		.trashed = list->trashed,
		.limit = NEAR_ROWS,
		.near = list->near_id == 0 ? vector : NULL,
		.near_id = list->near_id };
	list->near_wanted = false;
}

void
catalog_list_near_done(struct catalog_list *list, struct store_adapters *page, const char *message)
{
	if (list->sort != STORE_SORT_NEAREST) { /* ended meanwhile */
		store_free(page);
		return;
	}
	if (page == NULL) {
		catalog_list_far(list);
		visible_copy(list->message, sizeof list->message, message, strlen(message), 0);
		return;
	}
	if (page->n_matching > page->n_rows)
		page->n_matching = page->n_rows;
	take_page(list, page, 0);
	list->elapsed_ms = page->elapsed_ms;
	keep_in_sight(list);
}

/* ---- refreshing ---- */

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
			alive = (adapter->trashed_ms != 0) == list->trashed;
			store_free(adapter);
		}
		if (alive)
			list->marks[kept++] = list->marks[i];
	}
	list->n_marks = kept;
}

bool
catalog_list_refresh(struct catalog_list *list, bool always)
{
	const struct store_adapter *current;
	int64_t id;

	if (!always && store_generation(list->store) == list->generation)
		return false;
	current = catalog_list_current(list);
	id = current != NULL ? current->id : 0;
	if (!load(list, list->text, list->cursor)) {
		list->generation = store_generation(list->store);
		return true;
	}
	for (size_t i = 0; list->page != NULL && i < list->page->n_rows && id != 0; i++)
		if (list->page->rows[i].id == id) {
			size_t at = list->page_first + i, above = list->cursor - list->top;

			list->cursor = at;
			list->top = at > above ? at - above : 0;
			break;
		}
	drop_dead_marks(list);
	keep_in_sight(list);
	return true;
}

/* ---- rows ---- */

static bool
in_window(const struct catalog_list *list, size_t index)
{
	return list->page != NULL && index >= list->page_first &&
	       index - list->page_first < list->page->n_rows;
}

const struct store_adapter *
catalog_list_row(struct catalog_list *list, size_t index)
{
	if (index >= list->n_rows)
		return NULL;
	if (!in_window(list, index)) {
		if (!load(list, list->text, index))
			return NULL;
		keep_in_sight(list); /* there may be fewer rows than before */
	}
	return in_window(list, index) ? &list->page->rows[index - list->page_first] : NULL;
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
	keep_in_sight(list);
}

void
catalog_list_move_to(struct catalog_list *list, size_t index)
{
	list->cursor = index;
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
