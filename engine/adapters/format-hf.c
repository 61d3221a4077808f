/*
 * format-hf.c - a directory for transformers: PEFT's two files, and what AutoModelForCausalLM,
 * AutoTokenizer and a reader want beside them.
 *
 * Today's transformers takes a directory with config.json for a whole model and does not look where
 * base_model_name_or_path points. So config.json goes in only together with the base's weights,
 * which are linked from the base's directory (or copied); without them it is left out, and then
 * transformers follows base_model_name_or_path.
 */

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/adapters/format.h"
#include "engine/adapters/model-card.h"
#include "engine/adapters/peft.h"
#include "engine/error.h"
#include "engine/formats/json.h"

#define TEXT_LIMIT (16 << 20)

static const char *const weight_names[] = {
	"model*.safetensors",
	"model.safetensors.index.json",
	"pytorch_model*.bin",
	"pytorch_model.bin.index.json",
	NULL,
};
static const char *const tokenizer_names[] = {
	"tokenizer.json",
	"tokenizer.model",
	"vocab.json",
	"vocab.txt",
	"merges.txt",
	"added_tokens.json",
	"chat_template.*",
	NULL,
};

/* What a base of such an architecture has when its directory does not say. */
static const struct {
	const char *architecture, *class, *bos, *eos, *unk;
} tokenizers[] = {
	{ "llama", "LlamaTokenizer", "<s>", "</s>", "<unk>" },
	{ "phi3", "LlamaTokenizer", "<s>", "<|endoftext|>", "<unk>" },
	{ "gemma", "GemmaTokenizer", "<bos>", "<eos>", "<unk>" },
	{ "gemma2", "GemmaTokenizer", "<bos>", "<eos>", "<unk>" },
	{ "qwen2", "Qwen2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>" },
	{ "qwen3", "Qwen2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>" },
	{ "phi2", "CodeGenTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>" },
};

/* ---- beside: linked or copied ---- */

static bool
matches(const char *const *patterns, const char *name)
{
	for (; *patterns != NULL; patterns++)
		if (fnmatch(*patterns, name, 0) == 0)
			return true;
	return false;
}

static enum t2l_status
copy_file(const char *from, const char *to, struct t2l_error *err)
{
	struct mapped_file file;
	enum t2l_status status = T2L_OK;

	if (mapped_file_open(from, &file) != 0)
		return t2l_fail_errno(err, "cannot read '%s'", from);
	if (atomic_write(to, file.bytes, file.n) != 0)
		status = t2l_fail_errno(err, "cannot write '%s'", to);
	mapped_file_close(&file);
	return status;
}

static enum t2l_status
put_beside(
    const struct export_job *job, const char *directory, const char *name, struct t2l_error *err)
{
	char from[EXPORT_PATH_SIZE], to[EXPORT_PATH_SIZE], whole[PATH_MAX];
	enum t2l_status status;

	if ((status = export_path(job->base->path, name, from, err)) != T2L_OK ||
	    (status = export_path(directory, name, to, err)) != T2L_OK)
		return status;
	if (job->options->copy_base)
		return copy_file(from, to, err);
	if (realpath(from, whole) == NULL || symlink(whole, to) != 0)
		return t2l_fail_errno(err, "cannot link '%s'", from);
	return T2L_OK;
}

/* Puts all files of the base that PATTERNS name into DIRECTORY; *N of them. */
static enum t2l_status
put_all_beside(const struct export_job *job, const char *directory, const char *const *patterns,
    size_t *n, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	struct dirent *entry;
	DIR *base = opendir(job->base->path);

	*n = 0;
	if (base == NULL)
		return t2l_fail_errno(err, "cannot read '%s'", job->base->path);
	while (status == T2L_OK && (entry = readdir(base)) != NULL) {
		if (!matches(patterns, entry->d_name))
			continue;
		status = put_beside(job, directory, entry->d_name, err);
		++*n;
	}
	closedir(base);
	return status;
}

/* ---- the small files ---- */

/* The base's own NAME, parsed; NULL when it has none or it cannot be read. */
static cJSON *
base_json(const struct export_job *job, const char *name)
{
	char path[EXPORT_PATH_SIZE];
	cJSON *root;

	if (job->base == NULL || !job->base->is_hf ||
	    export_path(job->base->path, name, path, NULL) != T2L_OK ||
	    json_open(path, TEXT_LIMIT, &root, NULL) != T2L_OK)
		return NULL;
	return root;
}

/* ROOT is deleted; NULL: nothing to write. */
static enum t2l_status
put_json(const char *directory, const char *name, cJSON *root, struct t2l_error *err)
{
	char *text = root != NULL ? cJSON_Print(root) : NULL;
	enum t2l_status status = T2L_OK;

	if (root != NULL && text == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	else if (root != NULL)
		status = export_text(directory, name, text, err);
	cJSON_free(text);
	cJSON_Delete(root);
	return status;
}

static void
copy_key(cJSON *to, const cJSON *from, const char *key)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(from, key);

	if (value != NULL && !cJSON_IsNull(value))
		cJSON_AddItemToObject(to, key, cJSON_Duplicate(value, true));
}

