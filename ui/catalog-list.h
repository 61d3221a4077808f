/*
 * ui/catalog-list.h - the rows of a search in the catalog, the row under the cursor, the marks.
 *
 * Knows nothing of the screen. Only a window of rows around what is shown is in memory, so that a
 * catalog of any size scrolls alike. A search that the store refuses leaves the last rows as they
 * are and its sentence in message. One thread, the store handle's.
 *
 * A search by meaning looks at all embeddings, which takes too long to wait for: the list says what
 * is wanted, somebody else asks the store (catalog_list_near_query()) and brings the rows
 * (catalog_list_near_done()); until then the last rows stay.
 */
#ifndef UI_CATALOG_LIST_H
#define UI_CATALOG_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

struct catalog_list {
	struct store *store;

	/* The search whose rows these are. */
	char *text;		  /* words and filters, as typed */
	char *base;		  /* only adapters of this base; NULL: all */
	enum store_sort sort;	  /* STORE_SORT_NEAREST while near_label is set */
	enum store_sort far_sort; /* what it goes back to */
	bool trashed;
	char *near_label; /* to what the rows are near, NULL: no search by meaning */
	int64_t near_id;  /* 0: near_values are the sentence's */
	float *near_values;
	size_t n_near_values;
	char *near_encoder; /* fingerprint */
	bool near_wanted;   /* the rows are not yet those of the search by meaning */

	struct store_adapters *page; /* rows page_first, page_first + 1, ... of n_rows */
	size_t page_first;
	size_t n_rows;
	uint64_t n_living;
	double elapsed_ms; /* of the search, not of later pages */
	uint64_t generation;

	size_t cursor, top; /* rows; top is the first one shown */
	size_t height;	    /* rows shown */
	int64_t *marks;	    /* ids */
	size_t n_marks;
	char message[512]; /* why the last search was not possible; "" when it was */
};

/* Shows everything, newest first. False: out of memory. A store that cannot be read gives an empty
 * list and a message. */
bool catalog_list_open(struct catalog_list *list, struct store *store);
void catalog_list_close(struct catalog_list *list);

/* ---- what is searched; each goes to the first row, or fails with a message ---- */

bool catalog_list_search(struct catalog_list *list, const char *text);
bool catalog_list_base(struct catalog_list *list, const char *base); /* NULL: all bases */
bool catalog_list_trash(struct catalog_list *list, bool trashed);
/* The next order (BY 1) or the one before (-1); leaves a search by meaning. */
bool catalog_list_sort(struct catalog_list *list, int by);
/* By nearness to the row ID, which is left out. LABEL says what it is. */
bool catalog_list_near_row(struct catalog_list *list, int64_t id, const char *label);
bool catalog_list_near_vector(
    struct catalog_list *list, const struct store_vector *vector, const char *label);
bool catalog_list_far(struct catalog_list *list); /* ends a search by meaning */

/* The search by meaning that is wanted: its text into TEXT, the rest into QUERY and VECTOR, which
 * point into the list. near_wanted is false from here on. */
void catalog_list_near_query(struct catalog_list *list, struct store_query *query,
    struct store_vector *vector, struct buffer *text);
/* What came of it; takes PAGE over. NULL: it failed with MESSAGE, and the search by meaning ends.
 */
void catalog_list_near_done(
    struct catalog_list *list, struct store_adapters *page, const char *message);

/* Searches again when the catalog has changed since (or ALWAYS), with the cursor on the same
 * adapter where it is still there. True when it did. */
bool catalog_list_refresh(struct catalog_list *list, bool always);

/* ---- rows ---- */

/* NULL: there is no such row. Valid until the next call that may search. */
const struct store_adapter *catalog_list_row(struct catalog_list *list, size_t index);
const struct store_adapter *catalog_list_current(struct catalog_list *list);
void catalog_list_move(struct catalog_list *list, long by);
void catalog_list_move_to(struct catalog_list *list, size_t index);
/* How many rows the screen has for the list; keeps the cursor in sight. */
void catalog_list_set_height(struct catalog_list *list, size_t height);

/* ---- marks ---- */

bool catalog_list_marked(const struct catalog_list *list, int64_t id);
void catalog_list_mark(struct catalog_list *list, int64_t id, bool marked);
void catalog_list_unmark_all(struct catalog_list *list);
/* The marked ids, or else that of the row under the cursor, in fresh memory. NULL: none. */
int64_t *catalog_list_targets(struct catalog_list *list, size_t *n_ids);

#endif
