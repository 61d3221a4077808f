/* normalizer.c - what a tokenizer does to text before splitting it. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/normalizer.h"

/* ---- characters ---- */

static void
append_code_point(struct buffer *out, uint32_t code_point)
{
	char encoded[UTF8_MAX_BYTES];

	buffer_append(out, encoded, utf8_encode(code_point, encoded));
}

void
normalize_clean(uint32_t code_point, struct buffer *out)
{
	if (code_point == '\t' || code_point == '\n' || code_point == '\r')
		buffer_char(out, ' ');
	else if (code_point == 0 || code_point == UTF8_REPLACEMENT ||
		 unicode_is_control(code_point))
		return;
	else if (unicode_is_white_space(code_point))
		buffer_char(out, ' ');
	else
		append_code_point(out, code_point);
}

static bool
is_han(uint32_t code_point)
{
	/* The ranges of the `tokenizers` library, which has 2B920 where BERT has 2B820. */
	static const uint32_t ranges[][2] = {
		{ 0x4E00, 0x9FFF },
		{ 0x3400, 0x4DBF },
		{ 0x20000, 0x2A6DF },
		{ 0x2A700, 0x2B73F },
		{ 0x2B740, 0x2B81F },
		{ 0x2B920, 0x2CEAF },
		{ 0xF900, 0xFAFF },
		{ 0x2F800, 0x2FA1F },
	};
	size_t i;

	for (i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (code_point >= ranges[i][0] && code_point <= ranges[i][1])
			return true;
	return false;
}

void
normalize_space_cjk(uint32_t code_point, struct buffer *out)
{
	bool han = is_han(code_point);

	if (han)
		buffer_char(out, ' ');
	append_code_point(out, code_point);
	if (han)
		buffer_char(out, ' ');
}

void
normalize_drop_mn(uint32_t code_point, struct buffer *out)
{
	if (!unicode_is_mark_nonspacing(code_point))
		append_code_point(out, code_point);
}

void
normalize_drop_marks(uint32_t code_point, struct buffer *out)
{
	if (!unicode_is_mark(code_point))
		append_code_point(out, code_point);
}

void
normalize_lowercase(uint32_t code_point, struct buffer *out)
{
	uint32_t lower[2];
	size_t i, n = unicode_to_lower(code_point, lower);

	for (i = 0; i < n; i++)
		append_code_point(out, lower[i]);
}

/* ---- steps ---- */

static enum t2l_status
run_character(
    const struct normalize_step *step, const char *text, size_t n_bytes, struct buffer *out)
{
	uint32_t code_point;
	bool valid;
	size_t i;

	for (i = 0; i < n_bytes;) {
		i += utf8_decode(text + i, n_bytes - i, &code_point, &valid);
		step->character(code_point, out);
	}
	return T2L_OK;
}

static enum t2l_status
run_form(const struct normalize_step *step, const char *text, size_t n_bytes, struct buffer *out)
{
	size_t n;
	char *normal = unicode_normalize(text, n_bytes, step->form, &n);

	if (normal == NULL)
		out->failed = true;
	else
		buffer_append(out, normal, n);
	free(normal);
	return T2L_OK;
}

static enum t2l_status
run_replace(const struct normalize_step *step, struct pattern_matcher *matcher, const char *text,
    size_t n_bytes, struct buffer *out, struct t2l_error *err)
{
	size_t at = 0, start, end;
	enum t2l_status status;
	bool found;

	for (;;) {
		status = pattern_find(
		    step->pattern, matcher, text, n_bytes, at, &found, &start, &end, err);
		if (status != T2L_OK)
			return status;
		if (!found)
			break;
		buffer_append(out, text + at, start - at);
		buffer_append(out, step->with, step->n_with);
		at = end;
	}
	buffer_append(out, text + at, n_bytes - at);
	return T2L_OK;
}

static enum t2l_status
run_strip(const struct normalize_step *step, const char *text, size_t n_bytes, struct buffer *out)
{
	size_t start = 0, end = n_bytes, length;
	uint32_t code_point;
	bool valid;

	while (step->left && start < end) {
		length = utf8_decode(text + start, end - start, &code_point, &valid);
		if (!unicode_is_white_space(code_point))
			break;
		start += length;
	}
	while (step->right && end > start) {
		size_t before = end - 1;

		while (before > start && ((unsigned char)text[before] & 0xC0) == 0x80)
			before--;
		utf8_decode(text + before, end - before, &code_point, &valid);
		if (!unicode_is_white_space(code_point))
			break;
		end = before;
	}
	buffer_append(out, text + start, end - start);
	return T2L_OK;
}

static enum t2l_status
run_step(const struct normalize_step *step, struct pattern_matcher *matcher, const char *text,
    size_t n_bytes, struct buffer *out, struct t2l_error *err)
{
	switch (step->kind) {
	case NORMALIZE_FORM:
		return run_form(step, text, n_bytes, out);
	case NORMALIZE_CHARACTER:
		return run_character(step, text, n_bytes, out);
	case NORMALIZE_PREPEND:
		if (n_bytes > 0)
			buffer_append(out, step->with, step->n_with);
		buffer_append(out, text, n_bytes);
		return T2L_OK;
	case NORMALIZE_REPLACE:
		return run_replace(step, matcher, text, n_bytes, out, err);
	case NORMALIZE_STRIP:
		return run_strip(step, text, n_bytes, out);
	}
	return T2L_OK;
}

enum t2l_status
normalizer_run(const struct normalizer *normalizer, struct normalizer_work *work,
    struct pattern_matcher *matcher, const char *text, size_t n_bytes, const char **out,
    size_t *n_out, struct t2l_error *err)
{
	enum t2l_status status;
	size_t i, turn = 0;

	for (i = 0; i < normalizer->n; i++) {
		const struct normalize_step *step = &normalizer->steps[i];
		struct buffer *buffer = &work->buffers[turn];

		if (step->kind == NORMALIZE_FORM && unicode_is_ascii(text, n_bytes))
			continue; /* saves copying most English text */
		buffer_clear(buffer);
		status = run_step(step, matcher, text, n_bytes, buffer, err);
		if (status != T2L_OK)
			return status;
		if (buffer_failed(buffer))
			return t2l_fail(
			    err, T2L_ENOMEM, "out of memory normalising %zu bytes", n_bytes);
		text = buffer_string(buffer);
		n_bytes = buffer->n;
		turn = !turn;
	}
	*out = text;
	*n_out = n_bytes;
	return T2L_OK;
}

void
normalizer_work_free(struct normalizer_work *work)
{
	buffer_free(&work->buffers[0]);
	buffer_free(&work->buffers[1]);
}

void
normalizer_free(struct normalizer *normalizer)
{
	size_t i;

	for (i = 0; i < normalizer->n; i++) {
		pattern_free(normalizer->steps[i].pattern);
		free(normalizer->steps[i].with);
	}
	normalizer->n = 0;
}
