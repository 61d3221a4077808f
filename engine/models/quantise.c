/* quantise.c - a GGUF model with smaller numbers, and what that costs, tensor by tensor. */

#include "engine/models/quantise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/error.h"
#include "engine/formats/gguf-copy.h"
#include "engine/models/convert.h"
#include "engine/models/recode.h"

/* ---- which type ---- */

static const struct quantisation quantisations[] = {
	{ "q8_0", "8 bits a number, next to no loss", DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_Q8_0, 7 },
	{ "q6_k", "6.6 bits", DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, 18 },
	{ "q4_k_m", "4.8 bits, more for what matters most", DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q6_K,
	    15 },
	{ "q4_0", "4.5 bits, simple and fast", DTYPE_Q4_0, DTYPE_Q6_K, DTYPE_Q4_0, 2 },
	{ "f16", "half precision", DTYPE_F16, DTYPE_F16, DTYPE_F16, 1 },
	{ "bf16", "half the bits, the range of f32", DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, 32 },
	{ "f32", "single precision", DTYPE_F32, DTYPE_F32, DTYPE_F32, 0 },
};
#define N_QUANTISATIONS (sizeof quantisations / sizeof *quantisations)

const struct quantisation *
quantisation_at(size_t index)
{
	return index < N_QUANTISATIONS ? &quantisations[index] : NULL;
}

const struct quantisation *
quantisation_find(const char *name)
{
	for (size_t i = 0; i < N_QUANTISATIONS; i++)
		if (strcmp(quantisations[i].name, name) == 0)
			return &quantisations[i];
	return NULL;
}

enum t2l_status
quantisation_need(const char *name, const struct quantisation **type, struct t2l_error *err)
{
	char list[128];
	size_t used = 0;

	*type = quantisation_find(name);
	if (*type != NULL)
		return T2L_OK;
	for (size_t i = 0; i < N_QUANTISATIONS && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
		    quantisations[i].name);
	return t2l_fail(err, T2L_EINVAL,
	    "'%.40s' is no type of a GGUF file's numbers; there are %s", name, list);
}

/* The first and last eighth of the layers, and every third between them, as llama.cpp has it. */
static bool
is_sensitive_layer(int layer, int n_layers)
{
	int eighth = n_layers / 8;

	return layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2;
}

static bool
is_sensitive(const char *name, int n_layers)
{
	int layer;
	char part[32];

	return sscanf(name, "blk.%d.%31[^.]", &layer, part) == 2 &&
	       (strcmp(part, "attn_v") == 0 || strncmp(part, "ffn_down", 8) == 0) &&
	       is_sensitive_layer(layer, n_layers);
}

enum dtype
quantisation_choose(const struct quantisation *type, const char *name, enum dtype from, int n_dims,
    int64_t cols, int n_layers, bool tied)
{
	/* What rows get that do not fill whole blocks. */
	static const enum dtype next[N_DTYPES] = { [DTYPE_Q4_K] = DTYPE_Q5_0,
		[DTYPE_Q6_K] = DTYPE_Q8_0,
		[DTYPE_Q5_0] = DTYPE_F16,
		[DTYPE_Q4_0] = DTYPE_F16,
		[DTYPE_Q8_0] = DTYPE_F16 };
	enum dtype to = type->dtype;

	if (n_dims < 2 || !dtype_is_weight(from) || strstr(name, "ffn_gate_inp") != NULL ||
	    strstr(name, "_norm") != NULL)
		return from;
	if (strcmp(name, "output.weight") == 0 || (tied && strcmp(name, "token_embd.weight") == 0))
		to = type->head;
	else if (is_sensitive(name, n_layers))
		to = type->sensitive;
	while (cols % dtype_block(to) != 0)
		to = next[to];
	return to;
}

/* ---- the copy ---- */

struct work {
	const struct gguf *gguf;
	struct gguf_writer *writer;
	const struct t2l_quantize_options *options;
	const struct quantisation *type;
	enum dtype *dtypes; /* [gguf_count()] of the output */
	struct recode *recode;
};

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "quantize: out of memory");
}

static enum t2l_status
copy_key(const struct work *work, const struct gguf_key *key, struct t2l_error *err)
{
	/* A split file becomes one; alignment and these two are the writer's and ours to say. */
	if (strncmp(key->name, "split.", 6) == 0 || strcmp(key->name, "general.alignment") == 0 ||
	    strcmp(key->name, "general.file_type") == 0 ||
	    strcmp(key->name, "general.quantization_version") == 0)
		return T2L_OK;
	return gguf_copy_key(work->gguf, key, work->writer, err);
}

static enum t2l_status
copy_keys(const struct work *work, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < gguf_key_count(work->gguf) && status == T2L_OK; i++)
		status = copy_key(work, gguf_key_at(work->gguf, i), err);
	gguf_writer_integer(work->writer, "general.quantization_version", GGUF_U32, 2);
	gguf_writer_integer(work->writer, "general.file_type", GGUF_U32, work->type->file_type);
	return status;
}

