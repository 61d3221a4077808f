/*
 * ui/run-settings.h - how lanes run: a table of numbers and texts, to be shown, changed and kept.
 *
 * Numbers of a lane are in its struct t2l_sampling, which may be the one in the settings of all
 * lanes or its own; the rest is in struct run_settings and holds for all lanes.
 */
#ifndef UI_RUN_SETTINGS_H
#define UI_RUN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "base/buffer.h"
#include "engine/t2l.h"

enum { MAX_STOPS = 8 };

struct run_settings {
	struct t2l_sampling sampling;
	size_t max_tokens;
	char *stop[MAX_STOPS];
	size_t n_stop;
	char *system; /* NULL: none */
	bool raw;     /* no chat template */
};

/* False: out of memory; TO can be freed all the same. */
bool run_settings_copy(struct run_settings *to, const struct run_settings *from);
void run_settings_free(struct run_settings *settings);

enum run_setting_kind {
	SETTING_FLOAT, /* of the sampling */
	SETTING_INT,
	SETTING_SEED,
	SETTING_TOKENS, /* from here on of struct run_settings */
	SETTING_RAW,
	SETTING_SYSTEM, /* texts */
	SETTING_STOP
};
/* A row: where the number is, and how far a key moves it. */
struct run_setting {
	const char *name, *help;
	enum run_setting_kind kind;
	size_t offset; /* in struct t2l_sampling */
	double step, min, max;
};
enum { N_RUN_SETTINGS = 12 };
extern const struct run_setting run_setting_rows[N_RUN_SETTINGS];

static inline bool
run_setting_is_text(const struct run_setting *row)
{
	return row->kind >= SETTING_SYSTEM;
}

/* Of a row that is no text. Setting clips to the row's range. */
double run_setting_number(const struct run_settings *settings, const struct t2l_sampling *sampling,
    const struct run_setting *row);
void run_setting_set_number(struct run_settings *settings, struct t2l_sampling *sampling,
    const struct run_setting *row, double value);
/* As it is shown; stop texts with | between. */
void run_setting_text(const struct run_settings *settings, const struct t2l_sampling *sampling,
    const struct run_setting *row, struct buffer *out);
/* Of a row that is a text. */
void run_setting_set_text(
    struct run_settings *settings, const struct run_setting *row, const char *text);

/* What SETTINGS with SAMPLING has otherwise than USUAL, by the rows' names; the caller's. */
cJSON *run_settings_changes(const struct run_settings *settings,
    const struct t2l_sampling *sampling, const struct run_settings *usual);
/* The other way; what is of a wrong type or out of range is left as it is. */
void run_settings_change(
    struct run_settings *settings, struct t2l_sampling *sampling, const cJSON *changes);

#endif
