/*
 * engine/text/pattern.h - the regular expressions of a tokenizer, over PCRE2 with its JIT.
 *
 * The expressions were written for Oniguruma or Rust; \s and \w are rewritten to what they
 * mean there: PCRE2's own \s also takes U+180E, its \w has no marks. Matching is bounded.
 */
#ifndef ENGINE_TEXT_PATTERN_H
#define ENGINE_TEXT_PATTERN_H

#include "engine/t2l.h"

struct pattern;
struct pattern_matcher; /* working memory of one thread, for any pattern */

enum t2l_status pattern_compile(
    const char *regex, size_t n_bytes, struct pattern **out, struct t2l_error *err);
/* A pattern that matches the string itself. */
enum t2l_status pattern_compile_literal(
    const char *text, size_t n_bytes, struct pattern **out, struct t2l_error *err);
void pattern_free(struct pattern *pattern);

/* What it was made of: a regular expression as it was given, or the string itself. */
const char *pattern_source(const struct pattern *pattern, bool *literal, size_t *n_bytes);
bool pattern_equal(const struct pattern *a, const struct pattern *b); /* both may be NULL */

struct pattern_matcher *pattern_matcher_open(void); /* NULL: out of memory */
void pattern_matcher_close(struct pattern_matcher *matcher);

/* Finds the next non-empty match at FROM or behind it in valid UTF-8. *FOUND is false if there is
 * none. T2L_EUNSUPPORTED: the pattern took too many steps on this text. */
enum t2l_status pattern_find(const struct pattern *pattern, struct pattern_matcher *matcher,
    const char *text, size_t n_bytes, size_t from, bool *found, size_t *start, size_t *end,
    struct t2l_error *err);

#endif
