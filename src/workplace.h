/*
 * src/workplace.h - the things that commands work with, opened once and kept.
 *
 * Names are resolved here: a base model is a path, a name the catalog knows or the default of the
 * configuration; an adapter is a path, a catalog name or id, NAME:WEIGHT, or a mix joined by '+'.
 * Functions return false after context_fail() has told why. What they give belongs to the
 * workplace.
 */
#ifndef SRC_WORKPLACE_H
#define SRC_WORKPLACE_H

#include "engine/t2l.h"
#include "src/context.h"
#include "store/store.h"

struct workplace *workplace_new(void);
void workplace_free(struct workplace *workplace);

/* share/: models, tasks, themes. $T2L_DATADIR, else the build's or installed place. */
const char *workplace_share(struct context *ctx);
/* The data home: $T2L_HOME, else $XDG_DATA_HOME/t2l, else ~/.local/share/t2l. */
const char *workplace_home(struct context *ctx);

bool workplace_store(struct context *ctx, struct store **store);
/* Where the model, encoder or hypernet NAME is; false: nowhere, PATH is then NAME itself. */
bool workplace_find_model(struct context *ctx, const char *name, char *path, size_t size);
bool workplace_engine(struct context *ctx, struct t2l_engine **engine);
/* --precise: what is open on an engine of the other kind is closed. */
void workplace_precise(struct context *ctx, bool precise);
/* PATH NULL: the configured default (the demo base). Another base than before replaces it only when
 * no longer in use. */
bool workplace_model(struct context *ctx, const char *path, struct t2l_model **model);
/* Its tokenizer and chat template alone: no weights are read, and PATH may have none. */
bool workplace_text_model(struct context *ctx, const char *path, struct t2l_model **model);
bool workplace_encoder(struct context *ctx, const char *path, struct t2l_encoder **encoder);
/* The same for HYPERNET's descriptions; one that takes none says so before an encoder is missed. */
bool workplace_encoder_for(struct context *ctx, const struct t2l_hypernet *hypernet,
    const char *path, struct t2l_encoder **encoder);
/* PATH NULL: the configured hypernet of VARIANT ("S", "M", "L"; NULL: the configured one). */
bool workplace_hypernet(
    struct context *ctx, const char *path, const char *variant, struct t2l_hypernet **hypernet);

/* What a lane runs: adapters with weights; n = 0 is the base. label: what the user wrote. */
struct mix {
	char *label;
	const struct t2l_adapter **adapters; /* references held by the mix */
	float *weights;
	size_t n;
	int64_t adapter_id; /* catalog id when it is one adapter of the catalog, else 0 */
};
/* "base" or "none": the base alone. */
bool mix_parse(struct context *ctx, const char *text, struct mix *mix);
void mix_release(struct mix *mix);
/* One adapter by path, name or id. The reference is the caller's (t2l_adapter_close()). */
bool workplace_adapter(
    struct context *ctx, const char *text, struct t2l_adapter **adapter, int64_t *id);

/* Saves an adapter into the catalog (file, row, embedding of its task when an encoder is open); *id
 * of the row. */
struct keep_options {
	const char *name;   /* NULL: made from the task */
	const char *source; /* "generated", "merged", "imported", "trained" */
	double generation_ms;
	const char *note;
	const char *const *tags;
	size_t n_tags;
	const struct store_parent *parents; /* lineage */
	size_t n_parents;
	bool refuse_twin; /* what the catalog has already gets no second row: its own is told */
};
struct kept {
	int64_t id;
	char name[STORE_NAME_MAX + 1];
	char path[4096];
	char twin[STORE_NAME_MAX + 1]; /* who does the same and was there already; "" nobody */
	bool again;		       /* no row was added: NAME is the twin's */
};
bool workplace_keep(struct context *ctx, const struct t2l_adapter *adapter,
    const struct keep_options *options, struct kept *kept);
/* What the adapters do that an older t2l kept without noting it, so that twins of theirs are known.
 * Reads each of their files once in the catalog's life; one that can't be read stays unknown. */
bool workplace_note_contents(struct context *ctx);

#endif
