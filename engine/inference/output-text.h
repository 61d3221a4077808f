/*
 * inference/output-text.h - a lane's text as it grows, cut at the first stop string.
 *
 * What may be the beginning of a stop string is held back: text that was handed out is never
 * taken back.
 */
#ifndef ENGINE_INFERENCE_OUTPUT_TEXT_H
#define ENGINE_INFERENCE_OUTPUT_TEXT_H

#include "base/buffer.h"
#include "engine/t2l.h"

struct stop_strings {
	const char *const *strings;
	size_t n, longest;
};

/* Errors: T2L_EINVAL for an empty string or one that is not UTF-8. STRINGS must outlive it. */
enum t2l_status stop_strings_check(
    struct stop_strings *stop, const char *const *strings, size_t n, struct t2l_error *err);

struct output_text {
	struct buffer text;
	size_t n_shown; /* bytes that were handed out */
};

/* True when a stop string is complete: the text then ends before it. */
bool output_text_append(
    struct output_text *output, const struct stop_strings *stop, const char *bytes, size_t n);

/* What is new and certain; ALL hands out the rest too (nothing more will come). */
const char *output_text_take(
    struct output_text *output, const struct stop_strings *stop, bool all, size_t *n);

void output_text_clear(struct output_text *output);
void output_text_free(struct output_text *output);

#endif
