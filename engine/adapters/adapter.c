/* adapter.c - a LoRA adapter in memory: made, sealed, found, shared, checked against a base. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/adapters/adapter.h"
#include "engine/error.h"
#include "engine/models/model.h"

#define ALIGN_FLOATS 16 /* one cache line */

/* ---- making ---- */

static enum t2l_status
check_module(const struct adapter_module *module, struct t2l_error *err)
{
	int64_t in = module->a.shape[1], out = module->bt.shape[1];
	char label[MODULE_PATH_SIZE];
	const char *name;

	if ((unsigned)module->module >= N_MODULES)
		return t2l_fail(
		    err, T2L_EINVAL, "adapter: module %d is not a known one", (int)module->module);
	name = adapter_module_label(module, label, sizeof label);
	if (module_in_layers(module->module) &&
	    (module->layer < 0 || module->layer >= ADAPTER_MAX_LAYERS))
		return t2l_fail(err, T2L_EFORMAT, "adapter: %s: layers go from 0 to %d", name,
		    ADAPTER_MAX_LAYERS - 1);
	if (module_in_experts(module->module) &&
	    (module->expert < 0 || module->expert >= MODULE_MAX_EXPERTS))
		return t2l_fail(err, T2L_EFORMAT, "adapter: %s: experts go from 0 to %d", name,
		    MODULE_MAX_EXPERTS - 1);
	if (module->rank < 1 || module->rank > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EFORMAT,
		    "adapter: %s: rank %d is not between 1 and %d; is this a LoRA?", name,
		    module->rank, ADAPTER_MAX_RANK);
	if (in < 1 || in > ADAPTER_MAX_FEATURES || out < 1 || out > ADAPTER_MAX_FEATURES)
		return t2l_fail(err, T2L_EFORMAT,
		    "adapter: %s: %" PRId64 " inputs and %" PRId64 " outputs; expected 1 to %d",
		    name, in, out, ADAPTER_MAX_FEATURES);
	if (!isfinite(module->alpha) || fabs(module->alpha) > 1e9)
		return t2l_fail(err, T2L_EFORMAT, "adapter: %s: alpha is no number", name);
	return T2L_OK;
}

/* One way to say "none", so that modules compare. */
static void
normalise_place(struct adapter_module *module)
{
	if ((unsigned)module->module >= N_MODULES)
		return;
	if (!module_in_layers(module->module))
		module->layer = MODULE_NO_LAYER;
	if (!module_in_experts(module->module))
		module->expert = MODULE_NO_EXPERT;
}

static int
compare_modules(const void *left, const void *right)
{
	const struct adapter_module *a = left, *b = right;

	if (a->layer != b->layer)
		return a->layer - b->layer;
	return a->module != b->module ? (int)a->module - (int)b->module : a->expert - b->expert;
}

static enum t2l_status
check_modules(const struct adapter_module *modules, size_t n, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];
	enum t2l_status status;

	if (n == 0)
		return t2l_fail(err, T2L_EFORMAT, "adapter: it changes no module");
	if (n > ADAPTER_MAX_MODULES)
		return t2l_fail(err, T2L_EFORMAT, "adapter: it changes %zu modules; at most %d", n,
		    ADAPTER_MAX_MODULES);
	for (size_t i = 0; i < n; i++) {
		if ((status = check_module(&modules[i], err)) != T2L_OK)
			return status;
		if (i > 0 && compare_modules(&modules[i - 1], &modules[i]) == 0)
			return t2l_fail(err, T2L_EFORMAT, "adapter: %s is there twice",
			    adapter_module_label(&modules[i], label, sizeof label));
	}
	return T2L_OK;
}

