/*
 * merge-auto.c - one weight at a time, by golden sections within its bounds (Kiefer 1953), for a
 * few sweeps; only what is better is kept, so the result is never worse than the beginning.
 *
 * An answer counts as exact when every one of its tokens, and the end behind it, is the likeliest
 * where it stands: that is what greedy decoding would write.
 */

#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/json-lines.h"
#include "src/merge-auto.h"

#define SECTIONS 5 /* evaluations of one weight, after the first two */
#define MAX_EXAMPLES 4096
#define EXACT_COUNTS 1000 /* one exact answer more outweighs any likelihood */

struct example {
	int32_t *ids;
	size_t n, n_prompt; /* the response begins at n_prompt */
};
struct search {
	struct context *ctx;
	const struct merge_search *search;
	struct example *examples;
	size_t n_examples, n_tried;
	float *logits; /* of the longest example */
	double *logprobs;
	double exact, likelihood; /* of the last evaluation */
};

/* ---- examples ---- */

/* Prompt and response as the model reads them; with a chat template the end of the answer too. */
static enum t2l_status
encode(const struct t2l_model *model, const char *prompt, const char *response,
    struct example *example, struct t2l_error *err)
{
	const struct t2l_message messages[] = { { "user", prompt }, { "assistant", response } };
	struct t2l_chat_options ask = { .add_generation_prompt = true }, all = { 0 };
	int32_t *start = NULL, *rest = NULL;
	size_t n_start = 0, n_rest = 0;
	enum t2l_status status;

	if (t2l_model_facts(model)->has_chat_template) {
		status = t2l_chat_encode(model, messages, 1, &ask, &start, &n_start, err);
		if (status == T2L_OK)
			status = t2l_chat_encode(
			    model, messages, 2, &all, &example->ids, &example->n, err);
		while (status == T2L_OK && example->n_prompt < n_start &&
		       example->n_prompt < example->n &&
		       start[example->n_prompt] == example->ids[example->n_prompt])
			example->n_prompt++;
		t2l_free(start);
		return status;
	}
	status =
	    t2l_tokenize(model, prompt, strlen(prompt), T2L_ADD_SPECIAL, &start, &n_start, err);
	if (status == T2L_OK)
		status = t2l_tokenize(model, response, strlen(response), 0, &rest, &n_rest, err);
	if (status == T2L_OK &&
	    (example->ids = malloc((n_start + n_rest + 1) * sizeof *rest)) == NULL) {
		status = err->status = T2L_ENOMEM;
		snprintf(err->message, sizeof err->message, "out of memory");
	}
	if (status == T2L_OK) {
		memcpy(example->ids, start, n_start * sizeof *start);
		memcpy(example->ids + n_start, rest, n_rest * sizeof *rest);
		example->n = n_start + n_rest;
		example->n_prompt = n_start;
	}
	t2l_free(start);
	t2l_free(rest);
	return status;
}

static bool
read_example(void *user, const cJSON *object, const char *where)
{
	struct search *s = user;
	const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(object, "prompt");
	const cJSON *response = cJSON_GetObjectItemCaseSensitive(object, "response");
	struct example *examples, example = { 0 };
	struct t2l_error err;

	if (!cJSON_IsString(prompt) || !cJSON_IsString(response)) {
		context_fail(s->ctx, "%s: {\"prompt\":..,\"response\":..} is wanted", where);
		return false;
	}
	if (s->n_examples == MAX_EXAMPLES) {
		context_fail(s->ctx, "%s: at most %d examples are taken", where, MAX_EXAMPLES);
		return false;
	}
	if (encode(s->search->model, prompt->valuestring, response->valuestring, &example, &err) !=
	    T2L_OK) {
		context_fail(s->ctx, "%s: %s", where, err.message);
		return false;
	}
	examples = realloc(s->examples, (s->n_examples + 1) * sizeof *examples);
	if (examples == NULL || example.n_prompt == 0 || example.n_prompt >= example.n) {
		context_fail(s->ctx,
		    examples == NULL ? "%s: out of memory"
				     : "%s: prompt and response must hold text",
		    where);
		s->examples = examples != NULL ? examples : s->examples;
		t2l_free(example.ids);
		return false;
	}
	s->examples = examples;
	s->examples[s->n_examples++] = example;
	return true;
}

static bool
read_examples(struct search *s)
{
	const size_t vocab = (size_t)t2l_model_facts(s->search->model)->vocab_size;
	size_t longest = 0;

	if (!json_lines(s->ctx, s->search->path, read_example, s))
		return false;
	if (s->n_examples == 0) {
		context_fail(s->ctx, "'%s' has no examples", s->search->path);
		return false;
	}
	for (size_t i = 0; i < s->n_examples; i++)
		longest = s->examples[i].n > longest ? s->examples[i].n : longest;
	s->logits = calloc(longest * vocab, sizeof *s->logits);
	s->logprobs = calloc(longest, sizeof *s->logprobs);
	if (s->logits == NULL || s->logprobs == NULL)
		context_fail(s->ctx, "out of memory for %zu x %zu logits", longest, vocab);
	return s->logits != NULL && s->logprobs != NULL;
}

