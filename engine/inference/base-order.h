/*
 * inference/base-order.h - an adapter as the rows of its base's file lie.
 *
 * Rows of q and k lie in one of two orders (adapters/row-order.h); an adapter in the other one than
 * its base would make attention see shuffled heads.
 */
#ifndef ENGINE_INFERENCE_BASE_ORDER_H
#define ENGINE_INFERENCE_BASE_ORDER_H

#include "engine/adapters/adapter.h"

/* The adapter itself (one reference more) when nothing has to move, else a copy that is only good
 * for this base. Checks the adapter's shapes. Close *OUT. */
enum t2l_status adapter_in_base_order(const struct t2l_adapter *adapter,
    const struct decoder_config *config, struct t2l_adapter **out, struct t2l_error *err);

#endif
