/* train-recipe.c - what a training recipe's keys mean: [model] [training] [optimizer] [data]. */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/config-file.h"
#include "base/edit-distance.h"
#include "src/train-recipe.h"

const char *const train_mode_names[] = { "base", "lora", "multi-task", "supervised", "encoder",
	"reconstruction", NULL };
const enum t2l_train_mode train_modes[] = { T2L_TRAIN_BASE, T2L_TRAIN_LORA, T2L_TRAIN_MULTI_TASK,
	T2L_TRAIN_SUPERVISED, T2L_TRAIN_ENCODER, T2L_TRAIN_RECONSTRUCTION };
const char *const train_variant_names[] = { "S", "M", "L", NULL };
static const char *const schedule_names[] = { "constant", "linear", "cosine", "hold-linear", NULL };
static const char *const weighting_names[] = { "examples", "tasks", "tokens", NULL };
const char *const train_compute_names[] = { "f32", "bf16", NULL };
static const char *const dtype_names[] = { "f32", "f16", "bf16", NULL };
static const char *const optimizer_names[] = { "adamw", "muon", NULL };

enum field_type {
	FIELD_TEXT,
	FIELD_WORDS,
	FIELD_INT,
	FIELD_INT64,
	FIELD_UINT64,
	FIELD_FLOAT,
	FIELD_BOOL,
	FIELD_CHOICE
};

/* A key of a recipe and the member of t2l_train_options it sets. */
struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	double min, max;
	const char *const *choices;
	unsigned modes; /* that look at it, or refuse what they cannot do; 0: all */
};
#define AT(member) offsetof(struct t2l_train_options, member)
#define BASE (1U << T2L_TRAIN_BASE)
#define ENCODER (1U << T2L_TRAIN_ENCODER)
#define LORAS (1U << T2L_TRAIN_LORA | 1U << T2L_TRAIN_MULTI_TASK)
#define SUPERVISED (1U << T2L_TRAIN_SUPERVISED)
#define RECONSTRUCTION (1U << T2L_TRAIN_RECONSTRUCTION)
#define HYPERNET (SUPERVISED | RECONSTRUCTION)
#define ANSWERS (LORAS | SUPERVISED) /* learnt from examples, through a frozen base */