static size_t
padded_count(int64_t rank, int64_t cols)
{
	size_t count = (size_t)rank * (size_t)cols;

	return (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

static void
place(struct tensor *tensor, int rank, float *data)
{
	tensor->dtype = DTYPE_F32;
	tensor->n_dims = 2;
	tensor->shape[0] = rank;
	tensor->data = data;
	tensor->grad = NULL;
}

/* Memory for the numbers. No overflow: at most 2^22 modules * 2^12 ranks * 2^25 columns. */
static enum t2l_status
allocate(struct t2l_adapter *adapter, struct t2l_error *err)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		total += padded_count(module->rank, module->a.shape[1]) +
			 padded_count(module->rank, module->bt.shape[1]);
	}
	adapter->memory = aligned_alloc(ALIGN_FLOATS * sizeof(float), total * sizeof(float));
	if (adapter->memory == NULL)
		return t2l_fail(err, T2L_ENOMEM, "adapter: out of memory for %zu numbers", total);
	memset(adapter->memory, 0, total * sizeof(float));
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *module = &adapter->modules[i];

		place(&module->a, module->rank, adapter->memory + at);
		at += padded_count(module->rank, module->a.shape[1]);
		place(&module->bt, module->rank, adapter->memory + at);
		at += padded_count(module->rank, module->bt.shape[1]);
	}
	return T2L_OK;
}

struct adapter_block *
adapter_block_make(void *memory, void (*release)(void *memory))
{
	struct adapter_block *block = malloc(sizeof *block);

	if (block != NULL)
		*block = (struct adapter_block){ 1, release, memory };
	return block;
}

void
adapter_block_release(struct adapter_block *block)
{
	if (block == NULL || __atomic_sub_fetch(&block->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	block->release(block->memory);
	free(block);
}

/* The numbers stay where they are. */
static void
adopt(struct t2l_adapter *adapter, struct adapter_block *block)
{
	__atomic_add_fetch(&block->references, 1, __ATOMIC_RELAXED);
	adapter->block = block;
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *module = &adapter->modules[i];

		place(&module->a, module->rank, module->a.data);
		place(&module->bt, module->rank, module->bt.data);
	}
}

/* ---- labels ---- */

#define N_LABELS 9 /* those of adapter_labels and the list of modules */

static void
list_modules(const struct t2l_adapter *adapter, char *out, size_t size)
{
	bool present[N_MODULES] = { false };
	size_t used = 0;

	for (size_t i = 0; i < adapter->n_modules; i++)
		present[adapter->modules[i].module] = true;
	out[0] = '\0';
	for (int i = 0; i < N_MODULES; i++) {
		if (present[i])
			used += (size_t)snprintf(out + used, size - used, "%s%s",
			    used > 0 ? "," : "", module_name((enum module)i));
	}
}

/* Copies all strings of facts into one block. */
static enum t2l_status
set_labels(struct t2l_adapter *adapter, const struct adapter_labels *labels, struct t2l_error *err)
{
	struct t2l_adapter_facts *facts = &adapter->facts;
	char modules[640];
	const struct {
		const char *text;
		const char **place;
	} strings[N_LABELS] = {
		{ labels->name, &facts->name },
		{ labels->task, &facts->task },
		{ labels->base_name, &facts->base_name },
		{ labels->base_fingerprint, &facts->base_fingerprint },
		{ labels->hypernet, &facts->hypernet },
		{ labels->encoder, &facts->encoder },
		{ labels->lineage, &facts->lineage },
		{ labels->note, &facts->note },
		{ modules, &facts->modules },
	};
	size_t total = 0;
	char *at;

	list_modules(adapter, modules, sizeof modules);
	for (int i = 0; i < N_LABELS; i++)
		total += strlen(strings[i].text != NULL ? strings[i].text : "") + 1;
	adapter->labels = at = malloc(total);
	if (at == NULL)
		return t2l_fail(err, T2L_ENOMEM, "adapter: out of memory");
	for (int i = 0; i < N_LABELS; i++) {
		*strings[i].place = at;
		at = stpcpy(at, strings[i].text != NULL ? strings[i].text : "") + 1;
	}
	return T2L_OK;
}

static enum t2l_status
set_facts(struct t2l_adapter *adapter, bool use_rslora, struct t2l_error *err)
{
	struct t2l_adapter_facts *facts = &adapter->facts;

	adapter->tensor_names = calloc(2 * adapter->n_modules, sizeof *adapter->tensor_names);
	if (adapter->tensor_names == NULL)
		return t2l_fail(err, T2L_ENOMEM, "adapter: out of memory");
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *module = &adapter->modules[i];

		module->scale = (float)(module->alpha /
					(use_rslora ? sqrt(module->rank) : (double)module->rank));
		if (module->rank > facts->rank)
			facts->rank = module->rank;
		facts->n_layers += module_in_layers(module->module) &&
				   (i == 0 || module->layer != module[-1].layer);
		facts->n_parameters += tensor_count(&module->a) + tensor_count(&module->bt);
		for (int b = 0; b < 2; b++)
			adapter_tensor_name(module, b == 0,
			    adapter->tensor_names[2 * i + (size_t)b],
			    sizeof adapter->tensor_names[0]);
	}
	snprintf(facts->format, sizeof facts->format, "native");
	facts->use_rslora = use_rslora;
	facts->lora_alpha = adapter->modules[0].alpha;
	facts->scale = (double)adapter->modules[0].scale;
	facts->n_tensors = 2 * adapter->n_modules;
	return T2L_OK;
}

