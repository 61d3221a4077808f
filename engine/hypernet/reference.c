/*
 * reference.c - checkpoints of the reference (SakanaAI/text-to-lora): hypermod.pt, args.yaml,
 * adapter_config.json.
 *
 * The tensors tell the design, the task encoder and every size; args.yaml, which the reference
 * itself half ignores, is compared with them, and alone tells what becomes of the heads' numbers
 * and which text encoder belongs to them; adapter_config.json has alpha and rsLoRA. The order of
 * the module types is that of the heads.* keys in the pickle and nothing else: other lists are in
 * the order of a Python set, or sorted.
 *
 * AB_offset, mean_ and std_recon_target are always there, mostly zeros and without effect; they are
 * kept when they have one, B as [rank, out] like everywhere here.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/config-file.h"
#include "base/file.h"
#include "base/visible.h"
#include "engine/error.h"
#include "engine/adapters/peft.h"
#include "engine/formats/fingerprint.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/formats/torch-checkpoint.h"
#include "engine/hypernet/network.h"
#include "engine/models/loader.h"

#define WEIGHTS "hypermod.pt"
#define ARGUMENTS "args.yaml"
#define ADAPTER_CONFIG "adapter_config.json"
#define PATH_SIZE 4096
#define MAX_JSON ((size_t)4 << 20)
#define DROPOUT 0.05F /* in the reference a constant */

/* A checkpoint being read. */
struct reading {
	char weights[PATH_SIZE], arguments[PATH_SIZE], adapter[PATH_SIZE];
	struct safetensors *st;
	struct config_value *args;
	cJSON *lora;
	struct hypernet_config config;
	struct t2l_error *err;
};

/* ---- the files ---- */

static bool
is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
hypernet_is_reference(const char *path)
{
	struct mapped_file file;
	bool torch;

	if (is_folder(path))
		return true;
	if (mapped_file_open(path, &file) != 0)
		return false;
	torch = torch_checkpoint_is(file.bytes, file.n);
	mapped_file_close(&file);
	return torch;
}

bool
hypernet_reference_weights(const char *path, char *file, size_t size)
{
	bool folder = is_folder(path);

	return (size_t)snprintf(file, size, "%s%s", path, folder ? "/" WEIGHTS : "") < size &&
	       is_there(file);
}

/* Checkpoints of a run in progress lie in RUN/checkpoints/it_N/, the other files in RUN. */
static enum t2l_status
find_files(struct reading *r, const char *path)
{
	static const char *const places[] = { "", "../../" };
	const char *slash = strrchr(path, '/');
	char folder[PATH_SIZE];
	int n = 0;

	if (is_folder(path)) {
		snprintf(folder, sizeof folder, "%s/", path);
		n = snprintf(r->weights, PATH_SIZE, "%s" WEIGHTS, folder);
	} else {
		snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 0,
		    path);
		n = snprintf(r->weights, PATH_SIZE, "%s", path);
	}
	for (size_t i = 0; i < 2 && n < PATH_SIZE; i++) {
		n = snprintf(r->arguments, PATH_SIZE, "%s%s" ARGUMENTS, folder, places[i]);
		if (n < PATH_SIZE)
			n = snprintf(
			    r->adapter, PATH_SIZE, "%s%s" ADAPTER_CONFIG, folder, places[i]);
		if (n < PATH_SIZE && is_there(r->arguments))
			return T2L_OK;
	}
	if (n >= PATH_SIZE)
		return t2l_fail(r->err, T2L_EINVAL, "the path '%.60s...' is too long", path);
	if (!is_there(r->weights))
		return t2l_fail(r->err, T2L_ENOENT,
		    "%s: no " WEIGHTS " there; a checkpoint is its folder, or one file of ours",
		    path);
	return t2l_fail(r->err, T2L_ENOENT,
	    "%s: no " ARGUMENTS " beside it, nor two folders above; it belongs to the checkpoint",
	    r->weights);
}