static const struct field fields[] = {
	{ "model.hidden_size", FIELD_INT, AT(hidden_size), 1, 65536, .modes = BASE | ENCODER },
	{ "model.n_layers", FIELD_INT, AT(n_layers), 1, 1024, .modes = BASE | ENCODER },
	{ "model.n_heads", FIELD_INT, AT(n_heads), 1, 1024, .modes = BASE | ENCODER },
	{ "model.n_kv_heads", FIELD_INT, AT(n_kv_heads), 1, 1024, .modes = BASE },
	{ "model.ffn_size", FIELD_INT, AT(ffn_size), 1, 1 << 20, .modes = BASE | ENCODER },
	{ "model.context_length", FIELD_INT, AT(context_length), 8, 1 << 24,
	    .modes = BASE | ENCODER },
	{ "model.vocabulary_size", FIELD_INT, AT(vocabulary_size), 256, 1 << 24, .modes = ENCODER },
	{ "model.rope_theta", FIELD_FLOAT, AT(rope_theta), 1, 1e12, .modes = BASE },
	{ "model.latent_size", FIELD_INT, AT(latent_size), 4, 65536, .modes = HYPERNET },
	{ "model.head_in_size", FIELD_INT, AT(head_in_size), 4, 65536, .modes = HYPERNET },
	{ "model.variant", FIELD_TEXT, AT(variant), .choices = train_variant_names,
	    .modes = HYPERNET },
	{ "model.offset", FIELD_TEXT, AT(offset), .modes = SUPERVISED },
	{ "model.learn_offset", FIELD_BOOL, AT(learn_offset), .modes = SUPERVISED },
	{ "model.target_modules", FIELD_WORDS, AT(modules), .modes = ANSWERS },
	{ "model.rank", FIELD_INT, AT(rank), 1, 256, .modes = ANSWERS },
	{ "model.lora_alpha", FIELD_FLOAT, AT(lora_alpha), 1e-3, 1e6, .modes = ANSWERS },
	{ "model.use_rslora", FIELD_BOOL, AT(use_rslora), .modes = ANSWERS },
	{ "model.dropout", FIELD_FLOAT, AT(dropout), 0, 0.99, .modes = HYPERNET },
	{ "model.factorized", FIELD_BOOL, AT(factorized), .modes = RECONSTRUCTION },
	{ "model.z_scores", FIELD_BOOL, AT(z_scores), .modes = RECONSTRUCTION },
	{ "model.delta_w_scaling", FIELD_FLOAT, AT(delta_w_scaling), 1e-6, 1e9,
	    .modes = RECONSTRUCTION },
	{ "model.save_dtype", FIELD_TEXT, AT(save_dtype), .choices = dtype_names,
	    .modes = BASE | ENCODER | HYPERNET },
	{ "training.compute_dtype", FIELD_TEXT, AT(compute_dtype), .choices = train_compute_names },
	{ "training.steps", FIELD_INT64, AT(steps), 1, 1e9 },
	{ "training.epochs", FIELD_INT64, AT(epochs), 0, 1e9 },
	{ "training.num_epochs", FIELD_INT64, AT(epochs), 0, 1e9 },
	{ "training.seed", FIELD_UINT64, AT(seed), 0, 9e15 },
	{ "training.batch_tasks", FIELD_INT, AT(batch_tasks), 1, 100000 },
	{ "training.batch_points", FIELD_INT, AT(batch_points), 1, 100000, .modes = ANSWERS },
	{ "training.row_tokens", FIELD_INT, AT(row_tokens), 8, 1 << 20, .modes = BASE },
	{ "training.label_smoothing", FIELD_FLOAT, AT(label_smoothing), 0, 0.99,
	    .modes = BASE | ANSWERS },
	{ "training.l2_generated", FIELD_FLOAT, AT(l2_generated), 0, 1e6, .modes = ANSWERS },
	{ "training.weighting", FIELD_CHOICE, AT(weighting), .choices = weighting_names,
	    .modes = ANSWERS },
	{ "training.description_in_prompt", FIELD_BOOL, AT(description_in_prompt),
	    .modes = ANSWERS },
	{ "training.batch_descriptions", FIELD_INT, AT(batch_descriptions), 1, 100000,
	    .modes = RECONSTRUCTION },
	{ "training.each_once", FIELD_BOOL, AT(each_once), .modes = ANSWERS },
	{ "training.neftune_alpha", FIELD_FLOAT, AT(neftune_alpha), 0, 1000, .modes = ANSWERS },
	{ "training.validation", FIELD_FLOAT, AT(validation), 0, 0.9 },
	{ "training.validate_every", FIELD_INT64, AT(validate_every), 1, 1e12,
	    .modes = ANSWERS | RECONSTRUCTION },
	{ "training.patience", FIELD_INT, AT(patience), 0, 1e9, .modes = ANSWERS | RECONSTRUCTION },
	{ "training.micro_batches", FIELD_INT, AT(parts), 1, 1e6 },
	{ "training.activation_checkpointing", FIELD_BOOL, AT(recompute), .modes = BASE | ANSWERS },
	{ "training.distributed", FIELD_BOOL, AT(distributed) },
	{ "training.checkpoint_every", FIELD_INT64, AT(checkpoint_every), 1, 1e12 },
	{ "training.log_every", FIELD_INT64, AT(log_every), 1, 1e12 },
	{ "optimizer.learning_rate", FIELD_FLOAT, AT(learning_rate), 0, 100 },
	{ "optimizer.muon_learning_rate", FIELD_FLOAT, AT(muon_learning_rate), 0, 100 },
	{ "optimizer.beta1", FIELD_FLOAT, AT(beta1), 0, 0.99999 },
	{ "optimizer.beta2", FIELD_FLOAT, AT(beta2), 0, 0.9999999 },
	{ "optimizer.epsilon", FIELD_FLOAT, AT(epsilon), 1e-30, 1 },
	{ "optimizer.weight_decay", FIELD_FLOAT, AT(weight_decay), 0, 100 },
	{ "optimizer.clip", FIELD_FLOAT, AT(clip), 0, 1e9 },
	{ "optimizer.schedule", FIELD_CHOICE, AT(schedule), .choices = schedule_names },
	{ "optimizer.warmup_steps", FIELD_INT64, AT(warmup_steps), 0, 1e9 },
	{ "optimizer.hold", FIELD_FLOAT, AT(hold), 0, 1 },
	{ "optimizer.final", FIELD_FLOAT, AT(final), 0, 1 },
	{ "data.suite", FIELD_TEXT, AT(suite) },
	{ "data.dataset", FIELD_TEXT, AT(suite) },
	{ "data.adapters", FIELD_TEXT, AT(adapters_path), .modes = RECONSTRUCTION },
	{ "data.max_tokens", FIELD_INT, AT(max_tokens), 0, 1 << 24, .modes = BASE | ANSWERS },
	{ "data.tasks", FIELD_WORDS, AT(tasks), .modes = BASE | ANSWERS },
	{ "data.descriptions", FIELD_INT, AT(descriptions), 0, 1e6, .modes = SUPERVISED },
	{ "data.base_model", FIELD_TEXT, AT(base_model), .modes = ANSWERS },
	{ "data.encoder", FIELD_TEXT, AT(encoder), .modes = HYPERNET | ENCODER },
	{ "data.texts", FIELD_TEXT, AT(texts), .modes = ENCODER },
	{ "data.tokenizer", FIELD_TEXT, AT(tokenizer), .modes = BASE },
	{ "data.cache", FIELD_TEXT, AT(cache), .modes = HYPERNET | ENCODER },
	{ "data.output", FIELD_TEXT, AT(output) },
	{ "data.log", FIELD_TEXT, AT(log) },
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

/* Keys with a check of their own: "training.mode" and the names that the seeds' files use. */
static const char *const other_keys[] = { "training.mode", "model.architecture", "model.size",
	"training.batch_size", "training.learning_rate", "optimizer.type", NULL };

static bool
choose(const struct config_value *value, const char *const *choices, int *index,
    struct config_error *error)
{
	for (int i = 0; value->kind == CONFIG_STRING && choices[i] != NULL; i++) {
		if (strcmp(choices[i], value->string) == 0) {
			*index = i;
			return true;
		}
	}
	char words[160] = "";

	for (int i = 0; choices[i] != NULL; i++)
		snprintf(words + strlen(words), sizeof words - strlen(words), " %s", choices[i]);
	return config_fail(error, value->line, "'%s' must be one of%s", value->key, words);
}

static bool
set_field(const struct field *field, const struct config_value *value,
    struct t2l_train_options *options, struct config_error *error)
{
	void *at = (char *)options + field->offset;
	const struct config_value *table = value->parent;
	double number = 0;
	int index;

	switch (field->type) {
	case FIELD_BOOL:
		return config_bool(table, value->key, at, error);
	case FIELD_CHOICE:
		if (!choose(value, field->choices, &index, error))
			return false;
		*(unsigned *)at = (unsigned)index;
		return true;
	case FIELD_WORDS:
		return config_words(table, value->key, at, error);
	case FIELD_TEXT:
		if (field->choices != NULL && !choose(value, field->choices, &index, error))
			return false;
		return config_string(table, value->key, at, error);
	default:
		if (!config_number(table, value->key, field->min, field->max, &number, error))
			return false;
		if (field->type != FIELD_FLOAT && number != floor(number))
			return config_fail(
			    error, value->line, "'%s' must be a whole number", value->key);
		if (field->type == FIELD_INT)
			*(int *)at = (int)number;
		else if (field->type == FIELD_FLOAT)
			*(float *)at = (float)number;
		else
			*(int64_t *)at = (int64_t)number;
		return true;
	}
}

/* The seeds' spelling of a few things. */
static bool
set_other(const char *path, const struct config_value *value, struct t2l_train_options *options,
    struct config_error *error)
{
	static const char *const sizes[] = { "small", "medium", "large", NULL };
	static const char *const architectures[] = { "hypernetwork", "llama", "bert", NULL };
	double number;
	int index;

	if (strcmp(path, "training.mode") == 0) {
		if (!choose(value, train_mode_names, &index, error))
			return false;
		options->mode = train_modes[index];
	} else if (strcmp(path, "model.size") == 0) {
		if (!choose(value, sizes, &index, error))
			return false;
		options->variant = train_variant_names[index];
	} else if (strcmp(path, "model.architecture") == 0) {
		return choose(value, architectures, &index, error);
	} else if (strcmp(path, "optimizer.type") == 0) {
		if (!choose(value, optimizer_names, &index, error))
			return false;
		if (index == 1 && options->muon_learning_rate == 0)
			options->muon_learning_rate = 0.02f;
	} else if (strcmp(path, "training.batch_size") == 0) {
		if (!config_number(value->parent, value->key, 1, 100000, &number, error))
			return false;
		options->batch_tasks = (int)number;
	} else {
		if (!config_number(value->parent, value->key, 0, 100, &number, error))
			return false;
		options->learning_rate = (float)number;
	}
	return true;
}

static bool
unknown_key(const char *path, const struct config_value *value, struct config_error *error)
{
	struct nearest meant = nearest_to(path);

	for (size_t i = 0; i < N_FIELDS; i++)
		nearest_try(&meant, fields[i].key);
	for (size_t i = 0; other_keys[i] != NULL; i++)
		nearest_try(&meant, other_keys[i]);
	/* The table's name and a few letters are alike in most. */
	if (meant.best == NULL || meant.least > 3)
		return config_fail(error, value->line, "unknown key '%s'", path);
	return config_fail(
	    error, value->line, "unknown key '%s'; did you mean '%s'?", path, meant.best);
}

static bool
take_value(
    const struct config_value *value, struct t2l_train_options *options, struct config_error *error)
{
	char path[256];

	for (size_t i = 0; value->kind == CONFIG_TABLE && i < value->n_children; i++)
		if (!take_value(value->children[i], options, error))
			return false;
	if (value->kind == CONFIG_TABLE)
		return true;
	config_path(value, path, sizeof path);
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].key, path) == 0)
			return set_field(&fields[i], value, options, error);
	for (size_t i = 0; other_keys[i] != NULL; i++)
		if (strcmp(other_keys[i], path) == 0)
			return set_other(path, value, options, error);
	return unknown_key(path, value, error);
}

