/* pairs.c - which A belongs to which B, and the adapter of them. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/pairs.h"
#include "engine/adapters/precision.h"
#include "engine/error.h"

enum t2l_status
pairs_add(struct pairs *pairs, const struct pair_tensor *tensor, struct t2l_error *err)
{
	if (pairs->n == pairs->capacity) {
		size_t capacity = pairs->capacity > 0 ? 2 * pairs->capacity : 64;
		struct pair_tensor *tensors =
		    reallocarray(pairs->tensors, capacity, sizeof *tensors);

		if (tensors == NULL)
			return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", pairs->path);
		pairs->tensors = tensors;
		pairs->capacity = capacity;
	}
	pairs->tensors[pairs->n++] = *tensor;
	return T2L_OK;
}

void
pairs_free(struct pairs *pairs)
{
	free(pairs->tensors);
	*pairs = (struct pairs){ 0 };
}

int64_t
pair_tensor_rank(const struct pair_tensor *tensor)
{
	return tensor->is_b != tensor->transposed ? tensor->cols : tensor->rows;
}

static int64_t
features(const struct pair_tensor *tensor)
{
	return tensor->is_b != tensor->transposed ? tensor->rows : tensor->cols;
}

static int
compare_places(const struct pair_tensor *a, const struct pair_tensor *b)
{
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return (a->expert > b->expert) - (a->expert < b->expert);
}

static int
compare_tensors(const void *left, const void *right)
{
	const struct pair_tensor *a = left, *b = right;
	int order = compare_places(a, b);

	return order != 0 ? order : (int)a->is_b - (int)b->is_b;
}

static enum t2l_status
check_head(const struct pairs *pairs, const struct pair_tensor *b, struct t2l_error *err)
{
	const struct adapter_module place = { .module = b->module };

	if (!pairs->neighbours || pairs->head_dim == 0 || !half_is_rotated(&place))
		return T2L_OK;
	if (pairs->head_dim % 2 != 0 || features(b) % pairs->head_dim != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%.100s' has %" PRId64 " rows, which are no heads of %d",
		    pairs->path, b->name, features(b), pairs->head_dim);
	return T2L_OK;
}

static enum t2l_status
join(const struct pairs *pairs, const struct pair_tensor *a, const struct pair_tensor *b,
    struct adapter_module *module, struct t2l_error *err)
{
	int64_t rank = pair_tensor_rank(a);

	if (pair_tensor_rank(b) != rank)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: '%.100s' has rank %" PRId64 ", '%.100s' has rank %" PRId64, pairs->path,
		    a->name, rank, b->name, pair_tensor_rank(b));
	if (rank < 1 || rank > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: '%.100s': rank %" PRId64 " is not between 1 and %d; is this a LoRA?",
		    pairs->path, a->name, rank, ADAPTER_MAX_RANK);
	if (a->alpha != b->alpha)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: '%.100s' has alpha %g, its partner '%.100s' has %g", pairs->path, a->name,
		    a->alpha, b->name, b->alpha);
	*module = (struct adapter_module){
		.layer = a->layer,
		.module = a->module,
		.expert = a->expert,
		.rank = (int)rank,
		.alpha = a->alpha,
	};
	module->a.shape[1] = features(a);
	module->bt.shape[1] = features(b);
	return check_head(pairs, b, err);
}

/* MODULES [n / 2] of the sorted tensors. */
static enum t2l_status
join_all(struct pairs *pairs, struct adapter_module *modules, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	qsort(pairs->tensors, pairs->n, sizeof *pairs->tensors, compare_tensors);
	for (size_t i = 0; i < pairs->n && status == T2L_OK; i += 2) {
		const struct pair_tensor *a = &pairs->tensors[i], *b = a + 1;

		if (i + 1 < pairs->n && compare_tensors(a, b) == 0)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: '%.100s' and '%.100s' are the same half of one module",
			    pairs->path, a->name, b->name);
		if (a->is_b || i + 1 == pairs->n || compare_places(a, b) != 0)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: tensor '%.100s' is there without its other half", pairs->path,
			    a->name);
		status = join(pairs, a, b, &modules[i / 2], err);
	}
	return status;
}

static bool
restore_rslora(struct adapter_module *modules, size_t n, double lora_alpha)
{
	for (size_t i = 0; i < n; i++) {
		if ((float)modules[i].alpha != (float)(lora_alpha * sqrt(modules[i].rank)))
			return false;
	}
	for (size_t i = 0; i < n; i++)
		modules[i].alpha = lora_alpha;
	return true;
}

static enum t2l_status
fill(const struct pairs *pairs, struct t2l_adapter *adapter, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < pairs->n && status == T2L_OK; i++) {
		const struct pair_tensor *tensor = &pairs->tensors[i];
		struct half half = half_of(&adapter->modules[i / 2], tensor->is_b);

		half.transposed = tensor->transposed;
		if (pairs->neighbours && half_is_rotated(half.module))
			half.head_dim = pairs->head_dim;
		status = half_read(&half, tensor->dtype, tensor->bytes, err);
		if (status != T2L_OK)
			t2l_context(err, "tensor '%.100s'", tensor->name);
	}
	return status;
}

static bool
keeps_gguf_rows(const struct pairs *pairs, const struct t2l_adapter *adapter)
{
	for (size_t i = 0; i < adapter->n_modules && pairs->neighbours; i++)
		if (half_is_rotated(&adapter->modules[i]))
			return pairs->head_dim == 0;
	return false;
}

enum t2l_status
pairs_adapter(struct pairs *pairs, bool use_rslora, double lora_alpha,
    const struct adapter_labels *labels, const char *format, struct t2l_adapter **out,
    struct t2l_error *err)
{
	const size_t n = (pairs->n + 1) / 2;
	struct adapter_module *modules = calloc(n > 0 ? n : 1, sizeof *modules);
	struct t2l_adapter *adapter = NULL;
	enum t2l_status status;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", pairs->path);
	if ((status = join_all(pairs, modules, err)) == T2L_OK) {
		use_rslora = use_rslora && restore_rslora(modules, n, lora_alpha);
		status = adapter_create(modules, n, use_rslora, labels, &adapter, err);
		if (status == T2L_OK && (status = fill(pairs, adapter, err)) == T2L_OK) {
			adapter->facts.gguf_rows = keeps_gguf_rows(pairs, adapter);
			status = adapter_seal(adapter, err);
		}
		if (status != T2L_OK)
			t2l_context(err, "%s", pairs->path);
	}
	free(modules);
	if (status != T2L_OK) {
		t2l_adapter_close(adapter);
		return status;
	}
	snprintf(adapter->facts.format, sizeof adapter->facts.format, "%s", format);
	*out = adapter;
	return T2L_OK;
}
