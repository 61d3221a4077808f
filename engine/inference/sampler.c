/* sampler.c - the chain of steps from logits to the next token. */
#include "engine/inference/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

struct sampler {
	int vocab_size;
	struct candidate *candidates; /* [vocab_size], the first n are left */
	size_t n;
	int32_t *counts; /* [vocab_size], zero between calls */
	/* Room of a step: a heap of logits or of candidates, with their probabilities. */
	struct candidate *heap; /* [vocab_size] */
};

struct sampler *
sampler_create(int vocab_size)
{
	struct sampler *sampler = calloc(1, sizeof *sampler);
	size_t n = (size_t)vocab_size;

	if (sampler == NULL)
		return NULL;
	sampler->vocab_size = vocab_size;
	sampler->candidates = malloc(n * sizeof *sampler->candidates);
	sampler->heap = malloc(n * sizeof *sampler->heap);
	sampler->counts = calloc(n, sizeof *sampler->counts);
	if (sampler->candidates == NULL || sampler->heap == NULL || sampler->counts == NULL) {
		sampler_free(sampler);
		return NULL;
	}
	return sampler;
}

void
sampler_free(struct sampler *sampler)
{
	if (sampler == NULL)
		return;
	free(sampler->candidates);
	free(sampler->heap);
	free(sampler->counts);
	free(sampler);
}

struct t2l_sampling
t2l_sampling_default(void)
{
	return (struct t2l_sampling){ .temperature = 1, .top_p = 1, .repetition_penalty = 1 };
}

enum t2l_status
sampling_check(const struct t2l_sampling *sampling, struct t2l_error *err)
{
	const struct {
		const char *name;
		double value, least, most;
	} options[] = {
		{ "temperature", (double)sampling->temperature, 0, 100 },
		{ "top_k", sampling->top_k, 0, INT32_MAX },
		{ "top_p", (double)sampling->top_p, 0, 1 },
		{ "min_p", (double)sampling->min_p, 0, 1 },
		{ "repetition_penalty", (double)sampling->repetition_penalty, 0.01, 100 },
		{ "frequency_penalty", (double)sampling->frequency_penalty, -100, 100 },
		{ "presence_penalty", (double)sampling->presence_penalty, -100, 100 },
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (!(options[i].value >= options[i].least && options[i].value <= options[i].most))
			return t2l_fail(err, T2L_EINVAL, "%s is %g; expected %g to %g",
			    options[i].name, options[i].value, options[i].least, options[i].most);
	return T2L_OK;
}

/* ---- loading and penalties ---- */

void
sampler_load(struct sampler *sampler, const float *logits)
{
	sampler->n = (size_t)sampler->vocab_size;
	for (size_t i = 0; i < sampler->n; i++) {
		double logit = (double)logits[i];

		sampler->candidates[i] =
		    (struct candidate){ (int32_t)i, isnan(logit) ? -INFINITY : logit };
	}
}

static void
count_tokens(struct sampler *sampler, const int32_t *previous, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (previous[i] >= 0 && previous[i] < sampler->vocab_size)
			sampler->counts[previous[i]]++;
}

static void
forget_tokens(struct sampler *sampler, const int32_t *previous, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (previous[i] >= 0 && previous[i] < sampler->vocab_size)
			sampler->counts[previous[i]] = 0;
}

void
sampler_repetition_penalty(
    struct sampler *sampler, float penalty, const int32_t *previous, size_t n)
{
	count_tokens(sampler, previous, n);
	for (size_t i = 0; i < sampler->n; i++) {
		struct candidate *c = &sampler->candidates[i];

		if (sampler->counts[c->id] > 0)
			c->logit =
			    c->logit > 0 ? c->logit / (double)penalty : c->logit * (double)penalty;
	}
	forget_tokens(sampler, previous, n);
}

void
sampler_count_penalties(
    struct sampler *sampler, float frequency, float presence, const int32_t *previous, size_t n)
{
	count_tokens(sampler, previous, n);
	for (size_t i = 0; i < sampler->n; i++) {
		struct candidate *c = &sampler->candidates[i];

		if (sampler->counts[c->id] > 0)
			c->logit -= (double)frequency * sampler->counts[c->id] + (double)presence;
	}
	forget_tokens(sampler, previous, n);
}

/* ---- filters ---- */

void
sampler_temperature(struct sampler *sampler, float temperature)
{
	for (size_t i = 0; i < sampler->n; i++)
		sampler->candidates[i].logit /= (double)temperature;
}

static double
largest_logit(const struct sampler *sampler)
{
	double largest = -INFINITY;

	for (size_t i = 0; i < sampler->n; i++)
		if (sampler->candidates[i].logit > largest)
			largest = sampler->candidates[i].logit;
	return largest;
}

static void
keep_from(struct sampler *sampler, double least)
{
	size_t n = 0;

	for (size_t i = 0; i < sampler->n; i++)
		if (sampler->candidates[i].logit >= least)
			sampler->candidates[n++] = sampler->candidates[i];
	sampler->n = n;
}

/* BEFORE says which of two stands nearer to the heap's root. */
typedef bool heap_order(const struct candidate *a, const struct candidate *b);

static void
heap_sink(struct candidate *heap, size_t n, size_t at, heap_order *before)
{
	struct candidate item = heap[at];

	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &item))
			break;
		heap[at] = heap[child];
	}
	heap[at] = item;
}

