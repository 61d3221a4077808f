/* t2l score - the log-probability of each token of a text, lane by lane. */

#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/command.h"
#include "src/json-lines.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "HF directory, GGUF file or a known name",
	    .setting = "base.model" },
	{ "adapter", 'a', OPTION_ADAPTER, MANY, "a lane; none: the base" },
	{ "text", 't', OPTION_TEXT, 0, "text to score" },
	{ "tokens", 0, OPTION_TEXT, 0, "token ids 1,2,3, taken as they are" },
	{ "input-file", 'f', OPTION_PATH, 0, "JSONL of {\"text\":..} or {\"tokens\":[..]}" },
	{ "save-logits", 0, OPTION_PATH, 0,
	    "safetensors with logits F32 [n, vocab], logits.1 ... for further lanes (one text)" },
	{ "precise", 0, OPTION_FLAG, 0, "f32 activations and the plain kernels" },
	{ 0 },
};

struct run {
	struct context *ctx;
	struct t2l_model *model;
	struct mix *mixes;
	size_t n_mixes;
	const char *save;
	size_t n_scored;
};

static void
tell(struct run *run, const struct mix *mix, const int32_t *ids, size_t n, const double *logprobs)
{
	cJSON *object = cJSON_CreateObject(), *tokens, *list;
	double sum = 0;

	cJSON_AddStringToObject(object, "adapter", mix->label);
	tokens = cJSON_AddArrayToObject(object, "tokens");
	list = cJSON_AddArrayToObject(object, "logprobs");
	for (size_t i = 0; i < n; i++) {
		cJSON_AddItemToArray(tokens, cJSON_CreateNumber(ids[i]));
		cJSON_AddItemToArray(
		    list, i == 0 ? cJSON_CreateNull() : cJSON_CreateNumber(logprobs[i]));
		sum += i > 0 ? logprobs[i] : 0;
	}
	double perplexity = n > 1 ? exp(-sum / (double)(n - 1)) : NAN;

	cJSON_AddNumberToObject(object, "perplexity", perplexity);
	say_json(run->ctx, object);
	say(run->ctx, "%-24s %zu tokens  log-probability %.4f  perplexity %.4f\n", mix->label, n,
	    sum, perplexity);
}

static bool
score_lane(struct run *run, const struct mix *mix, const int32_t *ids, size_t n, float *logits)
{
	double *logprobs = calloc(n, sizeof *logprobs);
	struct t2l_error err = { .message = "out of memory" };
	bool fine = logprobs != NULL && t2l_score(run->model, mix->adapters, mix->weights, mix->n,
					    ids, n, logprobs, logits, &err) == T2L_OK;

	if (fine)
		tell(run, mix, ids, n, logprobs);
	else
		context_fail_error(run->ctx, &err);
	free(logprobs);
	return fine;
}

static bool
score_ids(struct run *run, const int32_t *ids, size_t n)
{
	size_t vocab = (size_t)t2l_model_facts(run->model)->vocab_size;
	float *logits = NULL;
	bool fine = true;
	struct t2l_error err;

	if (n < 2) {
		context_fail(
		    run->ctx, "at least two tokens are wanted: the first has nothing before it");
		return false;
	}
	if (run->save != NULL && run->n_scored++ > 0) {
		context_fail(run->ctx, "--save-logits is for one text");
		return false;
	}
	if (run->save != NULL &&
	    (logits = calloc(run->n_mixes * n * vocab, sizeof *logits)) == NULL) {
		context_fail(run->ctx, "out of memory for %zu x %zu logits", n, vocab);
		return false;
	}
	for (size_t i = 0; i < run->n_mixes && fine; i++)
		fine =
		    score_lane(run, &run->mixes[i], ids, n, logits ? logits + i * n * vocab : NULL);
	if (fine && run->save != NULL &&
	    t2l_write_logits(run->save, logits, run->n_mixes, n, vocab, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		fine = false;
	}
	free(logits);
	return fine;
}

static bool
score_text(struct run *run, const char *text)
{
	struct t2l_error err;
	int32_t *ids;
	size_t n;
	bool fine;

	if (t2l_tokenize(run->model, text, strlen(text), T2L_ADD_SPECIAL, &ids, &n, &err) !=
	    T2L_OK) {
		context_fail_error(run->ctx, &err);
		return false;
	}
	fine = score_ids(run, ids, n);
	t2l_free(ids);
	return fine;
}

static bool
score_line(void *user, const cJSON *line, const char *where)
{
	struct run *run = user;
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "tokens");
	int32_t *ids;
	size_t n;
	bool fine;

	if (cJSON_IsString(text))
		return score_text(run, text->valuestring);
	ids = cJSON_IsArray(list) ? json_ids(list, &n) : NULL;
	if (ids == NULL) {
		context_fail(run->ctx, "%s: {\"text\":..} or {\"tokens\":[..]} is wanted", where);
		return false;
	}
	fine = score_ids(run, ids, n);
	free(ids);
	return fine;
}

static bool
score_all(struct run *run, const struct options *opt)
{
	const char *text = option_text(opt, "text"), *list = option_text(opt, "tokens");
	const char *file = option_text(opt, "input-file");
	bool fine = text == NULL || score_text(run, text);

	if (fine && list != NULL) {
		size_t n;
		int32_t *ids = text_ids(list, &n);

		if (ids == NULL)
			context_fail(run->ctx, "'%s' is no list of token ids like 1,2,3", list);
		fine = ids != NULL && score_ids(run, ids, n);
		free(ids);
	}
	return fine && (file == NULL || json_lines(run->ctx, file, score_line, run));
}

static int
score_run(struct context *ctx, const struct options *opt)
{
	size_t n = option_count(opt, "adapter");
	struct run run = { .ctx = ctx,
		.mixes = calloc(n + 1, sizeof *run.mixes),
		.save = option_text(opt, "save-logits") };
	bool fine = run.mixes != NULL;

	if (option_text(opt, "text") == NULL && option_text(opt, "tokens") == NULL &&
	    option_text(opt, "input-file") == NULL) {
		free(run.mixes);
		return context_usage(ctx, "--text, --tokens or --input-file is wanted");
	}
	workplace_precise(ctx, option_flag(opt, "precise"));
	fine = fine && workplace_model(ctx, option_text(opt, "base-model"), &run.model);
	for (; fine && run.n_mixes < (n ? n : 1); run.n_mixes++)
		fine = mix_parse(ctx, n ? option_nth(opt, "adapter", run.n_mixes) : "base",
		    &run.mixes[run.n_mixes]);
	fine = fine && score_all(&run, opt);
	for (size_t i = 0; run.mixes != NULL && i < n + 1; i++)
		mix_release(&run.mixes[i]);
	free(run.mixes);
	return fine ? 0 : 1;
}

const struct command command_score = {
	.name = "score",
	.summary = "the log-probability of each token of a text",
	.example =
	    "t2l score --base-model ./model --adapter ./lora --tokens 1,15,27 --precise --json",
	.options = options,
	.run = score_run,
};
