/* t2l catalog - what was kept: list, show, search, rename, tag, note, rm, undo, verify, gc, path.
 */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const char *const sort_names[] = { "newest", "oldest", "name", "score", "wins", "used",
	"size", "nearest", NULL };

/* ---- rows ---- */

static cJSON *
row_json(const struct store_adapter *row)
{
	cJSON *object = cJSON_CreateObject(), *tags;

	cJSON_AddNumberToObject(object, "id", (double)row->id);
	cJSON_AddStringToObject(object, "name", row->name);
	cJSON_AddStringToObject(object, "task", row->task);
	cJSON_AddStringToObject(object, "base", row->base_name);
	cJSON_AddNumberToObject(object, "rank", row->rank);
	cJSON_AddNumberToObject(object, "scale", row->scale);
	cJSON_AddStringToObject(object, "source", store_source_name(row->source));
	cJSON_AddStringToObject(object, "hash", row->hash);
	cJSON_AddStringToObject(object, "content", row->content);
	cJSON_AddStringToObject(object, "path", row->path);
	cJSON_AddNumberToObject(object, "size", (double)row->size_bytes);
	cJSON_AddNumberToObject(object, "created", (double)row->created_ms / 1e3);
	tags = cJSON_AddArrayToObject(object, "tags");
	for (size_t i = 0; i < row->n_tags; i++)
		cJSON_AddItemToArray(tags, cJSON_CreateString(row->tags[i]));
	cJSON_AddNumberToObject(object, "wins", row->wins);
	cJSON_AddNumberToObject(object, "losses", row->losses);
	cJSON_AddNumberToObject(object, "ties", row->ties);
	if (!isnan(row->score))
		cJSON_AddNumberToObject(object, "score", row->score);
	if (!isnan(row->nearness))
		cJSON_AddNumberToObject(object, "nearness", row->nearness);
	cJSON_AddBoolToObject(object, "favourite", row->favourite);
	cJSON_AddStringToObject(object, "note", row->note);
	cJSON_AddStringToObject(object, "modules", row->modules);
	cJSON_AddStringToObject(object, "hypernet", row->hypernet_name);
	cJSON_AddStringToObject(object, "encoder", row->encoder_name);
	if (row->trashed_ms != 0)
		cJSON_AddBoolToObject(object, "trashed", true);
	return object;
}

/* "2 min ago" */
static void
age(int64_t then_ms, char *text, size_t size)
{
	static const struct {
		double seconds;
		const char *unit;
	} units[] = { { 86400 * 365.25, "y" }, { 86400 * 30.44, "mo" }, { 86400, "d" },
		{ 3600, "h" }, { 60, "min" } };
	double seconds = (double)time(NULL) - (double)then_ms / 1e3;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (seconds >= units[i].seconds) {
			snprintf(text, size, "%.0f %s ago", floor(seconds / units[i].seconds),
			    units[i].unit);
			return;
		}
	}
	snprintf(text, size, "now");
}

static void
print_rows(struct context *ctx, const struct store_adapters *found, bool nearest)
{
	const char *const headings[] = { "", "ID", "NAME", "TASK", "BASE", "RANK", "MADE BY",
		nearest ? "NEAR" : "SCORE", "CREATED", NULL };
	struct table *table = ctx->json ? NULL : table_new(headings);

	for (size_t i = 0; i < found->n_rows; i++) {
		const struct store_adapter *row = &found->rows[i];
		double figure = nearest ? row->nearness : row->score;
		char id[24], rank[16], score[16] = "-", created[32];
		const char *task;

		say_json(ctx, row_json(row));
		if (ctx->json)
			continue;
		snprintf(id, sizeof id, "%lld", (long long)row->id);
		snprintf(rank, sizeof rank, "%u", row->rank);
		if (!isnan(figure))
			snprintf(score, sizeof score, "%.2f", figure);
		age(row->created_ms, created, sizeof created);
		/* A merge has no task of its own when its parents' differ. */
		task = row->task[0] != '\0' ? row->task : row->note;
		table_row(table,
		    (const char *const[]){ row->favourite ? "*" : "", id, row->name, task,
			row->base_name, rank, store_source_name(row->source), score, created });
	}
	if (!ctx->json)
		table_print(ctx, table);
}

static int
store_failed(struct context *ctx, struct store *store)
{
	return context_fail(ctx, "%s", store_error(store));
}

/* ---- list, search ---- */

