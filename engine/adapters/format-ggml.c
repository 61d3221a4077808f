/*
 * format-ggml.c - t2l GGML v1 (formats/ggml.h): A and B as two tensors of a module, each with
 * alpha.
 *
 * Names are llama.cpp's without ".weight" ("blk.0.attn_q.lora_a"), of experts with their number
 * ("blk.0.ffn_gate_exps.3.lora_a"); shapes are PyTorch's, rows of q and k in Hugging Face's order
 * (not as in GGUF). scale = alpha / rank; for rsLoRA alpha * sqrt(rank) is stored and the metadata
 * keeps PEFT's own number.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "engine/adapters/format.h"
#include "engine/adapters/module-names.h"
#include "engine/adapters/pairs.h"
#include "engine/error.h"
#include "engine/formats/ggml.h"

#define NAME_SIZE (GGML_NAME_SIZE + 32)

/* ---- names ---- */

static void
tensor_name(const struct adapter_module *module, bool is_b, char *name)
{
	char path[GGML_NAME_SIZE], expert[16] = "";

	ggml_module_name(module, path);
	if (module_in_experts(module->module))
		snprintf(expert, sizeof expert, ".%d", module->expert);
	snprintf(name, NAME_SIZE, "%s%s.lora_%c", path, expert, is_b ? 'b' : 'a');
}

/* ".12" at the end of NAME's first *N bytes -> 12, and *N without it. */
static int
take_expert(const char *name, size_t *n)
{
	size_t at = *n;
	int expert = 0, place = 1;

	while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9' && *n - at < 4) {
		expert += place * (name[--at] - '0');
		place *= 10;
	}
	if (at == *n || at < 2 || name[at - 1] != '.')
		return MODULE_NO_EXPERT;
	*n = at - 1;
	return expert;
}

static bool
parse_name(const char *name, const char *architecture, struct adapter_module *module, bool *is_b)
{
	size_t n = strlen(name);

	if (n < 8 || strncmp(name + n - 7, ".lora_", 6) != 0 ||
	    (name[n - 1] != 'a' && name[n - 1] != 'b'))
		return false;
	*is_b = name[n - 1] == 'b';
	n -= 7;
	module->expert = take_expert(name, &n);
	return ggml_module_by_name(name, n, architecture, module) &&
	       module_in_experts(module->module) == (module->expert != MODULE_NO_EXPERT);
}

/* ---- reading ---- */

static enum t2l_status
add_tensor(struct pairs *pairs, const struct ggml_tensor *tensor, const char *architecture,
    struct t2l_error *err)
{
	struct adapter_module place;
	bool is_b;

	if (!parse_name(tensor->name, architecture, &place, &is_b))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%.100s' is no half of a known module", pairs->path, tensor->name);
	if (tensor->n_dims != 2)
		return t2l_fail(err, T2L_EFORMAT, "%s: tensor '%.100s' has %d dimensions, not 2",
		    pairs->path, tensor->name, tensor->n_dims);
	if (!tensor->convertible)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: tensor '%.100s': %s is not read",
		    pairs->path, tensor->name, tensor->type_name);
	return pairs_add(pairs,
	    &(struct pair_tensor){
		.name = tensor->name,
		.layer = place.layer,
		.module = place.module,
		.expert = place.expert,
		.is_b = is_b,
		.alpha = (double)tensor->alpha,
		.dtype = tensor->dtype,
		.rows = tensor->shape[0],
		.cols = tensor->shape[1],
		.bytes = tensor->bytes,
	    },
	    err);
}

