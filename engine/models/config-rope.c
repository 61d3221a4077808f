/* config-rope.c - how config.json stretches rotary embedding: rope_scaling of older files,
 * rope_parameters of newer ones. */
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/models/loader.h"

static const struct {
	const char *name;
	enum rope_kind kind;
} kinds[] = {
	{ "default", ROPE_PLAIN }, { "linear", ROPE_LINEAR }, { "dynamic", ROPE_DYNAMIC },
	{ "yarn", ROPE_YARN }, { "llama3", ROPE_LLAMA3 }, { "longrope", ROPE_LONG },
	{ "su", ROPE_LONG }, /* its name in the first Phi-3 files */
};

/* GROUP: the object's name; KEY in the object, optional, positive. */
static enum t2l_status
read_positive(
    const cJSON *object, const char *key, const char *path, double *value, struct t2l_error *err)
{
	return json_number(object, key, JSON_OPTIONAL, 1e-6, 1e9, path, value, err);
}

static enum t2l_status
read_kind(const cJSON *object, const char *group, const char *path, struct rope_config *rope,
    struct t2l_error *err)
{
	const char *type = NULL;
	enum t2l_status status = json_string(object, "type", JSON_OPTIONAL, path, &type, err);

	if (status == T2L_OK)
		status = json_string(object, "rope_type", JSON_OPTIONAL, path, &type, err);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; type != NULL && i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(type, kinds[i].name) == 0) {
			rope->kind = kinds[i].kind;
			return T2L_OK;
		}
	}
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "%s: %s of type '%.40s' is not supported; supported: default, linear, dynamic, yarn, "
	    "llama3, longrope",
	    path, group, type != NULL ? type : "(none)");
}

static enum t2l_status
read_divisors(const cJSON *object, const char *key, const char *path, float *divisors, int *n,
    struct t2l_error *err)
{
	const cJSON *list = NULL, *item;
	enum t2l_status status = json_array(object, key, JSON_REQUIRED, path, &list, err);

	if (status != T2L_OK)
		return status;
	*n = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (*n == ROPE_MAX_PAIRS || !cJSON_IsNumber(item) ||
		    !(item->valuedouble >= 1e-6 && item->valuedouble <= 1e9))
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: key '%s' must be a list of at most %d positive numbers", path, key,
			    ROPE_MAX_PAIRS);
		divisors[(*n)++] = (float)item->valuedouble;
	}
	return T2L_OK;
}

/* The original context: in the object, at the top level, or as long as the model's. */
static enum t2l_status
read_original(const cJSON *json, const cJSON *object, const char *path,
    const struct decoder_config *config, int *original, struct t2l_error *err)
{
	static const char key[] = "original_max_position_embeddings";
	int64_t value = config->context_length;
	enum t2l_status status =
	    json_integer(json, key, JSON_OPTIONAL, 1, INT32_MAX, path, &value, err);

	if (status == T2L_OK)
		status = json_integer(object, key, JSON_OPTIONAL, 1, INT32_MAX, path, &value, err);
	*original = (int)value;
	return status;
}

static enum t2l_status
read_yarn(const cJSON *object, const char *path, struct rope_config *rope, struct t2l_error *err)
{
	double some = 0, all = 0;
	enum t2l_status status = read_positive(object, "beta_fast", path, &rope->beta_fast, err);

	if (status == T2L_OK)
		status = read_positive(object, "beta_slow", path, &rope->beta_slow, err);
	if (status == T2L_OK)
		status =
		    json_bool(object, "truncate", JSON_OPTIONAL, path, &rope->whole_bounds, err);
	if (status == T2L_OK)
		status = read_positive(object, "mscale", path, &some, err);
	if (status == T2L_OK)
		status = read_positive(object, "mscale_all_dim", path, &all, err);
	rope->magnitude = rope_yarn_magnitude(rope->factor);
	if (some > 0 && all > 0 && rope->factor > 1)
		rope->magnitude =
		    (0.1 * some * log(rope->factor) + 1) / (0.1 * all * log(rope->factor) + 1);
	return status;
}

static enum t2l_status
read_long(const cJSON *object, const char *path, const struct decoder_config *config,
    struct rope_config *rope, struct t2l_error *err)
{
	int n_long = 0;
	enum t2l_status status = read_divisors(
	    object, "short_factor", path, rope->short_divisors, &rope->n_divisors, err);

