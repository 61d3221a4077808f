/*
 * merge.c - several adapters into one: modules are aligned, then a strategy works on each.
 *
 * The result has alpha = rank and no rsLoRA, so its scale is 1: weights and scales of the inputs
 * are folded into A and B. (PEFT copies use_rslora from the first input and so makes merges of
 * rsLoRA adapters too strong by sqrt(rank).) A module that only some inputs change is merged from
 * those. One module is in work at a time where matrices are formed, else as many as there are
 * threads.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/merge-inputs.h"
#include "engine/adapters/norms.h"
#include "engine/adapters/svd.h"
#include "engine/cpu/threads.h"
#include "engine/engine.h"

#define MODULES_A_TURN 16 /* between two looks at whether to stop */

/* One merge on its way. */
struct merge {
	struct t2l_engine *engine;
	const struct merge_strategy *strategy;
	struct merge_settings settings;
	const struct t2l_adapter *const *adapters;
	const double *weights; /* settled */
	size_t n;
	struct t2l_adapter *result;
	struct module_outcome *outcomes; /* one a module of the result */
};

struct module_outcome {
	double energy, lost; /* of the cut */
	enum t2l_status status;
	struct t2l_error error;
};

/* ---- factors, cut or as they are ---- */

/* Rows of A and of BT, a product of the shape of OUT. */
struct factors {
	int64_t rank, in, out;
	float *a, *bt;
};

static enum t2l_status
factors_make(
    struct factors *f, int64_t rank, const struct adapter_module *out, struct t2l_error *err)
{
	f->rank = rank;
	f->in = tensor_cols(&out->a);
	f->out = tensor_cols(&out->bt);
	f->a = calloc((size_t)(rank * (f->in + f->out)), sizeof *f->a);
	f->bt = f->a != NULL ? f->a + rank * f->in : NULL;
	return f->a != NULL ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "out of memory");
}

static enum t2l_status
cut_factors(const struct factors *f, const struct adapter_module *out,
    struct module_outcome *outcome, struct t2l_error *err)
{
	struct svd_cut cut = { out->rank, tensor_f32(&out->a), tensor_f32(&out->bt), 0, 0 };
	enum t2l_status status = svd_cut_product(f->a, f->bt, f->rank, f->in, f->out, &cut, err);

	outcome->energy = cut.energy;
	outcome->lost = cut.lost;
	return status;
}

/* ---- the span of the effects ---- */

static enum t2l_status
find_coefficients(const struct merge *merge, const struct merge_part *parts, size_t n, double *c,
    struct t2l_error *err)
{
	double *gram = malloc(n * n * sizeof *gram);
	enum t2l_status status;

