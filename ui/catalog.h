/*
 * ui/catalog.h - the Catalog view's state, shared by the files that make it up.
 *
 * view-catalog.c reads keys; catalog-draw.c draws; catalog-actions.c asks and runs commands;
 * catalog-jobs.c is what goes to other threads: searches, writes (they wait for the disk) and
 * questions of meaning (they wait for the encoder). Screen thread, but for the jobs.
 */
#ifndef UI_CATALOG_H
#define UI_CATALOG_H

#include "ui/catalog-details.h"
#include "ui/catalog-list.h"
#include "ui/prompt-line.h"
#include "ui/view.h"

struct catalog {
	struct view *view;
	struct catalog_list list;
	struct catalog_details details;
	struct prompt_line search;
	bool typing;		       /* keys go to the search field */
	struct store_strings *history; /* of searches */
	bool opened;		       /* details, where they are not always in sight */
	bool details_in_sight;	       /* at the last drawing */
	int64_t wanted_nearest;	       /* the adapter whose neighbours are asked for */
	bool embedding;		       /* a sentence is with the encoder */

	/* What is being asked about, from one question to the next. */
	int64_t *ids;
	size_t n_ids;
	char *strategy, *weights;
};

/* ---- view-catalog.c ---- */

/* Asks for a tick in MS at the latest. */
void catalog_wake_in(struct catalog *catalog, int64_t ms);
/* What could not be searched for goes to the status line, and the field shows what is shown. */
void catalog_take_message(struct catalog *catalog);

/* ---- catalog-draw.c ---- */

void catalog_draw(struct view *view, struct area area);

/* ---- catalog-jobs.c ---- */

enum catalog_write {
	WRITE_RENAME,	 /* text: the name */
	WRITE_NOTE,	 /* text */
	WRITE_TAGS,	 /* text: what all are to have; before: what all had */
	WRITE_FAVOURITE, /* on */
	WRITE_TRASH,
	WRITE_UNDO,
	WRITE_RESTORE
};

/* Submits the write; TEXT and BEFORE (may be NULL) and IDS are copied. */
void catalog_write(struct catalog *catalog, enum catalog_write write, const int64_t *ids,
    size_t n_ids, const char *text, const char *before, bool on);
/* Asks for what is nearest to the adapter; the details get it. */
void catalog_ask_nearest(struct catalog *catalog, int64_t id);
/* Sorts the list by nearness to a sentence, once the encoder has it. */
void catalog_ask_near_sentence(struct catalog *catalog, const char *sentence);
/* Has the search made that the list wants, if it wants one. */
void catalog_pursue(struct catalog *catalog);
void catalog_message(struct view *view, struct message *message);

/* ---- catalog-actions.c: on the marked adapters, or the one under the cursor ---- */

void catalog_compare(struct catalog *catalog);
void catalog_merge(struct catalog *catalog);
void catalog_export(struct catalog *catalog);
void catalog_tag(struct catalog *catalog);
void catalog_note(struct catalog *catalog);
void catalog_rename(struct catalog *catalog);
void catalog_trash(struct catalog *catalog);
void catalog_favourite(struct catalog *catalog);
void catalog_import(struct catalog *catalog);
void catalog_similar(struct catalog *catalog);

#endif
