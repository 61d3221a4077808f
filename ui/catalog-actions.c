/* catalog-actions.c - what can be done with adapters of the catalog: questions first, then a
 * command line or a write. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/number.h"
#include "ui/catalog.h"
#include "ui/command-words.h"

enum { MAX_MERGED = 64, MAX_LANES = 8 };

/* Takes what is marked (or the row under the cursor) as what the next questions are about. */
static bool
take_targets(struct catalog *catalog)
{
	free(catalog->ids);
	catalog->ids = catalog_list_targets(&catalog->list, &catalog->n_ids);
	if (catalog->ids != NULL)
		return true;
	workbench_status(catalog->view->workbench, ROLE_WARN, "there is no adapter here");
	return false;
}

static bool
take_current(struct catalog *catalog)
{
	const struct store_adapter *current = catalog_list_current(&catalog->list);

	free(catalog->ids);
	catalog->ids = malloc(sizeof *catalog->ids);
	catalog->n_ids = 0;
	if (catalog->ids != NULL && current != NULL) {
		catalog->ids[0] = current->id;
		catalog->n_ids = 1;
		return true;
	}
	workbench_status(catalog->view->workbench, ROLE_WARN, "there is no adapter here");
	return false;
}

/* The I-th target; NULL (said in the status line) when it is gone. store_free() it. */
static struct store_adapter *
target(struct catalog *catalog, size_t i)
{
	struct store *store = catalog->list.store;
	struct store_adapter *adapter;

	if (store_get(store, catalog->ids[i], &adapter) == STORE_OK)
		return adapter;
	workbench_status(catalog->view->workbench, ROLE_BAD, "%s", store_error(store));
	return NULL;
}

static void
command_done(void *user, int status)
{
	struct catalog *catalog = user;

	if (status == 0)
		catalog_list_refresh(&catalog->list, false);
	catalog_pursue(catalog);
}

static void
run_line(struct catalog *catalog, struct buffer *line)
{
	if (buffer_failed(line))
		workbench_status(catalog->view->workbench, ROLE_BAD, "out of memory");
	else
		workbench_run_line(
		    catalog->view->workbench, buffer_string(line), command_done, catalog);
	buffer_free(line);
}

/* ---- compare ---- */

void
catalog_compare(struct catalog *catalog)
{
	if (!take_targets(catalog))
		return;
	if (catalog->n_ids > MAX_LANES)
		workbench_status(catalog->view->workbench, ROLE_BAD,
		    "%zu adapters are marked; %d fit side by side", catalog->n_ids, MAX_LANES);
	else
		workbench_compare(catalog->view->workbench, catalog->ids, catalog->n_ids);
}

/* ---- merge: strategy, weights, name, then the command ---- */

static void
merge_named(void *user, const char *name)
{
	struct catalog *catalog = user;
	struct buffer line = { 0 };

	if (name == NULL)
		return;
	buffer_text(&line, "merge --adapters");
	for (size_t i = 0; i < catalog->n_ids; i++)
		add_adapter_word(&line, catalog->ids[i], 1);
	buffer_printf(
	    &line, " --merge-strategy %s --weights %s", catalog->strategy, catalog->weights);
	if (name[0] != '\0') {
		buffer_text(&line, " --name");
		add_word(&line, name);
	}
	run_line(catalog, &line);
}

static void
ask_name(struct catalog *catalog)
{
	struct buffer name = { 0 };

	for (size_t i = 0; i < catalog->n_ids; i++) {
		struct store_adapter *adapter = target(catalog, i);

		if (adapter == NULL)
			break;
		buffer_printf(&name, "%s%s", i > 0 ? "-" : "", adapter->name);
		store_free(adapter);
	}
	workbench_ask(catalog->view->workbench, "Name of the merged adapter",
	    name.n <= STORE_NAME_MAX ? buffer_string(&name) : "", NULL, merge_named, catalog);
	buffer_free(&name);
}

