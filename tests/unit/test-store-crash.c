/*
 * test-store-crash.c - processes that are killed, and processes that work at the same time.
 *
 * A writer reports through a pipe each thing that the store said it had saved, and is killed
 * with SIGKILL at a random moment, again and again. Whatever it had reported must be there.
 * T2L_KILL_ROUNDS makes it longer.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/hash.h"
#include "test-store-fixture.h"

#define MAX_SECONDS 120 /* no process of this test outlives it by more */

enum saved_kind { SAVED_ADAPTER, SAVED_TAG, SAVED_COMPARISON, SAVED_TRASH, SAVED_STATE };

/* Smaller than PIPE_BUF, so that it arrives whole or not at all. */
struct saved {
	enum saved_kind kind;
	int64_t id;
	char hash[HASH_HEX_SIZE];
};

static void
report(int fd, enum saved_kind kind, int64_t id, const char *hash)
{
	struct saved saved = { .kind = kind, .id = id };

	snprintf(saved.hash, sizeof saved.hash, "%s", hash);
	if (write(fd, &saved, sizeof saved) != (ssize_t)sizeof saved)
		_exit(3);
}

static void
save_comparison(struct store *store, int fd, int64_t adapter)
{
	struct store_output output = { .adapter = adapter, .text = "out", .text_bytes = 3 };
	struct store_comparison comparison = { .prompt = "p", .outputs = &output, .n_outputs = 1 };
	int64_t id;

	if (store_comparison_add(store, &comparison, &id) == STORE_OK &&
	    store_vote(store, id, 0) == STORE_OK)
		report(fd, SAVED_COMPARISON, id, "");
}

/* Every call either fails or is reported; the loop ends with the process. */
static void
write_until_killed(const char *home, int fd, unsigned seed)
{
	struct store *store = open_at(home);
	char content[5000], text[32];

	memset(content, 'a', sizeof content);
	alarm(MAX_SECONDS);
	for (unsigned n = 0;; n++) {
		struct store_new adapter;
		struct store_added added;

		snprintf(content, sizeof content, "%u %u %d", seed, n, getpid());
		adapter = adapter_of("worker", "a task for a worker", content);
		adapter.n_bytes = (seed + n * 7919) % sizeof content;
		if (adapter.n_bytes < strlen(content))
			adapter.n_bytes = strlen(content);
		adapter.uniquify = true;
		if (store_add(store, &adapter, &added) != STORE_OK)
			_exit(4);
		report(fd, SAVED_ADAPTER, added.id, added.hash);
		if (n % 3 == 0 && store_tag(store, &added.id, 1, "kept") == STORE_OK)
			report(fd, SAVED_TAG, added.id, "");
		if (n % 4 == 0)
			save_comparison(store, fd, added.id);
		if (n % 5 == 0 && store_trash(store, &added.id, 1) == STORE_OK)
			report(fd, SAVED_TRASH, added.id, "");
		snprintf(text, sizeof text, "%lld", (long long)added.id);
		if (n % 2 == 0 && store_state_set(store, "last", text) == STORE_OK)
			report(fd, SAVED_STATE, added.id, "");
	}
}

static void
check_adapter(struct store *store, const struct saved *saved)
{
	struct store_adapter *row;
	char hash[HASH_HEX_SIZE];

	assert_ok(store, store_get(store, saved->id, &row));
	switch (saved->kind) {
	case SAVED_ADAPTER:
		assert_string_equal(row->hash, saved->hash);
		assert_int_equal(hash_sha256_file(row->path, hash), 0);
		assert_string_equal(hash, saved->hash);
		break;
	case SAVED_TAG:
		assert_int_equal(row->n_tags, 1);
		break;
	default:
		assert_true(row->trashed_ms > 0);
	}
	store_free(row);
}

static void
check_saved(struct store *store, const struct saved *saved)
{
	struct store_comparison *comparison;
	char *text;

	switch (saved->kind) {
	case SAVED_COMPARISON:
		assert_ok(store, store_comparison_get(store, saved->id, &comparison));
		assert_int_equal(comparison->n_outputs, 1);
		assert_int_equal(comparison->vote, 0);
		store_free(comparison);
		break;
	case SAVED_STATE:
		assert_ok(store, store_state_get(store, "last", &text));
		assert_non_null(text);
		assert_true(atoll(text) >= saved->id);
		store_free(text);
		break;
	default:
		check_adapter(store, saved);
	}
}

