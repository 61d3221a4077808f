/*
 * adapters/module-names.h - what llama.cpp calls the modules of a base ("blk.3.attn_q").
 *
 * GGUF files say "blk.3.attn_q.weight", GGML adapters leave ".weight" out; the table is one.
 */
#ifndef ENGINE_ADAPTERS_MODULE_NAMES_H
#define ENGINE_ADAPTERS_MODULE_NAMES_H

#include "engine/adapters/adapter.h"

#define GGML_NAME_SIZE 80

/* MODULE's name into NAME [GGML_NAME_SIZE]; the experts of one layer share one. */
void ggml_module_name(const struct adapter_module *module, char *name);
/* The module that NAME's first N bytes name in a base of ARCHITECTURE (GGUF's word: some names mean
 * different modules in different ones). Sets layer and module; expert stays. */
bool ggml_module_by_name(
    const char *name, size_t n, const char *architecture, struct adapter_module *module);

#endif