/* "0.5, 0.5" or "0.5 0.5" as the command line has it, in fresh memory; NULL: not N numbers. */
static char *
read_weights(const char *text, size_t n)
{
	struct buffer out = { 0 };
	size_t n_read = 0;

	for (;;) {
		double weight;
		size_t length;

		text += strspn(text, ", ");
		length = strcspn(text, ", ");
		if (length == 0)
			break;
		if (!number_parse(text, length, &weight))
			n_read = n; /* more than wanted, so refused */
		buffer_text(&out, n_read++ > 0 ? "," : "");
		buffer_append(&out, text, length);
		text += length;
	}
	if (n_read != n) {
		buffer_free(&out);
		return NULL;
	}
	return buffer_take(&out);
}

static void
merge_weighted(void *user, const char *text)
{
	struct catalog *catalog = user;
	char question[96];

	if (text == NULL)
		return;
	free(catalog->weights);
	catalog->weights = read_weights(text, catalog->n_ids);
	if (catalog->weights != NULL) {
		ask_name(catalog);
		return;
	}
	snprintf(question, sizeof question, "%zu numbers are wanted, one for each adapter",
	    catalog->n_ids);
	workbench_ask(catalog->view->workbench, question, text, NULL, merge_weighted, catalog);
}

static void
ask_weights(struct catalog *catalog)
{
	struct buffer question = { 0 }, shares = { 0 };

	buffer_text(&question, "Weights of");
	for (size_t i = 0; i < catalog->n_ids; i++) {
		struct store_adapter *adapter = target(catalog, i);

		buffer_printf(
		    &question, "%s %s", i > 0 ? "," : "", adapter != NULL ? adapter->name : "?");
		buffer_printf(&shares, "%s%.3g", i > 0 ? "," : "", 1.0 / (double)catalog->n_ids);
		store_free(adapter);
	}
	workbench_ask(catalog->view->workbench, buffer_string(&question), buffer_string(&shares),
	    NULL, merge_weighted, catalog);
	buffer_free(&question);
	buffer_free(&shares);
}

static char **
complete_strategy(void *user, const char *text)
{
	size_t n = 0, kept = 0;
	char **words;

	(void)user;
	while (t2l_merge_strategy(n) != NULL)
		n++;
	words = calloc(n + 1, sizeof *words);
	for (size_t i = 0; words != NULL && i < n; i++) {
		const char *name = t2l_merge_strategy(i)->name;

		if (strncmp(name, text, strlen(text)) == 0 && (words[kept] = strdup(name)) != NULL)
			kept++;
	}
	return words;
}

static void
merge_strategy_chosen(void *user, const char *name)
{
	struct catalog *catalog = user;

	if (name == NULL)
		return;
	if (t2l_merge_strategy_find(name) == NULL) {
		workbench_ask(catalog->view->workbench, "There is no such strategy; Tab lists them",
		    "", complete_strategy, merge_strategy_chosen, catalog);
		return;
	}
	free(catalog->strategy);
	catalog->strategy = strdup(name);
	if (catalog->strategy != NULL)
		ask_weights(catalog);
}

void
catalog_merge(struct catalog *catalog)
{
	struct workbench *workbench = catalog->view->workbench;
	struct store_adapter *first = NULL;
	bool same_rank = true, same_base = true;

	if (!take_targets(catalog))
		return;
	if (catalog->n_ids < 2 || catalog->n_ids > MAX_MERGED) {
		workbench_status(workbench, ROLE_WARN,
		    catalog->n_ids < 2 ? "mark two adapters or more with Space, then merge"
				       : "too many adapters are marked to be merged");
		return;
	}
	/* Told before, not after: what does not fit together. */
	for (size_t i = 0; i < catalog->n_ids; i++) {
		struct store_adapter *adapter = target(catalog, i);

		if (adapter == NULL) {
			store_free(first);
			return;
		}
		if (first == NULL) {
			first = adapter;
			continue;
		}
		same_rank = same_rank && adapter->rank == first->rank;
		same_base =
		    same_base && strcmp(adapter->base_fingerprint, first->base_fingerprint) == 0;
		store_free(adapter);
	}
	store_free(first);
	if (!same_base)
		workbench_status(workbench, ROLE_BAD,
		    "the marked adapters belong to different bases and cannot be merged");
	else
		workbench_ask(workbench,
		    same_rank ? "Merge how? (Tab lists the strategies)"
			      : "Their ranks differ, which linear cannot merge. How?",
		    same_rank ? "linear" : "cat", complete_strategy, merge_strategy_chosen,
		    catalog);
}

