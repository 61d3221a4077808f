/*
 * models/encoder.h - BERT-family text encoders: token ids -> one vector a text.
 *
 * x = LN(word + position + type); a layer: x = LN(x + O attention(x)), x = LN(x + W2 gelu(W1 x)).
 * (Devlin et al. 2019.) Texts of a batch are packed one after the other, no padding.
 */
#ifndef ENGINE_MODELS_ENCODER_H
#define ENGINE_MODELS_ENCODER_H

#include "engine/t2l.h"
#include "engine/tensor/ops.h"

enum pooling { POOLING_MEAN, POOLING_CLS, POOLING_LAST };

struct encoder_config {
	int n_layers, hidden_size, n_heads, ffn_size, vocab_size, max_positions, n_types;
	int max_tokens; /* texts are cut to this */
	float norm_epsilon;
	enum activation activation;
	enum pooling pooling;
	int projection_size; /* 0: none; else a last linear [projection, hidden] (2_Dense) */
	bool projection_bias;
};

struct encoder_layer {
	struct tensor *q, *q_bias, *k, *k_bias, *v, *v_bias, *o, *o_bias;
	struct tensor *attention_norm, *attention_norm_bias;
	struct tensor *up, *up_bias, *down, *down_bias, *mlp_norm, *mlp_norm_bias;
};

struct encoder_network {
	struct encoder_config config;
	struct tensor *word, *position, *type, *norm, *norm_bias;
	struct tensor *projection, *projection_bias; /* NULL: none */
	struct encoder_layer *layers;
};

/* Text i is ids[begin[i] .. begin[i+1]-1]; -> pooled vectors [n_texts, hidden or projection], not
 * normalised. hidden (may be NULL) gets the last hidden states [n_ids, hidden]. */
struct tensor *encoder_forward(struct ops *ops, const struct encoder_network *network,
    const int32_t *ids, const int32_t *begin, int64_t n_texts, struct tensor **hidden);

struct tokenizer;
struct encoder_source;
struct text_encoder {
	struct t2l_encoder_facts facts;
	struct encoder_network network;
	struct tokenizer *tokenizer;
	struct encoder_source *source;
};

/* A HF / sentence-transformers directory (config.json, model.safetensors, tokenizer.json or
 * vocab.txt, 1_Pooling/config.json, 2_Dense/, sentence_bert_config.json). */
enum t2l_status text_encoder_open(
    const char *path, struct text_encoder **encoder, struct t2l_error *err);
void text_encoder_close(struct text_encoder *encoder);

/* Tokenises, cuts, packs, runs in batches, normalises rows to length 1: out [n_texts, dimension].
 */
enum t2l_status text_encoder_embed(const struct text_encoder *encoder, struct ops *ops,
    const char *const *texts, size_t n_texts, float *out, struct t2l_error *err);

/* Writes the sentence-transformers directory without tokenizer files. */
enum t2l_status encoder_save_hf(const struct encoder_network *network, const char *directory,
    enum dtype dtype, struct t2l_error *err);

#endif
