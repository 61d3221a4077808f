/* cpu/matmul-table.c - the rows of the backend's table that are matrix products. */
#include "engine/cpu/matmul.h"

void
cpu_fill_matmul(struct backend *backend)
{
	backend->linear = cpu_linear;
	backend->linear_backward = cpu_linear_backward;
	backend->gemm = cpu_gemm;
	backend->lora = cpu_lora;
	backend->lora_backward = cpu_lora_backward;
}

void
cpu_fill_bf16(struct backend *backend)
{
	backend->linear = cpu_linear_bf16;
	backend->linear_backward = cpu_linear_backward_bf16;
	backend->gemm = cpu_gemm_bf16;
}
