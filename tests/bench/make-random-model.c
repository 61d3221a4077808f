/*
 * make-random-model.c - writes a llama of a given size with random weights, for benchmarks.
 *
 * A GGUF file without a tokenizer. The numbers are normal with the deviation that keeps activations
 * of order one, so that quantised blocks, norms and attention see ordinary values.
 *
 * Usage: make-random-model FILE.gguf [TYPE [HIDDEN LAYERS HEADS KV_HEADS FFN VOCAB CONTEXT]]. TYPE
 * is any that a weight may have (f32, f16, bf16, q8_0, q4_k, ...). The default sizes are those of
 * TinyLlama (1.1B parameters).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/gguf-writer.h"
#include "engine/models/module.h"

enum { HIDDEN, LAYERS, HEADS, KV_HEADS, FFN, VOCAB, CONTEXT, N_SIZES };

static const char *const size_names[N_SIZES] = { "HIDDEN", "LAYERS", "HEADS", "KV_HEADS", "FFN",
	"VOCAB", "CONTEXT" };

struct model {
	int64_t size[N_SIZES];
	enum dtype dtype;
	struct gguf_writer *writer;
	float *row;
	uint64_t random;
};

/* splitmix64 (Steele et al. 2014) */
static uint64_t
next_random(struct model *model)
{
	uint64_t z = (model->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Of mean 0 and deviation 1: the sum of four uniform numbers, near enough to normal. */
static float
next_number(struct model *model)
{
	uint64_t bits = next_random(model);
	int sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (int)(bits >> (16 * i) & 0xffff);
	return (float)(sum - 2 * 0xffff) * (1.7320508f / 65536.0f);
}

/* Calls VISIT with every tensor in the file's order; rows 0 is a vector. */
static void
each_tensor(struct model *model,
    void (*visit)(struct model *model, const char *name, int64_t rows, int64_t cols))
{
	static const char *const names[] = { "attn_q", "attn_k", "attn_v", "attn_output",
		"ffn_gate", "ffn_up", "ffn_down" };
	const int64_t *size = model->size;
	int64_t hidden = size[HIDDEN], kv = hidden / size[HEADS] * size[KV_HEADS];
	const int64_t rows[] = { hidden, kv, kv, hidden, size[FFN], size[FFN], hidden };
	char name[64];

	visit(model, "token_embd.weight", size[VOCAB], hidden);
	for (int l = 0; l < size[LAYERS]; l++) {
		snprintf(name, sizeof name, "blk.%d.attn_norm.weight", l);
		visit(model, name, 0, hidden);
		snprintf(name, sizeof name, "blk.%d.ffn_norm.weight", l);
		visit(model, name, 0, hidden);
		for (int m = 0; m <= MODULE_DOWN; m++) {
			snprintf(name, sizeof name, "blk.%d.%s.weight", l, names[m]);
			visit(model, name, rows[m], m == MODULE_DOWN ? size[FFN] : hidden);
		}
	}
	visit(model, "output_norm.weight", 0, hidden);
	visit(model, "output.weight", size[VOCAB], hidden);
}

static void
declare(struct model *model, const char *name, int64_t rows, int64_t cols)
{
	const int64_t shape[2] = { rows, cols };

	if (rows == 0)
		gguf_writer_declare(model->writer, name, DTYPE_F32, 1, &cols);
	else
		gguf_writer_declare(model->writer, name, model->dtype, 2, shape);
}

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status == T2L_OK)
		return;
	fprintf(stderr, "make-random-model: %s\n", err->message);
	exit(1);
}

static void
write_numbers(struct model *model, const char *name, int64_t rows, int64_t cols)
{
	float scale = 1 / sqrtf((float)cols);
	struct t2l_error err;

	(void)name;
	for (int64_t r = 0; r < (rows > 0 ? rows : 1); r++) {
		for (int64_t c = 0; c < cols; c++)
			model->row[c] = rows > 0 ? next_number(model) * scale : 1;
		check(gguf_writer_floats(model->writer, model->row, cols, &err), &err);
	}
}

static void
write_keys(struct model *model)
{
	const struct {
		const char *key;
		int64_t value;
	} keys[] = {
		{ "llama.block_count", model->size[LAYERS] },
		{ "llama.context_length", model->size[CONTEXT] },
		{ "llama.embedding_length", model->size[HIDDEN] },
		{ "llama.feed_forward_length", model->size[FFN] },
		{ "llama.attention.head_count", model->size[HEADS] },
		{ "llama.attention.head_count_kv", model->size[KV_HEADS] },
		{ "llama.rope.dimension_count", model->size[HIDDEN] / model->size[HEADS] },
		{ "llama.vocab_size", model->size[VOCAB] },
	};

	gguf_writer_string(model->writer, "general.architecture", "llama");
	gguf_writer_string(model->writer, "general.name", "random");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		gguf_writer_integer(model->writer, keys[i].key, GGUF_U32, keys[i].value);
	gguf_writer_number(model->writer, "llama.attention.layer_norm_rms_epsilon", GGUF_F32, 1e-5);
	gguf_writer_number(model->writer, "llama.rope.freq_base", GGUF_F32, 10000);
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: make-random-model FILE.gguf [TYPE [HIDDEN LAYERS HEADS KV_HEADS FFN VOCAB "
	    "CONTEXT]]\ntypes:");
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)
		if (dtype_is_weight(dtype))
			fprintf(stderr, " %s", dtype_name(dtype));
	fprintf(stderr, "\n");
	return 2;
}

int
main(int argc, char **argv)
{
	struct model model = {
		.size = { 2048, 22, 32, 4, 5632, 32000, 2048 }, .dtype = DTYPE_Q8_0, .random = 1
	};
	struct t2l_error err;

	if ((argc != 2 && argc != 3 && argc != 3 + N_SIZES) || argv[1][0] == '-')
		return usage();
	if (argc > 2 && (!dtype_by_name(argv[2], &model.dtype) || !dtype_is_weight(model.dtype)))
		return usage();
	for (int i = 0; argc > 3 && i < N_SIZES; i++) {
		model.size[i] = strtol(argv[3 + i], NULL, 10);
		if (model.size[i] < 1 || model.size[i] > 1 << 20) {
			fprintf(
			    stderr, "make-random-model: %s is '%s'\n", size_names[i], argv[3 + i]);
			return usage();
		}
	}
	model.writer = gguf_writer_new();
	model.row = malloc((size_t)(model.size[HIDDEN] + model.size[FFN]) * sizeof *model.row);
	if (model.writer == NULL || model.row == NULL)
		return 1;
	write_keys(&model);
	each_tensor(&model, declare);
	check(gguf_writer_begin(model.writer, argv[1], &err), &err);
	each_tensor(&model, write_numbers);
	check(gguf_writer_finish(model.writer, &err), &err);
	gguf_writer_free(model.writer);
	free(model.row);
	return 0;
}
