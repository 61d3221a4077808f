/*
 * models/decoder.h - the one forward pass of all decoder architectures.
 *
 * An architecture is a row of data (architecture.h) and numbers from config.json or GGUF keys, not
 * a copy of the code. The same pass serves one row or a batch of lanes with a kv cache, packed
 * training rows without one, and (with a tape recording) backward.
 *
 * Shapes: hidden d, heads h, kv heads g, head size hd, ffn f, vocabulary V.
 *   embedding [V, d]; q [h*hd, d]; k, v [g*hd, d]; o [d, h*hd]; gate, up [f, d]; down [d, f]; norms
 * [d]
 */
#ifndef ENGINE_MODELS_DECODER_H
#define ENGINE_MODELS_DECODER_H

#include "engine/models/architecture.h"
#include "engine/models/rope.h"
#include "engine/t2l.h"
#include "engine/tensor/ops.h"

#define DECODER_MAX_EOS 8
#define DECODER_MAX_LAYERS MODULE_MAX_LAYERS

struct decoder_config {
	const struct architecture *kind;
	int n_layers, hidden_size, n_heads, n_kv_heads, head_dim, ffn_size, vocab_size;
	int context_length;
	float norm_epsilon;
	enum activation activation;
	struct rope_config rope;
	bool rope_neighbours; /* GGUF files of the llama family */
	float norm_offset;    /* that of KIND; 0 where a GGUF file has it in its weights */
	bool head_norms;      /* of q and k, where KIND has them with qk_layernorm only */
	float query_scale;    /* of q.k; 0: 1 / sqrt(head_dim) */
	float attention_cap, final_cap;	 /* cap * tanh(x / cap) of scores and logits; 0: none */
	int window;			 /* keys that a row sees in layers that slide; 0: all */
	bool slides[DECODER_MAX_LAYERS]; /* by layer */
	int n_experts, n_experts_used, expert_ffn_size; /* 0: no experts */
	bool renormalise; /* the chosen experts' weights add up to 1 */
	bool tied_embeddings;
	bool has_bias[N_MODULES];
	int bos_id, eos_ids[DECODER_MAX_EOS], n_eos; /* -1: none */
};

struct decoder_norm {
	struct tensor *weight, *bias; /* bias: LayerNorm only */
};

struct decoder_layer {
	struct decoder_norm norms[N_NORMS];
	struct tensor *weight[N_MODULES]; /* by enum module; NULL where the architecture has none */
	struct tensor *bias[N_MODULES];	  /* NULL: none */
	struct tensor **experts[N_MODULES]; /* weights of the kinds in experts: [n_experts] */
};

/* Weights that live elsewhere: a mapped file (grad NULL) or a parameter set (training). */
struct decoder {
	struct decoder_config config;
	struct tensor *embedding, *head; /* head == embedding when tied */
	struct tensor *head_bias;	 /* NULL: none */
	struct decoder_norm final_norm;
	struct decoder_layer *layers;
	struct tensor **experts; /* what the layers' lists lie in, owned */
	float *inv_freq;	 /* [n_rot / 2] of short texts, owned */
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
	struct kv_cache *cache; /* NULL: keys and values of this batch only (training) */
	const int32_t *slots;	/* where each row's k and v go; with a cache */
	/* How long each row's text is, where rotary frequencies depend on it (rope_key()). NULL: as
	 * long as this batch shows, rows with the same kv_begin being one text. */
	const int32_t *lengths;
	const struct lora_table *lora; /* NULL: none. Spans speak of rows of this batch */
	const int32_t *output_rows;    /* rows whose logits are wanted; NULL: all */
	int64_t n_outputs;
	struct tensor *noise; /* [n_rows, d], added to the embeddings; NULL: none */
	bool recompute; /* while recording, keep one activation a layer (no on_hidden within) */
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

/* Checks the ranges of decoder->config (set by the caller), allocates the layers, zeroed, with
 * their lists of experts, and fills inv_freq and rope. Errors: T2L_EFORMAT names the key of
 * config.json. */
enum t2l_status decoder_prepare(struct decoder *decoder, struct t2l_error *err);
void decoder_release(struct decoder *decoder); /* layers, lists and inv_freq, not the weights */

/* Writes config.json and model.safetensors (DTYPE) into DIRECTORY, atomically each. */
enum t2l_status decoder_save_hf(
    const struct decoder *decoder, const char *directory, enum dtype dtype, struct t2l_error *err);

#endif
