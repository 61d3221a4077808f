/*
 * share/tasks/suite-sentences.h - task descriptions made of phrasings, wrapper templates and
 *frames.
 *
 * phrasings/operations.txt says each operation in many ways, each marked with its kind:
 *	do   an order          "translate the word into Spanish"
 *	get  a noun phrase     "the Spanish translation"
 *	ask  a question        "what is this in Spanish"
 *	say  a whole sentence  "I want the Spanish word"
 * phrasings/wrappers.txt puts one phrasing into a template ("do: {do}, all in capitals"), and
 * phrasings/frames.txt makes a sentence of what there is ("Please {do}."). A slot takes a phrasing
 * of its kind, {any} takes all; a slot with a capital letter capitalises what it takes.
 *
 * Frames come in two sections: [bare] adds nothing but punctuation, [framed] adds words.
 *
 * "[a b] NAME=x,y" opens a section for several names at once; $NAME then stands for x in a and for
 * y in b. "#" starts a comment line.
 */
#ifndef T2L_SHARE_TASKS_SUITE_SENTENCES_H
#define T2L_SHARE_TASKS_SUITE_SENTENCES_H

#include "share/tasks/suite-text.h"

enum kind { DO, GET, ASK, SAY, ANY };

struct phrasing {
	enum kind kind;
	char *text;
};

struct phrasings {
	struct phrasing *phrasing;
	size_t n, held_out;
};

struct language;

/* Reads the three files and held-out-cores.txt; phrasings that are held out are dropped and
 * counted. */
struct language *language_read(const char *directory);

/* The phrasings of an operation or the templates of a wrapper; ends the program when there are
 * none. */
const struct phrasings *language_phrasings(const struct language *language, const char *name);

/* Collects what the phrasings can say of a task as the words that count (core_form): a single
 * operation in every frame, a wrapped one bare. A sentence in it is not a fresh one. */
void collect_sayable(const struct language *language, const char *operation, const char *wrapper,
    struct string_set *sayable);
/* The words that tell phrasings apart: those of word_form() but articles and "please". */
char *core_form(const char *text);

/* Adds up to N sentences of a task to LIST, spread evenly over all its phrasings, templates
 * and frames; SEED settles which. No two sentences of the task have the same words, and none has
 * the words of a sentence in AVOID. */
void describe(const struct language *language, const char *operation, const char *wrapper, size_t n,
    const char *seed, const struct string_set *avoid, struct strings *list);

#endif