static enum t2l_status
open_files(struct reading *r)
{
	struct config_error fault;
	char message[512];
	enum t2l_status status = safetensors_open(r->weights, &r->st, r->err);

	if (status != T2L_OK)
		return status;
	r->args = config_open(r->arguments, &fault);
	if (r->args == NULL) {
		config_error_text(&fault, r->arguments, message, sizeof message);
		return t2l_fail(r->err, T2L_EFORMAT, "%s", message);
	}
	return json_open(r->adapter, MAX_JSON, &r->lora, r->err);
}

/* ---- args.yaml ---- */

static enum t2l_status
argument_fault(struct reading *r, const struct config_error *fault)
{
	char message[512];

	config_error_text(fault, r->arguments, message, sizeof message);
	return t2l_fail(r->err, T2L_EFORMAT, "%s", message);
}

/* A flag that is absent is what OUT has. */
static enum t2l_status
argument_flag(struct reading *r, const char *key, bool *out)
{
	struct config_error fault;

	return config_bool(r->args, key, out, &fault) ? T2L_OK : argument_fault(r, &fault);
}

/* "" when absent or null. */
static enum t2l_status
argument_text(struct reading *r, const char *key, const char **out)
{
	const struct config_value *value = config_get(r->args, key);
	struct config_error fault;

	*out = "";
	if (value == NULL || value->kind == CONFIG_NULL)
		return T2L_OK;
	return config_string(r->args, key, out, &fault) ? T2L_OK : argument_fault(r, &fault);
}

/* What args.yaml says of the shape must be what the tensors have: else it is another run's. */
static enum t2l_status
compare_with_arguments(struct reading *r)
{
	const struct hypernet_config *config = &r->config;
	const struct {
		const char *key;
		bool found, counts;
	} designs[] = {
		{ "shared_AB_head", config->shared_head, true },
		{ "autoreg_gen", config->rowwise, true },
		{ "learnable_pos_emb", config->learned_positions, config->rowwise },
	};
	const struct {
		const char *key;
		int found;
	} widths[] = {
		{ "hypernet_latent_size", config->latent_size },
		{ "head_in_size", config->head_in_size },
	};
	struct config_error fault;
	enum t2l_status status;

	for (size_t i = 0; i < sizeof designs / sizeof designs[0]; i++) {
		bool said = designs[i].found;

		if ((status = argument_flag(r, designs[i].key, &said)) != T2L_OK)
			return status;
		if (designs[i].counts && said != designs[i].found)
			return t2l_fail(r->err, T2L_EMISMATCH,
			    "%s: key '%s' is %s, but the tensors of '%s' say %s; do the files "
			    "belong "
			    "together?",
			    r->arguments, designs[i].key, said ? "true" : "false", r->weights,
			    said ? "false" : "true");
	}
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		int64_t said = widths[i].found;

		if (!config_integer(r->args, widths[i].key, 1, INT32_MAX, &said, &fault))
			return argument_fault(r, &fault);
		if (said != widths[i].found)
			return t2l_fail(r->err, T2L_EMISMATCH,
			    "%s: key '%s' is %lld, but the tensors of '%s' say %d; do the files "
			    "belong "
			    "together?",
			    r->arguments, widths[i].key, (long long)said, r->weights,
			    widths[i].found);
	}
	return T2L_OK;
}

/* From the heads' numbers to A and B. */
static enum t2l_status
read_output(struct reading *r)
{
	bool z_scores = true, factorized = false;
	double scaling = 10000;
	const char *task;
	struct config_error fault;
	enum t2l_status status;

	if ((status = argument_text(r, "training_task", &task)) != T2L_OK ||
	    (status = argument_flag(r, "pred_z_score", &z_scores)) != T2L_OK ||
	    (status = argument_flag(r, "factorized", &factorized)) != T2L_OK)
		return status;
	if (!config_number(r->args, "delta_w_scaling", 1e-9, 1e18, &scaling, &fault))
		return argument_fault(r, &fault);
	if (strcmp(task, "sft") == 0) {
		r->config.offset = true;
		return T2L_OK;
	}
	if (strcmp(task, "recon") != 0)
		return t2l_fail(r->err, T2L_EUNSUPPORTED,
		    "%s: key 'training_task' is '%.40s'; 'sft' and 'recon' are known", r->arguments,
		    task);
	if (z_scores && !factorized)
		return t2l_fail(r->err, T2L_EUNSUPPORTED,
		    "%s: pred_z_score without factorized: such a checkpoint cannot make adapters, "
		    "nor can the reference's own program",
		    r->arguments);
	r->config.standardised = z_scores;
	r->config.output_divisor = factorized ? 0 : sqrt(scaling);
	return T2L_OK;
}

