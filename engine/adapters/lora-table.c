/* lora-table.c - turns "these rows have these adapters" into the spans that the decoder adds. */

#include <string.h>

#include "engine/adapters/lora-table.h"

static size_t
place_of(const struct lora_table *table, const struct adapter_module *module)
{
	return lora_place(table, module->layer, module->module, module->expert);
}

static bool
takes_part(const struct lora_rows *rows, size_t adapter)
{
	return rows->row_count > 0 && rows->weights[adapter] != 0;
}

static void
count_spans(struct lora_table *table, const struct lora_rows *rows)
{
	for (size_t i = 0; i < rows->n_adapters; i++) {
		const struct t2l_adapter *adapter = rows->adapters[i];

		for (size_t j = 0; j < adapter->n_modules && takes_part(rows, i); j++)
			table->n_spans[place_of(table, &adapter->modules[j])]++;
	}
}

static void
fill_spans(struct lora_table *table, const struct lora_rows *rows)
{
	for (size_t i = 0; i < rows->n_adapters; i++) {
		const struct t2l_adapter *adapter = rows->adapters[i];

		for (size_t j = 0; j < adapter->n_modules && takes_part(rows, i); j++) {
			const struct adapter_module *module = &adapter->modules[j];
			size_t place = place_of(table, module);

			table->spans[place][table->n_spans[place]++] = (struct lora_span){
				.row_begin = rows->row_begin,
				.row_count = rows->row_count,
				.a = &module->a,
				.bt = &module->bt,
				.scale = rows->weights[i] * module->scale,
			};
		}
	}
}

/* As many as the adapters know; those of a base that has more stay as they are. */
static int
count_experts(const struct lora_rows *groups, size_t n_groups)
{
	int n = 1;

	for (size_t i = 0; i < n_groups; i++) {
		for (size_t j = 0; j < groups[i].n_adapters; j++) {
			const struct t2l_adapter *adapter = groups[i].adapters[j];

			for (size_t k = 0; k < adapter->n_modules; k++)
				n = adapter->modules[k].expert >= n ? adapter->modules[k].expert + 1
								    : n;
		}
	}
	return n;
}

struct lora_table *
lora_table_make(struct arena *arena, int n_layers, const struct lora_rows *groups, size_t n_groups)
{
	struct lora_table *table = arena_alloc(arena, sizeof *table);
	struct lora_span *spans;
	size_t total = 0, n_places;

	if (table == NULL)
		return NULL;
	table->n_layers = n_layers;
	table->n_experts = count_experts(groups, n_groups);
	n_places = lora_place_count(table);
	table->n_spans = arena_alloc_zero(arena, n_places * sizeof *table->n_spans);
	table->spans = arena_alloc_zero(arena, n_places * sizeof *table->spans);
	if (table->n_spans == NULL || table->spans == NULL)
		return NULL;
	for (size_t i = 0; i < n_groups; i++)
		count_spans(table, &groups[i]);
	for (size_t i = 0; i < n_places; i++)
		total += (size_t)table->n_spans[i];
	spans = arena_alloc(arena, (total + 1) * sizeof *spans);
	if (spans == NULL)
		return NULL;
	for (size_t i = 0; i < n_places; i++) {
		table->spans[i] = spans;
		spans += table->n_spans[i];
		table->n_spans[i] = 0;
	}
	for (size_t i = 0; i < n_groups; i++)
		fill_spans(table, &groups[i]);
	return table;
}