	if (status == T2L_OK)
		status =
		    read_divisors(object, "long_factor", path, rope->long_divisors, &n_long, err);
	if (status == T2L_OK && n_long != rope->n_divisors)
		return t2l_fail(err, T2L_EFORMAT, "%s: short_factor has %d numbers, long_factor %d",
		    path, rope->n_divisors, n_long);
	if (rope->original_context != config->context_length)
		rope->factor = (double)config->context_length / rope->original_context;
	rope->magnitude = rope_long_magnitude(rope->factor, rope->original_context);
	return status;
}

static enum t2l_status
read_llama3(const cJSON *object, const char *path, struct rope_config *rope, struct t2l_error *err)
{
	enum t2l_status status = json_number(object, "low_freq_factor", JSON_REQUIRED, 1e-6, 1e9,
	    path, &rope->low_frequency_factor, err);

	if (status == T2L_OK)
		status = json_number(object, "high_freq_factor", JSON_REQUIRED, 1e-6, 1e9, path,
		    &rope->high_frequency_factor, err);
	if (status == T2L_OK && rope->high_frequency_factor <= rope->low_frequency_factor)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: high_freq_factor %g is not above low_freq_factor %g", path,
		    rope->high_frequency_factor, rope->low_frequency_factor);
	return status;
}

static enum t2l_status
read_scaling(const cJSON *json, const cJSON *object, const char *group, const char *path,
    const struct decoder_config *config, struct rope_config *rope, struct t2l_error *err)
{
	double magnitude = 0;
	enum t2l_status status = read_kind(object, group, path, rope, err);
	bool divided = rope->kind == ROPE_PLAIN || rope->kind == ROPE_LONG;

	if (status == T2L_OK)
		status = json_number(object, "factor", divided ? JSON_OPTIONAL : JSON_REQUIRED,
		    1e-6, 1e9, path, &rope->factor, err);
	if (status == T2L_OK)
		status = read_original(json, object, path, config, &rope->original_context, err);
	if (rope->kind == ROPE_DYNAMIC)
		rope->original_context = config->context_length;
	if (status == T2L_OK)
		status = read_positive(object, "attention_factor", path, &magnitude, err);
	if (status == T2L_OK && rope->kind == ROPE_YARN)
		status = read_yarn(object, path, rope, err);
	if (status == T2L_OK && rope->kind == ROPE_LLAMA3)
		status = read_llama3(object, path, rope, err);
	if (status == T2L_OK && rope->kind == ROPE_LONG)
		status = read_long(object, path, config, rope, err);
	if (magnitude > 0 && (rope->kind == ROPE_YARN || rope->kind == ROPE_LONG))
		rope->magnitude = magnitude;
	return status;
}

enum t2l_status
config_read_rope(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	static const char *const groups[] = { "rope_scaling", "rope_parameters" };
	const char *theta = architecture_key(config->kind, "rope_theta");
	struct rope_config *rope = &config->rope;
	double rotated = config->kind->rotated > 0 ? config->kind->rotated : 1;
	enum t2l_status status;

	*rope = (struct rope_config){ .theta = 10000,
		.factor = 1,
		.beta_fast = 32,
		.beta_slow = 1,
		.whole_bounds = true,
		.magnitude = 1 };
	status = json_number(json, theta, JSON_OPTIONAL, 1, 1e12, path, &rope->theta, err);
	if (status == T2L_OK)
		status = json_number(
		    json, "partial_rotary_factor", JSON_OPTIONAL, 0, 1, path, &rotated, err);
	for (size_t i = 0; i < 2 && status == T2L_OK; i++) {
		const cJSON *object = NULL;

		status = json_object(json, groups[i], JSON_OPTIONAL, path, &object, err);
		if (status != T2L_OK || object == NULL)
			continue;
		status = json_number(
		    object, "rope_theta", JSON_OPTIONAL, 1, 1e12, path, &rope->theta, err);
		if (status == T2L_OK)
			status = json_number(object, "partial_rotary_factor", JSON_OPTIONAL, 0, 1,
			    path, &rotated, err);
		if (status == T2L_OK)
			status = read_scaling(json, object, groups[i], path, config, rope, err);
	}
	rope->n_rot = (int)(config->head_dim * rotated);
	if (status == T2L_OK && rope->n_rot < 2)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: partial_rotary_factor %g leaves nothing of heads of %d to turn", path,
		    rotated, config->head_dim);
	return status;
}