#define LIST_OPTIONS                                                                               \
	{ "sort", 's', OPTION_CHOICE, 0, "order", .choices = sort_names, .fallback = "newest" },   \
	    { "limit", 'n', OPTION_INTEGER, 0, "rows at most", .fallback = "50", .min = 1,         \
		    .max = 1e6 },                                                                  \
	    { "offset", 0, OPTION_INTEGER, 0, "rows to skip", .fallback = "0", .min = 0,           \
		    .max = 1e12 },                                                                 \
	{                                                                                          \
		"trash", 0, OPTION_FLAG, 0, "look in the trash"                                    \
	}

static const struct option_spec list_options[] = { LIST_OPTIONS, { 0 } };

static const struct option_spec search_options[] = {
	LIST_OPTIONS,
	{ "near", 0, OPTION_FLAG, 0, "by nearness of meaning to the words" },
	{ "near-adapter", 0, OPTION_ADAPTER, 0, "by nearness of meaning to this adapter's task" },
	{ "encoder", 0, OPTION_PATH, 0, "task encoder", .setting = "encoder.path" },
	{ 0 },
};

static int
search(
    struct context *ctx, const struct options *opt, struct store *store, struct store_query *query)
{
	struct store_adapters *found;
	bool nearest = query->near != NULL || query->near_id != 0;

	if (nearest && option_given(opt, "sort") &&
	    strcmp(option_text(opt, "sort"), "nearest") != 0)
		return context_usage(
		    ctx, "--sort %s: what is near is sorted by that", option_text(opt, "sort"));
	query->offset = (size_t)option_integer(opt, "offset");
	query->limit = (size_t)option_integer(opt, "limit");
	query->trashed = option_flag(opt, "trash");
	query->sort = nearest ? STORE_SORT_NEAREST
			      : (enum store_sort)store_sort_parse(option_text(opt, "sort"));
	if (query->sort == STORE_SORT_NEAREST && !nearest)
		return context_usage(ctx, "--sort nearest wants --near or --near-adapter");
	if (store_search(store, query, &found) != STORE_OK)
		return store_failed(ctx, store);
	print_rows(ctx, found, nearest);
	if (!ctx->json)
		note(ctx, "%llu of %llu adapters, %.1f ms", (unsigned long long)found->n_matching,
		    (unsigned long long)found->n_living, found->elapsed_ms);
	store_free(found);
	return 0;
}

static int
list_run(struct context *ctx, const struct options *opt)
{
	struct store_query query = { 0 };
	struct store *store;

	return workplace_store(ctx, &store) ? search(ctx, opt, store, &query) : 1;
}

/* The words of the line joined by blanks; to be freed. */
static char *
joined_words(const struct options *opt, size_t from)
{
	size_t n = 1;
	char *text;

	for (size_t i = from; i < option_n_arguments(opt); i++)
		n += strlen(option_argument(opt, i)) + 1;
	text = calloc(n, 1);
	for (size_t i = from; text != NULL && i < option_n_arguments(opt); i++) {
		if (i > from)
			strcat(text, " ");
		strcat(text, option_argument(opt, i));
	}
	return text;
}

