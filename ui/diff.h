/*
 * ui/diff.h - which words of a text differ from another text's.
 *
 * The longest common subsequence of words (runs without white space; a wide character, as of
 * Chinese, is a word by itself) stays, everything else differs. Texts too large for that are
 * compared by lines, still larger ones from the first line that differs to the last.
 */
#ifndef UI_DIFF_H
#define UI_DIFF_H

#include <stdbool.h>
#include <stddef.h>

struct diff_span {
	size_t start, n_bytes; /* of the text */
	bool changed;
};

struct diff {
	struct diff_span *spans; /* the whole text in order, same and changed in turn */
	size_t n_spans;
	size_t n_differ; /* words; one put in another's place counts once, as does a missing one */
	bool by_lines;	 /* the texts were too large to compare by words */
};

/* Compares TEXT[N] (any bytes) with REFERENCE. False: out of memory, nothing to free. */
bool diff_words(
    const char *reference, size_t n_reference, const char *text, size_t n, struct diff *out);
void diff_free(struct diff *diff); /* fine on a zeroed one */

#endif