/* The base's, else what its config.json says of the tokens. */
static cJSON *
generation_config(const struct export_job *job)
{
	static const char *const keys[] = { "bos_token_id", "eos_token_id", "pad_token_id" };
	cJSON *root = base_json(job, "generation_config.json"), *config;

	if (root != NULL)
		return root;
	root = cJSON_CreateObject();
	config = base_json(job, "config.json");
	cJSON_AddTrueToObject(root, "_from_model_config");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		copy_key(root, config, keys[i]);
	cJSON_Delete(config);
	return root;
}

/* The base's, else its architecture's; NULL when neither is known. */
static cJSON *
tokenizer_config(const struct export_job *job)
{
	cJSON *root = base_json(job, "tokenizer_config.json");
	size_t i = 0;

	if (root != NULL || job->base == NULL)
		return root;
	while (i < sizeof tokenizers / sizeof tokenizers[0] &&
	       strcmp(tokenizers[i].architecture, job->base->architecture) != 0)
		i++;
	if (i == sizeof tokenizers / sizeof tokenizers[0])
		return NULL;
	root = cJSON_CreateObject();
	cJSON_AddStringToObject(root, "tokenizer_class", tokenizers[i].class);
	cJSON_AddStringToObject(root, "bos_token", tokenizers[i].bos);
	cJSON_AddStringToObject(root, "eos_token", tokenizers[i].eos);
	cJSON_AddStringToObject(root, "unk_token", tokenizers[i].unk);
	return root;
}

/* The base's, else the tokens that tokenizer_config.json names. */
static cJSON *
special_tokens(const struct export_job *job, const cJSON *config)
{
	static const char *const keys[] = { "bos_token", "eos_token", "unk_token", "pad_token",
		"sep_token", "cls_token", "mask_token" };
	cJSON *root = base_json(job, "special_tokens_map.json");

	if (root != NULL || config == NULL)
		return root;
	root = cJSON_CreateObject();
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		copy_key(root, config, keys[i]);
	return root;
}

static enum t2l_status
write_small_files(struct export_job *job, const char *directory, struct t2l_error *err)
{
	cJSON *config = tokenizer_config(job);
	enum t2l_status status;

	if (config == NULL)
		export_tell(job->warnings,
		    "the base's tokenizer is not known: tokenizer_config.json and "
		    "special_tokens_map.json are left out");
	status = put_json(directory, "special_tokens_map.json", special_tokens(job, config), err);
	if (status != T2L_OK) {
		cJSON_Delete(config);
		return status;
	}
	if ((status = put_json(directory, "tokenizer_config.json", config, err)) != T2L_OK)
		return status;
	return put_json(directory, "generation_config.json", generation_config(job), err);
}

/* ---- the base ---- */

/* The base's weights and config.json, or neither. *WITH_BASE: they are there. */
static enum t2l_status
write_base(struct export_job *job, const char *directory, bool *with_base, struct t2l_error *err)
{
	size_t n = 0;
	enum t2l_status status;

	*with_base = false;
	if (job->base == NULL || !job->base->is_hf) {
		if (!job->options->adapter_only)
			export_tell(job->warnings,
			    "no directory of the base was given: config.json is left out, and "
			    "transformers will look for the base where base_model_name_or_path "
			    "says%s%s",
			    job->base_name[0] != '\0' ? ": " : "", job->base_name);
		return T2L_OK;
	}
	status = put_all_beside(job, directory, tokenizer_names, &n, err);
	if (status == T2L_OK && n == 0)
		export_tell(job->warnings,
		    "'%s' has no tokenizer: copy its files beside the adapter to use AutoTokenizer",
		    job->base->path);
	if (status != T2L_OK || job->options->adapter_only)
		return status;
	if ((status = put_all_beside(job, directory, weight_names, &n, err)) != T2L_OK)
		return status;
	if (n == 0) {
		export_tell(job->warnings,
		    "'%s' has no weights: config.json is left out, because transformers takes a "
		    "directory with it for a whole model",
		    job->base->path);
		return T2L_OK;
	}
	*with_base = true;
	export_tell(job->done, "the base's weights are %s beside the adapter",
	    job->options->copy_base ? "copied" : "linked");
	return put_json(directory, "config.json", base_json(job, "config.json"), err);
}

static enum t2l_status
hf_write(struct export_job *job, const char *directory, struct t2l_error *err)
{
	enum t2l_status status;
	bool with_base;
	char *card;

	if ((status = peft_write(job, directory, err)) != T2L_OK ||
	    (status = write_base(job, directory, &with_base, err)) != T2L_OK ||
	    (status = write_small_files(job, directory, err)) != T2L_OK)
		return status;
	card = model_card_text(job, with_base);
	if (card == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = export_text(directory, "README.md", card, err);
	free(card);
	return status;
}

const struct adapter_format format_hf = {
	.facts = {
		.name = "hf",
		.holds = "a directory for transformers: PEFT's files, configuration, tokenizer, README",
		.precisions = "fp32 fp16 bf16 int8",
		.is_directory = true,
		.reads = true,
		.writes = true,
	},
	.mobile = "fp16",
	.size = "fp16",
	.read = peft_open,
	.write = hf_write,
};