static void
heap_build(struct candidate *heap, size_t n, heap_order *before)
{
	for (size_t i = n / 2; i-- > 0;)
		heap_sink(heap, n, i, before);
}

static bool
smaller(const struct candidate *a, const struct candidate *b)
{
	return a->logit < b->logit;
}

static bool
larger(const struct candidate *a, const struct candidate *b)
{
	return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

void
sampler_top_k(struct sampler *sampler, int k)
{
	size_t n = (size_t)k;

	if (k <= 0 || n >= sampler->n)
		return;
	/* The k largest so far, the least of them at the root. */
	memcpy(sampler->heap, sampler->candidates, n * sizeof *sampler->heap);
	heap_build(sampler->heap, n, smaller);
	for (size_t i = n; i < sampler->n; i++) {
		if (sampler->candidates[i].logit > sampler->heap[0].logit) {
			sampler->heap[0] = sampler->candidates[i];
			heap_sink(sampler->heap, n, 0, smaller);
		}
	}
	keep_from(sampler, sampler->heap[0].logit);
}

void
sampler_top_p(struct sampler *sampler, float p)
{
	double largest = largest_logit(sampler), total = 0, mass = 0;
	struct candidate last = { -1, 0 };
	size_t n = sampler->n, kept = 0;

	if (p >= 1)
		return;
	for (size_t i = 0; i < n; i++)
		total += exp(sampler->candidates[i].logit - largest);
	memcpy(sampler->heap, sampler->candidates, n * sizeof *sampler->heap);
	heap_build(sampler->heap, n, larger);
	/* Takes the most probable off the heap until their mass is enough: few of many. */
	do {
		last = sampler->heap[0];
		mass += exp(last.logit - largest);
		sampler->heap[0] = sampler->heap[--n];
		heap_sink(sampler->heap, n, 0, larger);
	} while (n > 0 && mass < (double)p * total);
	for (size_t i = 0; i < sampler->n; i++)
		if (!larger(&last, &sampler->candidates[i]))
			sampler->candidates[kept++] = sampler->candidates[i];
	sampler->n = kept;
}

void
sampler_min_p(struct sampler *sampler, float p)
{
	if (p > 0)
		keep_from(sampler, largest_logit(sampler) + log((double)p));
}

/* ---- choosing ---- */

const struct candidate *
sampler_candidates(const struct sampler *sampler, size_t *n)
{
	*n = sampler->n;
	return sampler->candidates;
}

int32_t
sampler_draw(struct sampler *sampler, double u)
{
	double largest = largest_logit(sampler), total = 0, sum = 0;
	int32_t last = -1;

	if (isinf(largest))
		return sampler_best(sampler);
	for (size_t i = 0; i < sampler->n; i++)
		total += exp(sampler->candidates[i].logit - largest);
	for (size_t i = 0; i < sampler->n; i++) {
		double p = exp(sampler->candidates[i].logit - largest);

		sum += p;
		if (p > 0)
			last = sampler->candidates[i].id;
		if (sum > u * total)
			return last;
	}
	return last; /* u rounded up to the whole */
}

int32_t
sampler_best(const struct sampler *sampler)
{
	double largest = -INFINITY;
	int32_t best = -1;

	for (size_t i = 0; i < sampler->n; i++) {
		if (sampler->candidates[i].logit > largest) {
			largest = sampler->candidates[i].logit;
			best = sampler->candidates[i].id;
		}
	}
	return best;
}

static uint64_t
mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

double
sampler_uniform(uint64_t seed, uint64_t step)
{
	/* The seed is mixed first: neighbouring seeds would be shifted copies of one sequence. */
	uint64_t z = mix(mix(seed) + (step + 1) * UINT64_C(0x9e3779b97f4a7c15));

	return (double)(z >> 11) * 0x1p-53;
}

/* Greedy decoding of a large vocabulary needs no candidates. */
static int32_t
best_logit(const float *logits, int n)
{
	float largest = -INFINITY;
	int32_t best = -1;

	for (int i = 0; i < n; i++) {
		if (logits[i] > largest) {
			largest = logits[i];
			best = i;
		}
	}
	return best;
}

int32_t
sampler_next(struct sampler *sampler, const struct t2l_sampling *sampling, const float *logits,
    const int32_t *previous, size_t n_previous, uint64_t step)
{
	bool greedy = sampling->greedy || sampling->temperature <= 0;
	bool counts = sampling->frequency_penalty != 0 || sampling->presence_penalty != 0;
	bool penalties = sampling->repetition_penalty != 1 || counts;

	if (greedy && !penalties)
		return best_logit(logits, sampler->vocab_size);
	sampler_load(sampler, logits);
	if (sampling->repetition_penalty != 1)
		sampler_repetition_penalty(
		    sampler, sampling->repetition_penalty, previous, n_previous);
	if (counts)
		sampler_count_penalties(sampler, sampling->frequency_penalty,
		    sampling->presence_penalty, previous, n_previous);
	if (greedy)
		return sampler_best(sampler);
	sampler_temperature(sampler, sampling->temperature);
	sampler_top_k(sampler, sampling->top_k);
	sampler_top_p(sampler, sampling->top_p);
	sampler_min_p(sampler, sampling->min_p);
	return sampler_draw(sampler, sampler_uniform(sampling->seed, step));
}
