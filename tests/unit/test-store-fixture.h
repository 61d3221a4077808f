/* test-store-fixture.h - a store in a folder of its own, and adapters to put in. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

struct fixture {
	char home[256];
	struct store *store;
};

#define assert_ok(store, call)                                                                     \
	do {                                                                                       \
		enum store_status status_ = (call);                                                \
		if (status_ != STORE_OK)                                                           \
			fail_msg("%s: %d: %s", #call, (int)status_, store_error(store));           \
	} while (0)

/* The call fails in this way, and its sentence holds these words. */
#define assert_fails(store, wanted, words, call)                                                   \
	do {                                                                                       \
		enum store_status status_ = (call);                                                \
		if (status_ != (wanted) || strstr(store_error(store), (words)) == NULL)            \
			fail_msg("%s: %d, not %d: %s", #call, (int)status_, (int)(wanted),         \
			    store_error(store));                                                   \
	} while (0)

static inline struct store *
open_at(const char *home)
{
	struct store *store = NULL;
	char message[1024];

	if (store_open(home, STORE_READ_WRITE, message, sizeof message, &store) != STORE_OK)
		fail_msg("%s", message);
	return store;
}

static inline int
setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	const char *folder = getenv("TMPDIR");

	snprintf(fixture->home, sizeof fixture->home, "%s/t2l-store-XXXXXX",
	    folder != NULL ? folder : "/tmp");
	assert_non_null(mkdtemp(fixture->home));
	fixture->store = open_at(fixture->home);
	*state = fixture;
	return 0;
}

static inline void
run(const char *format, const char *home)
{
	char command[1024];

	snprintf(command, sizeof command, format, home);
	assert_int_equal(system(command), 0);
}

static inline int
teardown(void **state)
{
	struct fixture *fixture = *state;

	store_close(fixture->store);
	run("chmod -R u+w '%s'", fixture->home);
	run("rm -rf '%s'", fixture->home);
	free(fixture);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* An adapter named NAME for TASK whose content is TEXT. */
static inline struct store_new
adapter_of(const char *name, const char *task, const char *text)
{
	return (struct store_new){ .name = name,
		.task = task,
		.base_name = "demo-6m",
		.base_fingerprint = "b0b0",
		.hypernet_name = "demo-L",
		.encoder_name = "minilm",
		.modules = "q_proj,v_proj",
		.rank = 8,
		.alpha = 16,
		.scale = 2,
		.bytes = text,
		.n_bytes = strlen(text) };
}

static inline int64_t
add(struct store *store, struct store_new adapter)
{
	struct store_added added;

	assert_ok(store, store_add(store, &adapter, &added));
	return added.id;
}

static inline int64_t
add_named(struct store *store, const char *name, const char *task)
{
	return add(store, adapter_of(name, task, name));
}

#endif
