/*
 * adapters/lora-table.h - which adapters change which rows of a batch, as spans the decoder takes.
 */
#ifndef ENGINE_ADAPTERS_LORA_TABLE_H
#define ENGINE_ADAPTERS_LORA_TABLE_H

#include "engine/adapters/adapter.h"
#include "engine/tensor/arena.h"

/* Rows row_begin .. +row_count get the weighted sum of the adapters. */
struct lora_rows {
	int64_t row_begin, row_count;
	const struct t2l_adapter *const *adapters;
	const float *weights;
	size_t n_adapters;
};

/* -> a table in ARENA for N_LAYERS layers, or NULL when out of memory. An empty group list gives an
 * empty table. Adapters must have been checked against the base. */
struct lora_table *lora_table_make(
    struct arena *arena, int n_layers, const struct lora_rows *groups, size_t n_groups);

#endif
