/* base-order.c - an adapter as the rows of its base's file lie. */
#include "engine/inference/base-order.h"

#include "engine/adapters/row-order.h"

enum t2l_status
adapter_in_base_order(const struct t2l_adapter *adapter, const struct decoder_config *config,
    struct t2l_adapter **out, struct t2l_error *err)
{
	enum t2l_status status = adapter_check_config(adapter, config, err);

	if (status != T2L_OK)
		return status;
	return adapter_reorder(adapter, config->rope_neighbours, config->head_dim, out, err);
}
