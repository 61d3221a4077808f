/*
 * ui/catalog-list.h - the rows of a search in the catalog, the row under the cursor, the marks.
 *
 * Knows nothing of the screen. Only a window of rows around what is shown is in memory, so that a
 * catalog of any size scrolls alike. The list never searches itself, since that may take longer
 * than a screen can wait: it says what it wants to know (catalog_list_query()), somebody else asks
 * the store and brings the rows (catalog_list_done()); until then the last rows stay. A search that
 * the store refuses leaves them as they are and its sentence in message. Screen thread.
 */
#ifndef UI_CATALOG_LIST_H
#define UI_CATALOG_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

struct catalog_search {
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
};

enum catalog_want {
	WANT_NOTHING,
	WANT_ROWS,  /* others of the search that is shown; waits for what is asked already */
	WANT_SEARCH /* takes the place of what is asked already */
};

struct catalog_list {
	struct store *store; /* the screen's: tells of changes, and whether marked ones live */

	struct catalog_search shown;  /* whose rows these are */
	struct catalog_search wanted; /* another one until its rows come */
	enum catalog_want want;
	size_t want_row;	      /* around which */
	uint64_t n_asked;	      /* number of the last query */
	bool awaited, search_awaited; /* its rows (of another search) have not come yet */
	uint64_t asked_generation;    /* of the catalog, when it was asked */
	size_t asked_offset;
	bool broken; /* the last rows could not be read: not to be asked for again */

	struct store_adapters
	    *page; /* rows page_first, page_first + 1, ... of n_rows; NULL: none yet */
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

/* Wants everything, newest first. False: out of memory. */
bool catalog_list_open(struct catalog_list *list, struct store *store);
void catalog_list_close(struct catalog_list *list);

/* ---- what is searched; goes to the first row once its rows are there ---- */

void catalog_list_search(struct catalog_list *list, const char *text);
/* NULL: all bases. False with a message: there is no way to search for BASE. */
bool catalog_list_base(struct catalog_list *list, const char *base);
void catalog_list_trash(struct catalog_list *list, bool trashed);
/* The next order (BY 1) or the one before (-1); leaves a search by meaning. */
void catalog_list_sort(struct catalog_list *list, int by);
/* By nearness to the row ID, which is left out. LABEL says what it is. */
void catalog_list_near_row(struct catalog_list *list, int64_t id, const char *label);
void catalog_list_near_vector(
    struct catalog_list *list, const struct store_vector *vector, const char *label);
void catalog_list_far(struct catalog_list *list); /* ends a search by meaning */

/* Wants the rows anew when the catalog has changed since (or ALWAYS), with the cursor on the same
 * adapter where it is still there. */
void catalog_list_refresh(struct catalog_list *list, bool always);

/* ---- asking the store ---- */

/* A query that may be used and freed by another thread. */
struct catalog_query {
	uint64_t number;
	struct store_query query;
	struct store_vector vector;
	char *text, *encoder;
	float *values;
};
/* What the list wants to know, if anything: false when not, or when it waits already. */
bool catalog_list_query(struct catalog_list *list, struct catalog_query *query);
void catalog_query_free(struct catalog_query *query);
/* What came of query NUMBER; takes PAGE over. NULL: it failed with MESSAGE, or was dropped ("").
 * An answer to an older query than the last is let go. */
void catalog_list_done(
    struct catalog_list *list, uint64_t number, struct store_adapters *page, const char *message);

/* ---- rows ---- */

/* NULL: there is no such row, or it is not in memory and wanted from now on. Valid until
 * catalog_list_done(). */
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