enum t2l_status
adapter_create_in(struct adapter_block *block, const struct adapter_module *modules,
    size_t n_modules, bool use_rslora, const struct adapter_labels *labels,
    struct t2l_adapter **out, struct t2l_error *err)
{
	struct t2l_adapter *adapter = calloc(1, sizeof *adapter);
	enum t2l_status status;

	if (adapter != NULL)
		adapter->modules = calloc(n_modules > 0 ? n_modules : 1, sizeof *modules);
	if (adapter == NULL || adapter->modules == NULL) {
		free(adapter);
		return t2l_fail(err, T2L_ENOMEM, "adapter: out of memory");
	}
	adapter->references = 1;
	adapter->n_modules = n_modules;
	if (n_modules > 0)
		memcpy(adapter->modules, modules, n_modules * sizeof *modules);
	for (size_t i = 0; i < n_modules; i++)
		normalise_place(&adapter->modules[i]);
	qsort(adapter->modules, n_modules, sizeof *modules, compare_modules);
	if (block != NULL)
		adopt(adapter, block);
	if ((status = check_modules(adapter->modules, n_modules, err)) != T2L_OK ||
	    (status = block == NULL ? allocate(adapter, err) : T2L_OK) != T2L_OK ||
	    (status = set_facts(adapter, use_rslora, err)) != T2L_OK ||
	    (status = set_labels(adapter, labels, err)) != T2L_OK) {
		t2l_adapter_close(adapter);
		return status;
	}
	*out = adapter;
	return T2L_OK;
}

enum t2l_status
adapter_create(const struct adapter_module *modules, size_t n_modules, bool use_rslora,
    const struct adapter_labels *labels, struct t2l_adapter **out, struct t2l_error *err)
{
	return adapter_create_in(NULL, modules, n_modules, use_rslora, labels, out, err);
}

/* ---- sealing ---- */

/* The exponent's bits are all set in infinities and NaN alone: one more there carries into the
 * sign. */
static bool
all_finite(const float *values, int64_t n)
{
	enum { LANES = 16 };
	uint32_t carries[LANES] = { 0 }, bits[LANES], any = 0;

	for (; n >= LANES; n -= LANES, values += LANES) {
		memcpy(bits, values, sizeof bits);
		for (int i = 0; i < LANES; i++)
			carries[i] |= (bits[i] & 0x7fffffff) + 0x00800000;
	}
	memset(bits, 0, sizeof bits);
	memcpy(bits, values, (size_t)n * sizeof *values);
	for (int i = 0; i < LANES; i++)
		any |= carries[i] | ((bits[i] & 0x7fffffff) + 0x00800000);
	return any >> 31 == 0;
}

static enum t2l_status
fail_not_finite(
    const struct adapter_module *module, const struct tensor *tensor, struct t2l_error *err)
{
	const float *values = tensor_f32(tensor);
	char label[MODULE_PATH_SIZE];
	int64_t i = 0;

	while (isfinite(values[i]))
		i++;
	return t2l_fail(err, T2L_EFORMAT, "adapter: %s of %s: number %" PRId64 " is %s",
	    tensor == &module->a ? "A" : "B", adapter_module_label(module, label, sizeof label), i,
	    isnan(values[i]) ? "not a number (NaN)" : "infinite");
}

