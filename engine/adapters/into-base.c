/* into-base.c - W += scale B A on rows as they pass, whatever file they come from and go to. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-folder.h"
#include "engine/adapters/base-shape.h"
#include "engine/adapters/into-base.h"
#include "engine/adapters/row-order.h"

#define PATH_SIZE 4096

/* What lies between the adapter's two sides and a matrix's: an embedding is stored [in, out]. */
struct sides {
	const float *row_factor, *col_factor; /* [rank, rows], [rank, cols] */
	int64_t rows, cols;
};

static struct sides
sides_of(const struct adapter_module *module)
{
	const float *a = tensor_f32(&module->a), *bt = tensor_f32(&module->bt);
	const int64_t in = tensor_cols(&module->a), out = tensor_cols(&module->bt);

	if (module_is_embedding(module->module))
		return (struct sides){ a, bt, in, out };
	return (struct sides){ bt, a, out, in };
}

static void
add_row(const struct adapter_module *module, const struct sides *sides, int64_t row, float *values)
{
	for (int k = 0; k < module->rank; k++) {
		const float factor = module->scale * sides->row_factor[k * sides->rows + row];
		const float *x = sides->col_factor + k * sides->cols;

		for (int64_t i = 0; i < sides->cols; i++)
			values[i] += factor * x[i];
	}
}

/* Only f16 has a narrower range; a base that holds what is not finite is damaged. */
static enum t2l_status
check_row(const struct base_matrix *matrix, const float *values, struct t2l_error *err)
{
	const float limit = matrix->dtype == DTYPE_F16 ? 65504.0F : INFINITY;

	for (int64_t i = 0; i < matrix->cols; i++) {
		if (!isfinite(values[i]) || fabsf(values[i]) > limit)
			return t2l_fail(err, T2L_EINVAL,
			    "tensor '%.120s' would hold %g, which %s cannot", matrix->name,
			    (double)values[i], dtype_name(matrix->dtype));
	}
	return T2L_OK;
}

enum t2l_status
into_base_add(const struct base_matrix *matrix, const struct adapter_module *module,
    into_base_put *put, void *user, struct t2l_error *err)
{
	const struct sides sides = sides_of(module);
	const size_t row_bytes = dtype_row_bytes(matrix->dtype, matrix->cols);
	enum t2l_status status = T2L_OK;
	unsigned char *stored;
	float *values;

	if (matrix->rows != sides.rows || matrix->cols != sides.cols)
		return t2l_fail(err, T2L_EMISMATCH,
		    "tensor '%.120s' is %" PRId64 " x %" PRId64 "; the adapter is for %" PRId64
		    " x %" PRId64,
		    matrix->name, matrix->rows, matrix->cols, sides.rows, sides.cols);
	if (!dtype_is_weight(matrix->dtype) || row_bytes == 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "tensor '%.120s' is of type %s, which "
		    "nothing can be added to",
		    matrix->name, dtype_name(matrix->dtype));
	values = malloc((size_t)matrix->cols * sizeof *values);
	stored = malloc(row_bytes);
	if (values == NULL || stored == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (int64_t row = 0; row < matrix->rows && status == T2L_OK; row++) {
		dtype_to_f32(matrix->dtype,
		    (const unsigned char *)matrix->bytes + (size_t)row * row_bytes, values,
		    matrix->cols);
		add_row(module, &sides, row, values);
		if ((status = check_row(matrix, values, err)) != T2L_OK)
			break;
		dtype_from_f32(matrix->dtype, values, stored, matrix->cols);
		status = put(user, stored, row_bytes, err);
	}
	free(values);
	free(stored);
	return status;
}

enum t2l_status
into_base_compare(void *user, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	struct written_tensor *written = user;

	if ((size_t)(written->end - written->at) < n_bytes ||
	    memcmp(written->at, bytes, n_bytes) != 0)
		return t2l_fail(
		    err, T2L_EIO, "tensor '%.120s' reads back as something else", written->name);
	written->at += n_bytes;
	return T2L_OK;
}

enum t2l_status
into_base_step(struct into_base *work, size_t done, size_t all, struct t2l_error *err)
{
	const struct t2l_into_base_options *options = work->options;

	if (options != NULL && options->on_tensor != NULL &&
	    !options->on_tensor(options->user, done, all))
		return t2l_fail(err, T2L_ECANCELLED, "merge: stopped");
	return T2L_OK;
}

enum t2l_status
into_base_all_found(const struct into_base *work, const bool *found, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];

	for (size_t i = 0; i < work->adapter->n_modules; i++) {
		if (!found[i])
			return t2l_fail(err, T2L_EMISMATCH,
			    "'%s' has no %s, which the adapter changes", work->base,
			    adapter_module_label(&work->adapter->modules[i], label, sizeof label));
	}
	return T2L_OK;
}