/* ---- export ---- */

static void
export_to(void *user, const char *path)
{
	struct catalog *catalog = user;

	if (path == NULL || path[0] == '\0')
		return;
	/* A folder of folders; when it cannot be made, the command says so. */
	if (catalog->n_ids > 1)
		mkdir(path, 0777);
	for (size_t i = 0; i < catalog->n_ids; i++) {
		struct store_adapter *adapter = target(catalog, i);
		struct buffer line = { 0 }, output = { 0 };

		if (adapter == NULL)
			return;
		buffer_text(&output, path);
		/* Several go into one folder, each by its name. */
		if (catalog->n_ids > 1)
			buffer_printf(&output, "/%s", adapter->name);
		buffer_text(&line, "export --format peft --adapter");
		add_adapter_word(&line, adapter->id, 1);
		buffer_text(&line, " --output");
		add_word(&line, buffer_string(&output));
		run_line(catalog, &line);
		buffer_free(&output);
		store_free(adapter);
	}
}

void
catalog_export(struct catalog *catalog)
{
	struct store_adapter *adapter;
	char question[96], initial[STORE_NAME_MAX + 8] = "./adapters";

	if (!take_targets(catalog) || (adapter = target(catalog, 0)) == NULL)
		return;
	snprintf(question, sizeof question, "Export for PEFT into the folder");
	if (catalog->n_ids > 1)
		snprintf(question, sizeof question, "Export %zu adapters for PEFT into folders in",
		    catalog->n_ids);
	else
		snprintf(initial, sizeof initial, "./%s-peft", adapter->name);
	store_free(adapter);
	workbench_ask(
	    catalog->view->workbench, question, initial, complete_path, export_to, catalog);
}

/* ---- import ---- */

static void
import_from(void *user, const char *path)
{
	struct buffer line = { 0 };

	if (path == NULL || path[0] == '\0')
		return;
	buffer_text(&line, "import");
	add_word(&line, path);
	run_line(user, &line);
}

void
catalog_import(struct catalog *catalog)
{
	workbench_ask(catalog->view->workbench, "Import a PEFT folder or an adapter file", "",
	    complete_path, import_from, catalog);
}

/* ---- tags, note, name ---- */

static bool
has_tag(const struct store_adapter *adapter, const char *tag)
{
	for (size_t i = 0; i < adapter->n_tags; i++)
		if (strcmp(adapter->tags[i], tag) == 0)
			return true;
	return false;
}

/* The tags that all targets have, with blanks between. */
static void
common_tags(struct catalog *catalog, struct buffer *out)
{
	struct store_adapter *first = target(catalog, 0);

	for (size_t t = 0; first != NULL && t < first->n_tags; t++) {
		bool common = true;

		for (size_t i = 1; i < catalog->n_ids && common; i++) {
			struct store_adapter *adapter = target(catalog, i);

			common = adapter != NULL && has_tag(adapter, first->tags[t]);
			store_free(adapter);
		}
		if (common)
			buffer_printf(out, "%s%s", out->n > 0 ? " " : "", first->tags[t]);
	}
	store_free(first);
}

static void
tagged(void *user, const char *text)
{
	struct catalog *catalog = user;
	struct buffer before = { 0 };

	if (text == NULL)
		return;
	common_tags(catalog, &before);
	catalog_write(
	    catalog, WRITE_TAGS, catalog->ids, catalog->n_ids, text, buffer_string(&before), false);
	buffer_free(&before);
}

