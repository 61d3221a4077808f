/* test-convert.c - base models in the other file format: the same numbers, names and logits; and
 * what a form cannot say is refused. */
#include "tests/unit/golden-models.h"

#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/formats/gguf.h"
#include "engine/models/model.h"
#include "engine/text/tokenizer.h"
#include "tests/unit/temporary-folder.h"

/* Folders within the test's own: the fixture removes plain files. */
static int
remove_all(void **state)
{
	static const char *const folders[] = { "hf", "source" };

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char path[600], file[1200];
		struct dirent *entry;
		DIR *dir;

		snprintf(path, sizeof path, "%s/%s", temporary_folder, folders[i]);
		dir = opendir(path);
		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
			unlink(file);
		}
		if (dir != NULL)
			closedir(dir);
		rmdir(path);
	}
	return remove_temporary_folder(state);
}

static void
convert(const char *input, const char *output, const char *type)
{
	const struct t2l_quantize_options options = { .type = type };
	struct t2l_error err = { 0 };

	if (t2l_model_convert(input, output, &options, &err) != T2L_OK)
		fail_msg("%s", err.message);
}

static void
refused(const char *input, const char *output, const char *type, enum t2l_status status,
    const char *word)
{
	const struct t2l_quantize_options options = { .type = type };
	struct t2l_error err = { 0 };

	assert_int_equal(t2l_model_convert(input, output, &options, &err), status);
	if (strstr(err.message, word) == NULL)
		fail_msg("'%s' is not in: %s", word, err.message);
	assert_int_not_equal(access(output, F_OK), 0);
}

/* ---- logits ---- */