/* In pieces that the nearest cache still holds when they are hashed. */
static enum t2l_status
hash_finite(struct hash *hash, const struct adapter_module *module, const struct tensor *tensor,
    struct t2l_error *err)
{
	enum { PIECE = 4096 };
	const float *values = tensor_f32(tensor);

	for (int64_t left = tensor_count(tensor), n; left > 0; left -= n, values += n) {
		n = left < PIECE ? left : PIECE;
		if (!all_finite(values, n))
			return fail_not_finite(module, tensor, err);
		hash_add(hash, values, (size_t)n * sizeof *values);
	}
	return T2L_OK;
}

/* What the numbers of a module are: its place and shape. */
static void
hash_place(struct hash *hash, const struct adapter_module *module)
{
	uint32_t scale_bits;
	char line[160], expert[16] = "";
	int n;

	memcpy(&scale_bits, &module->scale, sizeof scale_bits);
	if (module->expert != MODULE_NO_EXPERT)
		snprintf(expert, sizeof expert, "%d.", module->expert);
	n = snprintf(line, sizeof line, "%d %s%s %d %" PRId64 " %" PRId64 " %08" PRIx32 "\n",
	    module->layer, expert, module_name(module->module), module->rank,
	    tensor_cols(&module->a), tensor_cols(&module->bt), scale_bits);
	hash_add(hash, line, (size_t)n);
}

enum t2l_status
adapter_seal(struct t2l_adapter *adapter, struct t2l_error *err)
{
	enum t2l_status status;
	struct hash hash;

	hash_start(&hash);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		hash_place(&hash, module);
		if ((status = hash_finite(&hash, module, &module->a, err)) != T2L_OK ||
		    (status = hash_finite(&hash, module, &module->bt, err)) != T2L_OK)
			return status;
	}
	if (adapter->facts.gguf_rows)
		hash_add(&hash, "gguf rows\n", 10);
	hash_finish(&hash, adapter->facts.hash);
	return T2L_OK;
}

/* ---- sharing ---- */

struct t2l_adapter *
t2l_adapter_ref(const struct t2l_adapter *adapter)
{
	struct t2l_adapter *shared = (struct t2l_adapter *)adapter;

	__atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
	return shared;
}

