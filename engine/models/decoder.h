/*
 * models/decoder.h - the one forward pass of all decoder architectures.
 *
 * An architecture is a row of data (struct decoder_config made from config.json or GGUF keys), not
 * a copy of the code. The same pass serves one row or a batch of lanes with a kv cache, packed
 * training rows without one, and (with a tape recording) backward.
 *
 * Shapes: hidden d, heads h, kv heads g, head size hd, ffn f, vocabulary V.
 *   embedding [V, d]; q [h*hd, d]; k, v [g*hd, d]; o [d, h*hd]; gate, up [f, d]; down [d, f]; norms
 * [d]
 */
#ifndef ENGINE_MODELS_DECODER_H
#define ENGINE_MODELS_DECODER_H

#include "engine/models/module.h"
#include "engine/t2l.h"
#include "engine/tensor/ops.h"

#define DECODER_MAX_EOS 8

struct decoder_config {
	char architecture[64]; /* "llama" */
	int n_layers, hidden_size, n_heads, n_kv_heads, head_dim, ffn_size, vocab_size;
	int context_length;
	float norm_epsilon;
	enum activation activation;
	double rope_theta;
	bool rope_neighbours; /* GGUF files of the llama family */
	bool tied_embeddings;
	bool has_bias[N_MODULES];
	int bos_id, eos_ids[DECODER_MAX_EOS], n_eos; /* -1: none */
};

struct decoder_layer {
	struct tensor *attention_norm, *mlp_norm;
	struct tensor *weight[N_MODULES]; /* by enum module */
	struct tensor *bias[N_MODULES];	  /* NULL: none */
};

/* Weights that live elsewhere: a mapped file (grad NULL) or a parameter set (training). */
struct decoder {
	struct decoder_config config;
	struct tensor *embedding, *final_norm, *head; /* head == embedding when tied */
	struct decoder_layer *layers;
	float *inv_freq; /* [head_dim / 2], owned */
	struct rope rope;
};

/* The low-rank spans of every module: spans[lora_place(...)], n_spans likewise, of
 * lora_place_count() each. */
struct lora_table {
	int n_layers, n_experts; /* n_experts >= 1 */
	struct lora_span **spans;
	int *n_spans;
};

static inline size_t
lora_place_count(const struct lora_table *table)
{
	return (size_t)(table->n_layers + 1) * N_MODULES * (size_t)table->n_experts;
}

/* LAYER and EXPERT count only where the kind has them. */
static inline size_t
lora_place(const struct lora_table *table, int layer, enum module module, int expert)
{
	size_t row = module_in_layers(module) ? (size_t)layer + 1 : 0;

	return (row * N_MODULES + (size_t)module) * (size_t)table->n_experts +
	       (module_in_experts(module) ? (size_t)expert : 0);
}

/* Keys and values of all lanes: k[layer], v[layer] are [n_slots, g*hd]; a lane owns a run of slots.
 */
struct kv_cache {
	int n_layers;
	int64_t n_slots;
	struct tensor *k, *v;
};

struct decoder_batch {
	int64_t n_rows;
	const int32_t *tokens, *positions; /* [n_rows] */
	/* Rows of the cache (or, without one, of this batch) that each row sees: begin .. end-1. */
	const int32_t *kv_begin, *kv_end;
	struct kv_cache *cache;	       /* NULL: keys and values of this batch only (training) */
	const int32_t *slots;	       /* where each row's k and v go; with a cache */
	const struct lora_table *lora; /* NULL: none. Spans speak of rows of this batch */
	const int32_t *output_rows;    /* rows whose logits are wanted; NULL: all */
	int64_t n_outputs;
	/* Called with the hidden state before layer 0, after each layer and after the final norm
	 * (layer -1 means the final norm, of the output rows alone); may be NULL. */
	void (*on_hidden)(void *user, int layer, const struct tensor *hidden);
	void *user;
};

/* -> logits [n_outputs, V] (f32, in the arena), or NULL with the error in OPS. Token ids must be in
 * range: the caller checks what comes from outside. */
struct tensor *decoder_forward(
    struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch);
/* -> hidden states after the final norm [n_rows, d] */
struct tensor *decoder_hidden(
    struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch);

/* in/out sizes of a module's weight; 0 when the architecture has no such module. */
int64_t decoder_module_in(const struct decoder_config *config, enum module module);
int64_t decoder_module_out(const struct decoder_config *config, enum module module);

/* ---- loading: loader-hf.c, loader-gguf.c ---- */

struct tokenizer;
struct chat_template;

/* A base model with all that its directory or file gives. t2l_model (models/model.c) is this. */
struct model_source; /* the mapped files */
struct base_model {
	struct t2l_model_facts facts;
	struct decoder decoder;
	struct tokenizer *tokenizer;	     /* NULL when there is none */
	struct chat_template *chat_template; /* NULL when there is none, or none that we can read */
	struct model_source *source;
};

/* PATH: a HF directory or a GGUF file. Errors name the file, the key and the way out. */
enum t2l_status base_model_open(const char *path, struct base_model **model, struct t2l_error *err);
/* Tokenizer, chat template and their facts alone; there is no source and no decoder. */
enum t2l_status base_model_open_text(
    const char *path, struct base_model **model, struct t2l_error *err);
void base_model_close(struct base_model *model);

/* ---- making: a trainable decoder with its own f32 memory ---- */

/* Checks the ranges of decoder->config (set by the caller), allocates the layers, zeroed, and fills
 * inv_freq and rope. Errors: T2L_EFORMAT names the key of config.json. */
enum t2l_status decoder_prepare(struct decoder *decoder, struct t2l_error *err);
void decoder_release(struct decoder *decoder); /* layers and inv_freq, not the weights */

/* HF names: "model.layers.0.self_attn.q_proj.weight" into NAME. */
void decoder_tensor_name(int layer, enum module module, char *name, size_t size);

/* Writes config.json and model.safetensors (DTYPE) into DIRECTORY, atomically each. */
enum t2l_status decoder_save_hf(
    const struct decoder *decoder, const char *directory, enum dtype dtype, struct t2l_error *err);

#endif
