/*
 * ui/catalog-columns.h - the columns of the catalog's list: which fit, how wide, what they say.
 */
#ifndef UI_CATALOG_COLUMNS_H
#define UI_CATALOG_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/store.h"

enum catalog_column {
	COLUMN_NAME,
	COLUMN_TASK,
	COLUMN_NEAR, /* cosine, in a search by meaning only */
	COLUMN_BASE,
	COLUMN_RANK,
	COLUMN_SOURCE,
	COLUMN_WINS,
	COLUMN_SCORE,
	COLUMN_CREATED,
	N_COLUMNS
};

#define COLUMN_GAP 2

const char *catalog_column_title(enum catalog_column column);

/* WIDTHS[N_COLUMNS] for COLUMNS of the screen, gaps between them not counted; 0: left out. Those
 * that matter least go first; name and task share what is left over. */
void catalog_columns_fit(int columns, bool near, int widths[N_COLUMNS]);

/* What COLUMN says of ADAPTER, appended to OUT as it is stored (not made visible). DASH is the sign
 * for nothing and between numbers. */
void catalog_cell(const struct store_adapter *adapter, enum catalog_column column, int64_t now_ms,
    const char *dash, struct buffer *out);

/* "now", "2 min ago", "3 h ago", "6 d ago", then "2026-01-31". */
void catalog_age(struct buffer *out, int64_t ms, int64_t now_ms);
/* "12 345 678" */
void catalog_count(struct buffer *out, uint64_t count);
/* "43.2 kB": powers of ten, as file managers and disks have it. */
void catalog_size(struct buffer *out, int64_t bytes);

#endif
