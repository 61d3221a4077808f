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

/* Width of c (what the task encoder gives) and of the trunk. */
int64_t hypernet_encoded_size(const struct hypernet_config *config);
int64_t hypernet_trunk_size(const struct hypernet_config *config);

/* task-encoder.c: embeddings [T, d] -> c [T, encoded]. */
struct tensor *hypernet_encode(
    struct ops *ops, const struct hypernet_network *network, struct tensor *embeddings);

/* checkpoint.c: points the parameters into ST, which the caller hands to the network when all is
 * well; those that are no matrices but 16 bits wide are widened. With GIVEN, what is not trained is
 * found there too; else it gets zeroed memory. T2L_ENOENT and T2L_EMISMATCH name what is missing or
 * has another shape. */
enum t2l_status hypernet_bind(const struct safetensors *st, struct hypernet_network *network,
    bool given, struct t2l_error *err);

/* reference.c: whether PATH is a folder or torch file, as checkpoints of the reference are, and
 * loading one. */
bool hypernet_is_reference(const char *path);
/* The tensors' file of the checkpoint PATH; false when there is none. */
bool hypernet_reference_weights(const char *path, char *file, size_t size);
enum t2l_status hypernet_load_reference(const char *path, struct hypernet_network **network,
    struct hypernet_origin *origin, char fingerprint[65], struct t2l_error *err);

#endif
