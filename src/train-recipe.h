/*
 * src/train-recipe.h - training options from a recipe.
 */
#ifndef SRC_TRAIN_RECIPE_H
#define SRC_TRAIN_RECIPE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/config-value.h"
#include "engine/t2l.h"

extern const char *const train_mode_names[];	/* NULL-terminated */
extern const enum t2l_train_mode train_modes[]; /* in the order of the names */
extern const char *const train_variant_names[], *const train_compute_names[];

/* Sets what the recipe says; strings point into ROOT. Unknown keys, values out of range and things
 * said twice that do not agree are errors with their line. */
bool train_recipe_read(
    const struct config_value *root, struct t2l_train_options *options, struct config_error *error);

/* Whether MODE looks at this key ("model.dropout"), or refuses what it cannot do. */
bool train_recipe_key_counts(const char *key, enum t2l_train_mode mode);

/* Appends ROOT's keys that change nothing in MODE, divided by ", ". */
void train_recipe_idle_keys(
    const struct config_value *root, enum t2l_train_mode mode, struct buffer *keys);

/* Whether TABLE, one of a recipe's, holds only keys and values that a recipe may have. */
bool train_recipe_check(const struct config_value *table, struct config_error *error);

#endif