/* The sentence's vector; the store keeps vectors of descriptions as they are embedded there. */
static bool
embed(struct context *ctx, const struct options *opt, const char *text, struct store_vector *vector,
    float **values)
{
	struct t2l_encoder *encoder;
	struct t2l_error err = { .message = "out of memory" };

	if (!workplace_encoder(ctx, option_text(opt, "encoder"), &encoder))
		return false;
	const struct t2l_encoder_facts *facts = t2l_encoder_facts(encoder);

	*values = malloc((size_t)facts->dimension * sizeof **values);
	if (*values == NULL || t2l_encoder_embed(encoder, &text, 1, *values, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	*vector = (struct store_vector){ facts->fingerprint, *values, (size_t)facts->dimension };
	return true;
}

static int
search_run(struct context *ctx, const struct options *opt)
{
	struct store_query query = { 0 };
	struct store_vector vector;
	struct store_adapter *row = NULL;
	const char *near = option_text(opt, "near-adapter");
	char *text = joined_words(opt, 0);
	float *values = NULL;
	struct store *store;
	int status = 1;

	if (text != NULL && workplace_store(ctx, &store)) {
		if (near != NULL && store_find(store, near, &row) != STORE_OK) {
			status = store_failed(ctx, store);
		} else if (near == NULL && option_flag(opt, "near")) {
			if (text[0] == '\0') {
				status = context_usage(ctx, "--near wants words");
			} else if (embed(ctx, opt, text, &vector, &values)) {
				query.near = &vector;
				status = search(ctx, opt, store, &query);
			}
		} else {
			query.text = text;
			query.near_id = row ? row->id : 0;
			status = search(ctx, opt, store, &query);
		}
	}
	store_free(row);
	free(values);
	free(text);
	return status;
}

static int
similar_run(struct context *ctx, const struct options *opt)
{
	struct store_query query = { 0 };
	struct store_adapter *row = NULL;
	struct store *store;

	if (!workplace_store(ctx, &store))
		return 1;
	if (store_find(store, option_argument(opt, 0), &row) != STORE_OK)
		return store_failed(ctx, store);
	query.near_id = row->id;
	store_free(row);
	return search(ctx, opt, store, &query);
}

/* ---- show ---- */

static void
tell_lineage(struct context *ctx, struct store *store, int64_t id, cJSON *object)
{
	cJSON *list = cJSON_AddArrayToObject(object, "lineage");
	struct store_relatives *tree;

	if (store_lineage(store, id, STORE_ANCESTORS, 100, &tree) != STORE_OK)
		return;
	for (size_t i = 0; i < tree->n_rows; i++) {
		cJSON *parent = cJSON_CreateObject();

		cJSON_AddNumberToObject(parent, "id", (double)tree->rows[i].id);
		cJSON_AddStringToObject(parent, "name", tree->rows[i].name);
		cJSON_AddStringToObject(parent, "kind", tree->rows[i].kind);
		cJSON_AddNumberToObject(parent, "weight", tree->rows[i].weight);
		cJSON_AddNumberToObject(parent, "depth", tree->rows[i].depth);
		cJSON_AddItemToArray(list, parent);
		say(ctx, "  %*s%s %.3g x %s%s  (#%lld)\n", 2 * (int)tree->rows[i].depth, "",
		    tree->rows[i].kind, tree->rows[i].weight, tree->rows[i].name,
		    tree->rows[i].trashed ? " (in the trash)" : "", (long long)tree->rows[i].id);
	}
	store_free(tree);
}

static void
tell_evaluations(struct context *ctx, struct store *store, int64_t id, cJSON *object)
{
	cJSON *array = cJSON_AddArrayToObject(object, "evaluations");
	struct store_evaluations *list;

	if (store_evaluations(store, id, NULL, 100, &list) != STORE_OK)
		return;
	for (size_t i = 0; i < list->n_rows; i++) {
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "suite", list->rows[i].suite);
		cJSON_AddStringToObject(row, "group", list->rows[i].group);
		cJSON_AddStringToObject(row, "method", list->rows[i].method);
		cJSON_AddNumberToObject(row, "n", (double)list->rows[i].n);
		cJSON_AddNumberToObject(row, "correct", (double)list->rows[i].n_correct);
		cJSON_AddItemToArray(array, row);
		say(ctx, "  evaluated on %s %s: %llu of %llu (%s)\n", list->rows[i].suite,
		    list->rows[i].group, (unsigned long long)list->rows[i].n_correct,
		    (unsigned long long)list->rows[i].n, list->rows[i].method);
	}
	store_free(list);
}

static void
say_field(struct context *ctx, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	say(ctx, "  %-10s ", name);
	say_text(ctx, value, strlen(value));
	say(ctx, "\n");
}

static int
show_run(struct context *ctx, const struct options *opt)
{
	struct store *store;

	if (!workplace_store(ctx, &store))
		return 1;
	for (size_t i = 0; i < option_n_arguments(opt); i++) {
		struct store_adapter *row;

		if (store_find(store, option_argument(opt, i), &row) != STORE_OK)
			return store_failed(ctx, store);
		cJSON *object = row_json(row);

		say(ctx, "%s  (#%lld%s)\n", row->name, (long long)row->id,
		    row->favourite ? ", favourite" : "");
		say_field(ctx, "task", row->task);
		say_field(ctx, "base", row->base_name);
		say_field(ctx, "hypernet", row->hypernet_name);
		say_field(ctx, "encoder", row->encoder_name);
		say_field(ctx, "modules", row->modules);
		say(ctx, "  %-10s %u, scale %.4g, %s%s\n", "rank", row->rank, row->scale,
		    store_source_name(row->source), row->rslora ? ", rsLoRA" : "");
		say(ctx, "  %-10s %u won, %u lost, %u tied\n", "votes", row->wins, row->losses,
		    row->ties);
		say_field(ctx, "note", row->note);
		for (size_t j = 0; j < row->n_tags; j++)
			say_field(ctx, "tag", row->tags[j]);
		say_field(ctx, "hash", row->hash);
		say_field(ctx, "content", row->content);
		say_field(ctx, "file", row->path);
		tell_lineage(ctx, store, row->id, object);
		tell_evaluations(ctx, store, row->id, object);
		say_json(ctx, object);
		store_free(row);
	}
	return 0;
}

/* ---- changes to rows ---- */

/* Ids of the words FROM .. TO-1; to be freed. NULL after telling. */
static int64_t *
find_ids(
    struct context *ctx, const struct options *opt, struct store *store, size_t from, size_t to)
{
	int64_t *ids = malloc((to - from + 1) * sizeof *ids);

	for (size_t i = from; ids != NULL && i < to; i++) {
		struct store_adapter *row;

		if (store_find(store, option_argument(opt, i), &row) != STORE_OK) {
			store_failed(ctx, store);
			free(ids);
			return NULL;
		}
		ids[i - from] = row->id;
		store_free(row);
	}
	return ids;
}

/* The rows as they are now, for --json. */
static void
tell_rows(struct context *ctx, struct store *store, const int64_t *ids, size_t n)
{
	for (size_t i = 0; ctx->json && i < n; i++) {
		struct store_adapter *row;

		if (store_get(store, ids[i], &row) != STORE_OK)
			continue;
		say_json(ctx, row_json(row));
		store_free(row);
	}
}

static int
rename_run(struct context *ctx, const struct options *opt)
{
	struct store *store;
	int64_t *ids;
	int status = 0;

	if (!workplace_store(ctx, &store) || (ids = find_ids(ctx, opt, store, 0, 1)) == NULL)
		return 1;
	if (store_rename(store, ids[0], option_argument(opt, 1)) != STORE_OK)
		status = store_failed(ctx, store);
	else
		tell_rows(ctx, store, ids, 1);
	free(ids);
	return status;
}

static int
note_run(struct context *ctx, const struct options *opt)
{
	char *text = joined_words(opt, 1);
	struct store *store;
	int64_t *ids;
	int status = 0;

	if (text == NULL || !workplace_store(ctx, &store) ||
	    (ids = find_ids(ctx, opt, store, 0, 1)) == NULL) {
		free(text);
		return 1;
	}
	if (store_set_note(store, ids[0], text) != STORE_OK)
		status = store_failed(ctx, store);
	else
		tell_rows(ctx, store, ids, 1);
	free(ids);
	free(text);
	return status;
}

static const struct option_spec tag_options[] = {
	{ "remove", 'r', OPTION_FLAG, 0, "take the tag away" },
	{ 0 },
};

static int
tag_run(struct context *ctx, const struct options *opt)
{
	size_t n = option_n_arguments(opt);
	struct store_tags *tags;
	struct store *store;
	int64_t *ids;
	int status = 0;

	if (!workplace_store(ctx, &store))
		return 1;
	if (n == 0) {
		if (store_tags(store, &tags) != STORE_OK)
			return store_failed(ctx, store);
		for (size_t i = 0; i < tags->n_rows; i++) {
			cJSON *object = cJSON_CreateObject();

			cJSON_AddStringToObject(object, "tag", tags->rows[i].name);
			cJSON_AddNumberToObject(
			    object, "adapters", (double)tags->rows[i].n_adapters);
			say_json(ctx, object);
			say(ctx, "%6llu  %s\n", (unsigned long long)tags->rows[i].n_adapters,
			    tags->rows[i].name);
		}
		store_free(tags);
		return 0;
	}
	if (n == 1)
		return context_usage(ctx, "a tag and adapters are wanted");
	if ((ids = find_ids(ctx, opt, store, 1, n)) == NULL)
		return 1;
	if ((option_flag(opt, "remove") ? store_untag : store_tag)(
		store, ids, n - 1, option_argument(opt, 0)) != STORE_OK)
		status = store_failed(ctx, store);
	else
		tell_rows(ctx, store, ids, n - 1);
	free(ids);
	return status;
}

static const struct option_spec favourite_options[] = {
	{ "off", 0, OPTION_FLAG, 0, "no longer a favourite" },
	{ 0 },
};

static int
favourite_run(struct context *ctx, const struct options *opt)
{
	size_t n = option_n_arguments(opt);
	struct store *store;
	int64_t *ids;
	int status = 0;

	if (!workplace_store(ctx, &store) || (ids = find_ids(ctx, opt, store, 0, n)) == NULL)
		return 1;
	for (size_t i = 0; i < n && status == 0; i++)
		if (store_set_favourite(store, ids[i], !option_flag(opt, "off")) != STORE_OK)
			status = store_failed(ctx, store);
		else
			tell_rows(ctx, store, &ids[i], 1);
	free(ids);
	return status;
}

static int
rm_run(struct context *ctx, const struct options *opt)
{
	size_t n = option_n_arguments(opt);
	struct store *store;
	int64_t *ids;
	int status = 0;

	if (!workplace_store(ctx, &store) || (ids = find_ids(ctx, opt, store, 0, n)) == NULL)
		return 1;
	if (store_trash(store, ids, n) != STORE_OK)
		status = store_failed(ctx, store);
	else
		tell_rows(ctx, store, ids, n);
	if (status == 0)
		note(ctx, "%zu in the trash; t2l catalog undo brings back", n);
	free(ids);
	return status;
}

static int
undo_run(struct context *ctx, const struct options *opt)
{
	struct store_ids *ids;
	struct store *store;

	(void)opt;
	if (!workplace_store(ctx, &store))
		return 1;
	if (store_undo(store, &ids) != STORE_OK)
		return store_failed(ctx, store);
	for (size_t i = 0; i < ids->n_rows; i++) {
		struct store_adapter *row;

		if (store_get(store, ids->rows[i], &row) != STORE_OK)
			continue;
		say_json(ctx, row_json(row));
		say(ctx, "%s  (#%lld)\n", row->name, (long long)row->id);
		store_free(row);
	}
	store_free(ids);
	return 0;
}

/* ---- care ---- */

static const struct option_spec verify_options[] = {
	{ "repair", 0, OPTION_FLAG, 0, "first build the word index and counters anew" },
	{ "quick", 0, OPTION_FLAG, 0, "do not read the adapter files" },
	{ 0 },
};

static bool
tell_problem(void *user, const struct store_problem *problem)
{
	struct context *ctx = user;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "adapter", (double)problem->adapter);
	cJSON_AddStringToObject(object, "path", problem->path);
	cJSON_AddStringToObject(object, "problem", problem->message);
	say_json(ctx, object);
	say(ctx, "%s\n", problem->message);
	return !atomic_load(ctx->cancelled);
}

