/* cpu/rows-table.c - the rows of the backend's table that are no matrix products. */

#include "engine/cpu/rows.h"

void
cpu_fill_rows(struct backend *backend)
{
	backend->gather_rows = cpu_gather_rows;
	backend->gather_rows_backward = cpu_gather_rows_backward;
	backend->store_rows = cpu_store_rows;
	backend->rms_norm = cpu_rms_norm;
	backend->rms_norm_backward = cpu_rms_norm_backward;
	backend->layer_norm = cpu_layer_norm;
	backend->layer_norm_backward = cpu_layer_norm_backward;
	backend->rope = cpu_rope;
	backend->route = cpu_route;
	backend->route_backward = cpu_route_backward;
	backend->add_weighted_rows = cpu_add_weighted_rows;
	backend->add_weighted_rows_backward = cpu_add_weighted_rows_backward;
	backend->attention = cpu_attention;
	backend->attention_backward = cpu_attention_backward;
	backend->activate = cpu_activate;
	backend->activate_backward = cpu_activate_backward;
	backend->gate = cpu_gate;
	backend->gate_backward = cpu_gate_backward;
	backend->add = cpu_add;
	backend->add_row = cpu_add_row;
	backend->sum_rows = cpu_sum_rows;
	backend->multiply = cpu_multiply;
	backend->multiply_add = cpu_multiply_add;
	backend->copy_columns = cpu_copy_columns;
	backend->transpose = cpu_transpose;
	backend->dropout = cpu_dropout;
	backend->mean_rows = cpu_mean_rows;
	backend->mean_rows_backward = cpu_mean_rows_backward;
	backend->unit_rows = cpu_unit_rows;
	backend->unit_rows_backward = cpu_unit_rows_backward;
	backend->cross_entropy = cpu_cross_entropy;
	backend->cross_entropy_backward = cpu_cross_entropy_backward;
	backend->sum_squares = cpu_sum_squares;
	backend->sum_abs_difference = cpu_sum_abs_difference;
	backend->sum_squared_difference = cpu_sum_squared_difference;
	backend->sign_difference = cpu_sign_difference;
	backend->adamw = cpu_adamw;
}
