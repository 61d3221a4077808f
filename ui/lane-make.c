/* lane-make.c - adapters for lanes, on other threads: made from a task, or opened from the catalog.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "ui/compare.h"

/* ---- made from a task ---- */

struct lane_make {
	struct job job;
	char *task;
	bool keep;
	struct t2l_adapter *adapter; /* given (the draft that is kept) or made */
	double ms;
	int64_t id; /* of the kept one */
	bool failed;
	struct t2l_error err;
};

static enum t2l_status
generate(const struct workbench_host *host, struct lane_make *make)
{
	int size = t2l_hypernet_facts(host->hypernet)->embedding_size;
	float *embedding = malloc((size_t)size * sizeof *embedding);
	double start = clock_ms();
	enum t2l_status status;

	if (embedding == NULL) {
		make->err = (struct t2l_error){ T2L_ENOMEM, "out of memory" };
		return T2L_ENOMEM;
	}
	status =
	    t2l_hypernet_embed(host->hypernet, host->encoder, make->task, embedding, &make->err);
	if (status == T2L_OK && job_cancelled(&make->job))
		status = make->err.status = T2L_ECANCELLED;
	if (status == T2L_OK)
		status = t2l_hypernet_generate(
		    host->hypernet, embedding, make->task, &make->adapter, &make->err);
	free(embedding);
	make->ms = clock_ms() - start;
	return status;
}

static void
make_job(struct worker *worker, struct job *job)
{
	struct lane_make *make = (struct lane_make *)job;
	const struct workbench_host *host = worker_host(worker);

	make->failed = make->adapter == NULL && generate(host, make) != T2L_OK;
	if (make->failed || !make->keep)
		return;
	make->id = host->keep(host->user, make->adapter, NULL, "generated", make->ms, &make->err);
	make->failed = make->id == 0;
}

static void
make_release(struct job *job)
{
	struct lane_make *make = (struct lane_make *)job;

	t2l_adapter_close(make->adapter);
	free(make->task);
	free(make);
}

bool
is_lane_make(const struct job *job)
{
	return job->run == make_job;
}

/* A draft of the same words need not be made again to be kept. */
static void
reuse_draft(const struct compare *compare, struct lane_make *make)
{
	const struct lane *draft = compare_draft_lane(compare);

	if (draft == NULL || compare->draft_task == NULL || !lane_ready(draft) ||
	    strcmp(compare->draft_task, make->task) != 0 || compare->draft_fault[0] != '\0')
		return;
	make->adapter = t2l_adapter_ref(draft->parts[0].adapter);
	make->ms = compare->draft_ms;
}

void
compare_make(struct compare *compare, bool keep)
{
	struct workbench *workbench = compare->view->workbench;
	const struct workbench_host *host = compare->view->host;
	const char *task = prompt_line_text(&compare->task);
	struct lane_make *make;

	if (task[strspn(task, " ")] == '\0')
		return;
	if (host->hypernet == NULL || host->encoder == NULL) {
		workbench_status(workbench, ROLE_BAD, "no adapter can be made: %s",
		    host->no_hypernet != NULL ? host->no_hypernet : "there is no hypernet");
		return;
	}
	make = calloc(1, sizeof *make);
	if (make == NULL || (make->task = strdup(task)) == NULL) {
		free(make);
		workbench_status(workbench, ROLE_BAD, "out of memory");
		return;
	}
	make->keep = keep;
	make->failed = true; /* until it has run */
	make->job = (struct job){ .topic = keep ? TOPIC_KEEP : TOPIC_DRAFT,
		.view = compare->view,
		.run = make_job,
		.release = make_release };
	if (keep) {
		reuse_draft(compare, make);
		job_cancel(workbench, TOPIC_DRAFT);
		job_submit(workbench, &make->job);
	} else {
		compare->draft_generation = job_submit(workbench, &make->job);
	}
}

