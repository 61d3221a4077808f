/* descriptions.c - prepares and embeds the sentences of a training run. */

#include <math.h>
#include <stdlib.h>

#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/training/descriptions.h"
#include "engine/training/embeddings.h"

static enum t2l_status
prepare(const struct text_encoder *encoder, const struct described *things, size_t n, char **texts,
    struct t2l_error *err)
{
	size_t next = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < things[i].n; j++) {
			const char *text = things[i].texts[j];
			enum t2l_status status =
			    hypernet_prepare_description(text, &texts[next++], err);

			if (status == T2L_OK)
				status = hypernet_check_words(encoder, text, err);
			if (status != T2L_OK)
				return t2l_context(
				    err, "task '%s', description %zu", things[i].name, j + 1);
		}
	return T2L_OK;
}

static enum t2l_status
count(const struct described *things, size_t n, struct description_set *set, struct t2l_error *err)
{
	set->begin = malloc((n + 1) * sizeof *set->begin);
	if (set->begin == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	set->begin[0] = 0;
	for (size_t i = 0; i < n; i++) {
		set->begin[i + 1] = set->begin[i] + things[i].n;
		if (things[i].n == 0)
			return t2l_fail(err, T2L_EFORMAT,
			    "task '%s' has no descriptions of the tier 'train' (a suite of folders "
			    "keeps them in metadata.yaml or descriptions.txt)",
			    things[i].name);
	}
	return T2L_OK;
}

enum t2l_status
description_set_make(struct trainer *trainer, const struct text_encoder *encoder,
    const struct described *things, size_t n, struct description_set *set, struct t2l_error *err)
{
	enum t2l_status status;
	char **texts;
	size_t all;

	*set = (struct description_set){ .dimension = encoder->facts.dimension };
	status = count(things, n, set, err);
	if (status != T2L_OK)
		return status;
	all = set->begin[n];
	texts = calloc(all + 1, sizeof *texts);
	set->embeddings = malloc((all + 1) * (size_t)set->dimension * sizeof *set->embeddings);
	if (texts == NULL || set->embeddings == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (status == T2L_OK)
		status = prepare(encoder, things, n, texts, err);
	if (status == T2L_OK)
		status = embeddings_make(trainer, encoder, trainer->options->cache,
		    (const char *const *)texts, all, sqrtf((float)set->dimension), set->embeddings,
		    err);
	for (size_t i = 0; texts != NULL && i < all; i++)
		free(texts[i]);
	free(texts);
	return status;
}

void
description_set_release(struct description_set *set)
{
	free(set->embeddings);
	free(set->begin);
	*set = (struct description_set){ 0 };
}

const float *
description_at(const struct description_set *set, size_t index, size_t number)
{
	return set->embeddings + (set->begin[index] + number) * (size_t)set->dimension;
}

size_t
description_count(const struct description_set *set, size_t index)
{
	return set->begin[index + 1] - set->begin[index];
}