/* What a recipe says twice must agree: the architecture with the mode, the optimiser's name with
 * its rates. */
static bool
agrees(const struct config_value *root, const struct t2l_train_options *train,
    struct config_error *error)
{
	static const char *const made[] = { [T2L_TRAIN_BASE] = "llama",
		[T2L_TRAIN_LORA] = "llama",
		[T2L_TRAIN_MULTI_TASK] = "llama",
		[T2L_TRAIN_SUPERVISED] = "hypernetwork",
		[T2L_TRAIN_ENCODER] = "bert",
		[T2L_TRAIN_RECONSTRUCTION] = "hypernetwork" };
	const struct config_value *architecture = config_find(root, "model.architecture");
	const struct config_value *optimizer = config_find(root, "optimizer.type");
	const struct config_value *offset = config_find(root, "model.offset");
	const struct config_value *learned = config_find(root, "model.learn_offset");

	if (architecture != NULL && strcmp(architecture->string, made[train->mode]) != 0)
		return config_fail(error, architecture->line,
		    "architecture '%s' does not go with the mode, which makes '%s'",
		    architecture->string, made[train->mode]);
	if (offset != NULL && train->mode != T2L_TRAIN_SUPERVISED)
		return config_fail(
		    error, offset->line, "an offset belongs to mode 'supervised' only");
	if (learned != NULL && train->learn_offset && offset == NULL)
		return config_fail(
		    error, learned->line, "learn_offset wants an offset, a LoRA to begin with");
	if (optimizer != NULL && strcmp(optimizer->string, "adamw") == 0 &&
	    train->muon_learning_rate > 0)
		return config_fail(error, optimizer->line,
		    "type 'adamw' does not go with muon_learning_rate; say \"muon\"");
	return true;
}

