/*
 * src/heat-map.h - a number for each layer and module, as a table whose cells are shaded.
 *
 * Columns are modules in the order in which they first come, rows are layers; what is outside the
 * layers has the row "-". Of several numbers for one cell (experts) the largest is shown.
 */
#ifndef SRC_HEAT_MAP_H
#define SRC_HEAT_MAP_H

#include "src/context.h"

struct heat_map;

struct heat_map *heat_map_new(void); /* NULL: out of memory */
void heat_map_free(struct heat_map *map);
/* False: out of memory. MODULE must outlive the map. */
bool heat_map_add(struct heat_map *map, int layer, const char *module, double value);
/* Shades go from LOW to HIGH; both 0: from 0 to the largest. */
void heat_map_print(struct context *ctx, const struct heat_map *map, double low, double high);

#endif
