/* test-gguf-adapters.c - an adapter does the same to a GGUF file as to the Hugging Face form of the
 * same weights, in every family that llama.cpp's converter wrote.
 *
 * The Hugging Face form gets the numbers of the GGUF file, so that quantising plays no part; how
 * its adapters act is held against the reference in test-architectures.c.
 */
#include "tests/unit/golden-models.h"

#include <stdio.h>

#include "engine/models/decoder-weights.h"
#include "engine/models/model.h"

#define BOUND 1e-3 /* golden/models/README.md */
#define MAX_SLOTS 256

/* ---- the same weights in the other form ---- */

struct slots {
	struct weight_slot at[MAX_SLOTS];
	size_t n;
};

static enum t2l_status
collect(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct slots *slots = user;

	(void)err;
	assert_true(slots->n < MAX_SLOTS);
	slots->at[slots->n++] = *slot;
	return T2L_OK;
}

/* Row ROW of Hugging Face's order, in heads of HEAD rows, is this one of a llama GGUF file: element
 * s * (head/2) + i of a head lies at 2i + s. */
static int64_t
row_of_file(int64_t row, int64_t head)
{
	int64_t within = row % head, half = head / 2;

	return row - within + 2 * (within % half) + within / half;
}

/* FROM's numbers in f32; rows as Hugging Face has them. To be freed. */
static float *
widened(const struct weight_slot *slot, bool turned)
{
	const struct tensor *from = *slot->tensor;
	int64_t rows = slot->rows > 0 ? slot->rows : slot->cols,
		cols = slot->rows > 0 ? slot->cols : 1;
	float *values = malloc((size_t)(rows * cols) * sizeof *values);
	float *all = malloc((size_t)(rows * cols) * sizeof *all);

	assert_true(values != NULL && all != NULL);
	dtype_to_f32(from->dtype, from->data, all, rows * cols);
	for (int64_t r = 0; r < rows; r++) {
		int64_t row =
		    turned && slot->turned_heads > 0 ? row_of_file(r, slot->turned_heads) : r;

		memcpy(values + r * cols, all + row * cols, (size_t)cols * sizeof *values);
	}
	free(all);
	return values;
}

struct twins {
	struct t2l_model *gguf, *hf;
	float *values[MAX_SLOTS];
	size_t n;
};

static void
take_weights(struct twins *twins)
{
	struct decoder *from = &twins->gguf->base->decoder, *to = &twins->hf->base->decoder;
	static struct slots ours, theirs;
	struct t2l_error err = { 0 };

	ours.n = theirs.n = 0;
	assert_ok(decoder_each_weight(from, &decoder_names_gguf, collect, &ours, &err));
	assert_ok(decoder_each_weight(to, &decoder_names_hf, collect, &theirs, &err));
	assert_int_equal(ours.n, theirs.n);
	for (size_t i = 0; i < ours.n; i++) {
		struct tensor *tensor = *theirs.at[i].tensor;

		assert_int_equal(ours.at[i].rows, theirs.at[i].rows);
		assert_int_equal(ours.at[i].cols, theirs.at[i].cols);
		twins->values[i] = widened(&ours.at[i], from->config.rope_neighbours);
		tensor->dtype = DTYPE_F32;
		tensor->data = twins->values[i];
	}
	twins->n = ours.n;
	/* A Mistral file has no window; Gemma's norms have their 1 already. */
	to->config.window = from->config.window;
	memcpy(to->config.slides, from->config.slides, sizeof to->config.slides);
	to->config.norm_offset = from->config.norm_offset;
	to->config.query_scale = from->config.query_scale;
}

static void
close_twins(struct twins *twins)
{
	t2l_model_close(twins->gguf);
	t2l_model_close(twins->hf);
	for (size_t i = 0; i < twins->n; i++)
		free(twins->values[i]);
}