static enum t2l_status
read_tensors(
    const struct ggml *ggml, const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct adapter_labels labels = {
		.name = ggml_metadata(ggml, "general.name"),
		.task = ggml_metadata(ggml, "t2l.task"),
		.base_name = ggml_metadata(ggml, "general.base_model"),
	};
	const char *rslora = ggml_metadata(ggml, "lora.use_rslora");
	const char *alpha = ggml_metadata(ggml, "lora.alpha");
	bool use_rslora = rslora != NULL && strcmp(rslora, "true") == 0;
	struct pairs pairs = { .path = path };
	enum t2l_status status = T2L_OK;
	double lora_alpha = 0;

	for (size_t i = 0; i < ggml_count(ggml) && status == T2L_OK; i++)
		status = add_tensor(&pairs, ggml_at(ggml, i), ggml_architecture(ggml), err);
	use_rslora = use_rslora && alpha != NULL && number_parse(alpha, strlen(alpha), &lora_alpha);
	if (status == T2L_OK)
		status = pairs_adapter(&pairs, use_rslora, lora_alpha, &labels, "ggml", out, err);
	pairs_free(&pairs);
	return status;
}

static enum t2l_status
ggml_read(const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	struct ggml *ggml;
	enum t2l_status status = ggml_open(path, &ggml, err);

	if (status != T2L_OK)
		return status;
	status = read_tensors(ggml, path, out, err);
	ggml_close(ggml);
	return status;
}

/* ---- writing ---- */

static enum t2l_status
put_bytes(void *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	return ggml_writer_bytes(writer, bytes, n, err);
}

static enum t2l_status
write_half(struct export_job *job, struct ggml_writer *writer, const struct half *half,
    struct t2l_error *err)
{
	const struct adapter_module *module = half->module;
	const int64_t shape[] = { half_rows(half), half_cols(half) };
	const enum dtype dtype = precision_dtype(job->precision, shape[1]);
	const double alpha =
	    job->adapter->facts.use_rslora ? module->alpha * sqrt(module->rank) : module->alpha;
	char name[NAME_SIZE];
	enum t2l_status status;

	tensor_name(module, half->is_b, name);
	if ((status = export_step(job, err)) != T2L_OK ||
	    (status = ggml_writer_tensor(writer, name, dtype, 2, shape, err)) != T2L_OK ||
	    (status = half_write(half, dtype, name, put_bytes, writer, err)) != T2L_OK)
		return status;
	return ggml_writer_alpha(writer, (float)alpha, err);
}

static enum t2l_status
ggml_write(struct export_job *job, const char *path, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	const struct adapter_module *first = &adapter->modules[0];
	char rank[16], alpha[32];
	const char *const metadata[][2] = {
		{ "general.name", adapter->facts.name },
		{ "general.base_model", job->base_name },
		{ "lora.rank", rank },
		{ "lora.alpha", number_text(first->alpha, alpha, sizeof alpha) },
		{ "lora.use_rslora", adapter->facts.use_rslora ? "true" : "false" },
		{ "lora.quantisation", job->precision->name },
		{ "t2l.task", job->task },
	};
	struct ggml_writer *writer;
	enum t2l_status status;

	snprintf(rank, sizeof rank, "%d", first->rank);
	status = ggml_writer_open(path, job->base != NULL ? job->base->architecture : "llama",
	    adapter->facts.n_tensors, metadata, sizeof metadata / sizeof metadata[0], &writer, err);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < adapter->facts.n_tensors && status == T2L_OK; i++) {
		struct half half = half_of(&adapter->modules[i / 2], i % 2 == 1);

		status = write_half(job, writer, &half, err);
	}
	export_tell_fallback(job);
	if (status == T2L_OK)
		status = ggml_writer_finish(writer, err);
	ggml_writer_free(writer);
	return status;
}

/* Bytes 6C 6D 67 67: the magic 0x67676d6c, little-endian. */
static bool
is_ggml(const struct adapter_probe *probe)
{
	return memcmp(probe->head, "lmgg", 4) == 0;
}

const struct adapter_format format_ggml = {
	.facts = {
		.name = "ggml",
		.holds = "one file of the t2l GGML v1 specification: any modules, ranks and scales",
		.precisions = "fp32 fp16 int8 q4_0 q4_k_m",
		.reads = true,
		.writes = true,
	},
	.mobile = "int8",
	.size = "q4_0",
	.is = is_ggml,
	.read = ggml_read,
	.write = ggml_write,
};