static enum t2l_status
read_one_hot(struct reading *r)
{
	const struct config_value *names = NULL;
	struct config_error fault;
	enum t2l_status status = argument_flag(r, "use_one_hot_task_emb", &r->config.one_hot);

	if (status != T2L_OK || !r->config.one_hot)
		return status;
	if (!config_list(r->args, "train_ds_names", CONFIG_STRING, &names, &fault))
		return argument_fault(r, &fault);
	if (names == NULL || (int64_t)names->n_children != r->config.embedding_size)
		return t2l_fail(r->err, T2L_EMISMATCH,
		    "%s: key 'train_ds_names' has %zu tasks, but the tensors of '%s' take one-hot "
		    "vectors of %d",
		    r->arguments, names != NULL ? names->n_children : 0, r->weights,
		    r->config.embedding_size);
	return T2L_OK;
}

/* ---- adapter_config.json ---- */

/* Names may be in any order: peft keeps them as a set. */
static enum t2l_status
check_targets(struct reading *r)
{
	const cJSON *targets, *item;
	enum t2l_status status =
	    json_array(r->lora, "target_modules", JSON_REQUIRED, r->adapter, &targets, r->err);
	bool named[N_MODULES] = { false };
	enum module module;

	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(item, targets)
	{
		char shown[64] = "";

		if (cJSON_IsString(item))
			visible_copy(
			    shown, sizeof shown, item->valuestring, strlen(item->valuestring), 0);
		if (!cJSON_IsString(item) ||
		    !module_by_name(item->valuestring, strlen(item->valuestring), &module))
			return t2l_fail(r->err, T2L_EUNSUPPORTED,
			    "%s: target module '%s' is not one of a decoder's that we know",
			    r->adapter, shown);
		named[module] = true;
	}
	for (int i = 0; i < r->config.n_modules; i++) {
		if (!named[r->config.modules[i]])
			return t2l_fail(r->err, T2L_EMISMATCH,
			    "%s: key 'target_modules' lacks '%s', for which '%s' has a head",
			    r->adapter, module_name(r->config.modules[i]), r->weights);
		named[r->config.modules[i]] = false;
	}
	for (int i = 0; i < N_MODULES; i++) {
		if (named[i])
			return t2l_fail(r->err, T2L_EMISMATCH,
			    "%s: key 'target_modules' names '%s', but '%s' has no "
			    "'heads.%s.weight'",
			    r->adapter, module_name((enum module)i), r->weights,
			    module_name((enum module)i));
	}
	return T2L_OK;
}

/* Every adapter is written with one rank and scale, and is a plain LoRA. */
static enum t2l_status
check_kind(struct reading *r)
{
	static const char *const patterns[] = { "rank_pattern", "alpha_pattern" };
	enum t2l_status status = peft_check_kind(r->lora, r->adapter, r->err);

	for (size_t i = 0; i < 2 && status == T2L_OK; i++) {
		const cJSON *pattern = NULL;

		status =
		    json_object(r->lora, patterns[i], JSON_OPTIONAL, r->adapter, &pattern, r->err);
		if (status == T2L_OK && pattern != NULL && pattern->child != NULL)
			return t2l_fail(r->err, T2L_EUNSUPPORTED,
			    "%s: key '%s' is not empty; a hypernetwork makes one rank and one "
			    "scale",
			    r->adapter, patterns[i]);
	}
	return status;
}