/* False, and told, when one of the two is not here. */
static bool
open_twins(const char *file, const char *directory, struct twins *twins)
{
	char relative[256];
	struct t2l_error err = { 0 };

	*twins = (struct twins){ 0 };
	snprintf(relative, sizeof relative, "models/gguf/%s.gguf", file);
	const char *gguf = golden_path(relative);
	snprintf(relative, sizeof relative, "models/%s/config.json", directory);
	if (gguf == NULL || golden_path(relative) == NULL) {
		print_message("no golden data for %s and %s\n", file, directory);
		return false;
	}
	assert_ok(t2l_model_open(engine, gguf, &twins->gguf, &err));
	snprintf(relative, sizeof relative, "models/%s", directory);
	assert_ok(
	    t2l_model_open(engine, need_golden_folder(relative, "config.json"), &twins->hf, &err));
	take_weights(twins);
	return true;
}

/* ---- adapters on both ---- */

#define N_TOKENS 24

static float *
logits_of(struct t2l_model *model, const struct t2l_adapter *adapter, size_t *n)
{
	const float one = 1;
	int32_t ids[N_TOKENS];
	double logprobs[N_TOKENS];
	struct t2l_error err = { 0 };
	float *logits;

	*n = (size_t)t2l_model_facts(model)->vocab_size * N_TOKENS;
	logits = malloc(*n * sizeof *logits);
	assert_non_null(logits);
	for (int i = 0; i < N_TOKENS; i++)
		ids[i] = 5 + i * 7919 % 80;
	assert_ok(t2l_score(
	    model, &adapter, &one, adapter != NULL, ids, N_TOKENS, logprobs, logits, &err));
	return logits;
}

static void
check_adapter(struct twins *twins, const char *path, const char *what)
{
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err = { 0 };
	size_t n, n_hf;

	if (path != NULL)
		assert_ok(t2l_adapter_open(path, &adapter, &err));
	float *gguf = logits_of(twins->gguf, adapter, &n),
	      *hf = logits_of(twins->hf, adapter, &n_hf);
	float *without = logits_of(twins->gguf, NULL, &n);

	assert_int_equal(n, n_hf);
	assert_near(gguf, hf, n, BOUND, what);
	if (adapter != NULL)
		assert_true(largest_difference(gguf, without, n) > 0.1);
	free(gguf);
	free(hf);
	free(without);
	t2l_adapter_close(adapter);
}

static void
adapters_do_the_same_to_both_forms_of_every_family(void **state)
{
	static const struct {
		const char *file, *directory;
	} pairs[] = {
		{ "llama2-f16", "llama2" },
		{ "llama2-q4_0", "llama2" },
		{ "llama3-bf16", "llama3" },
		{ "llama3-q8_0", "llama3" },
		{ "mistral-q8_0", "mistral" },
		{ "mixtral-q8_0", "mixtral" },
		{ "gemma1-q8_0", "gemma1" },
		{ "gemma2-q8_0", "gemma2" },
		{ "phi-q8_0", "phi" },
		{ "phi3-f16", "phi3" },
		{ "phi3-q8_0", "phi3" },
		{ "phi3-longrope-q8_0", "phi3-longrope" },
		{ "qwen2-f16", "qwen2" },
		{ "qwen2-q8_0", "qwen2" },
	};
	static const char *const names[] = { "all", "t2l", "rslora", "patterns", "attn-router" };
	int n_checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct twins twins;
		char what[256], relative[256];

		if (!open_twins(pairs[i].file, pairs[i].directory, &twins))
			continue;
		check_adapter(&twins, NULL, pairs[i].file);
		for (size_t a = 0; a < sizeof names / sizeof *names; a++) {
			snprintf(relative, sizeof relative,
			    "models/%s/adapters/%s/adapter_config.json", pairs[i].directory,
			    names[a]);
			if (golden_path(relative) == NULL)
				continue;
			*strrchr(relative, '/') = '\0';
			snprintf(what, sizeof what, "%s with %s", pairs[i].file, names[a]);
			check_adapter(
			    &twins, need_golden_folder(relative, "adapter_config.json"), what);
			n_checked++;
		}
		close_twins(&twins);
	}
	assert_true(n_checked > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adapters_do_the_same_to_both_forms_of_every_family),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
