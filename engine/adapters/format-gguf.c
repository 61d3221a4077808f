/*
 * format-gguf.c - LoRA in GGUF, as llama.cpp loads it.
 *
 * Tensors "blk.0.attn_q.weight.lora_a" [rank, in] and ".lora_b" [out, rank]; of embeddings A is
 * transposed; experts of a layer are one tensor [experts, ...]. In the llama family the rows of q's
 * and k's B lie as those of the base do (half.h). The loader's scale is adapter.lora.alpha / rank
 * of each tensor, or 1 when alpha is 0: so one alpha * rank relation serves all modules, or the
 * scales go into B. llama.cpp's own converter copies lora_alpha whatever use_rslora and
 * alpha_pattern say; nothing in its files tells.
 *
 * Keys beyond llama.cpp's, so that nothing is lost on the way back: <arch>.attention.key_length
 * (the head's size that ordered the rows), t2l.task, t2l.lora_alpha and t2l.use_rslora.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/format.h"
#include "engine/adapters/module-names.h"
#include "engine/adapters/pairs.h"
#include "engine/error.h"
#include "engine/formats/gguf-writer.h"

#define NAME_SIZE (GGML_NAME_SIZE + 32)
#define A_SUFFIX ".weight.lora_a"

/* ---- reading ---- */

struct gguf_lora {
	const struct gguf *gguf;
	const char *path, *architecture;
	double alpha; /* 0: the scale is 1 */
	int64_t head_dim;
	bool use_rslora;
	double lora_alpha;
};

static enum t2l_status
read_keys(struct gguf_lora *lora, struct t2l_error *err)
{
	const char *type = "model", *adapter = "lora";
	const struct gguf *gguf = lora->gguf;
	char key[128];
	enum t2l_status status;

	if ((status = gguf_string(gguf, "general.type", false, &type, err)) != T2L_OK ||
	    (status = gguf_string(gguf, "adapter.type", false, &adapter, err)) != T2L_OK ||
	    (status = gguf_string(gguf, "general.architecture", true, &lora->architecture, err)) !=
		T2L_OK ||
	    (status = gguf_number(gguf, "adapter.lora.alpha", false, &lora->alpha, err)) !=
		T2L_OK ||
	    (status = gguf_number(gguf, "t2l.lora_alpha", false, &lora->lora_alpha, err)) !=
		T2L_OK ||
	    (status = gguf_bool(gguf, "t2l.use_rslora", false, &lora->use_rslora, err)) != T2L_OK)
		return status;
	if (strcmp(type, "adapter") != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: this GGUF file holds a %.40s, not an adapter", lora->path, type);
	if (strcmp(adapter, "lora") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: adapter.type is '%.40s', not lora",
		    lora->path, adapter);
	snprintf(key, sizeof key, "%.64s.attention.key_length", lora->architecture);
	return gguf_integer(gguf, key, false, 2, 1 << 20, &lora->head_dim, err);
}

static bool
parse_name(const char *name, const char *architecture, struct adapter_module *module, bool *is_b)
{
	const size_t n = strlen(name), n_suffix = strlen(A_SUFFIX);

	if (n <= n_suffix || strncmp(name + n - n_suffix, A_SUFFIX, n_suffix - 1) != 0 ||
	    (name[n - 1] != 'a' && name[n - 1] != 'b'))
		return false;
	*is_b = name[n - 1] == 'b';
	return ggml_module_by_name(name, n - n_suffix, architecture, module);
}

/* One tensor, or one of each expert. */
static enum t2l_status
add_tensors(struct pairs *pairs, const struct gguf_lora *lora, const struct gguf_entry *entry,
    const struct adapter_module *place, bool is_b, struct t2l_error *err)
{
	const bool experts = module_in_experts(place->module);
	const int64_t *shape = entry->shape + (experts ? 1 : 0);
	const int64_t n = experts ? entry->shape[0] : 1;
	struct pair_tensor tensor = {
		.name = entry->name,
		.layer = place->layer,
		.module = place->module,
		.expert = MODULE_NO_EXPERT,
		.is_b = is_b,
		.transposed = module_is_embedding(place->module) && !is_b,
		.alpha = lora->alpha,
		.dtype = entry->dtype,
		.rows = shape[0],
		.cols = shape[1],
	};
	enum t2l_status status = T2L_OK;

	if (lora->alpha == 0)
		tensor.alpha = (double)pair_tensor_rank(&tensor);
	for (int64_t i = 0; i < n && status == T2L_OK; i++) {
		tensor.expert = experts ? (int)i : MODULE_NO_EXPERT;
		tensor.bytes = (const char *)entry->bytes + entry->n_bytes / (size_t)n * (size_t)i;
		status = pairs_add(pairs, &tensor, err);
	}
	return status;
}

static enum t2l_status
add_entry(struct pairs *pairs, const struct gguf_lora *lora, const struct gguf_entry *entry,
    struct t2l_error *err)
{
	struct adapter_module place = { .layer = MODULE_NO_LAYER };
	bool is_b;
	int n_dims;

	if (!parse_name(entry->name, lora->architecture, &place, &is_b))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%.100s' is no half of a module that is known in '%.40s'",
		    lora->path, entry->name, lora->architecture);
	n_dims = module_in_experts(place.module) ? 3 : 2;
	if (entry->n_dims != n_dims || (n_dims == 3 && entry->shape[0] > MODULE_MAX_EXPERTS))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%.100s' has %d dimensions; expected %d", lora->path, entry->name,
		    entry->n_dims, n_dims);
	if (!entry->convertible)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: tensor '%.100s': %s is not read",
		    lora->path, entry->name, entry->type_name);
	return add_tensors(pairs, lora, entry, &place, is_b, err);
}

