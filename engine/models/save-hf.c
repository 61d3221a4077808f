/* save-hf.c - writes a decoder as a Hugging Face model directory that transformers loads. */
#include <stdio.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "engine/models/decoder-weights.h"

#define PATH_SIZE 4096

static const char *const activation_names[N_ACTIVATIONS] = {
	[ACTIVATION_SILU] = "silu",
	[ACTIVATION_GELU] = "gelu",
	[ACTIVATION_GELU_TANH] = "gelu_pytorch_tanh",
	[ACTIVATION_RELU] = "relu",
	[ACTIVATION_TANH] = "tanh",
};

static const char *const dtype_names[N_DTYPES] = {
	[DTYPE_F32] = "float32",
	[DTYPE_F16] = "float16",
	[DTYPE_BF16] = "bfloat16",
};

static enum t2l_status
each_weight(void *decoder, weight_visit *visit, void *user, struct t2l_error *err)
{
	return decoder_each_weight(decoder, &decoder_names_hf, visit, user, err);
}

static const char *
json_bool_text(bool value)
{
	return value ? "true" : "false";
}

static void
append_eos(struct buffer *json, const struct decoder_config *config)
{
	buffer_text(json, "  \"eos_token_id\": ");
	if (config->n_eos == 0)
		buffer_text(json, "null");
	if (config->n_eos > 1)
		buffer_char(json, '[');
	for (int i = 0; i < config->n_eos; i++)
		buffer_printf(json, "%s%d", i > 0 ? ", " : "", config->eos_ids[i]);
	if (config->n_eos > 1)
		buffer_char(json, ']');
	buffer_text(json, ",\n");
}

static enum t2l_status
save_config(
    const struct decoder_config *config, const char *path, enum dtype dtype, struct t2l_error *err)
{
	struct buffer json = { 0 };
	enum t2l_status status = T2L_OK;

	buffer_text(&json,
	    "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"model_type\": \"llama\",\n");
	buffer_printf(
	    &json, "  \"attention_bias\": %s,\n", json_bool_text(config->has_bias[MODULE_Q]));
	if (config->bos_id >= 0)
		buffer_printf(&json, "  \"bos_token_id\": %d,\n", config->bos_id);
	else
		buffer_text(&json, "  \"bos_token_id\": null,\n");
	append_eos(&json, config);
	buffer_printf(&json, "  \"head_dim\": %d,\n", config->head_dim);
	buffer_printf(&json, "  \"hidden_act\": \"%s\",\n", activation_names[config->activation]);
	buffer_printf(&json, "  \"hidden_size\": %d,\n", config->hidden_size);
	buffer_printf(&json, "  \"intermediate_size\": %d,\n", config->ffn_size);
	buffer_printf(&json, "  \"max_position_embeddings\": %d,\n", config->context_length);
	buffer_printf(
	    &json, "  \"mlp_bias\": %s,\n", json_bool_text(config->has_bias[MODULE_GATE]));
	buffer_printf(&json, "  \"num_attention_heads\": %d,\n", config->n_heads);
	buffer_printf(&json, "  \"num_hidden_layers\": %d,\n", config->n_layers);
	buffer_printf(&json, "  \"num_key_value_heads\": %d,\n", config->n_kv_heads);
	buffer_printf(&json, "  \"rms_norm_eps\": %.9g,\n", (double)config->norm_epsilon);
	buffer_printf(
	    &json, "  \"rope_scaling\": null,\n  \"rope_theta\": %.17g,\n", config->rope.theta);
	buffer_printf(
	    &json, "  \"tie_word_embeddings\": %s,\n", json_bool_text(config->tied_embeddings));
	buffer_printf(&json, "  \"torch_dtype\": \"%s\",\n", dtype_names[dtype]);
	buffer_printf(&json, "  \"vocab_size\": %d\n}\n", config->vocab_size);
	if (buffer_failed(&json))
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	else if (atomic_write(path, buffer_string(&json), json.n) != 0)
		status = t2l_fail_errno(err, "%s", path);
	buffer_free(&json);
	return status;
}

enum t2l_status
decoder_save_hf(
    const struct decoder *decoder, const char *directory, enum dtype dtype, struct t2l_error *err)
{
	char path[PATH_SIZE];
	enum t2l_status status;

	if (dtype_names[dtype] == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "%s: a Hugging Face model can't be saved as %s; use f32, f16 or bf16",
		    directory, dtype_name(dtype));
	if (strcmp(decoder->config.kind->name, "llama") != 0 ||
	    decoder->config.rope.kind != ROPE_PLAIN)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: only models of architecture llama without rope scaling can be saved as a "
		    "Hugging Face directory; this one is %s",
		    directory, decoder->config.kind->name);
	/* q and k rows would have to be put back into their order. */
	if (decoder->config.rope_neighbours)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: a model from a GGUF file can't be saved as a Hugging Face directory",
		    directory);
	if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors", directory) >= sizeof path)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	status = weights_save(path, dtype, each_weight, (void *)decoder, err);
	if (status != T2L_OK)
		return status;
	snprintf(path, sizeof path, "%s/config.json", directory);
	return save_config(&decoder->config, path, dtype, err);
}