static enum t2l_status
read_lora(struct reading *r)
{
	struct hypernet_config *config = &r->config;
	enum t2l_status status;
	int64_t rank = 0;

	if ((status = check_kind(r)) != T2L_OK ||
	    (status = json_integer(r->lora, "r", JSON_REQUIRED, 1, ADAPTER_MAX_RANK, r->adapter,
		 &rank, r->err)) != T2L_OK ||
	    (status = json_number(r->lora, "lora_alpha", JSON_REQUIRED, 1e-9, 1e9, r->adapter,
		 &config->lora_alpha, r->err)) != T2L_OK ||
	    (status = json_bool(r->lora, "use_rslora", JSON_OPTIONAL, r->adapter,
		 &config->use_rslora, r->err)) != T2L_OK)
		return status;
	if (rank != config->rank)
		return t2l_fail(r->err, T2L_EMISMATCH,
		    "%s: key 'r' is %lld, but the tensors of '%s' have rank %d", r->adapter,
		    (long long)rank, r->weights, config->rank);
	return check_targets(r);
}

/* ---- the shape, from the tensors ---- */

static bool
has(const struct reading *r, const char *name)
{
	return safetensors_find(r->st, name) != NULL;
}

/* The shape of a tensor that must have N_DIMS dimensions. */
static enum t2l_status
shape_of(struct reading *r, const char *name, int n_dims, const int64_t **shape)
{
	const struct safetensors_entry *entry = safetensors_find(r->st, name);

	if (entry == NULL)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: it has no tensor '%s'; this is no hypernetwork of text-to-lora, or a part "
		    "of one",
		    r->weights, name);
	if (entry->n_dims != n_dims)
		return t2l_fail(r->err, T2L_EFORMAT, "%s: tensor '%s' has %d dimensions, not %d",
		    r->weights, name, entry->n_dims, n_dims);
	for (int i = 0; i < n_dims; i++) {
		if (entry->shape[i] < 1 || entry->shape[i] > INT32_MAX)
			return t2l_fail(r->err, T2L_EFORMAT, "%s: tensor '%s' has a size of %lld",
			    r->weights, name, (long long)entry->shape[i]);
	}
	*shape = entry->shape;
	return T2L_OK;
}

static int
by_place(const void *left, const void *right)
{
	const struct safetensors_entry *const *a = left, *const *b = right;

	return ((*a)->place > (*b)->place) - ((*a)->place < (*b)->place);
}

/* heads.MODULE.weight, in the order of the pickle. */
static enum t2l_status
find_modules(struct reading *r)
{
	static const char prefix[] = "heads.", suffix[] = ".weight";
	const size_t n_ends = sizeof prefix - 1 + sizeof suffix - 1;
	const struct safetensors_entry *heads[N_MODULES];
	struct hypernet_config *config = &r->config;

	for (size_t i = 0; i < safetensors_count(r->st); i++) {
		const struct safetensors_entry *entry = safetensors_at(r->st, i);
		size_t n = strlen(entry->name);

		if (n <= n_ends || strncmp(entry->name, prefix, sizeof prefix - 1) != 0 ||
		    strcmp(entry->name + n - (sizeof suffix - 1), suffix) != 0)
			continue;
		if (config->n_modules == N_MODULES)
			return t2l_fail(r->err, T2L_EUNSUPPORTED, "%s: more than %d heads",
			    r->weights, N_MODULES);
		heads[config->n_modules++] = entry;
	}
	if (config->n_modules == 0)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: it has no tensor 'heads.*.weight'; this is no hypernetwork of "
		    "text-to-lora",
		    r->weights);
	qsort(heads, (size_t)config->n_modules, sizeof heads[0], by_place);
	for (int i = 0; i < config->n_modules; i++) {
		const char *name = heads[i]->name + sizeof prefix - 1;
		char shown[64];

		if (!module_by_name(name, strlen(heads[i]->name) - n_ends, &config->modules[i])) {
			visible_copy(
			    shown, sizeof shown, heads[i]->name, strlen(heads[i]->name), 0);
			return t2l_fail(r->err, T2L_EUNSUPPORTED,
			    "%s: tensor '%s': its module is not one of a decoder's that we know",
			    r->weights, shown);
		}
	}
	return T2L_OK;
}

