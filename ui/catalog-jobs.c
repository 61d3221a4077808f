/* catalog-jobs.c - the Catalog view's work for other threads: searches, writes, questions of
 * meaning.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ui/catalog.h"

enum { NEAREST_ROWS = 6 };

/* A job of this view; which one, RUN tells. What it found is in here when it is done. */
struct catalog_job {
	struct job job;
	struct catalog *catalog;
	void (*done)(struct catalog_job *job); /* on the screen's thread */
	enum catalog_write write;
	int64_t *ids;
	size_t n_ids;
	char *text, *before;
	bool on;
	char message[1024]; /* what went wrong, or what was done */
	bool failed;
	struct store_adapters *found;
	struct catalog_query query;
	float *values; /* a sentence's embedding */
};

static void
release(struct job *job)
{
	struct catalog_job *mine = (struct catalog_job *)job;

	store_free(mine->found);
	free(mine->ids);
	free(mine->text);
	free(mine->before);
	catalog_query_free(&mine->query);
	free(mine->values);
	free(mine);
}

static bool
submit(struct catalog_job *job)
{
	struct workbench *workbench = job->catalog->view->workbench;

	if (job_submit(workbench, &job->job) != 0)
		return true;
	workbench_status(workbench, ROLE_BAD, "out of memory");
	return false;
}

void
catalog_message(struct view *view, struct message *message)
{
	struct catalog_job *job = (struct catalog_job *)message->job;

	(void)view;
	if (message->kind == MESSAGE_DONE)
		job->done(job);
}

/* NULL: out of memory, which the status line says. */
static struct catalog_job *
new_job(struct catalog *catalog, enum topic topic,
    void (*run_it)(struct worker *worker, struct job *job), void (*done)(struct catalog_job *job))
{
	struct catalog_job *job = calloc(1, sizeof *job);

	if (job == NULL) {
		workbench_status(catalog->view->workbench, ROLE_BAD, "out of memory");
		return NULL;
	}
	job->job.topic = topic;
	job->job.view = catalog->view;
	job->job.run = run_it;
	job->job.release = release;
	job->catalog = catalog;
	job->done = done;
	return job;
}

/* ---- writes ---- */

static enum store_status
write_rename(struct store *store, struct catalog_job *job)
{
	snprintf(job->message, sizeof job->message, "renamed to %.200s", job->text);
	return store_rename(store, job->ids[0], job->text);
}

static enum store_status
write_note(struct store *store, struct catalog_job *job)
{
	return store_set_note(store, job->ids[0], job->text);
}

static bool
has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

/* Tags of WORDS that OTHERS lacks are given to the adapters, or taken from them. */
static enum store_status
change_tags(struct store *store, struct catalog_job *job, const char *words, const char *others,
    enum store_status (*change)(
	struct store *store, const int64_t *ids, size_t n_ids, const char *tag))
{
	char *copy = strdup(words), *rest = copy;
	enum store_status status = copy != NULL ? STORE_OK : STORE_ENOMEM;

	for (char *tag; status == STORE_OK && (tag = strsep(&rest, " ")) != NULL;)
		if (tag[0] != '\0' && !has_word(others, tag))
			status = change(store, job->ids, job->n_ids, tag);
	free(copy);
	return status;
}

static enum store_status
write_tags(struct store *store, struct catalog_job *job)
{
	enum store_status status = change_tags(store, job, job->text, job->before, store_tag);

	if (status == STORE_OK)
		status = change_tags(store, job, job->before, job->text, store_untag);
	return status;
}

static enum store_status
write_favourite(struct store *store, struct catalog_job *job)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < job->n_ids && status == STORE_OK; i++)
		status = store_set_favourite(store, job->ids[i], job->on);
	return status;
}

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static enum store_status
write_trash(struct store *store, struct catalog_job *job)
{
	snprintf(job->message, sizeof job->message, "%zu adapter%s in the trash; u takes it back",
	    job->n_ids, plural(job->n_ids));
	return store_trash(store, job->ids, job->n_ids);
}

static enum store_status
write_restore(struct store *store, struct catalog_job *job)
{
	snprintf(job->message, sizeof job->message, "%zu adapter%s restored", job->n_ids,
	    plural(job->n_ids));
	return store_restore(store, job->ids, job->n_ids);
}

static enum store_status
write_undo(struct store *store, struct catalog_job *job)
{
	struct store_ids *ids;
	enum store_status status = store_undo(store, &ids);

	if (status == STORE_OK) {
		snprintf(job->message, sizeof job->message, "%zu adapter%s restored", ids->n_rows,
		    plural(ids->n_rows));
		store_free(ids);
	}
	return status;
}

static enum store_status
write_what(struct store *store, struct job *base)
{
	static enum store_status (*const writes[])(
	    struct store * store, struct catalog_job * job) = {
		[WRITE_RENAME] = write_rename,
		[WRITE_NOTE] = write_note,
		[WRITE_TAGS] = write_tags,
		[WRITE_FAVOURITE] = write_favourite,
		[WRITE_TRASH] = write_trash,
		[WRITE_UNDO] = write_undo,
		[WRITE_RESTORE] = write_restore,
	};
	struct catalog_job *job = (struct catalog_job *)base;

	return writes[job->write](store, job);
}

static void
run_write(struct worker *worker, struct job *base)
{
	struct catalog_job *job = (struct catalog_job *)base;

	job->failed = !worker_write(worker, base, write_what, job->message, sizeof job->message);
}

