/* heat-map.c - layers x modules as shaded numbers. */

#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/heat-map.h"

#define MAX_COLUMNS 64
#define CELL 14 /* columns of the terminal */

struct cell {
	int layer, column;
	double value;
};
struct heat_map {
	const char *columns[MAX_COLUMNS];
	int n_columns;
	struct cell *cells;
	size_t n, room;
};

struct heat_map *
heat_map_new(void)
{
	return calloc(1, sizeof(struct heat_map));
}

void
heat_map_free(struct heat_map *map)
{
	if (map != NULL)
		free(map->cells);
	free(map);
}

/* The last column takes what is too much: no base has that many kinds of modules. */
static int
column_of(struct heat_map *map, const char *module)
{
	int i = 0;

	while (i < map->n_columns && strcmp(map->columns[i], module) != 0)
		i++;
	if (i == map->n_columns && i < MAX_COLUMNS)
		map->columns[map->n_columns++] = module;
	return i < MAX_COLUMNS ? i : MAX_COLUMNS - 1;
}

bool
heat_map_add(struct heat_map *map, int layer, const char *module, double value)
{
	int column = column_of(map, module);

	for (size_t i = map->n; i-- > 0 && map->cells[i].layer == layer;) {
		if (map->cells[i].column == column) {
			map->cells[i].value = fmax(map->cells[i].value, value);
			return true;
		}
	}
	if (map->n == map->room) {
		size_t room = map->room ? 2 * map->room : 64;
		struct cell *cells = realloc(map->cells, room * sizeof *cells);

		if (cells == NULL)
			return false;
		map->cells = cells;
		map->room = room;
	}
	map->cells[map->n++] = (struct cell){ layer, column, value };
	return true;
}

static const char *
shade(double value, double low, double high)
{
	static const char *const shades[] = { "  ", "░░", "▒▒", "▓▓", "██" };
	double share = high > low ? (value - low) / (high - low) : 0;

	return shades[share <= 0 ? 0 : share >= 1 ? 4 : (int)(share * 4.999)];
}

static void
print_row(struct context *ctx, const struct heat_map *map, const struct cell *cells, size_t n,
    double low, double high)
{
	if (cells[0].layer < 0)
		say(ctx, "  %5s", "-");
	else
		say(ctx, "  %5d", cells[0].layer);
	for (int column = 0; column < map->n_columns; column++) {
		const struct cell *cell = NULL;

		for (size_t i = 0; i < n; i++)
			cell = cells[i].column == column ? &cells[i] : cell;
		if (cell == NULL)
			say(ctx, "  %*s", CELL - 2, "");
		else
			say(ctx, "  %9.4g %s", cell->value, shade(cell->value, low, high));
	}
	say(ctx, "\n");
}

void
heat_map_print(struct context *ctx, const struct heat_map *map, double low, double high)
{
	for (size_t i = 0; low == 0 && i < map->n; i++)
		high = fmax(high, map->cells[i].value);
	say(ctx, "  layer");
	for (int i = 0; i < map->n_columns; i++)
		say(ctx, "  %*.*s", CELL - 2, CELL - 2, map->columns[i]);
	say(ctx, "\n");
	for (size_t begin = 0; begin < map->n;) {
		size_t end = begin;

		while (end < map->n && map->cells[end].layer == map->cells[begin].layer)
			end++;
		print_row(ctx, map, &map->cells[begin], end - begin, low, high);
		begin = end;
	}
}
