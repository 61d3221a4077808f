/* memory.c - estimates what training takes before it begins. */

#include <stdio.h>
#include <unistd.h>

#include "engine/training/memory.h"

/* Numbers a row of one layer leaves on the tape: the results of decoder.c's run_layer(), in order.
 */
static uint64_t
layer_numbers(const struct decoder_config *config)
{
	uint64_t d = (uint64_t)config->hidden_size, f = (uint64_t)config->ffn_size;
	uint64_t q = (uint64_t)config->n_heads * (uint64_t)config->head_dim;
	uint64_t k = (uint64_t)config->n_kv_heads * (uint64_t)config->head_dim;
	uint64_t attention = d /* norm */ + q + 2 * k + q + k /* turned */ + q /* out */ +
			     d /* o, to which x is added */;
	uint64_t mlp = d /* norm */ + 3 * f /* gate, up, their product */ + d;

	return attention + mlp;
}

uint64_t
decoder_training_bytes(
    const struct decoder_config *config, int64_t n_rows, int64_t n_outputs, bool recompute)
{
	uint64_t rows = (uint64_t)n_rows, outputs = (uint64_t)n_outputs;
	uint64_t d = (uint64_t)config->hidden_size, layers = (uint64_t)config->n_layers;
	uint64_t numbers = rows * d; /* embeddings, without gradient */
	uint64_t ends = outputs * (2 * d + (uint64_t)config->vocab_size);

	if (recompute)
		numbers += 2 * rows * (layers * d + layer_numbers(config));
	else
		numbers += 2 * rows * layers * layer_numbers(config);
	return (numbers + 2 * ends) * sizeof(float);
}

#define CHUNK_BYTES ((uint64_t)256 << 20)
#define LEAST_CHUNK 256
#define MOST_CHUNK 1024

int64_t
decoder_chunk_rows(const struct decoder_config *config, bool recompute)
{
	int64_t rows = (int64_t)(CHUNK_BYTES / decoder_training_bytes(config, 1, 1, recompute));

	return rows < LEAST_CHUNK ? LEAST_CHUNK : rows > MOST_CHUNK ? MOST_CHUNK : rows;
}

/* The results of encoder.c: embed(), then attention(), mlp() and their sums and norms. */
uint64_t
encoder_training_bytes(const struct encoder_config *config, int64_t n_rows)
{
	uint64_t d = (uint64_t)config->hidden_size, f = (uint64_t)config->ffn_size;
	uint64_t layer = 8 * d + (config->kind == ENCODER_GTE ? 3 : 2) * f;

	return 2 * sizeof(float) * (uint64_t)n_rows * (6 * d + (uint64_t)config->n_layers * layer);
}

struct residence
residence_now(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned long long all, resident, mapped;
	struct residence residence = { 0 };

	if (file == NULL)
		return residence;
	if (fscanf(file, "%llu %llu %llu", &all, &resident, &mapped) == 3 && mapped <= resident)
		residence = (struct residence){ (resident - mapped) * page, mapped * page };
	fclose(file);
	return residence;
}
