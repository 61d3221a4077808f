/* no-number.c - logits that are no numbers: noticed, and explained. */
#include "engine/inference/no-number.h"

#include <math.h>
#include <stdio.h>

#include "engine/error.h"
#include "engine/models/model.h"

int64_t
count_no_numbers(const float *logits, int64_t n)
{
	int64_t n_bad = 0;

	for (int64_t i = 0; i < n; i++)
		n_bad += !isfinite(logits[i]);
	return n_bad;
}

void
overflow_watch(void *user, int layer, const struct tensor *hidden)
{
	struct overflow *overflow = user;

	if (overflow->found || count_no_numbers(tensor_f32(hidden), tensor_count(hidden)) == 0)
		return;
	*overflow = (struct overflow){ true, layer };
}

static const char *
place_of(const struct overflow *overflow, char text[64])
{
	if (!overflow->found)
		snprintf(text, 64, "in the output head");
	else if (overflow->layer < 0)
		snprintf(text, 64, "in the final norm");
	else if (overflow->layer == 0)
		snprintf(text, 64, "in the embeddings");
	else
		snprintf(text, 64, "in layer %d", overflow->layer - 1);
	return text;
}

enum t2l_status
no_number_fail(const struct t2l_model *model, const char *what, int64_t n_bad, int64_t n,
    const struct overflow *overflow, struct t2l_error *err)
{
	struct t2l_error inner = { 0 };
	char place[64], how_many[64] = "any token";

	if (n_bad < n)
		snprintf(how_many, sizeof how_many, "%lld of %lld tokens", (long long)n_bad,
		    (long long)n);
	if (t2l_model_check(model, &inner) != T2L_OK)
		return t2l_fail(err, T2L_EFORMAT, "model '%s' gave no number for %s (%s): %s",
		    model->base->facts.name, how_many, what, inner.message);
	return t2l_fail(err, T2L_EFORMAT,
	    "model '%s' gave no number for %s (%s): its weights are numbers, but the pass "
	    "overflows %s; an adapter or its weight is too large, or the model is damaged",
	    model->base->facts.name, how_many, what, place_of(overflow, place));
}
