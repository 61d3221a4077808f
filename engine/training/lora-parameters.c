/* lora-parameters.c - fresh LoRA adapters to train, and what became of them. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/row-order.h"
#include "engine/error.h"
#include "engine/training/lora-parameters.h"
#include "engine/training/random.h"

static float
scale_of(const struct lora_shape *shape)
{
	double rank = shape->rank;

	return (float)((double)shape->lora_alpha / (shape->use_rslora ? sqrt(rank) : rank));
}

static void
initialise(struct lora_parameters *lora, uint64_t seed)
{
	for (int i = 0; i < lora->stack.n_modules; i++) {
		struct random random = random_at(seed, STREAM_INITIAL, (uint64_t)i);
		struct tensor *a = lora->stack.a[i];
		double bound = 1 / sqrt((double)tensor_cols(a));

		for (int64_t j = 0; j < tensor_count(a); j++)
			tensor_f32(a)[j] = (float)(bound * (2 * random_uniform(&random) - 1));
	}
}

enum t2l_status
lora_parameters_make(struct lora_parameters *lora, const struct lora_shape *shape,
    const struct decoder_config *base, int64_t n_adapters, uint64_t seed, struct t2l_error *err)
{
	struct lora_stack *stack = &lora->stack;
	int64_t n = 0;
	float *next;

	*lora = (struct lora_parameters){ .shape = *shape,
		.n_adapters = n_adapters,
		.gguf_rows = base->rope_neighbours,
		.head_dim = base->head_dim };
	*stack = (struct lora_stack){ .n_modules = shape->n_modules,
		.n_layers = base->n_layers,
		.rank = shape->rank,
		.scale = scale_of(shape) };
	memcpy(stack->modules, shape->modules, sizeof stack->modules);
	for (int i = 0; i < stack->n_modules; i++)
		n += decoder_module_in(base, stack->modules[i]) +
		     decoder_module_out(base, stack->modules[i]);
	n *= n_adapters * stack->n_layers * stack->rank;
	lora->memory = next = calloc((size_t)n, sizeof *next);
	if (next == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (int i = 0; i < 2 * stack->n_modules; i++) {
		enum module module = stack->modules[i / 2];
		bool is_a = i % 2 == 0;
		struct tensor *tensor = &lora->tensors[i];

		*tensor = (struct tensor){ .dtype = DTYPE_F32,
			.n_dims = 4,
			.shape = { n_adapters, stack->n_layers, stack->rank,
			    is_a ? decoder_module_in(base, module)
				 : decoder_module_out(base, module) },
			.data = next };
		next += tensor_count(tensor);
		*(is_a ? &stack->a[i / 2] : &stack->bt[i / 2]) = tensor;
	}
	initialise(lora, seed);
	return T2L_OK;
}

void
lora_parameters_release(struct lora_parameters *lora)
{
	free(lora->memory);
	lora->memory = NULL;
}

enum t2l_status
lora_parameters_add(struct lora_parameters *lora, struct parameter_set *set, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	char name[64];

	for (int i = 0; i < 2 * lora->stack.n_modules && status == T2L_OK; i++) {
		snprintf(name, sizeof name, "%s.lora_%s", module_name(lora->stack.modules[i / 2]),
		    i % 2 == 0 ? "A" : "BT");
		status = parameter_set_add(set, name, &lora->tensors[i], UPDATE_ADAMW, err);
	}
	return status;
}

/* ---- from and to adapters ---- */

enum t2l_status
lora_shape_of(const struct t2l_adapter *adapter, const struct decoder_config *base,
    struct lora_shape *shape, struct t2l_error *err)
{
	const struct adapter_module *first = &adapter->modules[0];

	*shape = (struct lora_shape){ .rank = first->rank,
		.lora_alpha = (float)first->alpha,
		.use_rslora = adapter->facts.use_rslora };
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		char label[MODULE_PATH_SIZE];