/* What was made goes into the draft's lane. */
static void
show_draft(struct compare *compare, const struct lane_make *make)
{
	struct lane *lane = compare_draft_lane(compare);

	compare->draft_fault[0] = '\0';
	compare->draft_ms = make->ms;
	if (lane == NULL && (lane = compare_add_lane(compare, true)) == NULL)
		return;
	t2l_adapter_close(lane->parts[0].adapter);
	lane->draft = true;
	lane->n_parts = 1;
	lane->parts[0] = (struct lane_part){ "draft", 0, t2l_adapter_ref(make->adapter),
		lane->parts[0].weight != 0 ? lane->parts[0].weight : 1 };
	free(compare->draft_task);
	compare->draft_task = strdup(make->task);
	compare_run(compare, lane);
}

static void
draft_done(struct compare *compare, struct lane_make *make)
{
	if (make->failed)
		snprintf(
		    compare->draft_fault, sizeof compare->draft_fault, "%s", make->err.message);
	else
		show_draft(compare, make);
}

/* The draft's lane becomes the kept one's: what it said stays. */
static void
keep_done(struct compare *compare, struct lane_make *make)
{
	struct workbench *workbench = compare->view->workbench;
	struct store *store = compare->view->host->store;
	struct store_adapter *row = NULL;
	struct lane *lane = compare_draft_lane(compare);
	bool same = lane != NULL && lane_ready(lane) && lane->parts[0].adapter == make->adapter;

	if (make->failed) {
		/* What was made is not lost: it can be tried, and kept once there is a place. */
		if (make->adapter != NULL && !same)
			show_draft(compare, make);
		workbench_status(workbench, ROLE_BAD, "not kept: %s", make->err.message);
		return;
	}
	if (store_get(store, make->id, &row) != STORE_OK) {
		workbench_status(workbench, ROLE_BAD, "%s", store_error(store));
		return;
	}
	if (!same) {
		if (lane != NULL)
			compare_drop_lane(compare, lane);
		lane = compare_add_lane(compare, true);
	}
	workbench_status(workbench, ROLE_GOOD, "kept as %s", row->name);
	if (lane != NULL) {
		if (!same) {
			lane->n_parts = 1;
			lane->parts[0].adapter = t2l_adapter_ref(make->adapter);
			lane->parts[0].weight = 1;
		}
		lane->draft = false;
		lane->fresh = true;
		lane->parts[0].id = make->id;
		snprintf(lane->parts[0].name, sizeof lane->parts[0].name, "%s", row->name);
		free(compare->draft_task);
		compare->draft_task = NULL;
		if (compare->run_after_keep)
			compare_run(compare, NULL);
		else if (!same)
			compare_run(compare, lane);
	}
	compare->run_after_keep = false;
	store_free(row);
}

void
lane_make_done(struct compare *compare, struct job *job)
{
	struct lane_make *make = (struct lane_make *)job;

	if (make->keep)
		keep_done(compare, make);
	else if (job->generation == compare->draft_generation && !job_cancelled(job))
		draft_done(compare, make);
}

/* ---- opened from the catalog ---- */

struct lane_open {
	struct job job;
	size_t slot;
	int64_t ids[MAX_PARTS];
	struct t2l_adapter *adapters[MAX_PARTS];
	size_t n;
	struct t2l_error err;
};

static bool
open_one(struct store *store, const struct t2l_model *model, int64_t id,
    struct t2l_adapter **adapter, struct t2l_error *err)
{
	struct store_adapter *row;
	enum t2l_status status;
	bool other_base;

	if (store_get(store, id, &row) != STORE_OK) {
		err->status = T2L_ENOENT;
		snprintf(err->message, sizeof err->message, "%s", store_error(store));
		return false;
	}
	status = t2l_adapter_open(row->path, adapter, err);
	store_free(row);
	if (status != T2L_OK)
		return false;
	if (t2l_adapter_check(*adapter, model, &other_base, err) == T2L_OK)
		return true;
	t2l_adapter_close(*adapter);
	*adapter = NULL;
	return false;
}

static void
open_job(struct worker *worker, struct job *job)
{
	struct lane_open *open = (struct lane_open *)job;
	struct store *store = worker_store(worker, open->err.message, sizeof open->err.message);

	for (size_t i = 0; i < open->n && store != NULL; i++)
		if (open->ids[i] != 0 && !open_one(store, worker_host(worker)->model, open->ids[i],
					     &open->adapters[i], &open->err))
			return;
}

