/* base-order.c - an adapter as the rows of its base's file lie. */
#include "engine/inference/base-order.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

static bool
is_rotated(const struct adapter_module *module)
{
	return module->module == MODULE_Q || module->module == MODULE_K;
}

static bool
must_move(const struct t2l_adapter *adapter, const struct decoder_config *config)
{
	for (size_t i = 0; config->rope_neighbours && i < adapter->n_modules; i++)
		if (is_rotated(&adapter->modules[i]))
			return true;
	return false;
}

static void
copy_numbers(const struct adapter_module *from, struct adapter_module *to, int head_dim)
{
	int64_t out = tensor_cols(&from->bt), half = head_dim / 2;

	memcpy(to->a.data, from->a.data, (size_t)tensor_count(&from->a) * sizeof(float));
	if (!is_rotated(from)) {
		memcpy(to->bt.data, from->bt.data, (size_t)tensor_count(&from->bt) * sizeof(float));
		return;
	}
	for (int64_t r = 0; r < tensor_rows(&from->bt); r++) {
		const float *old = tensor_f32(&from->bt) + r * out;
		float *new = tensor_f32(&to->bt) + r *out;

		for (int64_t c = 0; c < out; c++) {
			int64_t in_head = c % head_dim;

			new[c - in_head + 2 * (in_head % half) + in_head / half] = old[c];
		}
	}
}

enum t2l_status
adapter_in_base_order(const struct t2l_adapter *adapter, const struct decoder_config *config,
    struct t2l_adapter **out, struct t2l_error *err)
{
	const struct adapter_labels labels = { .name = adapter->facts.name };
	struct adapter_module *modules;
	struct t2l_adapter *moved;
	enum t2l_status status = adapter_check_config(adapter, config, err);

	if (status != T2L_OK)
		return status;
	if (!must_move(adapter, config)) {
		*out = t2l_adapter_ref(adapter);
		return T2L_OK;
	}
	modules = malloc(adapter->n_modules * sizeof *modules);
	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "adapter '%s': out of memory", labels.name);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		modules[i] = adapter->modules[i];
		modules[i].a.data = modules[i].bt.data = NULL;
	}
	status = adapter_create(
	    modules, adapter->n_modules, adapter->facts.use_rslora, &labels, &moved, err);
	free(modules);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < adapter->n_modules; i++) {
		copy_numbers(&adapter->modules[i], &moved->modules[i], config->head_dim);
		moved->modules[i].scale = adapter->modules[i].scale;
	}
	*out = moved;
	return T2L_OK;
}