static void
write_done(struct catalog_job *job)
{
	struct catalog *catalog = job->catalog;

	if (!job->failed && (job->write == WRITE_TRASH || job->write == WRITE_RESTORE))
		catalog_list_unmark_all(&catalog->list);
	catalog_list_refresh(&catalog->list, true);
	catalog_pursue(catalog);
	if (job->message[0] != '\0')
		workbench_status(catalog->view->workbench, job->failed ? ROLE_BAD : ROLE_GOOD, "%s",
		    job->message);
}

void
catalog_write(struct catalog *catalog, enum catalog_write write, const int64_t *ids, size_t n_ids,
    const char *text, const char *before, bool on)
{
	struct catalog_job *job = new_job(catalog, TOPIC_KEEP, run_write, write_done);

	if (job == NULL)
		return;
	job->write = write;
	job->n_ids = n_ids;
	job->ids = malloc((n_ids + 1) * sizeof *job->ids);
	job->text = strdup(text != NULL ? text : "");
	job->before = strdup(before != NULL ? before : "");
	job->on = on;
	if (job->ids == NULL || job->text == NULL || job->before == NULL) {
		release(&job->job);
		workbench_status(catalog->view->workbench, ROLE_BAD, "out of memory");
		return;
	}
	if (n_ids > 0)
		memcpy(job->ids, ids, n_ids * sizeof *ids);
	submit(job);
}

/* ---- searches ---- */

static void
run_search(struct worker *worker, struct job *base)
{
	struct catalog_job *job = (struct catalog_job *)base;
	struct store *store = worker_store(worker, job->message, sizeof job->message);

	job->failed = true;
	if (store == NULL || job_cancelled(base))
		return;
	if (store_search(store, &job->query.query, &job->found) == STORE_OK)
		job->failed = false;
	else if (!job_cancelled(base))
		snprintf(job->message, sizeof job->message, "%s", store_error(store));
}

static void
search_done(struct catalog_job *job)
{
	struct catalog *catalog = job->catalog;

	catalog_list_done(&catalog->list, job->query.number, job->found, job->message);
	job->found = NULL;
	if (!catalog->typing)
		catalog_take_message(catalog);
	catalog_pursue(catalog);
}

void
catalog_pursue(struct catalog *catalog)
{
	struct catalog_query query;
	struct catalog_job *job;

	if (!catalog_list_query(&catalog->list, &query))
		return;
	job = new_job(catalog, TOPIC_SEARCH, run_search, search_done);
	if (job == NULL) {
		catalog_query_free(&query);
		catalog_list_done(&catalog->list, query.number, NULL, "out of memory");
		return;
	}
	job->query = query;
	if (query.query.near != NULL)
		job->query.query.near = &job->query.vector;
	submit(job);
}

/* An adapter whose description nobody embedded has no neighbours: nothing is shown. */
static void
nearest_done(struct catalog_job *job)
{
	if (job->failed || job->found == NULL)
		return;
	catalog_details_nearest(&job->catalog->details, job->query.query.near_id, job->found);
	job->found = NULL;
}

void
catalog_ask_nearest(struct catalog *catalog, int64_t id)
{
	struct catalog_job *job = new_job(catalog, TOPIC_NEAR, run_search, nearest_done);

	if (job == NULL)
		return;
	job->query.query = (struct store_query){
		.sort = STORE_SORT_NEAREST, .near_id = id, .limit = NEAREST_ROWS
	};
	submit(job);
}

/* ---- what is near to a sentence ---- */

static void
run_embed(struct worker *worker, struct job *base)
{
	struct catalog_job *job = (struct catalog_job *)base;
	struct t2l_encoder *encoder = worker_host(worker)->encoder;
	const char *text = job->text;
	struct t2l_error err = { .message = "out of memory" };

	job->values = malloc((size_t)t2l_encoder_facts(encoder)->dimension * sizeof *job->values);
	if (job->values == NULL ||
	    t2l_encoder_embed(encoder, &text, 1, job->values, &err) != T2L_OK) {
		job->failed = true;
		snprintf(job->message, sizeof job->message, "%s", err.message);
	}
}

static void
embed_done(struct catalog_job *job)
{
	struct catalog *catalog = job->catalog;
	const struct t2l_encoder_facts *facts = t2l_encoder_facts(catalog->view->host->encoder);
	struct store_vector vector = { facts->fingerprint, job->values, (size_t)facts->dimension };

	catalog->embedding = false;
	if (job->failed)
		workbench_status(catalog->view->workbench, ROLE_BAD, "%s", job->message);
	else if (job->values != NULL)
		catalog_list_near_vector(&catalog->list, &vector, job->text);
	catalog_pursue(catalog);
}

void
catalog_ask_near_sentence(struct catalog *catalog, const char *sentence)
{
	struct catalog_job *job;

	if (catalog->view->host->encoder == NULL) {
		workbench_status(catalog->view->workbench, ROLE_BAD,
		    "no encoder is there to read the sentence; ~ and Enter compares with the row");
		return;
	}
	job = new_job(catalog, TOPIC_NEAR, run_embed, embed_done);
	if (job == NULL)
		return;
	job->text = strdup(sentence);
	if (job->text == NULL) {
		release(&job->job);
		return;
	}
	catalog->embedding = submit(job);
}
