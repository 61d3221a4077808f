/* quantise.c - a GGUF model with smaller numbers, and what that costs, tensor by tensor. */

#include "engine/models/quantise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/error.h"
#include "engine/formats/gguf-copy.h"

/* ---- which type ---- */

static const struct quantisation quantisations[] = {
	{ "q8_0", "8 bits a number, next to no loss", DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_Q8_0, 7 },
	{ "q6_k", "6.6 bits", DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, 18 },
	{ "q4_k_m", "4.8 bits, more for what matters most", DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q6_K,
	    15 },
	{ "q4_0", "4.5 bits, simple and fast", DTYPE_Q4_0, DTYPE_Q6_K, DTYPE_Q4_0, 2 },
	{ "f16", "half precision", DTYPE_F16, DTYPE_F16, DTYPE_F16, 1 },
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

/* Elements that are converted at a time: whole blocks, and they stay in the cache. */
#define CHUNK 16384

struct work {
	const struct gguf *gguf;
	struct gguf_writer *writer;
	const struct t2l_quantize_options *options;
	const struct quantisation *type;
	enum dtype *dtypes; /* [gguf_count()] of the output */
	float values[CHUNK], back[CHUNK];
	unsigned char stored[CHUNK * sizeof(float)];
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

/* What one tensor has lost so far. */
struct loss {
	double largest, squares, signal;
};

/* N elements (whole blocks of both types) from STORED. */
static enum t2l_status
convert(struct work *work, const struct gguf_entry *entry, enum dtype to, const void *stored,
    int64_t n, struct loss *loss, struct t2l_error *err)
{
	dtype_to_f32(entry->dtype, stored, work->values, n);
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(work->values[i]))
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: tensor '%s' holds a number that is not finite; the model is "
			    "damaged",
			    gguf_path(work->gguf), entry->name);
	dtype_from_f32(to, work->values, work->stored, n);
	dtype_to_f32(to, work->stored, work->back, n);
	for (int64_t i = 0; i < n; i++) {
		double error = (double)work->back[i] - (double)work->values[i];

		loss->largest = fmax(loss->largest, fabs(error));
		loss->squares += error * error;
		loss->signal += (double)work->values[i] * (double)work->values[i];
	}
	return gguf_writer_bytes(work->writer, work->stored, dtype_row_bytes(to, n), err);
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
write_tensor(struct work *work, size_t index, struct t2l_error *err)
{
	const struct gguf_entry *entry = gguf_at(work->gguf, index);
	const struct t2l_quantize_options *options = work->options;
	enum dtype to = work->dtypes[index];
	const unsigned char *stored = entry->bytes;
	int64_t n = count_of(entry), part;
	struct loss loss = { 0 };
	struct t2l_quantize_report report = { .tensor = entry->name,
		.from = dtype_name(entry->dtype),
		.to = dtype_name(to),
		.n = n,
		.done = index + 1,
		.all = gguf_count(work->gguf) };
	enum t2l_status status = T2L_OK;

	if (to == entry->dtype)
		status = gguf_writer_bytes(work->writer, stored, entry->n_bytes, err);
	/* Rows are whole blocks of both types, and stored back to back: so is the tensor. */
	for (int64_t at = 0; to != entry->dtype && at < n && status == T2L_OK; at += part) {
		part = n - at < CHUNK ? n - at : CHUNK;
		status = convert(work, entry, to, stored, part, &loss, err);
		stored += dtype_row_bytes(entry->dtype, part);
	}
	if (status != T2L_OK)
		return status;
	report.max_error = loss.largest;
	report.rms_error = n > 0 ? sqrt(loss.squares / (double)n) : 0;
	report.relative_error = loss.signal > 0 ? sqrt(loss.squares / loss.signal) : 0;
	report.n_bytes = dtype_row_bytes(to, n);
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
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "quantize: '%s' is a directory; GGUF files are quantised, and llama.cpp's "
		    "convert_hf_to_gguf.py makes one of a Hugging Face directory",
		    input);
	work = calloc(1, sizeof *work);
	if (work == NULL)
		return out_of_memory(err);
	work->options = options;
	work->type = quantisation_find(options->type);
	if (work->type == NULL)
		status = t2l_fail(err, T2L_EINVAL,
		    "quantize: type '%.40s' is none of q8_0, q6_k, q4_k_m, q4_0 and f16",
		    options->type);
	else
		status = gguf_open(input, &gguf, err);
	if (status == T2L_OK) {
		work->gguf = gguf;
		work->writer = gguf_writer_new();
		work->dtypes = calloc(gguf_count(gguf) + 1, sizeof *work->dtypes);
		status = work->writer == NULL || work->dtypes == NULL
			     ? out_of_memory(err)
			     : write_model(work, output, err);
	}
	gguf_writer_free(work->writer);
	gguf_close(gguf);
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