/* ---- in the base's form, or in the other ---- */

/* A path that ends in .gguf becomes a file, one that ends in a slash a directory; any other is of
 * the base's form. */
static bool
wants_directory(const char *output, bool base_is_directory)
{
	const size_t n = strlen(output);

	if (n > 5 && strcmp(output + n - 5, ".gguf") == 0)
		return false;
	return base_is_directory || (n > 0 && output[n - 1] == '/');
}

static bool
tell_conversion(void *user, const struct t2l_quantize_report *report)
{
	const struct t2l_into_base_options *options = user;

	return options->on_tensor == NULL ||
	       options->on_tensor(options->user, report->done, report->all);
}

/* The base in the other form, at PATH. */
static enum t2l_status
convert_base(struct into_base *work, const char *path, struct t2l_error *err)
{
	struct t2l_quantize_options options = { 0 };

	if (work->options != NULL) {
		options.on_tensor = tell_conversion;
		options.user = (void *)work->options;
	}
	return t2l_model_convert(work->base, path, &options, err);
}

/* The base is converted first, beside the output, and the adapter added in the output's form: what
 * was quantised is widened before anything is added to it. */
static enum t2l_status
into_other_form(
    struct into_base *work, bool to_directory, const char *output, struct t2l_error *err)
{
	char folder[PATH_SIZE], target[PATH_SIZE], between[PATH_SIZE + 8];
	size_t n = strlen(output);
	enum t2l_status status;

	while (n > 1 && output[n - 1] == '/')
		n--;
	if (n >= sizeof target)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", output);
	snprintf(target, sizeof target, "%.*s", (int)n, output);
	if (atomic_folder_make(target, folder, sizeof folder) != 0)
		return t2l_fail_errno(err, "cannot make a directory beside '%s'", output);
	snprintf(between, sizeof between, "%s/base", folder);
	status = convert_base(work, between, err);
	if (status == T2L_OK)
		status = to_directory ? into_base_hf(work, between, target, err)
				      : into_base_gguf(work, between, target, err);
	if (to_directory)
		atomic_folder_discard(between);
	atomic_folder_discard(folder);
	return status;
}

/* HF directories keep rows in Hugging Face's order; a GGUF base tells the size of a head. */
static enum t2l_status
order_rows(const struct t2l_adapter *adapter, const char *base, bool base_is_directory,
    bool to_directory, struct t2l_adapter **ordered, struct t2l_error *err)
{
	struct base_shape shape;
	enum t2l_status status;

	if (base_is_directory || !to_directory || !adapter->facts.gguf_rows) {
		*ordered = t2l_adapter_ref(adapter);
		return T2L_OK;
	}
	status = base_shape_read(base, &shape, err);
	return status == T2L_OK ? adapter_reorder(adapter, false, shape.head_dim, ordered, err)
				: status;
}

enum t2l_status
t2l_adapter_into_base(const struct t2l_adapter *adapter, const char *base, const char *output,
    const struct t2l_into_base_options *options, struct t2l_into_base_report *report,
    struct t2l_error *err)
{
	struct into_base work = { .base = base, .options = options };
	struct t2l_adapter *ordered = NULL;
	bool is_directory, to_directory;
	enum t2l_status status;
	struct stat info;

	if (stat(base, &info) != 0)
		return t2l_fail_errno(err, "merge: cannot open the base '%s'", base);
	is_directory = S_ISDIR(info.st_mode);
	to_directory = wants_directory(output, is_directory);
	status = order_rows(adapter, base, is_directory, to_directory, &ordered, err);
	work.adapter = ordered;
	if (status == T2L_OK)
		status = is_directory != to_directory
			     ? into_other_form(&work, to_directory, output, err)
			 : to_directory ? into_base_hf(&work, base, output, err)
					: into_base_gguf(&work, base, output, err);
	t2l_adapter_close(ordered);
	if (status != T2L_OK)
		return t2l_context(err, "merge");
	if (report != NULL)
		*report = work.report;
	return T2L_OK;
}