	if (gram == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	/* Weights alone need no angles. */
	for (size_t i = 0; i < n && merge->strategy->coefficients != coefficients_weights; i++) {
		for (size_t j = i; j < n; j++)
			gram[i * n + j] = gram[j * n + i] =
			    module_inner_product(parts[i].module, parts[j].module);
	}
	status = merge->strategy->coefficients(parts, n, &merge->settings, gram, c, err);
	free(gram);
	return status;
}

/* Rows of A, scaled, one adapter after the other, and B likewise: exactly the sum of effects. */
static void
stack(const struct merge_part *parts, size_t n, const double *c, float *a, float *bt)
{
	for (size_t i = 0; i < n; i++) {
		const struct adapter_module *module = parts[i].module;
		const float factor = (float)(c[i] * (double)module->scale);
		const float *rows = tensor_f32(&module->a);

		for (int64_t k = 0; k < tensor_count(&module->a); k++)
			*a++ = factor * rows[k];
		memcpy(bt, module->bt.data, (size_t)tensor_count(&module->bt) * sizeof *bt);
		bt += tensor_count(&module->bt);
	}
}

static enum t2l_status
merge_span(const struct merge *merge, const struct merge_part *parts, size_t n,
    const struct adapter_module *out, struct module_outcome *outcome, struct t2l_error *err)
{
	double *c = malloc(n * sizeof *c);
	struct factors f = { 0 };
	enum t2l_status status;
	int64_t rank = 0;

	for (size_t i = 0; i < n; i++)
		rank += parts[i].module->rank;
	status = c == NULL ? t2l_fail(err, T2L_ENOMEM, "out of memory")
			   : find_coefficients(merge, parts, n, c, err);
	if (status == T2L_OK && rank <= out->rank) {
		stack(parts, n, c, tensor_f32(&out->a), tensor_f32(&out->bt));
	} else if (status == T2L_OK && (status = factors_make(&f, rank, out, err)) == T2L_OK) {
		stack(parts, n, c, f.a, f.bt);
		status = cut_factors(&f, out, outcome, err);
	}
	free(f.a);
	free(c);
	return status;
}

/* ---- the same steps on lists of matrices ---- */

/* Room for N pointers and factors, and (where numbers are pruned) for copies of all matrices. */
struct list {
	const float **x;
	double *factors;
	float *copies;
};

static enum t2l_status
list_make(struct list *list, size_t n, int64_t n_copied, struct t2l_error *err)
{
	list->x = malloc(n * sizeof *list->x);
	list->factors = malloc(n * sizeof *list->factors);
	list->copies = n_copied > 0 ? malloc((size_t)n_copied * sizeof(float)) : NULL;
	if (list->x == NULL || list->factors == NULL || (n_copied > 0 && list->copies == NULL))
		return t2l_fail(err, T2L_ENOMEM, "out of memory for %lld numbers of one module",
		    (long long)n_copied);
	return T2L_OK;
}

static void
list_free(struct list *list)
{
	free(list->x);
	free(list->factors);
	free(list->copies);
}

static enum t2l_status
prune(const struct merge *merge, const struct merge_part *part, char what, size_t place,
    float *values, int64_t rows, int64_t cols, struct t2l_error *err)
{
	const struct merge_masks *masks = merge->settings.masks;
	const struct merge_matrix x = {
		.values = values,
		.rows = rows,
		.cols = cols,
		/* Of module, part and adapter; what each draws is its own. */
		.stream = (place * 4 + (what == 'A'	 ? 1
					   : what == 'B' ? 2
							 : 3)) *
			      65537 +
			  part->adapter,
		.mask = masks != NULL ? masks->find(masks->user, part->module, what, part->adapter)
				      : NULL,
	};

	return merge->strategy->prune(&x, &merge->settings, err);
}

/* A, or B, of all parts into VALUES. */
static enum t2l_status
merge_factor(const struct merge *merge, const struct merge_part *parts, size_t n, size_t place,
    char what, const struct tensor *shape, float *values, struct t2l_error *err)
{
	const int64_t count = tensor_count(shape);
	struct list list;
	enum t2l_status status =
	    list_make(&list, n, merge->strategy->prune != NULL ? count * (int64_t)n : 0, err);

	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct adapter_module *module = parts[i].module;
		const double v = parts[i].weight * (double)module->scale;
		const struct tensor *from = what == 'A' ? &module->a : &module->bt;

		list.factors[i] = what == 'A' ? copysign(sqrt(fabs(v)), v) : sqrt(fabs(v));
		list.x[i] = tensor_f32(from);
		if (list.copies != NULL) {
			float *copy = list.copies + (int64_t)i * count;

			memcpy(copy, from->data, (size_t)count * sizeof *copy);
			list.x[i] = copy;
			status = prune(merge, &parts[i], what, place, copy, tensor_rows(from),
			    tensor_cols(from), err);
		}
	}
	if (status == T2L_OK)
		status = merge->strategy->combine(
		    list.x, list.factors, n, count, &merge->settings, values, err);
	list_free(&list);
	return status;
}

static enum t2l_status
merge_factors(const struct merge *merge, const struct merge_part *parts, size_t n, size_t place,
    const struct adapter_module *out, struct module_outcome *outcome, struct t2l_error *err)
{
	const struct adapter_module *first = parts[0].module;
	struct factors f = { 0 };
	float *a = tensor_f32(&out->a), *bt = tensor_f32(&out->bt);
	enum t2l_status status = T2L_OK;

	if (out->rank < first->rank) {
		status = factors_make(&f, first->rank, out, err);
		a = f.a;
		bt = f.bt;
	}
	if (status == T2L_OK)
		status = merge_factor(merge, parts, n, place, 'A', &first->a, a, err);
	if (status == T2L_OK)
		status = merge_factor(merge, parts, n, place, 'B', &first->bt, bt, err);
	if (status == T2L_OK && f.a != NULL)
		status = cut_factors(&f, out, outcome, err);
	free(f.a);
	return status;
}

