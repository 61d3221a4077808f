/*
 * training/parameters.h - the numbers that training changes, with what the optimiser remembers of
 * each.
 *
 * A set names tensors that live in a network (decoder, hypernet, LoRA, encoder) and owns their
 * gradients and moments. The order of adding is the order in files.
 */
#ifndef ENGINE_TRAINING_PARAMETERS_H
#define ENGINE_TRAINING_PARAMETERS_H

#include "engine/t2l.h"
#include "engine/tensor/backend.h"

enum update_rule {
	UPDATE_ADAMW,
	UPDATE_MUON /* hidden matrices; see optimiser.c */
};

struct parameter {
	char name[128];
	struct tensor *tensor; /* f32 [..]; its grad belongs to the set */
	enum update_rule rule;
	float *m, *v; /* moments; muon keeps its momentum in m and has no v */
};

struct parameter_set {
	struct parameter *items;
	size_t n, n_allocated;
	float *memory; /* gradients and moments of all */
	int64_t n_numbers;
};

enum t2l_status parameter_set_add(struct parameter_set *set, const char *name,
    struct tensor *tensor, enum update_rule rule, struct t2l_error *err);
/* Gradients and moments, zeroed; to be called once, after the last add. */
enum t2l_status parameter_set_allocate(struct parameter_set *set, struct t2l_error *err);
void parameter_set_zero_gradients(struct parameter_set *set);
/* Gradients lie in one run at the start of MEMORY: so many numbers. */
size_t parameter_set_gradient_numbers(const struct parameter_set *set);
void parameter_set_release(struct parameter_set *set);

struct parameter *parameter_set_find(const struct parameter_set *set, const char *name);

#endif
