/* run-settings.c - the table of what can be set of a run, and its texts. */

#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "ui/run-settings.h"

const struct run_setting run_setting_rows[N_RUN_SETTINGS] = {
	{ "temperature", "0 always takes the likeliest token", SETTING_FLOAT,
	    offsetof(struct t2l_sampling, temperature), 0.05, 0, 100 },
	{ "top_k", "only the k likeliest; 0 all", SETTING_INT, offsetof(struct t2l_sampling, top_k),
	    5, 0, 1e9 },
	{ "top_p", "nucleus; 1 all", SETTING_FLOAT, offsetof(struct t2l_sampling, top_p), 0.05, 0,
	    1 },
	{ "min_p", "share of the likeliest's; 0 all", SETTING_FLOAT,
	    offsetof(struct t2l_sampling, min_p), 0.01, 0, 1 },
	{ "repetition penalty", "1 none", SETTING_FLOAT,
	    offsetof(struct t2l_sampling, repetition_penalty), 0.05, 0.01, 100 },
	{ "frequency penalty", "0 none", SETTING_FLOAT,
	    offsetof(struct t2l_sampling, frequency_penalty), 0.05, -10, 10 },
	{ "presence penalty", "0 none", SETTING_FLOAT,
	    offsetof(struct t2l_sampling, presence_penalty), 0.05, -10, 10 },
	{ "seed", "the same in all lanes draws the same numbers", SETTING_SEED,
	    offsetof(struct t2l_sampling, seed), 1, 0, 9e15 },
	{ "max tokens", "of an answer", SETTING_TOKENS, 0, 16, 1, 1e9 },
	{ "no chat template", "the prompt as it stands", SETTING_RAW, 0, 0, 0, 1 },
	{ "system", "the system message", SETTING_SYSTEM, 0, 0, 0, 0 },
	{ "stop", "texts that end an answer, with | between", SETTING_STOP, 0, 0, 0, 0 },
};

bool
run_settings_copy(struct run_settings *to, const struct run_settings *from)
{
	*to = *from;
	to->system = NULL;
	memset(to->stop, 0, sizeof to->stop);
	for (size_t i = 0; i < from->n_stop; i++)
		if ((to->stop[i] = strdup(from->stop[i])) == NULL)
			return false;
	return from->system == NULL || (to->system = strdup(from->system)) != NULL;
}

void
run_settings_free(struct run_settings *settings)
{
	for (size_t i = 0; i < MAX_STOPS; i++)
		free(settings->stop[i]);
	free(settings->system);
	*settings = (struct run_settings){ 0 };
}

/* ---- one setting ---- */

double
run_setting_number(const struct run_settings *settings, const struct t2l_sampling *sampling,
    const struct run_setting *row)
{
	const char *at = (const char *)sampling + row->offset;

	switch (row->kind) {
	case SETTING_FLOAT:
		return (double)*(const float *)at;
	case SETTING_INT:
		return *(const int *)at;
	case SETTING_SEED:
		return (double)*(const uint64_t *)at;
	case SETTING_TOKENS:
		return (double)settings->max_tokens;
	case SETTING_RAW:
		return settings->raw;
	default:
		return 0;
	}
}

void
run_setting_set_number(struct run_settings *settings, struct t2l_sampling *sampling,
    const struct run_setting *row, double value)
{
	char *at = (char *)sampling + row->offset;

	value = fmin(fmax(value, row->min), row->max);
	/* Steps of 0.05 in float drift; hundredths are what is shown. */
	if (row->kind == SETTING_FLOAT)
		value = round(value * 1e4) / 1e4;
	switch (row->kind) {
	case SETTING_FLOAT:
		*(float *)at = (float)value;
		break;
	case SETTING_INT:
		*(int *)at = (int)value;
		break;
	case SETTING_SEED:
		*(uint64_t *)at = (uint64_t)value;
		break;
	case SETTING_TOKENS:
		settings->max_tokens = (size_t)value;
		break;
	case SETTING_RAW:
		settings->raw = value > 0;
		break;
	default:
		break;
	}
	sampling->greedy = !(sampling->temperature > 0);
}

void
run_setting_text(const struct run_settings *settings, const struct t2l_sampling *sampling,
    const struct run_setting *row, struct buffer *out)
{
	double value = run_setting_number(settings, sampling, row);
	char number[32];

	switch (row->kind) {
	case SETTING_RAW:
		buffer_text(out, settings->raw ? "on" : "off");
		break;
	case SETTING_SYSTEM:
		if (settings->system != NULL)
			buffer_text(out, settings->system);
		break;
	case SETTING_STOP:
		for (size_t i = 0; i < settings->n_stop; i++)
			buffer_printf(out, "%s%s", i > 0 ? "|" : "", settings->stop[i]);
		break;
	case SETTING_FLOAT:
		buffer_printf(out, "%.6g", value);
		break;
	default:
		buffer_text(out, number_text(value, number, sizeof number));
	}
}

static void
set_stops(struct run_settings *settings, const char *text)
{
	for (size_t i = 0; i < settings->n_stop; i++)
		free(settings->stop[i]);
	memset(settings->stop, 0, sizeof settings->stop);
	settings->n_stop = 0;
	while (*text != '\0' && settings->n_stop < MAX_STOPS) {
		size_t n = strcspn(text, "|");

		if (n > 0 && (settings->stop[settings->n_stop] = strndup(text, n)) != NULL)
			settings->n_stop++;
		text += n + (text[n] == '|');
	}
}

void
run_setting_set_text(struct run_settings *settings, const struct run_setting *row, const char *text)
{
	if (row->kind == SETTING_STOP) {
		set_stops(settings, text);
	} else if (row->kind == SETTING_SYSTEM) {
		free(settings->system);
		settings->system = text[0] != '\0' ? strdup(text) : NULL;
	}
}

/* ---- kept between runs ---- */

cJSON *
run_settings_changes(const struct run_settings *settings, const struct t2l_sampling *sampling,
    const struct run_settings *usual)
{
	cJSON *changes = cJSON_CreateObject();

	for (size_t i = 0; i < N_RUN_SETTINGS && changes != NULL; i++) {
		const struct run_setting *row = &run_setting_rows[i];
		struct buffer now = { 0 }, before = { 0 };

		run_setting_text(settings, sampling, row, &now);
		run_setting_text(usual, &usual->sampling, row, &before);
		if (strcmp(buffer_string(&now), buffer_string(&before)) == 0)
			;
		else if (run_setting_is_text(row))
			cJSON_AddStringToObject(changes, row->name, buffer_string(&now));
		else
			cJSON_AddNumberToObject(
			    changes, row->name, run_setting_number(settings, sampling, row));
		buffer_free(&now);
		buffer_free(&before);
	}
	return changes;
}

void
run_settings_change(
    struct run_settings *settings, struct t2l_sampling *sampling, const cJSON *changes)
{
	for (size_t i = 0; i < N_RUN_SETTINGS; i++) {
		const struct run_setting *row = &run_setting_rows[i];
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(changes, row->name);

		if (run_setting_is_text(row) && cJSON_IsString(value))
			run_setting_set_text(settings, row, value->valuestring);
		else if (!run_setting_is_text(row) && cJSON_IsNumber(value) &&
			 value->valuedouble >= row->min && value->valuedouble <= row->max)
			run_setting_set_number(settings, sampling, row, value->valuedouble);
	}
}