static bool
verify_progress(void *user, uint64_t done, uint64_t total)
{
	struct context *ctx = user;

	progress(ctx, "reading files", (double)done, (double)total, NULL, -1);
	return !atomic_load(ctx->cancelled);
}

static int
verify_run(struct context *ctx, const struct options *opt)
{
	struct store_verify verify = { .repair = option_flag(opt, "repair"),
		.quick = option_flag(opt, "quick"),
		.problem = tell_problem,
		.progress = verify_progress,
		.context = ctx };
	uint64_t n_problems = 0;
	struct store *store;
	cJSON *object;

	if (!workplace_store(ctx, &store))
		return 1;
	if (store_verify(store, &verify, &n_problems) != STORE_OK)
		return store_failed(ctx, store);
	object = cJSON_CreateObject();
	cJSON_AddBoolToObject(object, "valid", n_problems == 0);
	cJSON_AddNumberToObject(object, "problems", (double)n_problems);
	say_json(ctx, object);
	if (n_problems == 0)
		say(ctx, "all is well\n");
	else
		context_fail(ctx, "%llu problems", (unsigned long long)n_problems);
	return n_problems != 0;
}

static const struct option_spec gc_options[] = {
	{ "dry-run", 'n', OPTION_FLAG, 0, "say what would go, delete nothing" },
	{ "trash-days", 0, OPTION_INTEGER, 0, "empty the trash of what is older", .fallback = "30",
	    .min = 0, .max = 100000 },
	{ 0 },
};

