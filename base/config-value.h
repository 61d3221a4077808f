/*
 * base/config-value.h - the value tree that the TOML and YAML readers share, and the getters
 * that turn it into checked settings.
 *
 * A getter for an absent key leaves *OUT alone and succeeds, so that defaults stand; a present
 * key of the wrong kind or out of range is an error with its line. A reader of a whole table
 * calls config_only() to refuse keys nobody reads.
 *
 *     struct config_error error;
 *     struct config_value *root = config_open("run.toml", &error);
 *     const struct config_value *training;
 *     if (!config_table(root, "training", &training, &error) ||
 *         !config_number(training, "learning_rate", 0, 1, &rate, &error)) ...
 */
#ifndef BASE_CONFIG_VALUE_H
#define BASE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on a document, so that no file costs more than its size. */
#define CONFIG_MAX_BYTES (4 << 20)
#define CONFIG_MAX_DEPTH 64
#define CONFIG_MAX_VALUES (1 << 18) /* in all, aliases of YAML counted as what they repeat */
#define CONFIG_MAX_KEYS 4096	    /* of one table */
#define CONFIG_MAX_TEXT (2 * CONFIG_MAX_BYTES) /* bytes of keys and strings, aliases likewise */

enum config_kind {
	CONFIG_NULL, /* YAML only */
	CONFIG_BOOL,
	CONFIG_INTEGER,
	CONFIG_NUMBER, /* float */
	CONFIG_STRING,
	CONFIG_DATE, /* TOML only; kept as its text */
	CONFIG_LIST,
	CONFIG_TABLE
};

struct config_value {
	enum config_kind kind;
	int line;  /* from 1 */
	char *key; /* in a table; NULL in a list and at the root */
	const struct config_value *parent;
	bool boolean;
	int64_t integer;
	double number;			/* of an integer too */
	char *string;			/* of a string or date; valid UTF-8 without NUL */
	struct config_value **children; /* of a list or table, in the order of the file */
	size_t n_children;
	/* The readers' own: */
	uint32_t *key_hashes; /* of a table's children, side by side: looking them up is one scan */
	size_t capacity;
	uint8_t depth;
	uint8_t how; /* how a TOML table came to be */
};

struct config_error {
	int line; /* 0 when the fault is of no line (a file that cannot be read) */
	char message[256];
};

/* Sets the error and returns false. LINE 0 for none. */
bool config_fail(struct config_error *error, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void config_free(struct config_value *root); /* NULL is fine */

/* ---- looking ---- */

const char *config_kind_name(enum config_kind kind); /* "a string", "a table", ... */

/* NULL when absent, or when TABLE is NULL or no table. */
const struct config_value *config_get(const struct config_value *table, const char *key);

/* By dotted path from TABLE: "training.optimizer.beta1". */
const struct config_value *config_find(const struct config_value *table, const char *path);

/* "training.tasks[2].name" of VALUE into OUT[SIZE], cut when it does not fit. */
void config_path(const struct config_value *value, char *out, size_t size);

/* ---- checked getters; TABLE may be NULL (everything absent) ---- */

bool config_bool(
    const struct config_value *table, const char *key, bool *out, struct config_error *error);
bool config_integer(const struct config_value *table, const char *key, int64_t min, int64_t max,
    int64_t *out, struct config_error *error);
/* Takes integers too; never NaN; infinity only where MIN or MAX is infinite. */
bool config_number(const struct config_value *table, const char *key, double min, double max,
    double *out, struct config_error *error);
/* Points into the tree. */
bool config_string(const struct config_value *table, const char *key, const char **out,
    struct config_error *error);
/* The same of "a,b" and of ["a", "b"], which is joined in the tree; empty words and such with a
 * comma inside are refused there. */
bool config_words(const struct config_value *table, const char *key, const char **out,
    struct config_error *error);
/* One of NAMES (NULL-terminated): its index. */
bool config_choice(const struct config_value *table, const char *key, const char *const *names,
    int *out, struct config_error *error);
bool config_table(const struct config_value *table, const char *key,
    const struct config_value **out, struct config_error *error);
/* A list; every item of kind ITEMS (CONFIG_NUMBER takes integers too). */
bool config_list(const struct config_value *table, const char *key, enum config_kind items,
    const struct config_value **out, struct config_error *error);

/* An error when TABLE lacks KEY. */
bool config_required(const struct config_value *table, const char *key, struct config_error *error);

/* An error for the first key of TABLE that is not among KNOWN (NULL-terminated); it offers the
 * nearest known one. */
bool config_only(
    const struct config_value *table, const char *const *known, struct config_error *error);

/* ---- building; for readers ---- */

/* What a document has cost so far. */
struct config_builder {
	size_t n_values, n_bytes;
	struct config_error *error;
};

/* A new value under PARENT (NULL: a root), within the bounds. KEY must be given in a table, is
 * copied, and must be new there. NULL with the builder's error. */
struct config_value *config_add(struct config_builder *builder, struct config_value *parent,
    const char *key, int line, enum config_kind kind);

/* Gives a string or date its text, which must be without NUL. */
bool config_set_string(
    struct config_builder *builder, struct config_value *value, const char *text, size_t n);

/* Makes TARGET, which must be fresh, equal to SOURCE; every value is counted anew. */
bool config_copy(
    struct config_builder *builder, const struct config_value *source, struct config_value *target);

/* The child of a table that a reader may still change; NULL when absent. */
struct config_value *config_child(struct config_value *table, const char *key);

#endif
