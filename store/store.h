/*
 * store/store.h - the catalog: every adapter that was kept, what it came from and how it did.
 *
 * A store is one directory (the data home): HOME/catalog.sqlite and the adapter files,
 * HOME/adapters/<aa>/<sha256>.safetensors, named by their content. doc/catalog.md has the tables.
 *
 * What callers may rely on:
 * - A call that returns STORE_OK has its effect on disk: a process killed right after, or a power
 *   cut, loses nothing. A call that fails has changed nothing.
 * - A row never points to a missing file: the file is in place before its row is committed.
 * - Several processes may use one home at once. A write waits for another process's write up to
 *   5 s, then fails with STORE_EBUSY. Readers never wait for writers.
 * - A handle belongs to one thread at a time (open one per thread, it is cheap); only
 *   store_interrupt() may be called from another.
 * - Results are returned through the last pointer, are snapshots, hold no lock, live until
 *   store_free(result), which frees the whole tree, and may outlive the store. On failure the
 *   pointer is untouched.
 * - store_error() then has a sentence that names the thing and the way out.
 * - Text is stored as it came and may hold control characters (make them visible before showing
 *   them); names and tags may not. Strings in results are never NULL; absent text is "".
 * - Times are milliseconds since 1970 (UTC). Ids are positive, never reused; 0 means none.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum store_status {
	STORE_OK = 0,
	STORE_ENOENT,	 /* no such adapter, comparison, model, ... */
	STORE_EEXISTS,	 /* the name is taken, or (when asked to refuse) the content is kept already
			  */
	STORE_EINVAL,	 /* a name, text, number or search filter is not acceptable */
	STORE_EREADONLY, /* the catalog cannot be written here */
	STORE_EBUSY,	 /* another process kept the write lock for too long */
	STORE_EFULL,	 /* disk full, quota or file size limit */
	STORE_EDAMAGED,	 /* the database or an adapter file is not what it should be */
	STORE_ENEWER,	 /* the catalog was written by a newer t2l */
	STORE_EIO,
	STORE_ENOMEM,
	STORE_ECANCELLED /* store_interrupt(), or a callback asked to stop */
};

/* Limits on text, in bytes; beyond them a call fails with STORE_EINVAL. */
enum {
	STORE_NAME_MAX = 128,
	STORE_TAG_MAX = 64,
	STORE_TEXT_MAX = 64 * 1024,	     /* task, note, history, state, model path */
	STORE_OUTPUT_MAX = 16 * 1024 * 1024, /* a comparison's prompt, settings and each output */
	STORE_DIMS_MAX = 8192		     /* length of an embedding */
};

/* ---- opening ---- */

enum store_mode {
	STORE_READ_WRITE, /* creates what is missing; falls back to reading when HOME cannot be
			     written, or its disk is full */
	STORE_READ_ONLY	  /* STORE_ENOENT when there is no catalog yet */
};

/* Opens the catalog in directory HOME. On failure there is no handle, so the sentence goes into
 * MESSAGE (may be NULL). Upgrades an older catalog in one transaction; a newer one is refused. */
enum store_status store_open(const char *home, enum store_mode mode, char *message,
    size_t message_bytes, struct store **out);

/* Lets go of the handle. NULL is fine. */
void store_close(struct store *store);

/* The sentence of the last call that failed on this handle; lives until the next call. */
const char *store_error(const struct store *store);

/* The data home as given to store_open(), and the database's path. */
const char *store_home(const struct store *store);
const char *store_path(const struct store *store);

/* True when writes will fail with STORE_EREADONLY; store_error() right after opening says why. */
bool store_is_read_only(const struct store *store);

/* A number that differs after anybody (this handle, another thread, another process) has
 * changed the catalog: a view that remembers it knows when to search again. */
uint64_t store_generation(struct store *store);

/* Makes the call that is running on STORE in another thread return STORE_ECANCELLED soon.
 * The one call here that any thread may make, as long as the handle is open. */
void store_interrupt(struct store *store);

/* Frees any result of this header. NULL is fine. */
void store_free(const void *result);

/* ---- adapters ---- */