static bool
tell_file(void *user, const char *path, int64_t size)
{
	struct context *ctx = user;

	if (ctx->verbose)
		note(ctx, "%s  %lld bytes", path, (long long)size);
	return !atomic_load(ctx->cancelled);
}

static int
gc_run(struct context *ctx, const struct options *opt)
{
	int64_t days = option_integer(opt, "trash-days");
	struct store_gc gc = { .dry_run = option_flag(opt, "dry-run"),
		/* 0 days means everything; the store's 0 means its default. */
		.trash_age_ms = days > 0 ? days * 86400000 : 1,
		.file = tell_file,
		.context = ctx };
	struct store_gc_result result;
	struct store *store;
	cJSON *object;

	if (!workplace_store(ctx, &store))
		return 1;
	if (store_gc(store, &gc, &result) != STORE_OK)
		return store_failed(ctx, store);
	object = cJSON_CreateObject();
	cJSON_AddBoolToObject(object, "dry_run", gc.dry_run);
	cJSON_AddNumberToObject(object, "purged", (double)result.n_purged);
	cJSON_AddNumberToObject(object, "files", (double)result.n_files);
	cJSON_AddNumberToObject(object, "bytes", (double)result.n_bytes);
	say_json(ctx, object);
	say(ctx, "%s%llu adapters of the trash and %llu files, %.1f KiB\n",
	    gc.dry_run ? "would delete " : "deleted ", (unsigned long long)result.n_purged,
	    (unsigned long long)result.n_files, (double)result.n_bytes / 1024);
	return 0;
}