static struct t2l_model *
open_model(const char *path)
{
	struct t2l_error err = { 0 };
	struct t2l_model *model = NULL;

	if (t2l_model_open(engine, path, &model, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return model;
}

#define N_IDS 24

/* As many rows as the model's context has room for. */
static float *
logits_of(struct t2l_model *model, int *n_rows)
{
	const struct t2l_model_facts *facts = t2l_model_facts(model);
	const int n = facts->context_length < N_IDS ? facts->context_length : N_IDS;
	float *logits = malloc((size_t)n * (size_t)facts->vocab_size * sizeof *logits);
	double logprobs[N_IDS];
	int32_t ids[N_IDS];
	struct t2l_error err = { 0 };

	for (int i = 0; i < n; i++)
		ids[i] = (i * 37 + 5) % facts->vocab_size;
	if (t2l_score(model, NULL, NULL, 0, ids, (size_t)n, logprobs, logits, &err) != T2L_OK)
		fail_msg("%s", err.message);
	*n_rows = n;
	return logits;
}

static void
assert_same_logits(const char *a_path, const char *b_path, double bound, const char *what)
{
	struct t2l_model *a = open_model(a_path), *b = open_model(b_path);
	const int vocab_size = t2l_model_facts(a)->vocab_size;
	int n_a, n_b;
	float *x = logits_of(a, &n_a), *y = logits_of(b, &n_b);

	assert_int_equal(vocab_size, t2l_model_facts(b)->vocab_size);
	assert_int_equal(n_a, n_b);
	assert_near(y, x, (size_t)n_a * (size_t)vocab_size, bound, what);
	free(x);
	free(y);
	t2l_model_close(a);
	t2l_model_close(b);
}

/* Links every file of the golden model NAME into the test's folder, with CONFIG for its own. */
static const char *
source_with(const char *name, const char *config)
{
	static char folder[600];
	static const char *const files[] = { "model.safetensors", "model.safetensors.index.json",
		"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
		"model-00003-of-00003.safetensors" };
	char relative[256], from[4400], to[700];
	const char *directory;

	snprintf(relative, sizeof relative, "models/%s", name);
	directory = need_golden_folder(relative, config);
	snprintf(folder, sizeof folder, "%s", in_folder("source"));
	mkdir(folder, 0755);
	for (size_t i = 0; i <= sizeof files / sizeof *files; i++) {
		bool last = i == sizeof files / sizeof *files;

		snprintf(from, sizeof from, "%s/%s", directory, last ? config : files[i]);
		snprintf(to, sizeof to, "%s/%s", folder, last ? "config.json" : files[i]);
		unlink(to);
		if (access(from, R_OK) == 0)
			assert_int_equal(symlink(from, to), 0);
	}
	return folder;
}

struct model_case {
	const char *name, *config;
	double bound; /* 0: the same bits */
};

/* Files of the llama family have the elements of a head in another order, and so are they summed.
 * Divisors of LLaMA 3.1 and YaRN's magnitude go through f32; Gemma's 1 is added to norms. */
static const struct model_case sayable[] = {
	{ "llama1", "config.json", 1e-5 },
	{ "llama2", "config.json", 1e-5 },
	{ "llama2", "config.linear.json", 1e-5 },
	{ "llama2", "config.yarn.json", 1e-5 },
	{ "llama-bias", "config.json", 1e-5 },
	{ "llama3", "config.json", 1e-4 },
	{ "mistral", "config.json", 1e-5 },
	{ "mistral", "config.nowindow.json", 1e-5 },
	{ "mistral-nemo", "config.json", 1e-5 },
	{ "mixtral", "config.json", 1e-5 },
	{ "gemma1", "config.json", 1e-5 },
	{ "gemma2", "config.json", 1e-5 },
	{ "phi", "config.json", 0 },
	{ "phi3", "config.json", 0 },
	{ "phi3-longrope", "config.json", 1e-4 },
	{ "qwen2", "config.json", 0 },
	{ "qwen3", "config.json", 0 },
	{ "qwen3-moe", "config.json", 0 },
};

static void
a_directory_as_gguf_and_back_gives_the_same_logits(void **state)
{
	const struct model_case *c = *state;
	const char *source = source_with(c->name, c->config), *gguf = in_folder("model.gguf");
	const char *back = in_folder("hf");

	convert(source, gguf, "f32");
	assert_same_logits(source, gguf, c->bound, "directory and GGUF");
	convert(gguf, back, NULL);
	assert_same_logits(gguf, back, c->bound, "GGUF and directory");
}

/* What GGUF cannot say is no matter between two directories. */
static const struct model_case savable[] = {
	{ "llama2", "config.dynamic.json", 0 },
	{ "llama2", "config.yarn.json", 0 },
	{ "llama3", "config.json", 0 },
	{ "mistral", "config.json", 0 },
	{ "mixtral", "config.json", 0 },
	{ "gemma2", "config.json", 0 },
	{ "gemma2", "config.qpas.json", 1e-4 }, /* a scale of its own, in f32 */
	{ "phi", "config.json", 0 },
	{ "phi-head-norms", "config.json", 0 },
	{ "phi3-longrope", "config.json", 0 },
	{ "qwen1", "config.json", 0 },
	{ "qwen2", "config.swa.json", 0 },
	{ "qwen3", "config.json", 0 },
	{ "qwen3-moe-plain", "config.json", 0 },
};

static void
a_directory_saved_again_gives_the_same_logits(void **state)
{
	const struct model_case *c = *state;
	const char *source = source_with(c->name, c->config), *saved = in_folder("hf");
	struct t2l_model *model = open_model(source);
	struct t2l_error err = { 0 };

	mkdir(saved, 0755);
	assert_ok(decoder_save_hf(&model->base->decoder, saved, DTYPE_F32, &err));
	t2l_model_close(model);
	assert_same_logits(source, saved, c->bound, "directory and directory");
}

/* ---- bytes ---- */

static struct gguf *
open_gguf(const char *path)
{
	struct t2l_error err = { 0 };
	struct gguf *gguf = NULL;

	if (gguf_open(path, &gguf, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return gguf;
}

static void
assert_same_tensors(const struct gguf *ours, const struct gguf *theirs)
{
	assert_int_equal(gguf_count(ours), gguf_count(theirs));
	for (size_t i = 0; i < gguf_count(theirs); i++) {
		const struct gguf_entry *want = gguf_at(theirs, i),
					*is = gguf_find(ours, want->name);

		if (is == NULL)
			fail_msg("%s is missing", want->name);
		if (is->ggml_type != want->ggml_type || is->n_dims != want->n_dims ||
		    memcmp(is->shape, want->shape, (size_t)is->n_dims * sizeof *is->shape) != 0)
			fail_msg("%s is %s of another shape or type, not %s", want->name,
			    is->type_name, want->type_name);
		assert_int_equal(is->n_bytes, want->n_bytes);
	}
}

static void
assert_same_bytes(const struct gguf *ours, const struct gguf *theirs)
{
	assert_same_tensors(ours, theirs);
	for (size_t i = 0; i < gguf_count(theirs); i++) {
		const struct gguf_entry *want = gguf_at(theirs, i),
					*is = gguf_find(ours, want->name);

		/* LLaMA 3.1's divisors may differ in the last bit. */
		if (strcmp(want->name, "rope_freqs.weight") != 0 &&
		    memcmp(is->bytes, want->bytes, want->n_bytes) != 0)
			fail_msg("%s has other bytes", want->name);
	}
}

static void
gguf_to_directory_to_gguf_keeps_the_bytes(void **state)
{
	const struct model_case *c = *state;
	const char *first = in_folder("first.gguf"), *second = in_folder("second.gguf");
	struct gguf *a, *b;

	convert(source_with(c->name, c->config), first, NULL);
	convert(first, in_folder("hf"), NULL);
	convert(in_folder("hf"), second, NULL);
	a = open_gguf(first);
	b = open_gguf(second);
	assert_same_bytes(b, a);
	gguf_close(a);
	gguf_close(b);
}

/* ---- llama.cpp's own files ---- */

struct golden_case {
	const char *name, *gguf, *type;
	bool exact; /* q8_0 files went through f16, gemma2's norms were added to in f16 */
};

static const struct golden_case goldens[] = {
	{ "llama2", "llama2-f32", "f32", true },
	{ "llama2", "llama2-f16", "f16", true },
	{ "llama3", "llama3-bf16", "bf16", true },
	{ "llama3", "llama3-q8_0", "q8_0", false },
	{ "mixtral", "mixtral-q8_0", "q8_0", false },
	{ "gemma1", "gemma1-q8_0", "q8_0", false },
	{ "gemma2", "gemma2-q8_0", "q8_0", false },
	{ "phi", "phi-q8_0", "q8_0", false },
	{ "phi3", "phi3-f16", "f16", true },
	{ "phi3-longrope", "phi3-longrope-q8_0", "q8_0", false },
	{ "qwen2", "qwen2-f16", "f16", true },
	{ "qwen2", "qwen2-q8_0", "q8_0", false },
};

/* Of the model: the goldens' vocabulary is another, and names are of whoever made the file. */
static bool
is_compared(const struct gguf_key *key)
{
	return strncmp(key->name, "tokenizer.", 10) != 0 &&
	       strcmp(key->name, "general.name") != 0 &&
	       strcmp(key->name, "general.size_label") != 0;
}

static void
assert_same_key(const struct gguf *ours, const struct gguf_key *want)
{
	const struct gguf_key *is = gguf_key_find(ours, want->name);

	if (is == NULL || is->type != want->type)
		fail_msg("key %s is missing or of another type", want->name);
	if (want->type == GGUF_STRING)
		assert_string_equal(is->text, want->text);
	else if (want->type == GGUF_F32)
		assert_true(fabs(gguf_array_number(is, 0) - gguf_array_number(want, 0)) <=
			    1e-6 * fabs(gguf_array_number(want, 0)));
	else
		assert_memory_equal(is->bytes, want->bytes, 4);
}

static void
assert_near_tensor(const struct gguf_entry *is, const struct gguf_entry *want, bool exact)
{
	int64_t n = 1;
	float *x, *y, largest = 0;

	for (int i = 0; i < want->n_dims; i++)
		n *= want->shape[i];
	x = malloc((size_t)n * sizeof *x);
	y = malloc((size_t)n * sizeof *y);
	assert_true(dtype_to_f32(is->dtype, is->bytes, x, n));
	assert_true(dtype_to_f32(want->dtype, want->bytes, y, n));
	for (int64_t i = 0; i < n; i++)
		largest = fmaxf(largest, fabsf(y[i]));
	/* A step of q8_0 is a 127th of a block's largest number; a rounding of f16 a 2048th. */
	for (int64_t i = 0; i < n; i++)
		if (fabsf(x[i] - y[i]) > (exact ? 1e-6f : 1.0f / 127) * largest)
			fail_msg("%s: number %lld is %g, not %g", want->name, (long long)i,
			    (double)x[i], (double)y[i]);
	free(x);
	free(y);
}

static void
our_file_is_that_of_llama_cpp(void **state)
{
	const struct golden_case *c = *state;
	char relative[128];
	struct gguf *theirs, *ours;

	snprintf(relative, sizeof relative, "models/gguf/%s.gguf", c->gguf);
	theirs = open_gguf(need_golden(relative));
	convert(source_with(c->name, "config.json"), in_folder("model.gguf"), c->type);
	ours = open_gguf(in_folder("model.gguf"));
	for (size_t i = 0; i < gguf_key_count(theirs); i++)
		if (is_compared(gguf_key_at(theirs, i)))
			assert_same_key(ours, gguf_key_at(theirs, i));
	if (c->exact)
		assert_same_bytes(ours, theirs);
	else
		assert_same_tensors(ours, theirs);
	for (size_t i = 0; i < gguf_count(theirs); i++)
		assert_near_tensor(
		    gguf_find(ours, gguf_at(theirs, i)->name), gguf_at(theirs, i), c->exact);
	gguf_close(theirs);
	gguf_close(ours);
}

/* ---- text ---- */

/* A blank before the first text only: GGUF's keys have no word for it. */
static const char tokenizer_json[] =
    "{\"version\": \"1.0\", \"added_tokens\": ["
    "{\"id\": 0, \"content\": \"<unk>\", \"special\": true},"
    "{\"id\": 1, \"content\": \"<s>\", \"special\": true},"
    "{\"id\": 2, \"content\": \"</s>\", \"special\": true},"
    "{\"id\": 8, \"content\": \"<eot>\", \"special\": true},"
    "{\"id\": 9, \"content\": \"<eom>\", \"special\": true}],"
    "\"normalizer\": null,"
    "\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"\u2581\","
    " \"prepend_scheme\": \"first\", \"split\": false},"
    "\"post_processor\": {\"type\": \"TemplateProcessing\","
    " \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}},"
    " {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [],"
    " \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [1], \"tokens\": [\"<s>\"]}}},"
    "\"decoder\": {\"type\": \"Metaspace\", \"replacement\": \"\u2581\","
    " \"prepend_scheme\": \"first\"},"
    "\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"fuse_unk\": true,"
    " \"byte_fallback\": true, \"vocab\": {\"<unk>\": 0, \"<s>\": 1, \"</s>\": 2,"
    " \"\u2581\": 3, \"a\": 4, \"b\": 5, \"\u2581a\": 6, \"ab\": 7},"
    " \"merges\": [\"\u2581 a\", \"a b\"]}}";
static const char tokenizer_config[] = "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\","
				       " \"chat_template\": \"<{{ messages[0].content }}>\"}";
static const char generation_config[] = "{\"eos_token_id\": [2, 8, 9]}";

static void
assert_same_text(struct t2l_model *a, struct t2l_model *b)
{
	static const char text[] = "a b<s>ab a</s> a<eot>xb";
	const struct t2l_message message = { "user", "hello" };
	const struct t2l_chat_options options = { .add_generation_prompt = true };
	struct t2l_model *models[] = { a, b };
	int32_t *ids[2];
	char *chats[2];
	size_t n[2];
	struct t2l_error err = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_ok(t2l_tokenize(models[i], text, strlen(text),
		    T2L_PARSE_SPECIAL | T2L_ADD_SPECIAL, &ids[i], &n[i], &err));
		assert_ok(t2l_chat_render(models[i], &message, 1, &options, &chats[i], &err));
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(ids[0], ids[1], n[0] * sizeof **ids);
	assert_string_equal(chats[0], "<hello>");
	assert_string_equal(chats[0], chats[1]);
	for (int i = 0; i < 2; i++) {
		t2l_free(ids[i]);
		t2l_free(chats[i]);
	}
}

static void
assert_ends(const struct t2l_model *model)
{
	static const int32_t want[] = { 2, 8, 9 };
	size_t n = 0;
	const int32_t *ends = tokenizer_eos(model->base->tokenizer, &n);

	assert_int_equal(n, 3);
	assert_memory_equal(ends, want, sizeof want);
}

static void
text_ends_and_template_go_along(void **state)
{
	const char *source = source_with("llama2", "config.json");
	const char *gguf_path = in_folder("model.gguf"), *back = in_folder("hf");
	const struct {
		const char *name, *text;
	} files[] = {
		{ "source/tokenizer.json", tokenizer_json },
		{ "source/tokenizer_config.json", tokenizer_config },
		{ "source/generation_config.json", generation_config },
	};
	const char *paths[3] = { source, gguf_path, back };
	struct t2l_model *models[3];
	struct gguf *gguf;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		assert_int_equal(
		    atomic_write(in_folder(files[i].name), files[i].text, strlen(files[i].text)),
		    0);
	convert(source, gguf_path, NULL);
	convert(gguf_path, back, NULL);
	gguf = open_gguf(gguf_path);
	assert_non_null(gguf_key_find(gguf, "tokenizer.huggingface.json"));
	assert_int_equal(gguf_key_find(gguf, "tokenizer.ggml.tokens")->n, 320);
	gguf_close(gguf);
	for (int i = 0; i < 3; i++) {
		models[i] = open_model(paths[i]);
		assert_ends(models[i]);
		assert_same_text(models[0], models[i]);
	}
	for (int i = 0; i < 3; i++)
		t2l_model_close(models[i]);
}

/* ---- what cannot be said ---- */

static void
what_gguf_cannot_say_is_refused_by_name(void **state)
{
	static const struct {
		const char *name, *config, *word;
	} cases[] = {
		{ "llama2", "config.dynamic.json", "dynamic" },
		{ "gemma2", "config.qpas.json", "query_pre_attn_scalar" },
		{ "qwen2", "config.swa.json", "use_sliding_window" },
		{ "qwen3-moe-plain", "config.json", "norm_topk_prob" },
		{ "qwen1", "config.json", "qwen" },
	};
	int n_checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char relative[128];

		snprintf(relative, sizeof relative, "models/%s/%s", cases[i].name, cases[i].config);
		if (golden_path(relative) == NULL)
			continue;
		refused(source_with(cases[i].name, cases[i].config), in_folder("model.gguf"), "f32",
		    T2L_EUNSUPPORTED, cases[i].word);
		n_checked++;
	}
	if (n_checked == 0)
		skip();
}

static void
a_directory_has_no_quantised_numbers(void **state)
{
	(void)state;
	refused(need_golden("models/gguf/llama2-f16.gguf"), in_folder("hf"), "q8_0", T2L_EINVAL,
	    "q8_0");
	refused(
	    need_golden("models/gguf/llama2-f16.gguf"), in_folder("hf"), "q9", T2L_EINVAL, "q9");
}

static bool
stop_at_once(void *user, const struct t2l_quantize_report *report)
{
	(void)user;
	(void)report;
	return false;
}

static void
a_cancelled_conversion_leaves_nothing(void **state)
{
	const struct t2l_quantize_options options = { .on_tensor = stop_at_once };
	struct t2l_error err = { 0 };
	const char *gguf = need_golden("models/gguf/llama2-f16.gguf");

	(void)state;
	assert_int_equal(t2l_model_convert(gguf, in_folder("hf"), &options, &err), T2L_ECANCELLED);
	assert_int_equal(files_in_folder(), 0);
}

static void
numbers_that_do_not_fit_f16_are_refused(void **state)
{
	const char *gguf = need_golden("models/gguf/llama2-f16.gguf");
	const char *big = in_folder("big.gguf"), *f32 = in_folder("f32.gguf");
	struct t2l_quantize_options options = { .type = "f32" };
	struct t2l_error err = { 0 };
	struct gguf *file;
	const struct gguf_entry *entry;
	size_t n = 0, at;
	char *bytes;
	const float large = 1e6f;

	(void)state;
	assert_ok(t2l_quantize(gguf, f32, &options, &err));
	bytes = read_whole_file(f32, 1u << 28, &n);
	assert_non_null(bytes);
	assert_ok(gguf_parse(bytes, n, "f32", &file, &err));
	entry = gguf_find(file, "blk.1.ffn_up.weight");
	at = (size_t)((const char *)entry->bytes - bytes);
	gguf_close(file);
	memcpy(bytes + at, &large, sizeof large);
	assert_int_equal(atomic_write(big, bytes, n), 0);
	free(bytes);
	refused(big, in_folder("hf"), "f16", T2L_EUNSUPPORTED, "mlp.up_proj");
}

static void
add(struct CMUnitTest *tests, size_t *n, const char *name, CMUnitTestFunction test, const void *c)
{
	tests[(*n)++] =
	    (struct CMUnitTest){ name, test, make_temporary_folder, remove_all, (void *)c };
}

#define LENGTH(array) (sizeof(array) / sizeof *(array))

int
main(void)
{
	static char names[128][128];
	struct CMUnitTest tests[128];
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(sayable); i++) {
		snprintf(names[n], sizeof *names, "%s (%s) as GGUF and back: the same logits",
		    sayable[i].name, sayable[i].config);
		add(tests, &n, names[n], a_directory_as_gguf_and_back_gives_the_same_logits,
		    &sayable[i]);
		snprintf(names[n], sizeof *names, "%s (%s): GGUF, directory, GGUF keeps the bytes",
		    sayable[i].name, sayable[i].config);
		add(tests, &n, names[n], gguf_to_directory_to_gguf_keeps_the_bytes, &sayable[i]);
	}
	for (size_t i = 0; i < LENGTH(savable); i++) {
		snprintf(names[n], sizeof *names, "%s (%s) saved again: the same logits",
		    savable[i].name, savable[i].config);
		add(tests, &n, names[n], a_directory_saved_again_gives_the_same_logits,
		    &savable[i]);
	}
	for (size_t i = 0; i < LENGTH(goldens); i++) {
		snprintf(names[n], sizeof *names, "our %s is llama.cpp's", goldens[i].gguf);
		add(tests, &n, names[n], our_file_is_that_of_llama_cpp, &goldens[i]);
	}
	add(tests, &n, "text, its ends and the chat template go along",
	    text_ends_and_template_go_along, NULL);
	add(tests, &n, "what GGUF cannot say is refused by name",
	    what_gguf_cannot_say_is_refused_by_name, NULL);
	add(tests, &n, "a directory has no quantised numbers", a_directory_has_no_quantised_numbers,
	    NULL);
	add(tests, &n, "a cancelled conversion leaves nothing",
	    a_cancelled_conversion_leaves_nothing, NULL);
	add(tests, &n, "numbers that do not fit f16 are refused",
	    numbers_that_do_not_fit_f16_are_refused, NULL);
	return _cmocka_run_group_tests("convert", tests, n, open_engine, close_engine);
}
