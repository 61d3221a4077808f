/*
 * adapters/row-order.h - the two orders in which rows of q and k lie.
 *
 * Hugging Face pairs element i of a head with i + hd/2; GGUF files of the llama family put such
 * pairs side by side: within each head, row 2i+s = Hugging Face's row s*(hd/2)+i. Adapters are in
 * the one or the other (facts.gguf_rows) and must be in their base's order when they are applied.
 */
#ifndef ENGINE_ADAPTERS_ROW_ORDER_H
#define ENGINE_ADAPTERS_ROW_ORDER_H

#include "engine/adapters/adapter.h"

/* The adapter itself (one reference more) when its rows lie so already or it changes neither q nor
 * k, else a copy without a hash. HEAD_DIM is the base's; T2L_EMISMATCH when q or k are no heads of
 * it. */
enum t2l_status adapter_reorder(const struct t2l_adapter *adapter, bool gguf_rows, int head_dim,
    struct t2l_adapter **out, struct t2l_error *err);

#endif