/* Completes the last word with the tags that there are. */
static char **
complete_tag(void *user, const char *text)
{
	struct catalog *catalog = user;
	const char *blank = strrchr(text, ' ');
	const char *word = blank != NULL ? blank + 1 : text;
	struct store_tags *tags;
	char **words;
	size_t n = 0;

	if (word[0] == '\0' || store_tags(catalog->list.store, &tags) != STORE_OK)
		return NULL;
	words = calloc(tags->n_rows + 1, sizeof *words);
	for (size_t i = 0; words != NULL && i < tags->n_rows; i++) {
		struct buffer line = { 0 };

		if (strncmp(tags->rows[i].name, word, strlen(word)) != 0)
			continue;
		buffer_append(&line, text, (size_t)(word - text));
		buffer_text(&line, tags->rows[i].name);
		words[n] = buffer_take(&line);
		n += words[n] != NULL;
	}
	store_free(tags);
	return words;
}

void
catalog_tag(struct catalog *catalog)
{
	struct buffer common = { 0 };
	char question[96];

	if (!take_targets(catalog))
		return;
	common_tags(catalog, &common);
	snprintf(question, sizeof question, "Tags, with blanks between");
	if (catalog->n_ids > 1)
		snprintf(question, sizeof question, "Tags that all %zu have", catalog->n_ids);
	workbench_ask(catalog->view->workbench, question, buffer_string(&common), complete_tag,
	    tagged, catalog);
	buffer_free(&common);
}

static void
noted(void *user, const char *text)
{
	struct catalog *catalog = user;

	if (text != NULL)
		catalog_write(catalog, WRITE_NOTE, catalog->ids, 1, text, NULL, false);
}

static void
renamed(void *user, const char *name)
{
	struct catalog *catalog = user;

	if (name != NULL && name[0] != '\0')
		catalog_write(catalog, WRITE_RENAME, catalog->ids, 1, name, NULL, false);
}

void
catalog_note(struct catalog *catalog)
{
	if (take_current(catalog))
		workbench_ask(catalog->view->workbench, "Note",
		    catalog_list_current(&catalog->list)->note, NULL, noted, catalog);
}

void
catalog_rename(struct catalog *catalog)
{
	if (take_current(catalog))
		workbench_ask(catalog->view->workbench, "New name",
		    catalog_list_current(&catalog->list)->name, NULL, renamed, catalog);
}

/* ---- trash, favourite ---- */

void
catalog_trash(struct catalog *catalog)
{
	if (take_targets(catalog))
		catalog_write(catalog, catalog->list.shown.trashed ? WRITE_RESTORE : WRITE_TRASH,
		    catalog->ids, catalog->n_ids, NULL, NULL, false);
}

void
catalog_favourite(struct catalog *catalog)
{
	const struct store_adapter *current = catalog_list_current(&catalog->list);

	if (current != NULL && take_targets(catalog))
		catalog_write(catalog, WRITE_FAVOURITE, catalog->ids, catalog->n_ids, NULL, NULL,
		    !current->favourite);
}

/* ---- similar ---- */

static void
similar_to(void *user, const char *sentence)
{
	struct catalog *catalog = user;
	struct store_adapter *adapter;

	if (sentence == NULL)
		return;
	if (sentence[0] != '\0') {
		catalog_ask_near_sentence(catalog, sentence);
		return;
	}
	if (catalog->n_ids == 0 || (adapter = target(catalog, 0)) == NULL)
		return;
	catalog_list_near_row(&catalog->list, adapter->id, adapter->name);
	catalog_pursue(catalog);
	store_free(adapter);
}

void
catalog_similar(struct catalog *catalog)
{
	if (take_current(catalog))
		workbench_ask(catalog->view->workbench,
		    "Similar to a sentence, or (left empty) to the row under the cursor", "", NULL,
		    similar_to, catalog);
}
