/*
 * models/loader.h - the ways a base model comes in: one function a format.
 *
 * A loader gets an empty base model and fills what its format gives; base_model_open() (loader.c)
 * chooses it, finishes the facts and cleans up after a failure.
 */
#ifndef ENGINE_MODELS_LOADER_H
#define ENGINE_MODELS_LOADER_H

#include <cjson/cJSON.h>

#include "engine/models/decoder-weights.h"

enum t2l_status load_hf(const char *directory, struct base_model *model, struct t2l_error *err);
enum t2l_status load_gguf(const char *path, struct base_model *model, struct t2l_error *err);

/* The rotary part of config.json: kind, head_dim and context_length of CONFIG are there
 * (config-rope.c). */
enum t2l_status config_read_rope(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err);

/* DIRECTORY/config.json (config-hf.c). */
enum t2l_status config_read_hf(
    const char *directory, struct decoder_config *config, struct t2l_error *err);
/* The keys of tokens that end a text in GGUF files. */
#define N_END_KEYS 3
extern const char *const gguf_end_keys[N_END_KEYS];
/* A GGUF file's metadata (config-gguf.c). */
enum t2l_status config_read_gguf(
    const struct gguf *gguf, struct decoder_config *config, struct t2l_error *err);
/* The scale that Gemma 2 has unless its config.json says another: GGUF files do not say it. */
float gemma2_query_scale(const struct decoder_config *config);
/* config_read_hf() of N bytes of TEXT; PATH is for messages. */
enum t2l_status config_parse_hf(const char *text, size_t n, const char *path,
    struct decoder_config *config, struct t2l_error *err);

/* The vocabulary in a GGUF file's metadata (vocabulary-gguf.c); *TOKENIZER stays NULL when it has
 * none. */
enum t2l_status tokenizer_read_gguf(
    const struct gguf *gguf, struct tokenizer **tokenizer, struct t2l_error *err);

/* The last part of PATH that names something: "share/models/demo/" -> "demo". */
void model_name_of_path(const char *path, char *name, size_t size);

#endif
