/*
 * src/adapter-tree.h - what in a directory tree may be an adapter.
 */
#ifndef SRC_ADAPTER_TREE_H
#define SRC_ADAPTER_TREE_H

#include "src/context.h"

struct adapter_tree {
	char **paths; /* directories and files, in the order of their names */
	size_t n, capacity;
};

/* Walks DIRECTORY: folders that hold an adapter (adapter_config.json, Modelfile) are one each and
 * not looked into; of files those that begin as GGUF, GGML or safetensors do. Links are not
 * followed. False after telling why; adapter_tree_free() in either case. */
bool adapter_tree_walk(struct context *ctx, const char *directory, struct adapter_tree *tree);
void adapter_tree_free(struct adapter_tree *tree);

#endif