void
t2l_adapter_close(struct t2l_adapter *adapter)
{
	if (adapter == NULL || __atomic_sub_fetch(&adapter->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (adapter->numbers != NULL) {
		t2l_adapter_close(adapter->numbers);
	} else {
		free(adapter->modules);
		free(adapter->memory);
		adapter_block_release(adapter->block);
		free(adapter->tensor_names);
	}
	free(adapter->labels);
	free(adapter);
}

enum t2l_status
t2l_adapter_relabel(const struct t2l_adapter *adapter, const char *name, const char *task,
    struct t2l_adapter **out, struct t2l_error *err)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;
	const struct adapter_labels labels = {
		.name = name != NULL ? name : facts->name,
		.task = task != NULL ? task : facts->task,
		.base_name = facts->base_name,
		.base_fingerprint = facts->base_fingerprint,
		.hypernet = facts->hypernet,
		.encoder = facts->encoder,
		.lineage = facts->lineage,
		.note = facts->note,
	};
	struct t2l_adapter *copy = malloc(sizeof *copy);
	enum t2l_status status;

	if (copy == NULL)
		return t2l_fail(err, T2L_ENOMEM, "adapter: out of memory");
	*copy = *adapter;
	if ((status = set_labels(copy, &labels, err)) != T2L_OK) {
		free(copy);
		return status;
	}
	copy->references = 1;
	copy->memory = NULL;
	copy->block = NULL;
	copy->numbers = t2l_adapter_ref(adapter->numbers != NULL ? adapter->numbers : adapter);
	*out = copy;
	return T2L_OK;
}

/* ---- looking ---- */

const struct t2l_adapter_facts *
t2l_adapter_facts(const struct t2l_adapter *adapter)
{
	return &adapter->facts;
}

enum t2l_status
t2l_adapter_tensor(const struct t2l_adapter *adapter, size_t index, struct t2l_tensor_facts *facts,
    struct t2l_error *err)
{
	const struct adapter_module *module;
	bool is_a = index % 2 == 0;

	if (index >= adapter->facts.n_tensors)
		return t2l_fail(err, T2L_EINVAL, "adapter: there is no tensor %zu; it has %zu",
		    index, adapter->facts.n_tensors);
	module = &adapter->modules[index / 2];
	*facts = (struct t2l_tensor_facts){
		.name = adapter->tensor_names[index],
		.dtype = dtype_name(DTYPE_F32),
		.n_dims = 2,
		.shape = { is_a ? module->rank : tensor_cols(&module->bt),
		    is_a ? tensor_cols(&module->a) : module->rank },
	};
	return T2L_OK;
}

const struct adapter_module *
adapter_find(const struct t2l_adapter *adapter, int layer, enum module module, int expert)
{
	struct adapter_module key = { .layer = layer, .module = module, .expert = expert };

	normalise_place(&key);
	return bsearch(&key, adapter->modules, adapter->n_modules, sizeof key, compare_modules);
}

void
adapter_module_path(const struct adapter_module *module, char *path, size_t size)
{
	module_path(module->layer, module->module, module->expert, path, size);
}

void
adapter_tensor_name(const struct adapter_module *module, bool is_a, char *name, size_t size)
{
	char path[MODULE_PATH_SIZE];

	adapter_module_path(module, path, sizeof path);
	snprintf(name, size,
	    module_is_embedding(module->module) ? "base_model.model.%s.lora_embedding_%c"
						: "base_model.model.%s.lora_%c.weight",
	    path, is_a ? 'A' : 'B');
}

const char *
adapter_module_label(const struct adapter_module *module, char *label, size_t size)
{
	return module_label(module->layer, module->module, module->expert, label, size);
}

/* ---- checking ---- */

enum t2l_status
adapter_check_config(
    const struct t2l_adapter *adapter, const struct decoder_config *config, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		int64_t in = decoder_module_in(config, module->module);
		int64_t out = decoder_module_out(config, module->module);
		const char *name = adapter_module_label(module, label, sizeof label);

		if (in == 0)
			return t2l_fail(err, T2L_EMISMATCH,
			    "the adapter changes %s; the base (%s) has no such module", name,
			    config->kind->name);
		if (module->layer >= config->n_layers)
			return t2l_fail(err, T2L_EMISMATCH,
			    "the adapter changes layer %d; the base has %d layers", module->layer,
			    config->n_layers);
		if (module_in_experts(module->module) && module->expert >= config->n_experts)
			return t2l_fail(err, T2L_EMISMATCH,
			    "the adapter changes %s; the base has %d experts", name,
			    config->n_experts);
		if (module_is_embedding(module->module) && tensor_count(&module->a) > INT32_MAX)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "the adapter's %s: rank %d over %" PRId64 " tokens is not supported",
			    name, module->rank, in);
		if (tensor_cols(&module->a) != in || tensor_cols(&module->bt) != out)
			return t2l_fail(err, T2L_EMISMATCH,
			    "the adapter's %s is for a %" PRId64 " x %" PRId64
			    " matrix; the base's is %" PRId64 " x %" PRId64,
			    name, tensor_cols(&module->bt), tensor_cols(&module->a), out, in);
	}
	return T2L_OK;
}

enum t2l_status
t2l_adapter_check(const struct t2l_adapter *adapter, const struct t2l_model *model,
    bool *other_base, struct t2l_error *err)
{
	const struct t2l_model_facts *base = &model->base->facts;
	const char *made_for = adapter->facts.base_fingerprint;
	enum t2l_status status = adapter_check_config(adapter, &model->base->decoder.config, err);

	if (status != T2L_OK)
		return t2l_context(err, "%s does not fit '%s'",
		    adapter->facts.name[0] != '\0' ? adapter->facts.name : "adapter", base->name);
	if (other_base != NULL)
		*other_base = made_for[0] != '\0' && base->fingerprint[0] != '\0' &&
			      strcmp(made_for, base->fingerprint) != 0;
	return T2L_OK;
}
