/* convert.c - a base model in the other of the two file formats. */
#include "engine/models/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-folder.h"
#include "engine/text/ids.h"
#include "engine/text/tokenizer.h"

#define PATH_SIZE 4096

/* ---- tensors that no one reads ---- */

/* Entries of the source, as the decoder's weights name them. */
struct known_entries {
	const struct model_source *source;
	const void **at;
	size_t n, capacity;
};

static enum t2l_status
note_entry(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct known_entries *known = user;
	void *at = known->at;

	if (!array_grow(&at, &known->capacity, known->n + 1, sizeof *known->at))
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tensors' names");
	known->at = at;
	known->at[known->n++] =
	    known->source->gguf != NULL
		? (const void *)gguf_find(known->source->gguf, slot->name)
		: (const void *)safetensors_find(known->source->safetensors, slot->name);
	return T2L_OK;
}

static int
by_address(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	return x < y ? -1 : x > y;
}

/* What settings say, and what old programs left behind. */
static bool
says_nothing(const char *name, bool tied)
{
	static const char *const endings[] = { "rotary_emb.inv_freq", "attention.bias",
		"attention.masked_bias", "rope_freqs.weight", "rope_factors_long.weight",
		"rope_factors_short.weight" };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t n_ending = strlen(endings[i]);

		if (n >= n_ending && strcmp(name + n - n_ending, endings[i]) == 0)
			return true;
	}
	return tied && strcmp(name, "lm_head.weight") == 0;
}

static const char *
entry_at(const struct model_source *source, size_t i, const void **entry)
{
	if (source->gguf != NULL) {
		*entry = i < gguf_count(source->gguf) ? gguf_at(source->gguf, i) : NULL;
		return *entry != NULL ? gguf_at(source->gguf, i)->name : NULL;
	}
	*entry = i < safetensors_count(source->safetensors) ? safetensors_at(source->safetensors, i)
							    : NULL;
	return *entry != NULL ? safetensors_at(source->safetensors, i)->name : NULL;
}

/* A tensor that the decoder does not know would be lost. */
static enum t2l_status
check_all_known(struct base_model *model, const char *file, struct t2l_error *err)
{
	const struct model_source *source = model->source;
	struct known_entries known = { .source = source };
	const void *entry;
	const char *name;
	enum t2l_status status = decoder_each_weight(&model->decoder,
	    source->gguf != NULL ? &decoder_names_gguf : &decoder_names_hf, note_entry, &known,
	    err);

	if (status == T2L_OK && known.n > 0)
		qsort(known.at, known.n, sizeof *known.at, by_address);
	for (size_t i = 0; status == T2L_OK && (name = entry_at(source, i, &entry)) != NULL; i++)
		if (!says_nothing(name, model->decoder.config.tied_embeddings) &&
		    bsearch(&entry, known.at, known.n, sizeof *known.at, by_address) == NULL)
			status = t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: tensor '%s' is none of a model of architecture '%s'; it would be "
			    "lost",
			    file, name, model->decoder.config.kind->name);
	free(known.at);
	return status;
}

/* ---- the two ways ---- */

static enum t2l_status
start(const char *input, const struct t2l_quantize_options *options, struct base_model **model,
    struct weights_output *output, struct t2l_error *err)
{
	const struct quantisation *type = NULL;
	enum t2l_status status = T2L_OK;

	if (options->type != NULL)
		status = quantisation_need(options->type, &type, err);
	if (status == T2L_OK)
		status = base_model_open(input, model, err);
	if (status != T2L_OK)
		return status;
	*output = (struct weights_output){ .decoder = &(*model)->decoder,
		.file = input,
		.source = (*model)->source,
		.type = type,
		.options = options };
	return check_all_known(*model, input, err);
}

enum t2l_status
convert_to_gguf(const char *input, const char *path, const struct t2l_quantize_options *options,
    struct t2l_error *err)
{
	struct base_model *model = NULL;
	struct weights_output output;
	enum t2l_status status = start(input, options, &model, &output, err);

	if (status == T2L_OK)
		status = save_model_gguf(&output, model, path, err);
	base_model_close(model);
	return status;
}

/* The numbers' type that config.json names: that of most of them. */
static enum dtype
dtype_of(const struct base_model *model, const struct quantisation *type)
{
	enum dtype dtype = DTYPE_F16;

	if (type != NULL)
		return type->dtype;
	dtype_by_name(model->facts.dtype, &dtype);
	return dtype_is_quantised(dtype) ? DTYPE_F16 : dtype;
}

static enum t2l_status
fill(struct base_model *model, struct weights_output *output, const char *directory,
    struct t2l_error *err)
{
	struct decoder_config *config = &model->decoder.config;
	const int pad = model->tokenizer != NULL ? tokenizer_pad(model->tokenizer) : -1;
	int32_t ends[2 * DECODER_MAX_EOS];
	struct buffer generation = { 0 };
	enum t2l_status status;
	size_t n;

	text_ends(config, model->tokenizer, ends, &n);
	config->n_eos = 0;
	for (size_t i = 0; i < n && i < DECODER_MAX_EOS; i++)
		config->eos_ids[config->n_eos++] = ends[i];
	generation_write_hf(config, pad, &generation);
	status = save_text(directory, "generation_config.json", &generation, err);
	buffer_free(&generation);
	if (status == T2L_OK)
		status = save_model_hf(output, directory, dtype_of(model, output->type), pad, err);
	if (status == T2L_OK && model->tokenizer != NULL)
		status = text_save_hf(config, model->tokenizer, directory, err);
	return status;
}

static enum t2l_status
convert_to_hf(const char *input, const char *path, const struct t2l_quantize_options *options,
    struct t2l_error *err)
{
	char folder[PATH_SIZE];
	struct base_model *model = NULL;
	struct weights_output output;
	enum t2l_status status = start(input, options, &model, &output, err);

	if (status == T2L_OK && atomic_folder_make(path, folder, sizeof folder) != 0)
		status = t2l_fail_errno(err, "cannot make a directory beside '%s'", path);
	else if (status == T2L_OK) {
		status = fill(model, &output, folder, err);
		if (status == T2L_OK && atomic_folder_install(folder, path) != 0)
			status = t2l_fail_errno(err, "cannot write '%s'", path);
		if (status != T2L_OK)
			atomic_folder_discard(folder);
	}
	base_model_close(model);
	return status;
}

enum t2l_status
t2l_model_convert(const char *input, const char *output, const struct t2l_quantize_options *options,
    struct t2l_error *err)
{
	struct stat about;

	if (stat(input, &about) != 0)
		return t2l_fail_errno(err, "%s", input);
	return S_ISDIR(about.st_mode) ? convert_to_gguf(input, output, options, err)
				      : convert_to_hf(input, output, options, err);
}

bool
t2l_model_is(const char *path)
{
	char name[PATH_SIZE];
	const char *type = "model";
	struct gguf *gguf = NULL;
	struct stat about;
	bool is = false;

	if (stat(path, &about) != 0)
		return false;
	if (S_ISDIR(about.st_mode)) {
		if (snprintf(name, sizeof name, "%s/adapter_config.json", path) >=
			(int)sizeof name ||
		    access(name, F_OK) == 0)
			return false;
		snprintf(name, sizeof name, "%s/config.json", path);
		return access(name, F_OK) == 0;
	}
	if (gguf_open(path, &gguf, NULL) == T2L_OK)
		is = gguf_string(gguf, "general.type", false, &type, NULL) == T2L_OK &&
		     strcmp(type, "model") == 0;
	gguf_close(gguf);
	return is;
}