static enum t2l_status
read_lora(struct gguf_lora *lora, struct t2l_adapter **out, struct t2l_error *err)
{
	struct pairs pairs = { .path = lora->path };
	struct adapter_labels labels = { .name = NULL };
	enum t2l_status status = read_keys(lora, err);

	if (status == T2L_OK)
		status = gguf_string(lora->gguf, "general.name", false, &labels.name, err);
	if (status == T2L_OK)
		status = gguf_string(lora->gguf, "t2l.task", false, &labels.task, err);
	if (status == T2L_OK)
		status = gguf_string(
		    lora->gguf, "general.base_model.0.name", false, &labels.base_name, err);
	for (size_t i = 0; i < gguf_count(lora->gguf) && status == T2L_OK; i++)
		status = add_entry(&pairs, lora, gguf_at(lora->gguf, i), err);
	if (lora->alpha != 0 && gguf_key_find(lora->gguf, "t2l.use_rslora") == NULL)
		labels.note = "a GGUF LoRA knows only alpha / rank; if llama.cpp's script made it "
			      "from an rsLoRA "
			      "or alpha_pattern adapter it is too weak (rsLoRA: by sqrt(rank)), "
			      "and nothing in the "
			      "file tells";
	if (status == T2L_OK) {
		pairs.neighbours = base_has_neighbours(lora->architecture);
		pairs.head_dim = (int)lora->head_dim;
		status = pairs_adapter(
		    &pairs, lora->use_rslora, lora->lora_alpha, &labels, "gguf", out, err);
	}
	pairs_free(&pairs);
	return status;
}

static enum t2l_status
gguf_read_adapter(const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	struct gguf_lora lora = { .path = path };
	struct gguf *gguf;
	enum t2l_status status = gguf_open(path, &gguf, err);

	if (status != T2L_OK)
		return status;
	lora.gguf = gguf;
	status = read_lora(&lora, out, err);
	gguf_close(gguf);
	return status;
}

/* ---- writing ---- */

/* The alpha of llama.cpp's loader that gives every module its scale; false: there is none. */
static bool
one_alpha(const struct t2l_adapter *adapter, double *alpha)
{
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		double own =
		    adapter->facts.use_rslora ? module->alpha * sqrt(module->rank) : module->alpha;

		if (i > 0 && (float)own != (float)*alpha)
			return false;
		*alpha = own;
	}
	return *alpha != 0; /* 0 would mean a scale of 1 */
}

