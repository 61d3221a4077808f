/* row-order.c - an adapter with the rows of q and k in the other order. */

#include "engine/adapters/row-order.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/half.h"
#include "engine/error.h"

static enum t2l_status
check_heads(const struct t2l_adapter *adapter, int head_dim, bool *rotated, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];

	*rotated = false;
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		if (!half_is_rotated(module))
			continue;
		if (head_dim < 2 || head_dim % 2 != 0 || tensor_cols(&module->bt) % head_dim != 0)
			return t2l_fail(err, T2L_EMISMATCH,
			    "%s has %" PRId64
			    " outputs, which are no heads of %d; is this its base?",
			    adapter_module_label(module, label, sizeof label),
			    tensor_cols(&module->bt), head_dim);
		*rotated = true;
	}
	return T2L_OK;
}

static void
copy_numbers(
    const struct adapter_module *from, struct adapter_module *to, bool to_gguf, int head_dim)
{
	const int64_t out = tensor_cols(&from->bt), half = head_dim / 2;

	to->scale = from->scale;
	memcpy(to->a.data, from->a.data, (size_t)tensor_count(&from->a) * sizeof(float));
	if (!half_is_rotated(from)) {
		memcpy(to->bt.data, from->bt.data, (size_t)tensor_count(&from->bt) * sizeof(float));
		return;
	}
	for (int64_t r = 0; r < from->rank; r++) {
		const float *old = tensor_f32(&from->bt) + r * out;
		float *new = tensor_f32(&to->bt) + r *out;

		for (int64_t c = 0; c < out; c++) {
			int64_t in_head = c % head_dim, head = c - in_head;
			int64_t neighbour = head + 2 * (in_head % half) + in_head / half;

			new[to_gguf ? neighbour : c] = old[to_gguf ? c : neighbour];
		}
	}
}

enum t2l_status
adapter_reorder(const struct t2l_adapter *adapter, bool gguf_rows, int head_dim,
    struct t2l_adapter **out, struct t2l_error *err)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;
	const struct adapter_labels labels = { facts->name, facts->task, facts->base_name,
		facts->base_fingerprint, facts->hypernet, facts->encoder, facts->lineage,
		facts->note };
	struct t2l_adapter *moved;
	enum t2l_status status;
	bool rotated;

	if (facts->gguf_rows == gguf_rows) {
		*out = t2l_adapter_ref(adapter);
		return T2L_OK;
	}
	if ((status = check_heads(adapter, head_dim, &rotated, err)) != T2L_OK)
		return status;
	if (!rotated) {
		*out = t2l_adapter_ref(adapter);
		return T2L_OK;
	}
	status = adapter_create(
	    adapter->modules, adapter->n_modules, facts->use_rslora, &labels, &moved, err);
	if (status != T2L_OK)
		return status;
	moved->facts.gguf_rows = gguf_rows;
	for (size_t i = 0; i < adapter->n_modules; i++)
		copy_numbers(&adapter->modules[i], &moved->modules[i], gguf_rows, head_dim);
	memcpy(moved->facts.format, facts->format, sizeof facts->format);
	*out = moved;
	return T2L_OK;
}