enum store_source { STORE_GENERATED, STORE_MERGED, STORE_IMPORTED, STORE_TRAINED, STORE_N_SOURCES };

/* "generated", "merged", "imported", "trained"; -1 when NAME is none of them. */
const char *store_source_name(enum store_source source);
int store_source_parse(const char *name);

/* One adapter as the catalog knows it. */
struct store_adapter {
	int64_t id;
	const char *name;
	const char *task; /* the description it was made from */
	const char *base_name;
	const char *base_fingerprint; /* content hash of the base model it belongs to */
	const char *hypernet_name;
	const char *hypernet_fingerprint;
	const char *encoder_name;
	const char *modules; /* target modules, comma separated: "q_proj,v_proj" */
	uint32_t rank;
	bool rslora;
	double alpha;
	double scale;
	const char *hash; /* sha256 of the file, 64 hex digits */
	/* sha256 of what the adapter does (numbers, modules, scales; not labels or file format),
	 * made by the caller; "" when not known */
	const char *content;
	const char *path; /* HOME/adapters/<aa>/<hash>.safetensors */
	int64_t size_bytes;
	enum store_source source;
	double generation_ms; /* how long making it took; 0 unknown */
	double score;	      /* the caller's figure of merit, 0..1; NAN when never scored */
	bool favourite;
	const char *note;
	const char *const *tags; /* n_tags of them, sorted */
	size_t n_tags;
	int64_t created_ms;
	int64_t used_ms; /* last store_touch(), 0 never */
	uint32_t uses;
	uint32_t wins, losses, ties; /* from the votes */
	int64_t trashed_ms;	     /* 0: living */
	double nearness;	     /* cosine in a search by nearness, else NAN */
};

struct store_adapters {
	struct store_adapter *rows;
	size_t n_rows;
	uint64_t n_matching; /* rows that match, of which ROWS is one page */
	uint64_t n_living;   /* adapters in the catalog outside the trash */
	double elapsed_ms;
};

/* What an adapter was made from; KIND is the caller's word ("merge linear", "trained from"). */
struct store_parent {
	int64_t id;
	double weight;
	const char *kind;
};

/* The embedding of a description. Only its direction counts; it is normalised when stored. */
struct store_vector {
	const char *encoder_fingerprint;
	const float *values;
	size_t n_values;
};

/* A new adapter. Text pointers may be NULL for "". The content is FILE (copied), or BYTES. */
struct store_new {
	const char *name; /* NULL or "": made from the task, see store_suggest_name() */
	bool uniquify;	  /* a taken name becomes name-2, name-3, ... instead of STORE_EEXISTS */
	const char *task;
	const char *base_name, *base_fingerprint;
	const char *hypernet_name, *hypernet_fingerprint;
	const char *encoder_name;
	const char *modules;
	uint32_t rank;
	bool rslora;
	double alpha, scale;
	enum store_source source;
	double generation_ms;
	double score;	    /* 0 and NAN: not scored yet; see store_set_score() */
	int64_t created_ms; /* 0: now */
	bool favourite;
	const char *note;
	const char *const *tags;
	size_t n_tags;
	const struct store_parent *parents;
	size_t n_parents;
	const struct store_vector *vector; /* may be NULL */
	const char *file;
	const void *bytes;
	size_t n_bytes;
	const char *content; /* see store_adapter; NULL: not known */
	bool refuse_twin;    /* a twin is kept already: STORE_EEXISTS */
};

/* What came of it. TWIN is a living adapter with the same content (or the same file) and not for
 * another base, 0 if there is none; it is also set when refuse_twin made the call fail, with ID 0
 * then. */
struct store_added {
	int64_t id;
	int64_t twin;
	char name[STORE_NAME_MAX + 1];
	char hash[65];
};

/* Keeps an adapter: file first, then row, tags, lineage and vector in one transaction.
 * ADDED is filled in by value (nothing to free). */
enum store_status store_add(
    struct store *store, const struct store_new *adapter, struct store_added *added);

enum store_status store_get(struct store *store, int64_t id, struct store_adapter **out);

/* Finds one living adapter by what a person types: its name, its id ("12" or "#12"), or the
 * first 8 or more digits of its file's or content's hash. STORE_ENOENT names close matches. */
