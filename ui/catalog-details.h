/*
 * ui/catalog-details.h - all that the catalog knows of one adapter, as labelled lines.
 */
#ifndef UI_CATALOG_DETAILS_H
#define UI_CATALOG_DETAILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "ui/draw.h"

struct detail_line {
	const char *label; /* NULL: goes on with what is above */
	char *text;	   /* as stored; drawing makes it visible */
	enum role role;
};

struct catalog_details {
	int64_t id; /* 0: nothing is shown */
	uint64_t generation;
	struct detail_line *lines;
	size_t n_lines;
	size_t scroll;
	struct store_adapters *nearest; /* NULL: not known (yet) */
	int64_t nearest_of;		/* the adapter they are near to */
};

/* Reads lineage and evaluations of ADAPTER and makes the lines, unless they are of the same adapter
 * and GENERATION already. GENERATION_MS: how long making it took, as it is to be shown. */
void catalog_details_read(struct catalog_details *details, struct store *store,
    const struct store_adapter *adapter, uint64_t generation, double generation_ms);
/* Adds what is nearest to the adapter ID by its task; takes NEAREST over. */
void catalog_details_nearest(
    struct catalog_details *details, int64_t id, struct store_adapters *nearest);
void catalog_details_draw(struct catalog_details *details, struct area area);
void catalog_details_free(struct catalog_details *details);

#endif