		if (module->layer == MODULE_NO_LAYER || module->expert != MODULE_NO_EXPERT ||
		    module->rank != first->rank || module->scale != first->scale)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "adapter '%s': %s is not like its other modules (layers, rank and "
			    "scale alike are wanted here)",
			    adapter->facts.name, adapter_module_label(module, label, sizeof label));
		if (module->layer == 0)
			shape->modules[shape->n_modules++] = module->module;
	}
	if (adapter->n_modules != (size_t)shape->n_modules * (size_t)base->n_layers)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "adapter '%s': its modules are not the same in each of the %d layers",
		    adapter->facts.name, base->n_layers);
	return T2L_OK;
}

/* Position of a kind in the stack. */
static int
place_of(const struct lora_stack *stack, enum module module)
{
	int at = 0;

	while (stack->modules[at] != module)
		at++;
	return at;
}

/* The numbers of one module of adapter INDEX: part 0 A, 1 B transposed. */
static float *
numbers_of(const struct lora_parameters *lora, int64_t index, const struct adapter_module *module,
    int part, size_t *n)
{
	int at = place_of(&lora->stack, module->module);
	const struct tensor *all = part ? lora->stack.bt[at] : lora->stack.a[at];
	int64_t count = all->shape[2] * all->shape[3];

	*n = (size_t)count;
	return tensor_f32(all) + (index * lora->stack.n_layers + module->layer) * count;
}

void
lora_parameters_take(struct lora_parameters *lora, int64_t index, const struct t2l_adapter *adapter)
{
	size_t n;

	for (size_t i = 0; i < adapter->n_modules; i++)
		for (int part = 0; part < 2; part++) {
			const struct adapter_module *module = &adapter->modules[i];
			float *numbers = numbers_of(lora, index, module, part, &n);

			memcpy(
			    numbers, part ? module->bt.data : module->a.data, n * sizeof *numbers);
		}
}

/* In Hugging Face's order, as adapters are kept; then sealed. */
static enum t2l_status
finish(const struct lora_parameters *lora, struct t2l_adapter **adapter, struct t2l_error *err)
{
	struct t2l_adapter *ordered;
	enum t2l_status status;

	(*adapter)->facts.gguf_rows = lora->gguf_rows;
	status = adapter_reorder(*adapter, false, lora->head_dim, &ordered, err);
	t2l_adapter_close(*adapter);
	if (status != T2L_OK)
		return status;
	status = adapter_seal(ordered, err);
	if (status != T2L_OK)
		t2l_adapter_close(ordered);
	else
		*adapter = ordered;
	return status;
}

enum t2l_status
lora_parameters_adapter(const struct lora_parameters *lora, int64_t index,
    const struct adapter_labels *labels, struct t2l_adapter **adapter, struct t2l_error *err)
{
	const struct lora_stack *stack = &lora->stack;
	struct adapter_module *modules =
	    calloc((size_t)(stack->n_layers * stack->n_modules), sizeof *modules);
	enum t2l_status status;
	size_t n = 0;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (int layer = 0; layer < stack->n_layers; layer++)
		for (int i = 0; i < stack->n_modules; i++)
			modules[n++] = (struct adapter_module){ .layer = layer,
				.module = stack->modules[i],
				.expert = MODULE_NO_EXPERT,
				.rank = stack->rank,
				.alpha = (double)lora->shape.lora_alpha,
				.a = { .n_dims = 2,
				    .shape = { stack->rank, stack->a[i]->shape[3] } },
				.bt = { .n_dims = 2,
				    .shape = { stack->rank, stack->bt[i]->shape[3] } } };
	status = adapter_create(modules, n, lora->shape.use_rslora, labels, adapter, err);
	free(modules);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < (*adapter)->n_modules; i++)
		for (int part = 0; part < 2; part++) {
			struct adapter_module *module = &(*adapter)->modules[i];
			const float *numbers = numbers_of(lora, index, module, part, &n);

			memcpy(
			    part ? module->bt.data : module->a.data, numbers, n * sizeof *numbers);
		}
	return finish(lora, adapter, err);
}
