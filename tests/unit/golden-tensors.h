/*
 * golden-tensors.h - reference numbers out of safetensors files, and comparisons with them.
 *
 * A test that needs a file which is nowhere skips by name.
 */
#ifndef TESTS_UNIT_GOLDEN_TENSORS_H
#define TESTS_UNIT_GOLDEN_TENSORS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/cmocka-first.h"

/* The path of RELATIVE, or leaves the test as skipped. */
static inline const char *
need_golden(const char *relative)
{
	const char *path = golden_path(relative);

	if (path == NULL) {
		print_message("skipped: %s is not here\n", relative);
		skip();
	}
	return path;
}

/* The folder RELATIVE, found by a FILE in it: committed copies may be parts of one. */
static inline const char *
need_golden_folder(const char *relative, const char *file)
{
	char name[512];
	char *path;

	assert_true(snprintf(name, sizeof name, "%s/%s", relative, file) < (int)sizeof name);
	path = (char *)need_golden(name);
	path[strlen(path) - strlen(file) - 1] = '\0';
	return path;
}

static inline struct safetensors *
open_golden(const char *relative)
{
	struct safetensors *st = NULL;
	struct t2l_error err = { 0 };

	if (safetensors_open(need_golden(relative), &st, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return st;
}

static inline struct tensor
golden_tensor(const struct safetensors *st, const char *name)
{
	struct tensor tensor;
	struct t2l_error err = { 0 };

	if (safetensors_tensor(st, name, &tensor, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return tensor;
}

static inline const float *
golden_floats(const struct safetensors *st, const char *name, size_t *n)
{
	struct tensor tensor = golden_tensor(st, name);

	assert_int_equal(tensor.dtype, DTYPE_F32);
	if (n != NULL)
		*n = (size_t)tensor_count(&tensor);
	return tensor_f32(&tensor);
}

/* I32 or I64 as I32; free() them. */
static inline int32_t *
golden_ids(const struct safetensors *st, const char *name, size_t *n)
{
	struct tensor tensor = golden_tensor(st, name);
	int32_t *ids;

	*n = (size_t)tensor_count(&tensor);
	ids = malloc((*n + 1) * sizeof *ids);
	assert_non_null(ids);
	for (size_t i = 0; i < *n; i++)
		ids[i] = tensor.dtype == DTYPE_I64 ? (int32_t)((const int64_t *)tensor.data)[i]
						   : ((const int32_t *)tensor.data)[i];
	return ids;
}

static inline double
largest_difference(const float *a, const float *b, size_t n)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++) {
		double difference = fabs((double)a[i] - (double)b[i]);

		if (!(difference <= largest)) /* NaN counts */
			largest = difference;
	}
	return largest;
}

#define assert_near(got, expected, n, bound, what)                                                 \
	do {                                                                                       \
		double difference_ = largest_difference(got, expected, n);                         \
		if (!(difference_ <= (bound)))                                                     \
			fail_msg("%s: differs by %g, at most %g allowed", what, difference_,       \
			    (double)(bound));                                                      \
	} while (0)

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		if ((call) != T2L_OK)                                                              \
			fail_msg("%s", err.message);                                               \
	} while (0)

#define assert_fails(call, expected, part)                                                         \
	do {                                                                                       \
		memset(&err, 0, sizeof err);                                                       \
		enum t2l_status status_ = (call);                                                  \
		if (status_ != (expected) || strstr(err.message, part) == NULL)                    \
			fail_msg("status %d (expected %d), message '%s' (expected '%s' in it)",    \
			    status_, expected, err.message, part);                                 \
	} while (0)

#endif