/* AB_offset.A.m [layers, rank, in] and AB_offset.B.m [layers, out, rank] are always there. */
static enum t2l_status
measure_modules(struct reading *r)
{
	struct hypernet_config *config = &r->config;
	const int64_t *a, *b;
	enum t2l_status status;
	char name[96];

	for (int i = 0; i < config->n_modules; i++) {
		const char *module = module_name(config->modules[i]);

		snprintf(name, sizeof name, "AB_offset.A.%s", module);
		if ((status = shape_of(r, name, 3, &a)) != T2L_OK)
			return status;
		snprintf(name, sizeof name, "AB_offset.B.%s", module);
		if ((status = shape_of(r, name, 3, &b)) != T2L_OK)
			return status;
		if (i == 0) {
			config->n_layers = (int)a[0];
			config->rank = (int)a[1];
		}
		if (a[0] != config->n_layers || b[0] != config->n_layers || a[1] != config->rank ||
		    b[2] != config->rank)
			return t2l_fail(r->err, T2L_EFORMAT,
			    "%s: tensor '%s' has other layers or another rank than the rest",
			    r->weights, name);
		config->in[i] = a[2];
		config->out[i] = b[1];
	}
	return T2L_OK;
}

/* The number of rows of a head tells whether a rank row has an input of its own. With rank 1 both
 * have as many, and args.yaml tells. */
static enum t2l_status
find_design(struct reading *r)
{
	struct hypernet_config *config = &r->config;
	const int64_t *head;
	enum t2l_status status;
	char name[96];

	config->shared_head = has(r, "out_emb_norm.weight");
	config->learned_positions = has(r, "pos_emb.0.weight");
	snprintf(name, sizeof name, "heads.%s.weight", module_name(config->modules[0]));
	if ((status = shape_of(r, name, 2, &head)) != T2L_OK)
		return status;
	config->head_in_size = (int)head[1];
	if (config->rank == 1) {
		if ((status = argument_flag(r, "autoreg_gen", &config->rowwise)) != T2L_OK)
			return status;
	} else {
		config->rowwise = head[0] != hypernet_head_rows(config, 0);
	}
	strcpy(config->variant, !config->shared_head ? "L" : config->rowwise ? "S" : "M");
	snprintf(name, sizeof name, "heads.%s.bias", module_name(config->modules[0]));
	config->head_bias = has(r, name);
	config->dropout = DROPOUT;
	return T2L_OK;
}

static enum t2l_status
find_encoder(struct reading *r)
{
	struct hypernet_config *config = &r->config;
	const int64_t *first, *latent;
	enum t2l_status status;

	config->encoder = has(r, "task_encoder.mlp.1.weight") ? HYPERNET_LINEAR
			  : has(r, "task_encoder.embed_avg")  ? HYPERNET_VQ
			  : has(r, "task_encoder.embed")      ? HYPERNET_SOFTMAX
							      : HYPERNET_DISCRETE;
	if ((status = shape_of(r, "task_encoder.mlp.0.weight", 2, &first)) != T2L_OK)
		return status;
	config->embedding_size = (int)first[1];
	if (config->encoder == HYPERNET_DISCRETE) {
		config->latent_size = 128; /* nothing of this size is in the file */
		return T2L_OK;
	}
	if ((status = shape_of(r, "mixer.1.weight", 2, &latent)) != T2L_OK)
		return status;
	config->latent_size = (int)latent[1];
	return T2L_OK;
}

/* ---- tensors that are not trained ---- */

static const char *const kinds[] = { "AB_offset", "mean_recon_target", "std_recon_target" };

#define N_KINDS (sizeof kinds / sizeof kinds[0])

static void
given_name(const struct hypernet_config *config, const char *kind, int module, int part, char *name,
    size_t size)
{
	snprintf(name, size, "%s.%s.%s", kind, part == 0 ? "A" : "B",
	    module_name(config->modules[module]));
}

/* One of the tensors [layers, rank, in] and [layers, out, rank] of a kind, which the file must
 * have. */
