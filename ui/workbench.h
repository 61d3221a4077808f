/*
 * ui/workbench.h - the interactive workbench: describe, try side by side, keep, merge, export.
 *
 * One thread draws and reads keys and never waits. Four others run lanes, run command lines, write,
 * and answer short questions (searches, drafts); they exchange messages over queues, and theirs
 * wake the screen's poll loop. The host (src/) hands over what is open and how to run a line of the
 * command table.
 */
#ifndef UI_WORKBENCH_H
#define UI_WORKBENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/t2l.h"
#include "store/store.h"

struct workbench_host {
	struct t2l_engine *engine;
	struct t2l_model *model;
	struct t2l_encoder
	    *encoder; /* NULL: none found; then no live generation, the screen says why */
	struct t2l_hypernet *hypernet;	/* NULL likewise */
	const char *no_hypernet;	/* why, for the screen */
	struct store *store;		/* the screen's own handle */
	const char *rc;			/* the file t2lrc; need not be there */
	const char *home;		/* data home: histories, t2lrc */
	const char *const *suggestions; /* tasks offered on an empty catalog, NULL-terminated */
	const char *script; /* --script FILE: keys to play (screen tests); NULL: the keyboard */
	void *user;

	/* Runs a command line ("merge --adapters a b ...") on the commands' thread; output goes
	 * through WRITE as it comes. */
	int (*run_line)(void *user, const char *line,
	    void (*write)(void *write_user, const char *bytes, size_t n), void *write_user,
	    atomic_bool *cancelled);
	/* NULL-terminated completions of the last word of LINE; free_words() after. */
	char **(*complete)(void *user, const char *line);
	void (*free_words)(char **words);
	/* A configuration value by key ("ui.theme"), NULL when unset. */
	const char *(*setting)(void *user, const char *key);
	/* Keeps an adapter in the catalog: > 0 its id, 0 with the message in ERR. Called on the
	 * thread that writes. */
	int64_t (*keep)(void *user, const struct t2l_adapter *adapter, const char *name,
	    const char *source, double generation_ms, struct t2l_error *err);
};

/* Runs until the user quits; -> exit status. Restores the terminal however it ends. */
int workbench_run(const struct workbench_host *host);

#endif
