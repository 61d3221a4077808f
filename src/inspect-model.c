/* inspect-model.c - what a base model is, how its numbers are stored, and what memory it needs. */

#include "config.h"

#include <stdio.h>
#include <string.h>

#include "src/inspect-model.h"

#define USUAL_CONTEXT 4096
#define MAX_TYPES 32

/* Tensors of one stored type. */
struct stored_type {
	const char *name;
	size_t n;
	double bytes;
};

struct stored_types {
	struct stored_type at[MAX_TYPES];
	size_t n;
};

static void
count_type(struct stored_types *types, const char *name, double bytes)
{
	size_t i = 0;

	while (i < types->n && strcmp(types->at[i].name, name) != 0)
		i++;
	if (i == MAX_TYPES)
		return;
	if (i == types->n)
		types->at[types->n++] = (struct stored_type){ .name = name };
	types->at[i].n++;
	types->at[i].bytes += bytes;
}

/* Collects the tensors as JSON, and prints them when asked. */
static void
add_tensors(struct context *ctx, const struct t2l_model *model, bool print, cJSON *object,
    struct stored_types *types)
{
	cJSON *list = cJSON_AddArrayToObject(object, "tensors");
	struct t2l_tensor_facts tensor;
	uint64_t n_bytes;

	for (size_t i = 0; t2l_model_tensor(model, i, &tensor, &n_bytes); i++) {
		cJSON *item = cJSON_CreateObject(), *shape;
		char sizes[96] = "";

		cJSON_AddItemToArray(list, item);
		cJSON_AddStringToObject(item, "name", tensor.name);
		cJSON_AddStringToObject(item, "dtype", tensor.dtype);
		shape = cJSON_AddArrayToObject(item, "shape");
		for (int j = 0; j < tensor.n_dims; j++) {
			size_t used = strlen(sizes);

			cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor.shape[j]));
			snprintf(sizes + used, sizeof sizes - used, "%s%lld", j > 0 ? ", " : "",
			    (long long)tensor.shape[j]);
		}
		count_type(types, tensor.dtype, (double)n_bytes);
		if (!print)
			continue;
		say(ctx, "  %-6s [%s]  ", tensor.dtype, sizes);
		say_text(ctx, tensor.name, strlen(tensor.name));
		say(ctx, "\n");
	}
}

