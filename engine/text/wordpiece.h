/*
 * engine/text/wordpiece.h - WordPiece: the longest token that a word begins with, again and again
 * (Wu et al. 2016, as in BERT). A word with a part that is no token is one unk_id.
 */
#ifndef ENGINE_TEXT_WORDPIECE_H
#define ENGINE_TEXT_WORDPIECE_H

#include "engine/text/ids.h"
#include "engine/text/vocabulary.h"

struct wordpiece {
	char prefix[16]; /* of tokens that continue a word: "##" */
	int32_t unk_id;
	size_t max_characters; /* longer words are unk_id */
};

/* Appends the ids of a word of valid UTF-8. WORK is memory to reuse. False: out of memory. */
bool wordpiece_encode(const struct wordpiece *wordpiece, const struct vocabulary *vocabulary,
    struct buffer *work, const char *word, size_t n_bytes, struct id_array *ids);

#endif
