/* description.c - a task description as the reference hands it to its encoder. */

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"

/* White space of Python's str.strip(), which the reference calls. */
static bool
is_space(uint32_t codepoint)
{
	const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)codepoint);

	return property->bidi_class == UTF8PROC_BIDI_CLASS_WS ||
	       property->bidi_class == UTF8PROC_BIDI_CLASS_B ||
	       property->bidi_class == UTF8PROC_BIDI_CLASS_S ||
	       property->category == UTF8PROC_CATEGORY_ZS;
}

static bool
is_alphabetic(uint32_t codepoint)
{
	utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);

	return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/* PREFIX, then TASK without white space at its ends, then perhaps "." behind a letter. */
static enum t2l_status
prepare(const char *task, const char *prefix, bool full_stop, char **out, struct t2l_error *err)
{
	size_t n = strlen(task), n_prefix = strlen(prefix), begin = n, end = 0;
	uint32_t codepoint, last = 0;
	bool valid;
	char *text;

	for (size_t at = 0, step; at < n; at += step) {
		step = utf8_decode(task + at, n - at, &codepoint, &valid);
		if (!valid)
			return t2l_fail(err, T2L_EINVAL,
			    "the description is not valid UTF-8 (byte %zu)", at + 1);
		if (is_space(codepoint))
			continue;
		if (begin == n)
			begin = at;
		end = at + step;
		last = codepoint;
	}
	if (end == 0)
		return t2l_fail(err, T2L_EINVAL,
		    "the description is empty; say in a sentence what the adapter should do");
	text = malloc(n_prefix + end - begin + 2);
	if (text == NULL)
		return t2l_fail(err, T2L_ENOMEM, "description: out of memory");
	memcpy(text, prefix, n_prefix);
	memcpy(text + n_prefix, task + begin, end - begin);
	strcpy(text + n_prefix + (end - begin), full_stop && is_alphabetic(last) ? "." : "");
	*out = text;
	return T2L_OK;
}

enum t2l_status
hypernet_prepare_description(const char *task, char **out, struct t2l_error *err)
{
	return prepare(task, "", true, out, err);
}

enum t2l_status
hypernet_prepare_instruction(const char *task, char **out, struct t2l_error *err)
{
	return prepare(
	    task, "Instruct: Retrieve semantically similar text.\nQuery: ", false, out, err);
}

enum t2l_status
hypernet_check_words(const struct text_encoder *encoder, const char *task, struct t2l_error *err)
{
	size_t n_known, n;
	enum t2l_status status = text_encoder_count(encoder, task, &n_known, &n, err);

	if (status != T2L_OK || (n > 0 && 2 * n_known >= n))
		return status;
	return t2l_fail(err, T2L_EINVAL,
	    "encoder '%s' knows %zu of the %zu words and signs of this description; say it in a "
	    "language that the encoder was made for, or give another encoder and its hypernet",
	    encoder->facts.name, n_known, n);
}