enum store_status store_find(struct store *store, const char *what, struct store_adapter **out);

/* Whether NAME may be used: valid UTF-8 without control characters, '/', ':', ',' or '"', no
 * space at its ends, no '-', '#', '~' or '@' in front, not a number, not dots alone, not
 * "base", at most STORE_NAME_MAX bytes. */
enum store_status store_check_name(struct store *store, const char *name);

/* A free name made from a description: "uppercase-english-word", "...-2". */
enum store_status store_suggest_name(
    struct store *store, const char *task, char name[STORE_NAME_MAX + 1]);

enum store_status store_rename(struct store *store, int64_t id, const char *name);
enum store_status store_set_note(struct store *store, int64_t id, const char *note);
enum store_status store_set_favourite(struct store *store, int64_t id, bool favourite);
enum store_status store_set_score(struct store *store, int64_t id, double score); /* NAN clears */

/* Notes that the adapters were used just now (for sorting by use). */
enum store_status store_touch(struct store *store, const int64_t *ids, size_t n_ids);

/* ---- tags ---- */

struct store_tag {
	const char *name;
	uint64_t n_adapters; /* living ones */
};

struct store_tags {
	struct store_tag *rows; /* most used first */
	size_t n_rows;
};

/* Adding a tag twice and removing one that is not there are both fine. A tag is like a name, and
 * without spaces. */
enum store_status store_tag(struct store *store, const int64_t *ids, size_t n_ids, const char *tag);
enum store_status store_untag(
    struct store *store, const int64_t *ids, size_t n_ids, const char *tag);
enum store_status store_tags(struct store *store, struct store_tags **out);

/* ---- search ---- */

enum store_sort {
	STORE_SORT_NEWEST,
	STORE_SORT_OLDEST,
	STORE_SORT_NAME,
	STORE_SORT_SCORE,   /* best first, unscored last */
	STORE_SORT_WINS,    /* most wins first, then fewest losses */
	STORE_SORT_USED,    /* last used first */
	STORE_SORT_SIZE,    /* largest first */
	STORE_SORT_NEAREST, /* by meaning: needs .near or .near_id */
	STORE_N_SORTS
};

/* "newest", "oldest", ...; -1 when NAME is none of them. */
const char *store_sort_name(enum store_sort sort);
int store_sort_parse(const char *name);

/*
 * TEXT is what a person types: words, each the start of a word in name, task, tags or note (all
 * must match; "in quotes" is a phrase), and filters KEY:VALUE, KEY>N, KEY<N, KEY>=N, KEY<=N:
 *   tag: base: made: name: hypernet: encoder: module: hash: fav:1 id: rank alpha scale score
 *   size wins losses ties uses, since:7d before:2026-01-31 (units m h d w y, or a date)
 * tag:es* is a tag's beginning. A '-' in front turns a word or filter round. An unknown filter or
 * a bad value is STORE_EINVAL with a sentence (which a search-as-you-type field shows while it
 * keeps the last rows).
 */
struct store_query {
	const char *text; /* NULL or "": everything */
	enum store_sort sort;
	bool trashed; /* search the trash instead */
	size_t offset;
	size_t limit;			 /* 0: no rows, only counts */
	const struct store_vector *near; /* STORE_SORT_NEAREST: to this vector ... */
	int64_t near_id;		 /* ... or to this row, which is left out */
};

enum store_status store_search(
    struct store *store, const struct store_query *query, struct store_adapters **out);

/* The filters that TEXT knows, for help and completion: "tag", "base", ...; NULL after the last. */
const char *store_filter_name(size_t i);

/* Sets (or replaces) the embedding of an adapter's description. */
enum store_status store_set_vector(
    struct store *store, int64_t id, const struct store_vector *vector);

/* Ids of living adapters without an embedding by this encoder, newest first, so that a caller
 * with the encoder can fill them in. */
struct store_ids {
	int64_t *rows;
	size_t n_rows;
};

enum store_status store_without_vector(
    struct store *store, const char *encoder_fingerprint, size_t limit, struct store_ids **out);

/* Ids of living adapters whose content is not known (kept by an older t2l), oldest first, and a way
 * to fill it in: 64 hex digits. */
