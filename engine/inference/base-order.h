/*
 * inference/base-order.h - an adapter as the rows of its base's file lie.
 *
 * GGUF files of the llama family keep the rows of q and k so that rotary pairs are neighbours:
 * within each head, new row 2i+s = old row s*(hd/2)+i. Adapters are in Hugging Face's order, so
 * the out side of their q and k must be put into the file's order, or attention sees shuffled
 * heads.
 */
#ifndef ENGINE_INFERENCE_BASE_ORDER_H
#define ENGINE_INFERENCE_BASE_ORDER_H

#include "engine/adapters/adapter.h"

/* The adapter itself (one reference more) when nothing has to move, else a copy that is only good
 * for this base. Checks the adapter's shapes. Close *OUT. */
enum t2l_status adapter_in_base_order(const struct t2l_adapter *adapter,
    const struct decoder_config *config, struct t2l_adapter **out, struct t2l_error *err);

#endif
