/* encoder-save.c - writes an encoder as a sentence-transformers directory, without a tokenizer. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "engine/models/encoder-weights.h"

#define PATH_SIZE 4096

static enum t2l_status
each_weight(void *network, weight_visit *visit, void *user, struct t2l_error *err)
{
	return encoder_each_weight(network, "", visit, user, err);
}

static enum t2l_status
each_projection(void *network, weight_visit *visit, void *user, struct t2l_error *err)
{
	return encoder_each_projection(network, visit, user, err);
}

static const char *
activation_name(enum activation activation)
{
	switch (activation) {
	case ACTIVATION_SILU:
		return "silu";
	case ACTIVATION_RELU:
		return "relu";
	case ACTIVATION_GELU_TANH:
		return "gelu_new";
	default:
		return "gelu";
	}
}

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

static void
write_config(const struct encoder_config *config, struct buffer *json)
{
	buffer_text(
	    json, "{\n  \"architectures\": [\"BertModel\"],\n  \"model_type\": \"bert\",\n");
	buffer_printf(json, "  \"hidden_act\": \"%s\",\n", activation_name(config->activation));
	buffer_printf(json, "  \"hidden_size\": %d,\n", config->hidden_size);
	buffer_printf(json, "  \"intermediate_size\": %d,\n", config->ffn_size);
	buffer_printf(json, "  \"layer_norm_eps\": %.9g,\n", (double)config->norm_epsilon);
	buffer_printf(json, "  \"max_position_embeddings\": %d,\n", config->max_positions);
	buffer_printf(json, "  \"num_attention_heads\": %d,\n", config->n_heads);
	buffer_printf(json, "  \"num_hidden_layers\": %d,\n", config->n_layers);
	buffer_text(json, "  \"pad_token_id\": 0,\n  \"position_embedding_type\": \"absolute\",\n");
	buffer_printf(json, "  \"type_vocab_size\": %d,\n", config->n_types);
	buffer_printf(json, "  \"vocab_size\": %d\n}\n", config->vocab_size);
}

static void
write_limit(const struct encoder_config *config, struct buffer *json)
{
	buffer_printf(json, "{\n  \"max_seq_length\": %d,\n  \"do_lower_case\": false\n}\n",
	    config->max_tokens);
}

static void
write_pooling(const struct encoder_config *config, struct buffer *json)
{
	buffer_printf(json, "{\n  \"word_embedding_dimension\": %d,\n", config->hidden_size);
	buffer_printf(
	    json, "  \"pooling_mode_cls_token\": %s,\n", truth(config->pooling == POOLING_CLS));
	buffer_printf(
	    json, "  \"pooling_mode_mean_tokens\": %s,\n", truth(config->pooling == POOLING_MEAN));
	buffer_text(json, "  \"pooling_mode_max_tokens\": false,\n");
	buffer_printf(
	    json, "  \"pooling_mode_lasttoken\": %s\n}\n", truth(config->pooling == POOLING_LAST));
}

static void
write_projection(const struct encoder_config *config, struct buffer *json)
{
	buffer_printf(json, "{\n  \"in_features\": %d,\n  \"out_features\": %d,\n",
	    config->hidden_size, config->projection_size);
	buffer_printf(json,
	    "  \"bias\": %s,\n  \"activation_function\": \"torch.nn.modules.linear.Identity\"\n}\n",
	    truth(config->projection_bias));
}

static void
write_steps(const struct encoder_config *config, struct buffer *json)
{
	static const struct {
		const char *path, *type;
	} steps[] = { { "", "Transformer" }, { "1_Pooling", "Pooling" }, { "2_Dense", "Dense" },
		{ "3_Normalize", "Normalize" } };
	int n = 0;

	buffer_char(json, '[');
	for (int i = 0; i < 4; i++) {
		if (i == 2 && config->projection_size == 0)
			continue;
		buffer_printf(json,
		    "%s\n  {\"idx\": %d, \"name\": \"%d\", \"path\": \"%s\", \"type\": "
		    "\"sentence_transformers.models.%s\"}",
		    n > 0 ? "," : "", n, n, steps[i].path, steps[i].type);
		n++;
	}
	buffer_text(json, "\n]\n");
}

static enum t2l_status
make_folder(const char *directory, const char *name, struct t2l_error *err)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "%s", path);
	return T2L_OK;
}

static enum t2l_status
save_json(const struct encoder_config *config, const char *directory, const char *name,
    void (*write)(const struct encoder_config *config, struct buffer *json), struct t2l_error *err)
{
	char path[PATH_SIZE];
	struct buffer json = { 0 };
	enum t2l_status status = T2L_OK;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	write(config, &json);
	if (buffer_failed(&json))
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	else if (atomic_write(path, buffer_string(&json), json.n) != 0)
		status = t2l_fail_errno(err, "%s", path);
	buffer_free(&json);
	return status;
}

static enum t2l_status
save_projection(const struct encoder_network *network, const char *directory, enum dtype dtype,
    struct t2l_error *err)
{
	char path[PATH_SIZE];
	enum t2l_status status = make_folder(directory, "2_Dense", err);

	if (status == T2L_OK)
		status = save_json(
		    &network->config, directory, "2_Dense/config.json", write_projection, err);
	snprintf(path, sizeof path, "%s/2_Dense/model.safetensors", directory);
	if (status == T2L_OK)
		status = weights_save(path, dtype, each_projection, (void *)network, err);
	return status;
}

enum t2l_status
encoder_save_hf(const struct encoder_network *network, const char *directory, enum dtype dtype,
    struct t2l_error *err)
{
	static const struct {
		const char *name;
		void (*write)(const struct encoder_config *config, struct buffer *json);
	} files[] = {
		{ "sentence_bert_config.json", write_limit },
		{ "1_Pooling/config.json", write_pooling },
		{ "modules.json", write_steps },
		{ "config.json", write_config },
	};
	char path[PATH_SIZE];
	enum t2l_status status;

	if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors", directory) + 32 >=
	    sizeof path)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	status = weights_save(path, dtype, each_weight, (void *)network, err);
	if (status == T2L_OK && network->config.projection_size > 0)
		status = save_projection(network, directory, dtype, err);
	if (status == T2L_OK)
		status = make_folder(directory, "1_Pooling", err);
	for (size_t i = 0; i < sizeof files / sizeof *files && status == T2L_OK; i++)
		status = save_json(&network->config, directory, files[i].name, files[i].write, err);
	return status;
}
