/*
 * hypernet/network.h - what the hypernet room's own files share about a network's parameters.
 */
#ifndef ENGINE_HYPERNET_NETWORK_H
#define ENGINE_HYPERNET_NETWORK_H

#include "engine/hypernet/hypernet.h"

/* The parameters CONFIG asks for with their shapes, data NULL. */
enum t2l_status hypernet_plan(
    const struct hypernet_config *config, struct hypernet_network **network, struct t2l_error *err);
/* Zeroed f32 memory for those that have none. */
enum t2l_status hypernet_allocate(struct hypernet_network *network, struct t2l_error *err);

/* Rows of the weight of module type MODULE's head. */
int64_t hypernet_head_rows(const struct hypernet_config *config, int module);

#endif