/* NULL: a key with a check of its own, which every mode looks at. */
static const struct field *
field_of(const char *key)
{
	if (strcmp(key, "model.size") == 0)
		key = "model.variant";
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

bool
train_recipe_key_counts(const char *key, enum t2l_train_mode mode)
{
	const struct field *field = field_of(key);

	return field == NULL || field->modes == 0 || (field->modes >> mode & 1) != 0;
}

void
train_recipe_idle_keys(
    const struct config_value *root, enum t2l_train_mode mode, struct buffer *keys)
{
	char path[256];

	for (size_t i = 0; root->kind == CONFIG_TABLE && i < root->n_children; i++)
		train_recipe_idle_keys(root->children[i], mode, keys);
	if (root->kind == CONFIG_TABLE)
		return;
	config_path(root, path, sizeof path);
	if (!train_recipe_key_counts(path, mode))
		buffer_printf(keys, "%s%s", keys->n > 0 ? ", " : "", path);
}

bool
train_recipe_read(
    const struct config_value *root, struct t2l_train_options *options, struct config_error *error)
{
	return take_value(root, options, error) && agrees(root, options, error);
}

bool
train_recipe_check(const struct config_value *table, struct config_error *error)
{
	struct t2l_train_options scratch = { 0 };

	return take_value(table, &scratch, error);
}