static int
path_run(struct context *ctx, const struct options *opt)
{
	struct store_adapter *row;
	struct store *store;
	cJSON *object;

	if (!workplace_store(ctx, &store))
		return 1;
	if (option_n_arguments(opt) == 0) {
		object = cJSON_CreateObject();
		cJSON_AddStringToObject(object, "path", store_path(store));
		say_json(ctx, object);
		say(ctx, "%s\n", store_path(store));
		return 0;
	}
	if (store_find(store, option_argument(opt, 0), &row) != STORE_OK)
		return store_failed(ctx, store);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "path", row->path);
	say_json(ctx, object);
	say(ctx, "%s\n", row->path);
	store_free(row);
	return 0;
}

/* ---- the table ---- */

#define SUB(variable, words, text, ...)                                                            \
	static const struct command variable = { .name = words, .summary = text, __VA_ARGS__ }

SUB(sub_list, "list", "the adapters that were kept", .options = list_options, .run = list_run);
SUB(sub_show, "show", "all about an adapter", .arguments = "NAME...", .min_arguments = 1,
    .max_arguments = -1, .argument_type = OPTION_ADAPTER, .run = show_run);
SUB(sub_search, "search", "words, filters (tag:x rank>8 since:7d), or nearness of meaning",
    .arguments = "WORD...", .max_arguments = -1, .options = search_options, .run = search_run,
    .example = "t2l catalog search spanish tag:good rank>4");
SUB(sub_similar, "similar", "adapters for tasks of like meaning", .arguments = "NAME",
    .min_arguments = 1, .max_arguments = 1, .argument_type = OPTION_ADAPTER,
    .options = list_options, .run = similar_run);
SUB(sub_rename, "rename", "give an adapter another name", .arguments = "NAME NEW",
    .min_arguments = 2, .max_arguments = 2, .argument_type = OPTION_ADAPTER, .run = rename_run);
SUB(sub_tag, "tag", "tag adapters; without words: the tags there are", .arguments = "TAG NAME...",
    .max_arguments = -1, .argument_type = OPTION_ADAPTER, .options = tag_options, .run = tag_run);
SUB(sub_note, "note", "write a note on an adapter", .arguments = "NAME WORD...", .min_arguments = 1,
    .max_arguments = -1, .argument_type = OPTION_ADAPTER, .run = note_run);
SUB(sub_favourite, "favourite", "mark adapters as favourites", .arguments = "NAME...",
    .min_arguments = 1, .max_arguments = -1, .argument_type = OPTION_ADAPTER,
    .options = favourite_options, .run = favourite_run);
SUB(sub_rm, "rm", "move adapters to the trash", .arguments = "NAME...", .min_arguments = 1,
    .max_arguments = -1, .argument_type = OPTION_ADAPTER, .run = rm_run);
SUB(sub_undo, "undo", "bring back what was last moved to the trash", .run = undo_run);
SUB(sub_verify, "verify", "check the database and every file", .options = verify_options,
    .run = verify_run);
SUB(sub_gc, "gc", "empty old trash, delete files that no row names", .options = gc_options,
    .run = gc_run);
SUB(sub_path, "path", "where the catalog, or an adapter's file, is", .arguments = "NAME",
    .max_arguments = 1, .argument_type = OPTION_ADAPTER, .run = path_run);

static const struct command *const subcommands[] = { &sub_list, &sub_show, &sub_search,
	&sub_similar, &sub_rename, &sub_tag, &sub_note, &sub_favourite, &sub_rm, &sub_undo,
	&sub_verify, &sub_gc, &sub_path, NULL };

const struct command command_catalog = {
	.name = "catalog",
	.summary =
	    "what was kept: list, show, search, rename, tag, note, rm, undo, verify, gc, path",
	.subcommands = subcommands,
};