static enum t2l_status
declare_tensors(const struct work *work, struct t2l_error *err)
{
	const char *architecture = NULL;
	char key[128];
	int64_t n_layers = 0;
	bool tied = gguf_find(work->gguf, "output.weight") == NULL;
	enum t2l_status status =
	    gguf_string(work->gguf, "general.architecture", true, &architecture, err);

	if (status != T2L_OK)
		return status;
	snprintf(key, sizeof key, "%.80s.block_count", architecture);
	status = gguf_integer(work->gguf, key, false, 0, 100000, &n_layers, err);
	for (size_t i = 0; i < gguf_count(work->gguf) && status == T2L_OK; i++) {
		const struct gguf_entry *entry = gguf_at(work->gguf, i);

		if (!entry->convertible)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: tensor '%s' is of type %s, which is not supported",
			    gguf_path(work->gguf), entry->name, entry->type_name);
		work->dtypes[i] = quantisation_choose(work->type, entry->name, entry->dtype,
		    entry->n_dims, entry->n_dims > 0 ? entry->shape[entry->n_dims - 1] : 1,
		    (int)n_layers, tied);
		gguf_writer_declare(
		    work->writer, entry->name, work->dtypes[i], entry->n_dims, entry->shape);
	}
	return status;
}

static int64_t
count_of(const struct gguf_entry *entry)
{
	int64_t n = 1;

	for (int i = 0; i < entry->n_dims; i++)
		n *= entry->shape[i];
	return n;
}

static enum t2l_status
put(void *user, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	return gguf_writer_bytes(user, bytes, n_bytes, err);
}

static enum t2l_status
write_tensor(struct work *work, size_t index, struct t2l_error *err)
{
	const struct gguf_entry *entry = gguf_at(work->gguf, index);
	const struct t2l_quantize_options *options = work->options;
	const struct recode_input input = { .file = gguf_path(work->gguf),
		.name = entry->name,
		.dtype = entry->dtype,
		.stored = entry->bytes,
		.rows = 1,
		.cols = count_of(entry) };
	struct recode_loss loss = { 0 };
	struct t2l_quantize_report report = { .tensor = entry->name,
		.from = dtype_name(entry->dtype),
		.done = index + 1,
		.all = gguf_count(work->gguf) };
	enum t2l_status status =
	    recode_tensor(work->recode, &input, work->dtypes[index], put, work->writer, &loss, err);

	gguf_forget_bytes(work->gguf, entry->bytes, entry->n_bytes);
	if (status != T2L_OK)
		return status;
	recode_report(&loss, work->dtypes[index], &report);
	if (options->on_tensor != NULL && !options->on_tensor(options->user, &report))
		return t2l_fail(err, T2L_ECANCELLED, "quantize: cancelled");
	return T2L_OK;
}

static enum t2l_status
write_model(struct work *work, const char *output, struct t2l_error *err)
{
	enum t2l_status status = copy_keys(work, err);

	if (status == T2L_OK)
		status = declare_tensors(work, err);
	if (status == T2L_OK)
		status = gguf_writer_begin(work->writer, output, err);
	for (size_t i = 0; i < gguf_count(work->gguf) && status == T2L_OK; i++)
		status = write_tensor(work, i, err);
	return status == T2L_OK ? gguf_writer_finish(work->writer, err) : status;
}

enum t2l_status
t2l_quantize(const char *input, const char *output, const struct t2l_quantize_options *options,
    struct t2l_error *err)
{
	struct work *work;
	struct gguf *gguf = NULL;
	struct stat about;
	enum t2l_status status;

	if (stat(input, &about) == 0 && S_ISDIR(about.st_mode))
		return convert_to_gguf(input, output, options, err);
	work = calloc(1, sizeof *work);
	if (work == NULL)
		return out_of_memory(err);
	work->options = options;
	status = quantisation_need(options->type, &work->type, err);
	if (status == T2L_OK)
		status = gguf_open(input, &gguf, err);
	if (status == T2L_OK) {
		work->gguf = gguf;
		work->writer = gguf_writer_new();
		work->recode = recode_new();
		work->dtypes = calloc(gguf_count(gguf) + 1, sizeof *work->dtypes);
		status = work->writer == NULL || work->recode == NULL || work->dtypes == NULL
			     ? out_of_memory(err)
			     : write_model(work, output, err);
	}
	gguf_writer_free(work->writer);
	gguf_close(gguf);
	recode_free(work->recode);
	free(work->dtypes);
	free(work);
	return status;
}

const char *
t2l_quantize_type(size_t index, const char **help)
{
	const struct quantisation *type = quantisation_at(index);

	if (type != NULL && help != NULL)
		*help = type->help;
	return type != NULL ? type->name : NULL;
}