static void
open_release(struct job *job)
{
	struct lane_open *open = (struct lane_open *)job;

	for (size_t i = 0; i < open->n; i++)
		t2l_adapter_close(open->adapters[i]);
	free(open);
}

bool
is_lane_open(const struct job *job)
{
	return job->run == open_job;
}

void
compare_open_adapters(struct compare *compare, struct lane *lane)
{
	struct lane_open *open;

	if (lane_ready(lane)) {
		compare_run(compare, lane);
		return;
	}
	open = calloc(1, sizeof *open);
	if (open == NULL) {
		workbench_status(compare->view->workbench, ROLE_BAD, "out of memory");
		return;
	}
	open->slot = lane->slot;
	open->n = lane->n_parts;
	for (size_t i = 0; i < lane->n_parts; i++)
		open->ids[i] = lane->parts[i].adapter == NULL ? lane->parts[i].id : 0;
	open->job = (struct job){
		.topic = TOPIC_OPEN, .view = compare->view, .run = open_job, .release = open_release
	};
	job_submit(compare->view->workbench, &open->job);
}

void
lane_open_done(struct compare *compare, struct job *job)
{
	struct lane_open *open = (struct lane_open *)job;
	struct lane *lane = compare_lane_at(compare, open->slot);

	if (lane == NULL || lane->n_parts != open->n)
		return;
	/* The lane may be another's by now. */
	for (size_t i = 0; i < open->n; i++)
		if (open->ids[i] != 0 && lane->parts[i].id != open->ids[i])
			return;
	for (size_t i = 0; i < open->n; i++)
		if (open->ids[i] != 0 && lane->parts[i].adapter == NULL) {
			lane->parts[i].adapter = open->adapters[i];
			open->adapters[i] = NULL;
		}
	if (lane_ready(lane)) {
		if (lane->restored)
			return; /* nobody asked for a run yet */
		workbench_used(compare->view->workbench, open->ids, open->n);
		compare_run(compare, lane);
		return;
	}
	workbench_status(compare->view->workbench, ROLE_BAD, "%s", open->err.message);
	compare_drop_lane(compare, lane);
}

/* ---- what a person types for a lane ---- */

static bool
parse_part(struct store *store, char *text, struct lane_part *part, char *message, size_t size)
{
	struct store_adapter *row;
	char *colon = strrchr(text, ':');
	double weight = 1;

	if (colon != NULL) {
		if (!number_parse(colon + 1, strlen(colon + 1), &weight) ||
		    !(weight >= -1000 && weight <= 1000)) {
			snprintf(message, size, "'%s' is no weight (-1000 to 1000)", colon + 1);
			return false;
		}
		*colon = '\0';
	}
	if (store_find(store, text, &row) != STORE_OK) {
		snprintf(message, size, "%s", store_error(store));
		return false;
	}
	*part = (struct lane_part){ .id = row->id, .weight = (float)weight };
	snprintf(part->name, sizeof part->name, "%s", row->name);
	store_free(row);
	return true;
}

bool
lane_parse(struct store *store, const char *text, struct lane *lane, char *message, size_t size)
{
	char *copy, *rest;
	bool fine = true;

	text += strspn(text, " ");
	if (strcmp(text, "base") == 0 || strcmp(text, "none") == 0)
		return true;
	copy = rest = strdup(text);
	if (copy == NULL) {
		snprintf(message, size, "out of memory");
		return false;
	}
	for (char *part; fine && (part = strsep(&rest, "+")) != NULL;) {
		part += strspn(part, " ");
		for (size_t n = strlen(part); n > 0 && part[n - 1] == ' ';)
			part[--n] = '\0';
		if (lane->n_parts == MAX_PARTS) {
			snprintf(message, size, "a mix has at most %d adapters", MAX_PARTS);
			fine = false;
		} else {
			fine = parse_part(store, part, &lane->parts[lane->n_parts], message, size);
			lane->n_parts += fine;
		}
	}
	free(copy);
	return fine;
}