static enum t2l_status
find_given(struct reading *r, const char *kind, int module, int part, struct tensor *out)
{
	const struct hypernet_config *config = &r->config;
	const int64_t shapes[2][3] = { { config->n_layers, config->rank, config->in[module] },
		{ config->n_layers, config->out[module], config->rank } };
	enum t2l_status status;
	char name[96];

	given_name(config, kind, module, part, name, sizeof name);
	status = safetensors_tensor_of_shape(r->st, name, 3, shapes[part], out, r->err);
	if (status == T2L_OK && out->dtype != DTYPE_F32 && out->dtype != DTYPE_F16 &&
	    out->dtype != DTYPE_BF16)
		return t2l_fail(r->err, T2L_EUNSUPPORTED,
		    "%s: tensor '%s' is %s; expected f32, f16 or bf16", r->weights, name,
		    dtype_name(out->dtype));
	return status;
}

static bool
is_zero(const struct tensor *tensor)
{
	const size_t n = (size_t)tensor_count(tensor) * dtype_row_bytes(tensor->dtype, 1);
	const char *bytes = tensor->data;

	/* All bytes are equal to the one before. */
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

/* An offset of zeros, as most have, need not be added. */
static enum t2l_status
look_at_offset(struct reading *r)
{
	bool zero = true;
	char name[96];

	for (int i = 0; i < 2 * r->config.n_modules; i++) {
		struct tensor tensor;
		enum t2l_status status = find_given(r, kinds[0], i / 2, i % 2, &tensor);

		if (status != T2L_OK)
			return status;
		zero = zero && is_zero(&tensor);
		given_name(&r->config, kinds[0], i / 2, i % 2, name, sizeof name);
		safetensors_forget(r->st, safetensors_find(r->st, name));
	}
	r->config.offset = r->config.offset && !zero;
	return T2L_OK;
}

/* x [layers, out, rank] -> [layers, rank, out] */
static void
transpose_layers(float *x, int64_t layers, int64_t rows, int64_t cols, float *out)
{
	for (int64_t l = 0; l < layers; l++, x += rows * cols, out += rows * cols)
		for (int64_t i = 0; i < rows; i++)
			for (int64_t j = 0; j < cols; j++)
				out[j * rows + i] = x[i * cols + j];
}

static enum t2l_status
fill_given(
    struct reading *r, struct hypernet_network *network, const char *kind, int module, int part)
{
	struct tensor tensor, *into;
	enum t2l_status status;
	float *numbers;
	char name[96];

	snprintf(name, sizeof name, "%s.%s.%s", kind, part == 0 ? "A" : "BT",
	    module_name(r->config.modules[module]));
	into = hypernet_find(network, name);
	if (into == NULL)
		return T2L_OK;
	if ((status = find_given(r, kind, module, part, &tensor)) != T2L_OK)
		return status;
	if (part == 0) {
		dtype_to_f32(tensor.dtype, tensor.data, tensor_f32(into), tensor_count(&tensor));
		return T2L_OK;
	}
	numbers = malloc((size_t)tensor_count(&tensor) * sizeof *numbers);
	if (numbers == NULL)
		return t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->weights);
	dtype_to_f32(tensor.dtype, tensor.data, numbers, tensor_count(&tensor));
	transpose_layers(
	    numbers, tensor.shape[0], tensor.shape[1], tensor.shape[2], tensor_f32(into));
	free(numbers);
	return T2L_OK;
}

static enum t2l_status
fill_all_given(struct reading *r, struct hypernet_network *network)
{
	enum t2l_status status = T2L_OK;

	for (size_t kind = 0; kind < N_KINDS; kind++)
		for (int i = 0; i < 2 * r->config.n_modules && status == T2L_OK; i++)
			status = fill_given(r, network, kinds[kind], i / 2, i % 2);
	return status;
}

/* Tensors of the state_dict that no adapter needs: unused moments and offsets, and how the vq
 * encoder's codes came to be. */
static bool
is_spare(const struct reading *r, const char *name)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		for (int i = 0; i < 2 * r->config.n_modules; i++) {
			char spare[96];

			snprintf(spare, sizeof spare, "%s.%s.%s", kinds[kind], i % 2 ? "B" : "A",
			    module_name(r->config.modules[i / 2]));
			if (strcmp(name, spare) == 0)
				return true;
		}
	}
	return r->config.encoder == HYPERNET_VQ &&
	       (strcmp(name, "task_encoder.embed_avg") == 0 ||
		   strcmp(name, "task_encoder.cluster_size") == 0);
}

