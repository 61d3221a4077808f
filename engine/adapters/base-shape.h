/*
 * adapters/base-shape.h - what an export needs of a base: its architecture and the size of a head.
 *
 * Read from config.json or from a GGUF file's metadata alone, without opening weights and whether
 * or not the engine can run that architecture.
 */
#ifndef ENGINE_ADAPTERS_BASE_SHAPE_H
#define ENGINE_ADAPTERS_BASE_SHAPE_H

#include <stdbool.h>

#include "engine/error.h"

struct base_shape {
	char path[4096];
	bool is_hf;	       /* a directory with config.json */
	char architecture[64]; /* in GGUF's terms: "llama" for LLaMA, Mistral and Mixtral */
	int head_dim;
	int n_experts;	 /* 0: none */
	bool neighbours; /* GGUF files of it keep rotary pairs side by side */
};

/* PATH: an HF directory (config.json is enough) or a GGUF file. */
enum t2l_status base_shape_read(const char *path, struct base_shape *shape, struct t2l_error *err);
/* Whether GGUF files of ARCHITECTURE (GGUF's name) keep rotary pairs side by side. */
bool base_has_neighbours(const char *architecture);

#endif
