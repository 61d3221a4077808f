/* loss-plot.c - draws the loss over the steps, so that a terminal is enough to see how a training
 * goes. */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/json-lines.h"
#include "src/loss-plot.h"

#define ROWS 12
#define LABEL_COLUMNS 10
#define MAX_COLUMNS 100

struct point {
	double step, loss;
	bool held_out;
};

struct points {
	struct point *items;
	size_t n;
	bool out_of_memory;
};

static bool
read_point(void *user, const cJSON *line, const char *where)
{
	const cJSON *step = cJSON_GetObjectItemCaseSensitive(line, "step");
	const cJSON *loss = cJSON_GetObjectItemCaseSensitive(line, "loss");
	const cJSON *held = cJSON_GetObjectItemCaseSensitive(line, "validation_loss");
	const cJSON *value = loss != NULL ? loss : held;
	struct points *points = user;
	struct point *items;

	(void)where;
	if (!cJSON_IsNumber(step) || !cJSON_IsNumber(value) || !isfinite(value->valuedouble))
		return true; /* a line of another kind */
	items = realloc(points->items, (points->n + 1) * sizeof *items);
	if (items == NULL) {
		points->out_of_memory = true;
		return false;
	}
	points->items = items;
	items[points->n++] = (struct point){ step->valuedouble, value->valuedouble, loss == NULL };
	return true;
}

struct bounds {
	double low, high, first, last;
};

static struct bounds
bounds_of(const struct points *points)
{
	struct bounds b = { points->items[0].loss, points->items[0].loss, points->items[0].step,
		points->items[0].step };

	for (size_t i = 1; i < points->n; i++) {
		b.low = fmin(b.low, points->items[i].loss);
		b.high = fmax(b.high, points->items[i].loss);
		b.first = fmin(b.first, points->items[i].step);
		b.last = fmax(b.last, points->items[i].step);
	}
	if (b.high - b.low < 1e-9)
		b.high = b.low + 1e-9;
	return b;
}

static void
draw(struct context *ctx, const struct points *points, int columns)
{
	struct bounds b = bounds_of(points);
	char grid[ROWS][MAX_COLUMNS + 1];

	memset(grid, ' ', sizeof grid);
	for (size_t i = 0; i < points->n; i++) {
		const struct point *point = &points->items[i];
		double across = b.last > b.first ? (point->step - b.first) / (b.last - b.first) : 0;
		int x = (int)(across * (columns - 1) + 0.5);
		int y = (int)((b.high - point->loss) / (b.high - b.low) * (ROWS - 1) + 0.5);

		if (grid[y][x] != 'o')
			grid[y][x] = point->held_out ? 'o' : '*';
	}
	for (int y = 0; y < ROWS; y++) {
		int end = columns;

		while (end > 0 && grid[y][end - 1] == ' ')
			end--;
		say(ctx, "%8.4g |%.*s\n", b.high - (b.high - b.low) * y / (ROWS - 1), end, grid[y]);
	}
	say(ctx, "%8s +%.*s\n", "", columns,
	    "--------------------------------------------------------------------------------------"
	    "--------------");
	say(ctx, "%8s  step %.0f to %.0f; * loss, o loss of what is held out\n", "", b.first,
	    b.last);
}

bool
loss_plot(struct context *ctx, const char *path)
{
	int columns = (ctx->out.columns > 0 ? ctx->out.columns : 80) - LABEL_COLUMNS - 1;
	struct points points = { 0 };
	bool fine = json_lines(ctx, path, read_point, &points);

	if (points.out_of_memory)
		context_fail(ctx, "out of memory");
	if (fine && points.n == 0)
		fine = (context_fail(ctx, "'%s' holds no loss", path), false);
	if (fine)
		draw(ctx, &points,
		    columns < 20	    ? 20
		    : columns > MAX_COLUMNS ? MAX_COLUMNS
					    : columns);
	free(points.items);
	return fine;
}
