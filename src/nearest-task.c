/* nearest-task.c - compares a sentence's embedding with those of a suite's descriptions. */

#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/nearest-task.h"

#define DESCRIPTIONS 4 /* of each task */

static double
cosine_of(const float *a, const float *b, size_t n)
{
	double dot = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < n; i++) {
		dot += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

const struct t2l_suite_task *
nearest_task(struct context *ctx, const struct t2l_suite *suite, const char *text, double *cosine)
{
	const struct t2l_suite_task *best = NULL;
	struct t2l_encoder *encoder;
	struct t2l_error err = { .message = "out of memory" };
	float *values;
	size_t size;
	bool fine;

	*cosine = -1;
	if (!workplace_encoder(ctx, NULL, &encoder))
		return NULL;
	size = (size_t)t2l_encoder_facts(encoder)->dimension;
	/* The sentence's vector, and behind it those of one task's descriptions. */
	values = malloc((1 + DESCRIPTIONS) * size * sizeof *values);
	fine = values != NULL && t2l_encoder_embed(encoder, &text, 1, values, &err) == T2L_OK;
	for (size_t i = 0; fine && i < t2l_suite_n_tasks(suite); i++) {
		const struct t2l_suite_task *task = t2l_suite_task(suite, i);
		const struct t2l_suite_tier *tier = task->n_tiers > 0 ? &task->tiers[0] : NULL;
		size_t n = tier == NULL ? 0 : tier->n < DESCRIPTIONS ? tier->n : DESCRIPTIONS;

		fine = n == 0 || t2l_encoder_embed(encoder, (const char *const *)tier->texts, n,
				     values + size, &err) == T2L_OK;
		for (size_t j = 0; fine && j < n; j++) {
			double near = cosine_of(values, values + (1 + j) * size, size);

			if (near > *cosine) {
				*cosine = near;
				best = task;
			}
		}
	}
	free(values);
	if (!fine)
		context_fail_error(ctx, &err);
	else if (best == NULL)
		context_fail(ctx, "the suite describes none of its tasks");
	return fine ? best : NULL;
}
