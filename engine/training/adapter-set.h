/*
 * training/adapter-set.h - the adapters that reconstruction training learns, with their
 * descriptions.
 */
#ifndef ENGINE_TRAINING_ADAPTER_SET_H
#define ENGINE_TRAINING_ADAPTER_SET_H

#include "engine/training/descriptions.h"
#include "engine/training/lora-parameters.h"

struct adapter_set {
	size_t n;
	char **names;
	struct t2l_adapter **adapters;
	struct described *described; /* [n]; texts belong to texts, the suite or the adapters */
	char ***texts;		     /* [n] NULL, or sentences of a descriptions.txt */
	struct t2l_suite *suite;     /* NULL: none given */
	struct lora_shape shape;     /* that all of them have */
	int n_layers;
	int64_t in[N_MODULES], out[N_MODULES]; /* of the shape's modules */
};

/* The adapters of options->adapters, else every native file and PEFT directory in
 * options->adapters_path. Descriptions, the first that there are: the one given with the adapter;
 * NAME.txt beside a file or descriptions.txt in a directory (one a line); those of the task NAME of
 * options->suite; the adapter's own task. Errors name the adapter: without a description, of
 * another shape or base than the first, two of one name. */
enum t2l_status adapter_set_open(
    struct adapter_set *set, const struct t2l_train_options *options, struct t2l_error *err);
void adapter_set_close(struct adapter_set *set);

#endif