enum store_status store_without_content(struct store *store, size_t limit, struct store_ids **out);
enum store_status store_set_content(struct store *store, int64_t id, const char *content);

/* ---- the trash ---- */

/* Moves adapters to the trash, as one step. Their names become free, their files stay. */
enum store_status store_trash(struct store *store, const int64_t *ids, size_t n_ids);

/* Takes the last step back (whichever process made it) and gives the ids that live again; a name
 * that was taken meanwhile becomes name-2. STORE_ENOENT when the trash is empty. */
enum store_status store_undo(struct store *store, struct store_ids **out);

/* Restores these from the trash. */
enum store_status store_restore(struct store *store, const int64_t *ids, size_t n_ids);

/* Deletes for good what was trashed before BEFORE_MS; the files go with the next store_gc(). */
enum store_status store_purge(struct store *store, int64_t before_ms, uint64_t *n_purged);

/* ---- lineage ---- */

enum store_direction { STORE_ANCESTORS, STORE_DESCENDANTS };

/* A line of the tree, in the order it is drawn; depth 1 is a parent (or child) of the root. */
struct store_relative {
	int64_t id; /* 0 when it was purged; NAME is still known then */
	const char *name;
	const char *kind;
	double weight;
	uint32_t depth;
	bool trashed;
};

struct store_relatives {
	struct store_relative *rows;
	size_t n_rows;
	bool cut; /* there are more than LIMIT */
};

enum store_status store_lineage(struct store *store, int64_t id, enum store_direction direction,
    size_t limit, struct store_relatives **out);

/* ---- comparisons and votes ---- */

/* What one lane said. */
struct store_output {
	const char *label; /* the lane: "A", "base" */
	int64_t adapter;   /* 0: base, or a mix */
	const char *mix;   /* "0.5*es-upper + 0.5*uppercase", or "" */
	const char *text;  /* may hold any bytes; terminated in results */
	size_t text_bytes;
	uint32_t n_tokens;
	double prefill_ms, decode_ms;
	const char *finish; /* "stop", "length", "cancelled" */
};

struct store_comparison {
	int64_t id;
	int64_t created_ms;
	const char *base_name;
	const char *prompt;
	const char *settings; /* JSON text of the sampler's settings */
	struct store_output *outputs;
	size_t n_outputs;
	int vote; /* index of the winning output, STORE_TIE or STORE_NO_VOTE */
};

enum { STORE_TIE = -1, STORE_NO_VOTE = -2 };

struct store_comparisons {
	struct store_comparison *rows; /* newest first, with their outputs */
	size_t n_rows;
	uint64_t n_matching;
};

/* Saves a comparison; its id and vote are ignored, created_ms 0 means now. */
enum store_status store_comparison_add(
    struct store *store, const struct store_comparison *comparison, int64_t *id);
enum store_status store_comparison_get(
    struct store *store, int64_t id, struct store_comparison **out);
enum store_status store_comparison_remove(struct store *store, int64_t id);

/* Those whose prompt or outputs contain TEXT (NULL: all) and, unless ADAPTER is 0, that had it
 * in a lane. */
enum store_status store_comparisons(struct store *store, const char *text, int64_t adapter,
    size_t offset, size_t limit, struct store_comparisons **out);

/* The output at index WINNER was the best, or STORE_TIE. Its adapter wins, the other lanes'
 * adapters lose (an adapter in several lanes counts once). A second vote replaces the first;
 * STORE_NO_VOTE takes it back. */
enum store_status store_vote(struct store *store, int64_t comparison, int winner);

/* ---- evaluations ---- */

struct store_evaluation {
	int64_t id;
	int64_t adapter;     /* 0: SUBJECT is not in the catalog (a base, a hypernet) */
	const char *subject; /* "" when adapter is set */
	const char *suite;
	const char *group;
	const char *method; /* "base", "oracle", "t2l-heldout", ... */
	uint64_t n, n_correct;
	int64_t created_ms;
};

struct store_evaluations {
	struct store_evaluation *rows; /* newest first */
	size_t n_rows;
};

enum store_status store_evaluation_add(
    struct store *store, const struct store_evaluation *evaluation, int64_t *id);

