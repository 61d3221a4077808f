/*
 * models/encoder.h - BERT-family text encoders: token ids -> one vector a text.
 *
 * x = LN(word + position + type); a layer: x = LN(x + O attention(x)), x = LN(x + W2 gelu(W1 x)).
 * (Devlin et al. 2019.) Texts of a batch are packed one after the other, no padding.
 *
 * GTE's v1.5 (gte-large-en-v1.5, "NewModel") differs in this: no table of positions but rope on q
 * and k, stretched by NTK for short texts too; q, k and v lie in one matrix; W2 (gelu(Wg x) * Wu x)
 * with both in one matrix, without bias.
 *
 * A decoder embeds too: its hidden state behind the final norm, at the text's last token
 * (text_encoder.base).
 */
#ifndef ENGINE_MODELS_ENCODER_H
#define ENGINE_MODELS_ENCODER_H

#include "engine/t2l.h"
#include "engine/tensor/ops.h"

enum encoder_kind { ENCODER_BERT, ENCODER_GTE };
enum pooling { POOLING_MEAN, POOLING_CLS, POOLING_LAST };

struct encoder_config {
	enum encoder_kind kind;
	double rope_theta, ntk_factor; /* GTE; a factor of 1 stretches nothing */
	int n_layers, hidden_size, n_heads, ffn_size, vocab_size, max_positions, n_types;
	int max_tokens; /* texts are cut to this */
	float norm_epsilon;
	enum activation activation;
	enum pooling pooling;
	int projection_size; /* 0: none; else a last linear [projection, hidden] (2_Dense) */
	bool projection_bias;
};

struct encoder_layer {
	/* GTE's matrices as they are stored; the parts below are views of their rows. */
	struct tensor *qkv, *qkv_bias; /* rows of q, then k, then v */
	struct tensor *up_gate;	       /* rows of up, then gate */
	struct tensor *gate;	       /* NULL with BERT */
	struct tensor *q, *q_bias, *k, *k_bias, *v, *v_bias, *o, *o_bias;
	struct tensor *attention_norm, *attention_norm_bias;
	struct tensor *up, *up_bias, *down, *down_bias, *mlp_norm, *mlp_norm_bias;
};

struct encoder_network {
	struct encoder_config config;
	struct tensor *word, *position, *type, *norm, *norm_bias;
	struct tensor *projection, *projection_bias; /* NULL: none */
	struct encoder_layer *layers;
	float *inv_freq; /* GTE: [hidden / heads / 2]; with the file's memory */
};

/* Text i is ids[begin[i] .. begin[i+1]-1]; -> pooled vectors [n_texts, hidden or projection], not
 * normalised. hidden (may be NULL) gets the last hidden states [n_ids, hidden]. */
struct tensor *encoder_forward(struct ops *ops, const struct encoder_network *network,
    const int32_t *ids, const int32_t *begin, int64_t n_texts, struct tensor **hidden);

struct tokenizer;
struct encoder_source;
struct base_model;
struct text_encoder {
	struct t2l_encoder_facts facts;
	/* A decoder that embeds, with its own tokenizer: of NETWORK only max_tokens counts then.
	 * Else NULL. */
	struct base_model *base;
	struct encoder_network network;
	struct tokenizer *tokenizer;
	struct encoder_source *source;
};

/* A HF / sentence-transformers directory (config.json, model.safetensors or pytorch_model.bin,
 * tokenizer.json or vocab.txt, 1_Pooling/config.json, 2_Dense/, sentence_bert_config.json) of BERT
 * or GTE; or any base model, a GGUF file too. */
enum t2l_status text_encoder_open(
    const char *path, struct text_encoder **encoder, struct t2l_error *err);
void text_encoder_close(struct text_encoder *encoder);

/* Tokenises, cuts, packs, runs in batches, normalises rows to length 1: out [n_texts, dimension].
 */
enum t2l_status text_encoder_embed(const struct text_encoder *encoder, struct ops *ops,
    const char *const *texts, size_t n_texts, float *out, struct t2l_error *err);
/* How many tokens a text has (special ones apart), and how many of them say what it is: the others
 * are the vocabulary's token for all that is not in it. */
enum t2l_status text_encoder_count(const struct text_encoder *encoder, const char *text,
    size_t *n_known, size_t *n_tokens, struct t2l_error *err);

/* The same for one batch of ids: text i is ids[begin[i] .. begin[i+1]-1], begin[0] is 0. */
enum t2l_status text_encoder_embed_tokens(const struct text_encoder *encoder, struct ops *ops,
    const int32_t *ids, const int32_t *begin, size_t n_texts, float *out, struct t2l_error *err);

/* Writes the sentence-transformers directory without tokenizer files. */
enum t2l_status encoder_save_hf(const struct encoder_network *network, const char *directory,
    enum dtype dtype, struct t2l_error *err);

#endif