/* The run of modules from AT that one tensor holds: the experts of a layer, or one module. */
static size_t
run_length(const struct t2l_adapter *adapter, size_t at)
{
	const struct adapter_module *first = &adapter->modules[at];
	size_t n = 1;

	while (module_in_experts(first->module) && at + n < adapter->n_modules &&
	       first[n].layer == first->layer && first[n].module == first->module)
		n++;
	return n;
}

static struct half
gguf_half(const struct export_job *job, const struct adapter_module *module, bool is_b)
{
	struct half half = half_of(module, is_b);

	half.transposed = module_is_embedding(module->module) && !is_b;
	if (half_is_rotated(module) && job->base->neighbours)
		half.head_dim = job->base->head_dim;
	return half;
}

static void
half_name(const struct adapter_module *module, bool is_b, char *name)
{
	char path[GGML_NAME_SIZE];

	ggml_module_name(module, path);
	snprintf(name, NAME_SIZE, "%s.weight.lora_%c", path, is_b ? 'b' : 'a');
}

/* A stacked tensor has room for every expert, all of one rank. */
static enum t2l_status
check_run(const struct export_job *job, size_t at, size_t n, struct t2l_error *err)
{
	const struct adapter_module *modules = &job->adapter->modules[at];
	char label[MODULE_PATH_SIZE];

	if (half_is_rotated(modules) && job->base->neighbours &&
	    (job->base->head_dim < 2 || tensor_cols(&modules->bt) % job->base->head_dim != 0))
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s has %lld outputs, which are no heads of %d; is this its base?",
		    adapter_module_label(modules, label, sizeof label),
		    (long long)tensor_cols(&modules->bt), job->base->head_dim);
	if (!module_in_experts(modules->module))
		return T2L_OK;
	for (size_t i = 0; i < n; i++)
		if (modules[i].expert != (int)i || modules[i].rank != modules->rank)
			n = 0;
	if (n == 0 || (int)n != job->base->n_experts)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: GGUF holds the experts of a layer as one tensor, so all %d must be there "
		    "with one "
		    "rank",
		    adapter_module_label(modules, label, sizeof label), job->base->n_experts);
	return T2L_OK;
}

static enum t2l_status
declare_all(struct export_job *job, struct gguf_writer *writer, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	enum t2l_status status = T2L_OK;
	char name[NAME_SIZE];
	size_t n;

	for (size_t at = 0; at < adapter->n_modules && status == T2L_OK; at += n) {
		n = run_length(adapter, at);
		status = check_run(job, at, n, err);
		for (int b = 0; b < 2; b++) {
			const struct half half = gguf_half(job, &adapter->modules[at], b == 1);
			const int64_t shape[] = { (int64_t)n, half_rows(&half), half_cols(&half) };
			const int skip = module_in_experts(half.module->module) ? 0 : 1;

			half_name(half.module, b == 1, name);
			gguf_writer_declare(writer, name, precision_dtype(job->precision, shape[2]),
			    3 - skip, shape + skip);
		}
	}
	return status;
}

static enum t2l_status
put_bytes(void *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	return gguf_writer_bytes(writer, bytes, n, err);
}

static enum t2l_status
write_tensors(struct export_job *job, struct gguf_writer *writer, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	enum t2l_status status = T2L_OK;
	char name[NAME_SIZE];
	size_t n;

	for (size_t at = 0; at < adapter->n_modules && status == T2L_OK; at += n) {
		n = run_length(adapter, at);
		for (size_t i = 0; i < 2 * n && status == T2L_OK; i++) {
			const struct half half =
			    gguf_half(job, &adapter->modules[at + i % n], i >= n);

			half_name(half.module, half.is_b, name);
			if ((status = export_step(job, err)) == T2L_OK)
				status = half_write(&half,
				    precision_dtype(job->precision, half_cols(&half)), name,
				    put_bytes, writer, err);
		}
	}
	return status;
}