static int
check_all_saved(const char *home, int fd)
{
	struct store *store = open_at(home);
	struct store_verify options = { .quick = false };
	struct saved saved;
	uint64_t n_problems;
	int n = 0;
	ssize_t bytes;

	while ((bytes = read(fd, &saved, sizeof saved)) == (ssize_t)sizeof saved || errno == EINTR)
		if (bytes == (ssize_t)sizeof saved) {
			check_saved(store, &saved);
			n++;
			errno = 0;
		}
	assert_int_equal(bytes, 0);
	assert_ok(store, store_verify(store, &options, &n_problems));
	assert_int_equal(n_problems, 0);
	store_close(store);
	return n;
}

static void
sleep_ms(unsigned ms)
{
	const struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

static void
nothing_that_was_saved_is_lost_by_a_kill(void **state)
{
	struct fixture *f = *state;
	const char *wanted = getenv("T2L_KILL_ROUNDS");
	int rounds = wanted != NULL ? atoi(wanted) : 25, n_saved = 0;
	unsigned seed = (unsigned)time(NULL);

	store_close(f->store);
	f->store = NULL;
	for (int round = 0; round < rounds; round++) {
		int ends[2], status;
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(ends[0]);
			write_until_killed(f->home, ends[1], seed + (unsigned)round);
		}
		close(ends[1]);
		seed = seed * 1664525 + 1013904223;
		/* Every fourth is killed while it opens the catalog, the others while they write,
		 * however busy the machine is. */
		if (round % 4 != 0)
			poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1,
			    MAX_SECONDS * 1000);
		sleep_ms((seed >> 16) % 100);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		n_saved += check_all_saved(f->home, ends[0]);
		close(ends[0]);
	}
	/* A writer that never came to its first save would make this test an empty one. */
	assert_true(n_saved >= rounds / 2);
	print_message("%d kills, %d things saved, all there\n", rounds, n_saved);
}

/* ---- at the same time ---- */

#define WORKERS 4
#define EACH 25

static void
add_some(const char *home, int worker)
{
	struct store *store = open_at(home);
	char content[64];

	alarm(MAX_SECONDS);
	for (int i = 0; i < EACH; i++) {
		struct store_new adapter;
		struct store_added added;

		/* Half of the contents are the same in all workers. */
		snprintf(content, sizeof content, "content %d of %d", i, i % 2 == 0 ? 0 : worker);
		adapter = adapter_of("shared", "task", content);
		adapter.uniquify = true;
		if (store_add(store, &adapter, &added) != STORE_OK) {
			fprintf(stderr, "%s\n", store_error(store));
			_exit(1);
		}
		if (access(store_path(store), R_OK) == -1)
			_exit(2);
	}
	store_close(store);
	_exit(0);
}

/* Sweeps far too eagerly: even a file that is just being added counts as old. */
static void
sweep_until_killed(const char *home)
{
	struct store *store = open_at(home);
	const struct store_gc options = { .min_age_ms = -1000 };
	struct store_gc_result result;

	alarm(MAX_SECONDS);
	while (store_gc(store, &options, &result) == STORE_OK)
		sleep_ms(1);
	fprintf(stderr, "%s\n", store_error(store));
	_exit(1);
}

static void
processes_that_add_at_once_all_succeed_even_beside_gc(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .limit = 1000, .sort = STORE_SORT_NAME };
	struct store_verify options = { .quick = false };
	pid_t workers[WORKERS], sweeper;
	struct store_adapters *page;
	uint64_t n_problems;
	int status;

	/* The database does not even exist yet. */
	store_close(f->store);
	run("rm -r '%s'/*", f->home);
	for (int i = 0; i < WORKERS; i++)
		if ((workers[i] = fork()) == 0)
			add_some(f->home, i);
	if ((sweeper = fork()) == 0)
		sweep_until_killed(f->home);
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	kill(sweeper, SIGKILL);
	assert_int_equal(waitpid(sweeper, &status, 0), sweeper);
	assert_true(WIFSIGNALED(status));
	f->store = open_at(f->home);
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->n_rows, WORKERS * EACH);
	for (size_t i = 1; i < page->n_rows; i++)
		assert_string_not_equal(page->rows[i].name, page->rows[i - 1].name);
	store_free(page);
	assert_ok(f->store, store_verify(f->store, &options, &n_problems));
	assert_int_equal(n_problems, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_that_was_saved_is_lost_by_a_kill),
		TEST(processes_that_add_at_once_all_succeed_even_beside_gc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
