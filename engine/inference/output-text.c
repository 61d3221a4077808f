/* output-text.c - a lane's text as it grows, cut at the first stop string. */
#include "config.h"

#include "engine/inference/output-text.h"

#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"

enum t2l_status
stop_strings_check(
    struct stop_strings *stop, const char *const *strings, size_t n, struct t2l_error *err)
{
	*stop = (struct stop_strings){ strings, n, 0 };
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(strings[i]);

		if (length == 0)
			return t2l_fail(err, T2L_EINVAL, "stop string %zu is empty", i + 1);
		if (!utf8_valid(strings[i], length))
			return t2l_fail(err, T2L_EINVAL, "stop string %zu is not UTF-8", i + 1);
		if (length > stop->longest)
			stop->longest = length;
	}
	return T2L_OK;
}

bool
output_text_append(
    struct output_text *output, const struct stop_strings *stop, const char *bytes, size_t n)
{
	size_t before = output->text.n, from, cut = SIZE_MAX;

	if (n == 0)
		return false;
	buffer_append(&output->text, bytes, n);
	from = stop->longest > 0 && before >= stop->longest ? before - stop->longest + 1 : 0;
	for (size_t i = 0; i < stop->n; i++) {
		const char *text = buffer_string(&output->text);
		const char *found = memmem(
		    text + from, output->text.n - from, stop->strings[i], strlen(stop->strings[i]));

		if (found != NULL && (size_t)(found - text) < cut)
			cut = (size_t)(found - text);
	}
	if (cut == SIZE_MAX)
		return false;
	output->text.n = cut;
	output->text.bytes[cut] = '\0';
	return true;
}

/* Bytes at the end that may be the beginning of a stop string. */
static size_t
held_back(const struct output_text *output, const struct stop_strings *stop)
{
	const char *text = buffer_string(&output->text);
	size_t n = output->text.n, most = stop->longest < n ? stop->longest : n;

	for (size_t length = most; length > 0; length--)
		for (size_t i = 0; i < stop->n; i++)
			if (strncmp(stop->strings[i], text + n - length, length) == 0)
				return length;
	return 0;
}

const char *
output_text_take(struct output_text *output, const struct stop_strings *stop, bool all, size_t *n)
{
	size_t end = output->text.n - (all ? 0 : held_back(output, stop));
	const char *from = buffer_string(&output->text) + output->n_shown;

	*n = end > output->n_shown ? end - output->n_shown : 0;
	output->n_shown += *n;
	return from;
}

void
output_text_clear(struct output_text *output)
{
	buffer_clear(&output->text);
	output->n_shown = 0;
}

void
output_text_free(struct output_text *output)
{
	buffer_free(&output->text);
}
