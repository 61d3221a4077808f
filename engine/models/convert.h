/*
 * models/convert.h - a base model written in another file format.
 *
 * Both ways go through the decoder that the readers make: its weights are listed once
 * (decoder_each_weight), its settings are a decoder_config, its text is a tokenizer. What the other
 * form cannot say is refused by name (T2L_EUNSUPPORTED).
 */
#ifndef ENGINE_MODELS_CONVERT_H
#define ENGINE_MODELS_CONVERT_H

#include "base/buffer.h"
#include "engine/formats/gguf-writer.h"
#include "engine/models/loader.h"
#include "engine/models/quantise.h"
#include "engine/models/recode.h"

/* t2l_model_convert() of an INPUT of either form. */
enum t2l_status convert_to_gguf(const char *input, const char *output,
    const struct t2l_quantize_options *options, struct t2l_error *err);

/* ---- settings ---- */

/* Tensors that a GGUF file has for its settings: divisors of rotary frequencies. */
struct settings_tensor {
	const char *name; /* NULL: none */
	float values[ROPE_MAX_PAIRS];
	int n;
};
#define N_SETTINGS_TENSORS 2

/* CONFIG as keys of a GGUF file (config-to-gguf.c). FILE is the model's, for messages. */
enum t2l_status config_write_gguf(const struct decoder_config *config, const char *file,
    struct gguf_writer *writer, struct settings_tensor tensors[N_SETTINGS_TENSORS],
    struct t2l_error *err);

/* CONFIG as a config.json (config-to-hf.c). PAD: a token's id or -1. */
enum t2l_status config_write_hf(const struct decoder_config *config, const char *file,
    enum dtype dtype, int pad, struct buffer *json, struct t2l_error *err);

/* A generation_config.json: the tokens that begin, end and fill texts. */
void generation_write_hf(const struct decoder_config *config, int pad, struct buffer *json);

/* The tokens that end a text: those of CONFIG and TOKENIZER (may be NULL), the tokenizer's first.
 */
void text_ends(const struct decoder_config *config, const struct tokenizer *tokenizer,
    int32_t ids[2 * DECODER_MAX_EOS], size_t *n);

/* ---- text ---- */

/* What the format has for a whole tokenizer.json. */
#define GGUF_TOKENIZER_JSON "tokenizer.huggingface.json"

/* TOKENIZER (NULL: none) as keys of a GGUF file, with the tokens that end a text
 * (vocabulary-to-gguf.c). */
enum t2l_status text_write_gguf(const struct decoder_config *config,
    const struct tokenizer *tokenizer, const char *file, struct gguf_writer *writer,
    struct t2l_error *err);
/* tokenizer.json and tokenizer_config.json in DIRECTORY (vocabulary-to-hf.c). */
enum t2l_status text_save_hf(const struct decoder_config *config, const struct tokenizer *tokenizer,
    const char *directory, struct t2l_error *err);

/* ---- weights ---- */

/* What is written of a decoder: its weights in another file's names, order and types. */
struct weights_output {
	struct decoder *decoder;
	const char *file;			    /* where they come from, for messages */
	const struct model_source *source;	    /* whose pages are given back; NULL: none */
	const struct quantisation *type;	    /* NULL: each as it is, quantised ones in f16 */
	const struct t2l_quantize_options *options; /* NULL: nothing is told */
	/* Set by the savers: names, and where all are declared, then written in the same order. */
	const struct decoder_names *names;
	void (*declare)(
	    void *writer, const char *name, enum dtype dtype, int n_dims, const int64_t *shape);
	recode_put *put;
	void *writer;
	struct recode *recode;
	struct recode_loss loss; /* of the tensor at hand */
	size_t done, all;	 /* tensors */
};

/* save-weights.c */
enum t2l_status weights_declare(struct weights_output *output, struct t2l_error *err);
enum t2l_status weights_write(struct weights_output *output, struct t2l_error *err);

/* A whole file (save-gguf.c); model.safetensors and config.json in DIRECTORY (save-hf.c), where
 * DTYPE is what config.json says. */
enum t2l_status save_model_gguf(struct weights_output *output, const struct base_model *model,
    const char *path, struct t2l_error *err);
enum t2l_status save_model_hf(struct weights_output *output, const char *directory,
    enum dtype dtype, int pad, struct t2l_error *err);
/* DIRECTORY/NAME, atomically. */
enum t2l_status save_text(
    const char *directory, const char *name, const struct buffer *text, struct t2l_error *err);

#endif