/* Those of one adapter (0: of all) and one suite (NULL: all). */
enum store_status store_evaluations(struct store *store, int64_t adapter, const char *suite,
    size_t limit, struct store_evaluations **out);

/* ---- models known ---- */

struct store_model {
	int64_t id;
	const char *name;
	const char *path;
	const char *kind; /* "base", "encoder", "hypernet" */
	const char *architecture;
	const char *fingerprint;
	int64_t size_bytes;
	int64_t used_ms;
};

struct store_models {
	struct store_model *rows; /* last used first */
	size_t n_rows;
};

/* Remembers a model, or renews what is known of PATH; sets its time of use to now. A name that
 * another path of the same kind had moves to this one. */
enum store_status store_model_put(struct store *store, const struct store_model *model);

/* By name (the last used of that name) or path; KIND may be NULL. */
enum store_status store_model_find(
    struct store *store, const char *kind, const char *what, struct store_model **out);
enum store_status store_models(struct store *store, const char *kind, struct store_models **out);
enum store_status store_model_forget(struct store *store, int64_t id);

/* ---- history and state ---- */

enum store_history_kind {
	STORE_HISTORY_TASK,
	STORE_HISTORY_PROMPT,
	STORE_HISTORY_COMMAND,
	STORE_HISTORY_SEARCH,
	STORE_N_HISTORIES
};

struct store_strings {
	const char **rows;
	size_t n_rows;
};

/* A text that was there before moves to the end; the last 1,000 of each kind are kept. */
enum store_status store_history_add(
    struct store *store, enum store_history_kind kind, const char *text);

/* The last LIMIT of them, newest first. */
enum store_status store_history(
    struct store *store, enum store_history_kind kind, size_t limit, struct store_strings **out);

/* Living adapters' names that start with PREFIX, sorted: for completion. */
enum store_status store_names(
    struct store *store, const char *prefix, size_t limit, struct store_strings **out);

/* Small things to remember between runs ("last-base", "last-lanes"). VALUE NULL forgets the key.
 * store_state_get() gives STORE_OK and NULL for a key that was never set. */
enum store_status store_state_set(struct store *store, const char *key, const char *value);
enum store_status store_state_get(struct store *store, const char *key, char **out);

/* ---- care ---- */

struct store_problem {
	int64_t adapter;     /* 0: not about one */
	const char *path;    /* the file it is about, or "" */
	const char *message; /* a sentence: what is wrong and what to do */
};

/* Reports one problem; returns false to stop. */
typedef bool (*store_problem_fn)(void *context, const struct store_problem *problem);

/* Reports that DONE of TOTAL files are done; returns false to stop. */
typedef bool (*store_progress_fn)(void *context, uint64_t done, uint64_t total);

struct store_verify {
	bool repair; /* first build the word index and the counters anew */
	bool quick;  /* check that files are there with their size, but do not read them */
	store_problem_fn problem;   /* may be NULL */
	store_progress_fn progress; /* may be NULL */
	void *context;
};

/* Checks the database (integrity and foreign keys), its search index and counters, and every
 * adapter file against its hash. STORE_OK with N_PROBLEMS 0 means all is well; STORE_OK with more
 * means that the check ran and found them. */
enum store_status store_verify(
    struct store *store, const struct store_verify *options, uint64_t *n_problems);

struct store_gc {
	bool dry_run;	    /* report, delete nothing */
	int64_t min_age_ms; /* spare files younger than this; 0: ten minutes */
	int64_t
	    trash_age_ms; /* purge what lay longer in the trash; 0: 30 days, negative: keep all */
	/* Called per file that goes; return false to stop. May be NULL. */
	bool (*file)(void *context, const char *path, int64_t size_bytes);
	void *context;
};

struct store_gc_result {
	uint64_t n_purged; /* rows that left the trash */
	uint64_t n_files;
	int64_t n_bytes;
};

/* Deletes old trash, files that no row names and left-over temporary files. Safe beside other
 * processes that are adding: only what is old goes, and under the write lock. */
enum store_status store_gc(
    struct store *store, const struct store_gc *options, struct store_gc_result *result);

#endif