static void
form(struct t2l_engine *engine, const struct adapter_module *module, float *delta)
{
	const struct backend *backend = engine_backend(engine);

	engine_lock(engine);
	backend->gemm(backend->state, true, false, tensor_cols(&module->bt),
	    tensor_cols(&module->a), module->rank, module->scale, tensor_f32(&module->bt),
	    tensor_f32(&module->a), 0, delta);
	engine_unlock(engine);
}

static enum t2l_status
merge_matrices(const struct merge *merge, const struct merge_part *parts, size_t n, size_t place,
    const struct adapter_module *out, struct module_outcome *outcome, struct t2l_error *err)
{
	const int64_t rows = tensor_cols(&out->bt), cols = tensor_cols(&out->a);
	const int64_t count = rows * cols;
	struct svd_cut cut = { out->rank, tensor_f32(&out->a), tensor_f32(&out->bt), 0, 0 };
	struct list list;
	enum t2l_status status = list_make(&list, n, count * (int64_t)(n + 1), err);
	float *sum = list.copies != NULL ? list.copies + (int64_t)n * count : NULL;

	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		float *delta = list.copies + (int64_t)i * count;

		list.x[i] = delta;
		list.factors[i] = parts[i].weight;
		form(merge->engine, parts[i].module, delta);
		if (merge->strategy->prune != NULL)
			status = prune(merge, &parts[i], 'D', place, delta, rows, cols, err);
	}
	if (status == T2L_OK)
		status = merge->strategy->combine(
		    list.x, list.factors, n, count, &merge->settings, sum, err);
	if (status == T2L_OK)
		status =
		    svd_cut_matrix(merge->engine, sum, rows, cols, merge->settings.seed, &cut, err);
	outcome->energy = cut.energy;
	outcome->lost = cut.lost;
	list_free(&list);
	return status;
}

/* ---- all modules ---- */