/* ---- evaluation ---- */

/* Logits of position i - 1 speak of token i. */
static bool
is_exact(const struct example *example, const float *logits, size_t vocab)
{
	for (size_t i = example->n_prompt; i < example->n; i++) {
		const float *row = logits + (i - 1) * vocab;

		for (size_t id = 0; id < vocab; id++) {
			if (row[id] > row[example->ids[i]])
				return false;
		}
	}
	return true;
}

static enum t2l_status
score(struct search *s, const struct t2l_adapter *merged, struct t2l_error *err)
{
	const size_t vocab = (size_t)t2l_model_facts(s->search->model)->vocab_size;
	const float one = 1;
	size_t n_tokens = 0, n_exact = 0;
	double sum = 0;

	for (size_t i = 0; i < s->n_examples; i++) {
		const struct example *example = &s->examples[i];
		enum t2l_status status = t2l_score(s->search->model, &merged, &one, 1, example->ids,
		    example->n, s->logprobs, s->logits, err);

		if (status != T2L_OK)
			return status;
		for (size_t k = example->n_prompt; k < example->n; k++)
			sum += s->logprobs[k];
		n_tokens += example->n - example->n_prompt;
		n_exact += is_exact(example, s->logits, vocab);
	}
	s->exact = (double)n_exact / (double)s->n_examples;
	s->likelihood = sum / (double)n_tokens;
	return T2L_OK;
}

/* False on failure, told. */
static bool
evaluate(struct search *s, const double *weights, double *value)
{
	const struct merge_search *search = s->search;
	struct t2l_adapter *merged;
	struct t2l_error err;
	enum t2l_status status;

	if (s->ctx->cancelled != NULL && *s->ctx->cancelled) {
		context_fail(s->ctx, "stopped");
		return false;
	}
	status = t2l_adapter_merge(search->engine, search->merge, search->adapters, weights,
	    search->n, NULL, &merged, &err);
	if (status == T2L_OK) {
		status = score(s, merged, &err);
		t2l_adapter_close(merged);
	}
	if (status != T2L_OK) {
		context_fail_error(s->ctx, &err);
		return false;
	}
	s->n_tried++;
	*value = s->likelihood +
		 (search->by_likelihood ? 0 : EXACT_COUNTS * s->exact * (double)s->n_examples);
	return true;
}

/* ---- search ---- */

struct best {
	double value, exact, likelihood;
};

static bool
try_weight(struct search *s, double *weights, size_t i, double weight, double *value,
    struct best *best, double *best_weight)
{
	weights[i] = weight;
	if (!evaluate(s, weights, value))
		return false;
	if (*value > best->value) {
		*best = (struct best){ *value, s->exact, s->likelihood };
		*best_weight = weight;
	}
	return true;
}

static bool
search_weight(struct search *s, double *weights, size_t i, struct best *best)
{
	const double golden = (sqrt(5) - 1) / 2;
	double low = 0, high = s->search->largest, best_weight = weights[i];
	double left = high - golden * (high - low), right = low + golden * (high - low);
	double at_left, at_right;
	bool fine = try_weight(s, weights, i, left, &at_left, best, &best_weight) &&
		    try_weight(s, weights, i, right, &at_right, best, &best_weight);

	for (int k = 0; k < SECTIONS && fine; k++) {
		if (at_left > at_right) {
			high = right;
			right = left;
			at_right = at_left;
			left = high - golden * (high - low);
			fine = try_weight(s, weights, i, left, &at_left, best, &best_weight);
		} else {
			low = left;
			left = right;
			at_left = at_right;
			right = low + golden * (high - low);
			fine = try_weight(s, weights, i, right, &at_right, best, &best_weight);
		}
	}
	weights[i] = best_weight;
	return fine;
}

static bool
search_all(struct search *s, double *weights, struct merge_found *found)
{
	const size_t all = s->search->n * (size_t)s->search->sweeps;
	struct best best;
	double before;

	if (!evaluate(s, weights, &best.value))
		return false;
	before = best.value;
	best.exact = found->exact_before = s->exact;
	best.likelihood = found->likelihood_before = s->likelihood;
	for (size_t k = 0; k < all; k++) {
		progress(s->ctx, "searching weights", (double)k, (double)all, "weights", -1);
		if (!search_weight(s, weights, k % s->search->n, &best))
			return false;
		if ((k + 1) % s->search->n != 0)
			continue;
		if (best.value <= before)
			break; /* a sweep that gained nothing */
		before = best.value;
	}
	progress(s->ctx, "searching weights", -1, 0, "", -1);
	found->exact_after = best.exact;
	found->likelihood_after = best.likelihood;
	found->n_examples = s->n_examples;
	found->n_tried = s->n_tried;
	return true;
}

bool
merge_search_weights(struct context *ctx, const struct merge_search *search, double *weights,
    struct merge_found *found)
{
	struct search s = { .ctx = ctx, .search = search };
	bool fine = read_examples(&s) && search_all(&s, weights, found);

	for (size_t i = 0; i < s.n_examples; i++)
		t2l_free(s.examples[i].ids);
	free(s.examples);
	free(s.logits);
	free(s.logprobs);
	return fine;
}
