/*
 * engine/text/pretokenizer.h - cuts normalised text into the pieces a model encodes one by one:
 * a chain of stages, each cutting what the one before left.
 */
#ifndef ENGINE_TEXT_PRETOKENIZER_H
#define ENGINE_TEXT_PRETOKENIZER_H

#include "base/buffer.h"
#include "engine/text/pattern.h"

#define PRETOKENIZER_MAX_STAGES 16

/* What becomes of the matches of a pattern (names of the `tokenizers` library). */
enum split_behavior {
	SPLIT_ISOLATED, /* pieces of their own */
	SPLIT_REMOVED,
	SPLIT_MERGED_WITH_PREVIOUS,
	SPLIT_MERGED_WITH_NEXT,
	SPLIT_CONTIGUOUS /* neighbouring matches are one piece */
};

enum stage_kind {
	STAGE_SPLIT,	   /* at matches of `pattern` */
	STAGE_SPACE_FIRST, /* puts a blank before a piece that has none */
	STAGE_METASPACE	   /* blanks become `blank`, and one is put before a piece that has none */
};

enum prepend_scheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

struct split_stage {
	enum stage_kind kind;
	struct pattern *pattern;
	enum split_behavior behavior;
	bool invert; /* the matches are the text, the rest the separators */
	char blank[5];
	enum prepend_scheme prepend;
};

struct pretokenizer {
	struct split_stage stages[PRETOKENIZER_MAX_STAGES];
	size_t n;
};

struct span {
	size_t start, end;
	bool match;
};

/* The working memory of one thread; zeroed is valid. */
struct pretokenizer_work {
	struct {
		struct span *spans;
		size_t n, capacity;
		struct buffer text;
	} stages[PRETOKENIZER_MAX_STAGES];
};

typedef enum t2l_status piece_receiver(
    void *context, const char *piece, size_t n_bytes, struct t2l_error *err);

/* Hands the pieces of TEXT (valid UTF-8) to RECEIVE in order. AT_START: the text begins here.
 * Pieces are never empty and live until RECEIVE returns. */
enum t2l_status pretokenizer_run(const struct pretokenizer *pretokenizer,
    struct pretokenizer_work *work, struct pattern_matcher *matcher, const char *text,
    size_t n_bytes, bool at_start, piece_receiver *receive, void *context, struct t2l_error *err);

void pretokenizer_work_free(struct pretokenizer_work *work);
void pretokenizer_free(struct pretokenizer *pretokenizer);

#endif