static void
merge_module(const struct merge *merge, size_t place)
{
	const struct adapter_module *out = &merge->result->modules[place];
	struct module_outcome *outcome = &merge->outcomes[place];
	struct merge_part *parts = malloc(merge->n * sizeof *parts);
	size_t n = 0;

	if (parts == NULL) {
		outcome->status = t2l_fail(&outcome->error, T2L_ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; i < merge->n; i++) {
		const struct adapter_module *in =
		    adapter_find(merge->adapters[i], out->layer, out->module, out->expert);

		if (in != NULL)
			parts[n++] = (struct merge_part){ in, merge->weights[i], i };
	}
	switch (merge->strategy->kind) {
	case MERGE_SPAN:
		outcome->status = merge_span(merge, parts, n, out, outcome, &outcome->error);
		break;
	case MERGE_FACTORS:
		outcome->status =
		    merge_factors(merge, parts, n, place, out, outcome, &outcome->error);
		break;
	case MERGE_MATRICES:
		outcome->status =
		    merge_matrices(merge, parts, n, place, out, outcome, &outcome->error);
		break;
	}
	free(parts);
}

static void
merge_range(void *user, int64_t begin, int64_t end, int worker)
{
	(void)worker;
	for (int64_t i = begin; i < end; i++)
		merge_module(user, (size_t)i);
}

struct turn {
	const struct merge *merge;
	size_t begin;
};

static void
merge_turn(void *user, int64_t begin, int64_t end, int worker)
{
	const struct turn *turn = user;

	merge_range(
	    (void *)turn->merge, (int64_t)turn->begin + begin, (int64_t)turn->begin + end, worker);
}

/* Matrices are large and their products take all threads: one at a time. */
static enum t2l_status
merge_modules(
    const struct merge *merge, const struct t2l_merge_options *options, struct t2l_error *err)
{
	const size_t all = merge->result->n_modules;
	const bool alone = merge->strategy->kind == MERGE_MATRICES;
	struct thread_pool *pool =
	    thread_pool_create(alone ? 1 : t2l_engine_threads(merge->engine));
	enum t2l_status status = T2L_OK;

	if (pool == NULL)
		return t2l_fail(err, T2L_ENOMEM, "merge: threads can't be started");
	for (size_t done = 0; done < all && status == T2L_OK;) {
		size_t n = alone ? 1 : MODULES_A_TURN;
		struct turn turn = { merge, done };

		n = n < all - done ? n : all - done;
		thread_pool_run(pool, (int64_t)n, 1, merge_turn, &turn);
		for (size_t i = done; i < done + n && status == T2L_OK; i++) {
			status = merge->outcomes[i].status;
			if (status != T2L_OK && err != NULL)
				*err = merge->outcomes[i].error;
		}
		done += n;
		if (status == T2L_OK && options->on_module != NULL &&
		    !options->on_module(options->user, done, all))
			status = t2l_fail(err, T2L_ECANCELLED, "merge: stopped");
	}
	thread_pool_free(pool);
	return status;
}

static void
fill_report(const struct merge *merge, struct t2l_merge_report *report)
{
	double energy = 0, lost = 0, largest = 0;

	*report = (struct t2l_merge_report){ .rank = merge->result->facts.rank };
	for (size_t i = 0; i < merge->result->n_modules; i++) {
		const struct module_outcome *outcome = &merge->outcomes[i];

		energy += outcome->energy;
		lost += outcome->lost;
		if (outcome->energy > 0 && outcome->lost / outcome->energy > largest) {
			largest = outcome->lost / outcome->energy;
			adapter_module_path(&merge->result->modules[i], report->largest_module,
			    sizeof report->largest_module);
		}
	}
	report->relative_error = energy > 0 ? sqrt(lost / energy) : 0;
	report->largest_error = sqrt(largest);
}

static enum t2l_status
merge_into(struct merge *merge, const struct t2l_merge_options *options,
    struct t2l_merge_report *report, struct t2l_error *err)
{
	enum t2l_status status;

	merge->outcomes = calloc(merge->result->n_modules, sizeof *merge->outcomes);
	if (merge->outcomes == NULL)
		return t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	status = merge_modules(merge, options, err);
	if (status == T2L_OK)
		status = adapter_seal(merge->result, err);
	if (status == T2L_OK && report != NULL)
		fill_report(merge, report);
	free(merge->outcomes);
	return status;
}

enum t2l_status
merge_adapters(struct t2l_engine *engine, const struct t2l_merge_options *options,
    const struct merge_masks *masks, const struct t2l_adapter *const *adapters,
    const double *weights, size_t n, struct t2l_merge_report *report, struct t2l_adapter **out,
    struct t2l_error *err)
{
	struct merge merge = { .engine = engine, .adapters = adapters, .n = n };
	double *settled = malloc((n + 1) * sizeof *settled);
	enum t2l_status status;

	if (settled == NULL)
		return t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	merge.weights = settled;
	if ((status = merge_settle(options, n, &merge.strategy, &merge.settings, err)) == T2L_OK &&
	    (status = merge_settle_weights(merge.strategy, weights, n, settled, err)) == T2L_OK &&
	    (status = merge_prepare(merge.strategy, options->rank, adapters, settled, n,
		 &merge.result, err)) == T2L_OK) {
		merge.settings.masks = masks;
		if ((status = merge_into(&merge, options, report, err)) == T2L_OK)
			*out = merge.result;
		else
			t2l_adapter_close(merge.result);
	}
	free(settled);
	return status;
}

enum t2l_status
t2l_adapter_merge(struct t2l_engine *engine, const struct t2l_merge_options *options,
    const struct t2l_adapter *const *adapters, const double *weights, size_t n,
    struct t2l_merge_report *report, struct t2l_adapter **out, struct t2l_error *err)
{
	return merge_adapters(engine, options, NULL, adapters, weights, n, report, out, err);
}