static void
add_types(struct context *ctx, const struct stored_types *types, cJSON *object)
{
	cJSON *list = cJSON_AddArrayToObject(object, "quantisation");

	say(ctx, "  stored as     ");
	for (size_t i = 0; i < types->n; i++) {
		const struct stored_type *type = &types->at[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddItemToArray(list, item);
		cJSON_AddStringToObject(item, "dtype", type->name);
		cJSON_AddNumberToObject(item, "tensors", (double)type->n);
		cJSON_AddNumberToObject(item, "bytes", type->bytes);
		say(ctx, "%s%s %.1f MiB in %zu tensors", i > 0 ? ", " : "", type->name,
		    type->bytes / (1 << 20), type->n);
	}
	say(ctx, "\n");
}

/* Weights are mapped; what a lane of so many tokens takes on top of them. */
static void
add_memory(
    struct context *ctx, const struct t2l_model_facts *facts, size_t n_context, cJSON *object)
{
	double numbers = (double)facts->n_layers * facts->n_kv_heads * facts->head_dim * 2;
	double f16 = numbers * 2 * (double)n_context, q8_0 = f16 * 34 / 64;
	bool whole_blocks = facts->head_dim % 32 == 0;
	cJSON *memory = cJSON_AddObjectToObject(object, "memory");

	cJSON_AddNumberToObject(memory, "context", (double)n_context);
	cJSON_AddNumberToObject(memory, "weights", (double)facts->weight_bytes);
	cJSON_AddNumberToObject(memory, "kv_f16", f16);
	if (whole_blocks)
		cJSON_AddNumberToObject(memory, "kv_q8_0", q8_0);
	cJSON_AddNumberToObject(memory, "total", (double)facts->weight_bytes + f16);
	say(ctx, "  memory        %.1f MiB, and for %zu tokens a lane %.1f MiB",
	    (double)facts->weight_bytes / (1 << 20), n_context, f16 / (1 << 20));
	if (whole_blocks)
		say(ctx, " (%.1f with --kv-type q8_0)", q8_0 / (1 << 20));
	say(ctx, "; the model's context is %d\n", facts->context_length);
}

static void
add_shapes(const struct t2l_model_facts *facts, cJSON *object)
{
	const struct {
		const char *name;
		double value;
	} numbers[] = {
		{ "layers", facts->n_layers },
		{ "hidden_size", facts->hidden_size },
		{ "heads", facts->n_heads },
		{ "kv_heads", facts->n_kv_heads },
		{ "head_dim", facts->head_dim },
		{ "ffn_size", facts->ffn_size },
		{ "vocab_size", facts->vocab_size },
		{ "context_length", facts->context_length },
		{ "parameters", (double)facts->n_parameters },
		{ "weight_bytes", (double)facts->weight_bytes },
		{ "kv_bytes_per_token", (double)facts->kv_bytes_per_token },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		cJSON_AddNumberToObject(object, numbers[i].name, numbers[i].value);
}

/* False when a weight is no number, which is told. */
static bool
check_weights(struct context *ctx, const struct t2l_model *model, cJSON *object)
{
	struct t2l_error err;
	bool fine = t2l_model_check(model, &err) == T2L_OK;

	cJSON_AddBoolToObject(object, "weights_are_numbers", fine);
	if (fine)
		say(ctx, "  weights       all are numbers\n");
	else
		context_fail_error(ctx, &err);
	return fine;
}

int
inspect_model(struct context *ctx, const struct t2l_model *model, size_t n_context,
    bool list_tensors, bool check)
{
	const struct t2l_model_facts *facts = t2l_model_facts(model);
	cJSON *object = cJSON_CreateObject();
	struct stored_types types = { .n = 0 };
	bool fine;

	if (n_context == 0)
		n_context = facts->context_length < USUAL_CONTEXT ? (size_t)facts->context_length
								  : USUAL_CONTEXT;
	cJSON_AddStringToObject(object, "kind", "model");
	cJSON_AddStringToObject(object, "name", facts->name);
	cJSON_AddStringToObject(object, "architecture", facts->architecture);
	cJSON_AddStringToObject(object, "format", facts->format);
	cJSON_AddStringToObject(object, "dtype", facts->dtype);
	add_shapes(facts, object);
	cJSON_AddBoolToObject(object, "tokenizer", facts->has_tokenizer);
	cJSON_AddBoolToObject(object, "chat_template", facts->has_chat_template);
	cJSON_AddStringToObject(object, "builtin_template", facts->builtin_template);
	cJSON_AddStringToObject(object, "fingerprint", facts->fingerprint);

	say(ctx, "base model '%s' (%s, %s, %s), %lld parameters, %.1f MiB\n", facts->name,
	    facts->architecture, facts->format, facts->dtype, (long long)facts->n_parameters,
	    (double)facts->weight_bytes / (1 << 20));
	say(ctx, "  %d layers, hidden %d, heads %d of %d (%d for keys), ffn %d, vocabulary %d\n",
	    facts->n_layers, facts->hidden_size, facts->n_heads, facts->head_dim, facts->n_kv_heads,
	    facts->ffn_size, facts->vocab_size);
	add_tensors(ctx, model, list_tensors, object, &types);
	add_types(ctx, &types, object);
	add_memory(ctx, facts, n_context, object);
	say(ctx, "  tokenizer     %s\n", facts->has_tokenizer ? "yes" : "no");
	say(ctx, "  chat template %s%s\n",
	    facts->builtin_template[0] != '\0' ? "none; its family's, "
	    : facts->has_chat_template	       ? "its own"
					       : "none",
	    facts->builtin_template);
	say(ctx, "  fingerprint   %s\n", facts->fingerprint);
	fine = !check || check_weights(ctx, model, object);
	say_json(ctx, object);
	return fine ? 0 : 1;
}
