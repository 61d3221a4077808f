/*
 * engine/text/jinja-lexer.h - the tokens of a template.
 *
 * As Jinja2 with trim_blocks and lstrip_blocks: the newline behind a block tag or comment is
 * dropped, and so are blanks before one that stands first on its line; "-" at a tag drops all
 * white space on its side, "+" keeps it.
 */
#ifndef ENGINE_TEXT_JINJA_LEXER_H
#define ENGINE_TEXT_JINJA_LEXER_H

#include "engine/text/jinja.h"

enum jinja_token_kind {
	TOKEN_TEXT,	   /* outside tags; `value` is the string */
	TOKEN_OUTPUT_OPEN, /* {{ */
	TOKEN_OUTPUT_CLOSE,
	TOKEN_BLOCK_OPEN, /* {% */
	TOKEN_BLOCK_CLOSE,
	TOKEN_NAME,    /* `text` */
	TOKEN_LITERAL, /* a string, integer or float: `value` */
	TOKEN_SYMBOL,  /* `text`: an operator or a bracket */
	TOKEN_END
};

struct jinja_token {
	enum jinja_token_kind kind;
	int line;
	struct jinja_string text;
	struct jinja_value value;
};

struct jinja_tokens {
	struct jinja_token *at; /* [n], the last is TOKEN_END; allocated with malloc() */
	size_t n, capacity;
};

/* Strings live in ARENA or SOURCE. The caller frees TOKENS->at, also after a failure. */
enum t2l_status jinja_tokenize(const char *source, size_t n_bytes, struct jinja_arena *arena,
    struct jinja_tokens *tokens, struct t2l_error *err);

#endif