static enum t2l_status
refuse_others(struct reading *r, const struct hypernet_network *network)
{
	for (size_t i = 0; i < safetensors_count(r->st); i++) {
		const char *name = safetensors_at(r->st, i)->name;
		char shown[128];

		if (hypernet_find(network, name) != NULL || is_spare(r, name))
			continue;
		visible_copy(shown, sizeof shown, name, strlen(name), 0);
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: tensor '%s' is no part of a hypernetwork of design %s with %d modules",
		    r->weights, shown, r->config.variant, r->config.n_modules);
	}
	return T2L_OK;
}

/* ---- all of it ---- */

/* A name that is too long is mostly a path: its end says more. */
static void
copy_name(char *out, size_t size, const char *name)
{
	if (strlen(name) >= size)
		model_name_of_path(name, out, size);
	else
		snprintf(out, size, "%s", name);
}

static enum t2l_status
read_origin(struct reading *r, const char *path, struct hypernet_origin *origin)
{
	const char *base = "", *encoder, *model;
	enum t2l_status status;

	memset(origin, 0, sizeof *origin);
	if ((status = argument_text(r, "emb_model", &encoder)) != T2L_OK ||
	    (status = argument_text(r, "model_dir", &model)) != T2L_OK ||
	    (status = json_string(r->lora, "base_model_name_or_path", JSON_OPTIONAL, r->adapter,
		 &base, r->err)) != T2L_OK)
		return status;
	if (base[0] == '\0')
		base = model;
	r->config.instruct = strstr(encoder, "SFR") != NULL;
	model_name_of_path(path, origin->name, sizeof origin->name);
	copy_name(origin->base_name, sizeof origin->base_name, base);
	/* Without an embedding model the base itself embeds. */
	copy_name(origin->encoder_name, sizeof origin->encoder_name,
	    encoder[0] != '\0' || r->config.one_hot ? encoder : base);
	return T2L_OK;
}

static enum t2l_status
read_config(struct reading *r)
{
	enum t2l_status status;
	struct t2l_error unfit;

	if ((status = find_modules(r)) != T2L_OK || (status = measure_modules(r)) != T2L_OK ||
	    (status = find_design(r)) != T2L_OK || (status = find_encoder(r)) != T2L_OK ||
	    (status = compare_with_arguments(r)) != T2L_OK || (status = read_output(r)) != T2L_OK ||
	    (status = read_one_hot(r)) != T2L_OK || (status = read_lora(r)) != T2L_OK ||
	    (status = look_at_offset(r)) != T2L_OK)
		return status;
	status = hypernet_check_config(&r->config, &unfit);
	return status == T2L_OK
		   ? T2L_OK
		   : t2l_fail(r->err, T2L_EFORMAT, "%s: %s", r->weights, unfit.message);
}

static enum t2l_status
make_network(struct reading *r, struct hypernet_network **network)
{
	enum t2l_status status;

	if ((status = hypernet_plan(&r->config, network, r->err)) != T2L_OK ||
	    (status = hypernet_bind(r->st, *network, false, r->err)) != T2L_OK ||
	    (status = refuse_others(r, *network)) != T2L_OK)
		return status;
	return fill_all_given(r, *network);
}

enum t2l_status
hypernet_load_reference(const char *path, struct hypernet_network **out,
    struct hypernet_origin *origin, char fingerprint[65], struct t2l_error *err)
{
	struct reading *r = calloc(1, sizeof *r);
	struct hypernet_network *network = NULL;
	enum t2l_status status;

	if (r == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	r->err = err;
	if ((status = find_files(r, path)) == T2L_OK && (status = open_files(r)) == T2L_OK &&
	    (status = read_config(r)) == T2L_OK &&
	    (status = read_origin(r, path, origin)) == T2L_OK &&
	    (status = make_network(r, &network)) == T2L_OK)
		status = fingerprint_safetensors(r->st, fingerprint, err);
	if (status == T2L_OK) {
		network->file = r->st;
		r->st = NULL;
		*out = network;
	} else {
		hypernet_free(network);
	}
	safetensors_close(r->st);
	config_free(r->args);
	cJSON_Delete(r->lora);
	free(r);
	return status;
}