static void
add_keys(struct export_job *job, struct gguf_writer *writer, double alpha)
{
	const struct t2l_adapter_facts *facts = &job->adapter->facts;
	char key[128];

	gguf_writer_string(writer, "general.architecture", job->base->architecture);
	gguf_writer_string(writer, "general.type", "adapter");
	gguf_writer_string(writer, "adapter.type", "lora");
	gguf_writer_string(
	    writer, "general.name", facts->name[0] != '\0' ? facts->name : "adapter");
	if (job->base_name[0] != '\0') {
		gguf_writer_integer(writer, "general.base_model.count", GGUF_U32, 1);
		gguf_writer_string(writer, "general.base_model.0.name", job->base_name);
	}
	gguf_writer_number(writer, "adapter.lora.alpha", GGUF_F32, alpha);
	gguf_writer_integer(writer, "general.quantization_version", GGUF_U32, 2);
	if (job->base->neighbours && job->base->head_dim > 0) {
		snprintf(key, sizeof key, "%s.attention.key_length", job->base->architecture);
		gguf_writer_integer(writer, key, GGUF_U32, job->base->head_dim);
	}
	if (job->task[0] != '\0')
		gguf_writer_string(writer, "t2l.task", job->task);
	if (alpha != 0) {
		gguf_writer_number(writer, "t2l.lora_alpha", GGUF_F64, facts->lora_alpha);
		gguf_writer_bool(writer, "t2l.use_rslora", facts->use_rslora);
	}
}

static enum t2l_status
write_file(struct export_job *job, double alpha, const char *path, struct t2l_error *err)
{
	struct gguf_writer *writer = gguf_writer_new();
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	add_keys(job, writer, alpha);
	if ((status = declare_all(job, writer, err)) == T2L_OK &&
	    (status = gguf_writer_begin(writer, path, err)) == T2L_OK &&
	    (status = write_tensors(job, writer, err)) == T2L_OK)
		status = gguf_writer_finish(writer, err);
	gguf_writer_free(writer);
	return status;
}

static enum t2l_status
check_base(const struct export_job *job, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	bool rotated = false;

	if (job->base == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "a GGUF adapter names its base's architecture and orders q and k by its heads; "
		    "give the base (a directory with its config.json is enough) or the head size");
	for (size_t i = 0; i < adapter->n_modules; i++)
		rotated = rotated || half_is_rotated(&adapter->modules[i]);
	if (rotated && job->base->neighbours && job->base->head_dim == 0)
		return t2l_fail(err, T2L_EINVAL,
		    "the rows of q and k are ordered by heads; give the base or the head size");
	return T2L_OK;
}

static enum t2l_status
gguf_write(struct export_job *job, const char *path, struct t2l_error *err)
{
	const struct t2l_adapter *given = job->adapter;
	struct t2l_adapter *folded;
	double alpha = 0;
	enum t2l_status status = check_base(job, err);

	if (status != T2L_OK)
		return status;
	export_tell_fallback(job);
	if (one_alpha(given, &alpha))
		return write_file(job, alpha, path, err);
	if ((status = adapter_fold(given, &folded, err)) != T2L_OK)
		return status;
	export_tell(
	    job->done, "modules differ in alpha: their scales are in B, adapter.lora.alpha is 0");
	job->adapter = folded;
	status = write_file(job, 0, path, err);
	job->adapter = given;
	t2l_adapter_close(folded);
	return status;
}

static bool
is_gguf(const struct adapter_probe *probe)
{
	return memcmp(probe->head, "GGUF", 4) == 0;
}

const struct adapter_format format_gguf = {
	.facts = {
		.name = "gguf",
		.holds = "one file that llama.cpp loads; one alpha, or scales in B",
		.precisions = "fp32 fp16 bf16 int8 q4_0 q4_k_m",
		.reads = true,
		.writes = true,
	},
	.mobile = "int8",
	.size = "q4_0",
	.is = is_gguf,
	.read = gguf_read_adapter,
	.write = gguf_write,
};
