/*
 * engine/text/normalizer.h - what a tokenizer does to text before splitting it: a chain of steps.
 */
#ifndef ENGINE_TEXT_NORMALIZER_H
#define ENGINE_TEXT_NORMALIZER_H

#include "base/buffer.h"
#include "engine/text/pattern.h"
#include "engine/text/unicode.h"

#define NORMALIZER_MAX_STEPS 16

/* Appends what becomes of one character. */
typedef void normalize_character(uint32_t code_point, struct buffer *out);

enum normalize_kind {
	NORMALIZE_FORM,	     /* `form` */
	NORMALIZE_CHARACTER, /* `character` */
	NORMALIZE_PREPEND,   /* `with`, unless the text is empty */
	NORMALIZE_REPLACE,   /* every match of `pattern` by `with` */
	NORMALIZE_STRIP	     /* white space at the ends */
};

struct normalize_step {
	enum normalize_kind kind;
	enum unicode_form form;
	normalize_character *character;
	struct pattern *pattern;
	char *with;
	size_t n_with;
	bool left, right;
};

struct normalizer {
	struct normalize_step steps[NORMALIZER_MAX_STEPS];
	size_t n;
};

/* Characters as BertNormalizer treats them. */
normalize_character normalize_clean;	  /* no control characters, every space is a blank */
normalize_character normalize_space_cjk;  /* blanks around Han ideographs */
normalize_character normalize_drop_mn;	  /* no nonspacing marks */
normalize_character normalize_drop_marks; /* no marks at all */
normalize_character normalize_lowercase;

/* Two buffers that a text goes through in turn; zeroed is valid, kept between texts. */
struct normalizer_work {
	struct buffer buffers[2];
};

/* *OUT [*N_OUT] is TEXT itself if nothing is to be done, else lives in WORK until the next call.
 * TEXT is valid UTF-8 and so is the result. */
enum t2l_status normalizer_run(const struct normalizer *normalizer, struct normalizer_work *work,
    struct pattern_matcher *matcher, const char *text, size_t n_bytes, const char **out,
    size_t *n_out, struct t2l_error *err);

void normalizer_work_free(struct normalizer_work *work);
void normalizer_free(struct normalizer *normalizer);

#endif
