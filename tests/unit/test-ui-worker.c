/* test-ui-worker.c - threads that write and ask, while another process keeps the catalog to itself.
 */

#include "tests/unit/test-store-fixture.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "ui/worker.h"

/* ---- another process that holds the write lock ---- */

struct holder {
	pid_t pid;
	int release; /* closing it lets go */
};

static void
hold(const char *home, int held, int release)
{
	char path[512], byte = 0;
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/catalog.sqlite", home);
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		_exit(1);
	if (write(held, &byte, 1) != 1 || read(release, &byte, 1) != 0)
		_exit(1);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	_exit(0);
}

static struct holder
hold_catalog(const char *home)
{
	struct holder holder;
	int held[2], release[2];
	char byte;

	assert_int_equal(pipe(held), 0);
	assert_int_equal(pipe(release), 0);
	holder.pid = fork();
	assert_true(holder.pid >= 0);
	if (holder.pid == 0) {
		close(release[1]);
		hold(home, held[1], release[0]);
	}
	close(held[1]);
	close(release[0]);
	assert_int_equal(read(held[0], &byte, 1), 1);
	close(held[0]);
	holder.release = release[1];
	return holder;
}

static void
let_go(struct holder holder)
{
	int status;

	close(holder.release);
	assert_int_equal(waitpid(holder.pid, &status, 0), holder.pid);
	assert_int_equal(status, 0);
}

/* ---- jobs ---- */

struct test_job {
	struct job job;
	char text[32];
	bool fine;
	uint64_t n_found;
	char message[256];
};

static enum store_status
add_line(struct store *store, struct job *job)
{
	return store_history_add(store, STORE_HISTORY_TASK, ((struct test_job *)job)->text);
}

static void
run_add(struct worker *worker, struct job *base)
{
	struct test_job *job = (struct test_job *)base;

	job->fine = worker_write(worker, base, add_line, job->message, sizeof job->message);
}

static void
run_count(struct worker *worker, struct job *base)
{
	struct test_job *job = (struct test_job *)base;
	struct store *store = worker_store(worker, job->message, sizeof job->message);
	struct store_query query = { .text = "" };
	struct store_adapters *page;

	job->fine = store != NULL && store_search(store, &query, &page) == STORE_OK;
	if (!job->fine)
		return;
	job->n_found = page->n_matching;
	store_free(page);
}

static void
keep_job(struct job *job)
{
	(void)job;
}

static void
put(struct worker *worker, struct test_job *job, void (*run_it)(struct worker *, struct job *),
    const char *text)
{
	memset(job, 0, sizeof *job);
	job->job.topic = TOPIC_KEEP;
	job->job.run = run_it;
	job->job.release = keep_job;
	snprintf(job->text, sizeof job->text, "%s", text);
	job->job.last = calloc(1, sizeof *job->job.last);
	assert_non_null(job->job.last);
	worker_put(worker, &job->job);
}

/* The next job that ended; NULL: none within MS. */
static struct job *
ended(struct message_queue *messages, int ms)
{
	struct pollfd waiting = { messages->wake_fd, POLLIN, 0 };
	struct message *message = message_take(messages);
	struct job *job;
	uint64_t count;

	if (message == NULL && poll(&waiting, 1, ms) == 1) {
		assert_int_equal(read(messages->wake_fd, &count, sizeof count), sizeof count);
		message = message_take(messages);
	}
	job = message != NULL ? message->job : NULL;
	message_free(message);
	return job;
}

static size_t
n_lines(struct store *store)
{
	struct store_strings *lines;
	size_t n;

	assert_ok(store, store_history(store, STORE_HISTORY_TASK, 100, &lines));
	n = lines->n_rows;
	store_free(lines);
	return n;
}

/* ---- tests ---- */

static void
a_write_waits_for_another_process_and_holds_up_no_question(void **state)
{
	struct fixture *fixture = *state;
	const struct workbench_host host = { .home = fixture->home };
	struct test_job write, question;
	struct message_queue messages;
	struct worker *writes, *questions;
	struct holder holder;

	add_named(fixture->store, "one", "same");
	message_queue_init(&messages, eventfd(0, EFD_NONBLOCK));
	writes = worker_start(&host, &messages);
	questions = worker_start(&host, &messages);
	holder = hold_catalog(fixture->home);
	put(writes, &write, run_add, "kept");
	put(questions, &question, run_count, "");
	assert_ptr_equal(ended(&messages, 60000), &question.job);
	assert_true(question.fine);
	assert_int_equal(question.n_found, 1);
	assert_null(ended(&messages, 100));
	let_go(holder);
	assert_ptr_equal(ended(&messages, 60000), &write.job);
	if (!write.fine)
		fail_msg("%s", write.message);
	assert_int_equal(n_lines(fixture->store), 1);
	worker_stop(questions);
	worker_finish(writes);
	close(messages.wake_fd);
	message_queue_free(&messages);
}

static void
whoever_finishes_writes_what_waits_first(void **state)
{
	struct fixture *fixture = *state;
	const struct workbench_host host = { .home = fixture->home };
	struct message_queue messages;
	struct test_job jobs[5];
	struct worker *writes;

	message_queue_init(&messages, -1);
	writes = worker_start(&host, &messages);
	for (size_t i = 0; i < 5; i++)
		put(writes, &jobs[i], run_add, (char[2]){ (char)('a' + i), '\0' });
	worker_finish(writes);
	for (size_t i = 0; i < 5; i++)
		assert_true(jobs[i].fine);
	assert_int_equal(n_lines(fixture->store), 5);
	message_queue_free(&messages);
}

static void
whoever_stops_leaves_what_waits(void **state)
{
	struct fixture *fixture = *state;
	const struct workbench_host host = { .home = fixture->home };
	struct message_queue messages;
	struct holder holder = hold_catalog(fixture->home);
	struct test_job jobs[3];
	struct worker *writes;
	size_t n_ended = 0;

	message_queue_init(&messages, -1);
	writes = worker_start(&host, &messages);
	for (size_t i = 0; i < 3; i++)
		put(writes, &jobs[i], run_add, (char[2]){ (char)('a' + i), '\0' });
	worker_stop(writes); /* after one wait for the lock at most */
	let_go(holder);
	for (struct message *message; (message = message_take(&messages)) != NULL; n_ended++)
		message_free(message);
	assert_int_equal(n_ended, 3);
	assert_int_equal(n_lines(fixture->store), 0);
	message_queue_free(&messages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_write_waits_for_another_process_and_holds_up_no_question),
		TEST(whoever_finishes_writes_what_waits_first),
		TEST(whoever_stops_leaves_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
