/* catalog-columns.c - a table of columns, fitted to the width of the screen. */

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "ui/catalog-columns.h"

#define TASK_COLUMNS 40

static const struct {
	const char *title;
	int width;  /* at least */
	int growth; /* at most this much more, when there is room */
	int rank;   /* 0: always there; else the highest goes first */
} columns_table[N_COLUMNS] = {
	[COLUMN_NAME] = { "NAME", 18, 14, 0 },
	[COLUMN_TASK] = { "TASK", 20, 200, 0 },
	[COLUMN_NEAR] = { "NEAR", 5, 0, 1 },
	[COLUMN_BASE] = { "BASE", 9, 8, 6 },
	[COLUMN_RANK] = { "RANK", 4, 0, 5 },
	[COLUMN_SOURCE] = { "MADE BY", 9, 0, 3 },
	[COLUMN_WINS] = { "WINS", 6, 0, 4 },
	[COLUMN_SCORE] = { "SCORE", 5, 0, 2 },
	[COLUMN_CREATED] = { "CREATED", 10, 0, 2 },
};

const char *
catalog_column_title(enum catalog_column column)
{
	return columns_table[column].title;
}

static int
total(const int widths[N_COLUMNS])
{
	int sum = -COLUMN_GAP;

	for (int c = 0; c < N_COLUMNS; c++)
		sum += widths[c] > 0 ? widths[c] + COLUMN_GAP : 0;
	return sum;
}

static int
least_important(const int widths[N_COLUMNS])
{
	int worst = COLUMN_TASK;

	for (int c = 0; c < N_COLUMNS; c++)
		if (widths[c] > 0 && columns_table[c].rank > columns_table[worst].rank)
			worst = c;
	return worst;
}

/* A third of the room goes to COLUMN, if it can grow so much. */
static void
grow(int widths[N_COLUMNS], int column, int *room)
{
	int more =
	    *room / 3 < columns_table[column].growth ? *room / 3 : columns_table[column].growth;

	if (widths[column] > 0 && more > 0) {
		widths[column] += more;
		*room -= more;
	}
}

void
catalog_columns_fit(int columns, bool near, int widths[N_COLUMNS])
{
	int room, worst, first;

	for (int c = 0; c < N_COLUMNS; c++)
		widths[c] = columns_table[c].width;
	if (!near)
		widths[COLUMN_NEAR] = 0;
	while ((room = columns - total(widths)) < 0 &&
	       (worst = least_important(widths)) != COLUMN_TASK)
		widths[worst] = 0;
	if (room < 0) { /* narrower than name and task want to be */
		widths[COLUMN_TASK] += room;
		if (widths[COLUMN_TASK] < 4) {
			widths[COLUMN_TASK] = 0;
			widths[COLUMN_NAME] = columns > 1 ? columns : 1;
		}
		return;
	}
	/* A task should be readable before names may grow. */
	first =
	    room < TASK_COLUMNS - widths[COLUMN_TASK] ? room : TASK_COLUMNS - widths[COLUMN_TASK];
	widths[COLUMN_TASK] += first;
	room -= first;
	grow(widths, COLUMN_NAME, &room);
	grow(widths, COLUMN_BASE, &room);
	widths[COLUMN_TASK] += room;
}

/* ---- values ---- */

void
catalog_count(struct buffer *out, uint64_t count)
{
	if (count >= 1000) {
		catalog_count(out, count / 1000);
		buffer_printf(out, " %03" PRIu64, count % 1000);
	} else {
		buffer_printf(out, "%" PRIu64, count);
	}
}

void
catalog_size(struct buffer *out, int64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	int64_t scaled = bytes;
	size_t unit = 0;

	if (bytes < 1000) {
		buffer_printf(out, "%" PRId64 " B", bytes);
		return;
	}
	/* In tenths, rounded: 999,950 bytes are 1.0 MB, not 1000.0 kB. */
	for (scaled = (bytes + 50) / 100; scaled >= 10000 && unit < 3; unit++)
		scaled = (scaled + 500) / 1000;
	buffer_printf(out, "%" PRId64 ".%" PRId64 " %s", scaled / 10, scaled % 10, units[unit]);
}

void
catalog_age(struct buffer *out, int64_t ms, int64_t now_ms)
{
	int64_t seconds = (now_ms - ms) / 1000;
	time_t then = (time_t)(ms / 1000);
	struct tm date;

	if (seconds < 60)
		buffer_text(out, "now");
	else if (seconds < 3600)
		buffer_printf(out, "%d min ago", (int)(seconds / 60));
	else if (seconds < 86400)
		buffer_printf(out, "%d h ago", (int)(seconds / 3600));
	else if (seconds < 14 * 86400)
		buffer_printf(out, "%d d ago", (int)(seconds / 86400));
	else if (localtime_r(&then, &date) != NULL)
		buffer_printf(
		    out, "%04d-%02d-%02d", date.tm_year + 1900, date.tm_mon + 1, date.tm_mday);
}

static void
fraction(struct buffer *out, double value, const char *dash)
{
	if (isfinite(value))
		buffer_printf(out, "%.2f", value);
	else
		buffer_text(out, dash);
}

/* An adapter made by merging has no task of its own when its parents' tasks differ. */
static const char *
task_of(const struct store_adapter *adapter, const char *dash)
{
	return adapter->task[0] != '\0'	  ? adapter->task
	       : adapter->note[0] != '\0' ? adapter->note
					  : dash;
}

void
catalog_cell(const struct store_adapter *adapter, enum catalog_column column, int64_t now_ms,
    const char *dash, struct buffer *out)
{
	switch (column) {
	case COLUMN_NAME:
		buffer_text(out, adapter->name);
		break;
	case COLUMN_TASK:
		buffer_text(out, task_of(adapter, dash));
		break;
	case COLUMN_NEAR:
		fraction(out, adapter->nearness, dash);
		break;
	case COLUMN_BASE:
		buffer_text(out, adapter->base_name[0] != '\0' ? adapter->base_name : dash);
		break;
	case COLUMN_RANK:
		buffer_printf(out, "%" PRIu32, adapter->rank);
		break;
	case COLUMN_SOURCE:
		buffer_text(out, store_source_name(adapter->source));
		break;
	case COLUMN_WINS:
		if (adapter->wins + adapter->losses + adapter->ties > 0)
			buffer_printf(
			    out, "%" PRIu32 "%s%" PRIu32, adapter->wins, dash, adapter->losses);
		else
			buffer_text(out, dash);
		break;
	case COLUMN_SCORE:
		fraction(out, adapter->score, dash);
		break;
	case COLUMN_CREATED:
		catalog_age(out, adapter->created_ms, now_ms);
		break;
	case N_COLUMNS:
		break;
	}
}
