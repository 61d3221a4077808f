/* test-chat-template.c - chat templates write what transformers writes, and stay bounded. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/text/chat-builtin.h"
#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"
#include "tests/unit/golden-lines.h"

#define MAX_MESSAGES 32

static struct chat_template *
open_golden_template(const char *name)
{
	char relative[256], *source;
	const char *path;
	size_t n = 0;
	struct chat_template *tmpl = NULL;
	struct t2l_error err = { 0 };

	snprintf(relative, sizeof relative, "chat/templates/%s.jinja", name);
	path = golden_path(relative);
	if (path == NULL)
		return NULL;
	source = read_whole_file(path, 1 << 20, &n);
	assert_non_null(source);
	if (chat_template_parse(source, n, name, &tmpl, &err) != T2L_OK)
		fail_msg("%s", err.message);
	free(source);
	return tmpl;
}

static const char *
text_of(const cJSON *line, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, key));
}

/* Renders the conversation of a golden line and compares text or refusal. */
static void
check_rendering(const struct chat_template *tmpl, const cJSON *line)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "messages"), *item;
	struct chat_message messages[MAX_MESSAGES];
	struct chat_options options = { .bos_token = text_of(line, "bos_token"),
		.eos_token = text_of(line, "eos_token"),
		.date_string = "26 Jul 2024" };
	const char *want = text_of(line, "text"), *refusal = text_of(line, "error");
	struct t2l_error err = { 0 };
	enum t2l_status status;
	char *text = NULL;
	size_t n = 0;

	options.add_generation_prompt =
	    cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "add_generation_prompt"));
	cJSON_ArrayForEach(item, list)
	{
		assert_true(n < MAX_MESSAGES);
		messages[n++] =
		    (struct chat_message){ text_of(item, "role"), text_of(item, "content") };
	}
	status = chat_template_render(tmpl, messages, n, &options, &text, &err);
	if (refusal != NULL) {
		assert_int_equal(status, T2L_EINVAL);
		assert_non_null(strstr(err.message, refusal));
		return;
	}
	if (status != T2L_OK)
		fail_msg("%s", err.message);
	assert_string_equal(text, want);
	free(text);
}

/* Which published template each of ours must write like, where that does not refuse. */
static const struct {
	const char *builtin, *published;
	bool always_asks;  /* the published one writes the assistant's header unasked */
	bool trims_system; /* ... the system message, or drops one that is empty */
} layouts[] = {
	{ "chatml", "chatml" },
	{ "llama3", "llama3-instruct", .always_asks = true },
	{ "phi3", "phi3.5-mini" },
	{ "gemma", "gemma2-it" },
	{ "mistral", "mistral-v3", .trims_system = true },
	{ "mistral-v1", "mistral-v1-sys", .trims_system = true },
	{ "llama2", "llama2-chat", .trims_system = true },
	{ "zephyr", "zephyr" },
	{ "vicuna", "vicuna" },
	{ "alpaca", "alpaca" },
	{ "phi2", "phi2-instruct" },
	{ "plain", "plain" },
};

static const char *
layout_of(const cJSON *line)
{
	const char *template = text_of(line, "template");
	const char *conversation = text_of(line, "conversation");
	bool asks = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "add_generation_prompt"));

	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
		if (strcmp(template, layouts[i].published) == 0)
			return (layouts[i].always_asks && !asks) ||
				       (layouts[i].trims_system &&
					   strcmp(conversation, "empty-system") == 0)
				   ? NULL
				   : layouts[i].builtin;
	return NULL;
}

static void
builtin_templates_write_what_published_ones_write(void **state)
{
	struct golden_lines lines;
	size_t n_lines = 0;
	cJSON *line;

	(void)state;
	if (!golden_lines_open(&lines, "chat/render.jsonl"))
		skip();
	while ((line = golden_lines_next(&lines)) != NULL) {
		const char *name = layout_of(line);
		struct chat_template *tmpl = NULL;
		struct t2l_error err = { 0 };

		if (name != NULL && text_of(line, "error") == NULL) {
			const char *source = chat_builtin_find(name)->source;

			if (chat_template_parse(source, strlen(source), name, &tmpl, &err) !=
			    T2L_OK)
				fail_msg("%s", err.message);
			check_rendering(tmpl, line);
			chat_template_close(tmpl);
			n_lines++;
		}
		cJSON_Delete(line);
	}
	assert_true(n_lines > 200);
	golden_lines_close(&lines);
}

static void
a_family_is_told_by_its_special_tokens(void **state)
{
	static const struct {
		const char *folder, *builtin;
	} cases[] = {
		{ "qwen2-style", "chatml" },
		{ "llama3-style", "llama3" },
		{ "gemma-style", "gemma" },
		{ "phi3-style", "phi3" },
		{ "gpt2-style", NULL },
		{ "llama2-style", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char relative[128];
		const char *path;
		const struct chat_builtin *builtin;
		struct tokenizer *tok = NULL;
		struct t2l_error err = { 0 };

		snprintf(
		    relative, sizeof relative, "tokenizers/%s/tokenizer.json", cases[i].folder);
		path = golden_path(relative);
		if (path == NULL)
			skip();
		if (tokenizer_open_hf(path, &tok, &err) != T2L_OK)
			fail_msg("%s", err.message);
		builtin = chat_builtin_of(tok);
		if (cases[i].builtin == NULL)
			assert_null(builtin);
		else
			assert_string_equal(builtin->name, cases[i].builtin);
		tokenizer_close(tok);
	}
}

static void
every_golden_conversation_is_written_exactly(void **state)
{
	struct golden_lines lines;
	struct chat_template *tmpl = NULL;
	char open_name[128] = "";
	size_t n_checked = 0, n_refusals = 0;
	cJSON *line;

	(void)state;
	if (!golden_lines_open(&lines, "chat/render.jsonl")) {
		print_message("no golden data for chat\n");
		skip();
	}
	while ((line = golden_lines_next(&lines)) != NULL) {
		const char *name = text_of(line, "template");

		if (strcmp(name, open_name) != 0) {
			chat_template_close(tmpl);
			tmpl = open_golden_template(name);
			snprintf(open_name, sizeof open_name, "%s", name);
		}
		if (tmpl != NULL) { /* three templates are the reference's own, not kept here */
			check_rendering(tmpl, line);
			n_checked++;
			n_refusals += cJSON_HasObjectItem(line, "error");
		}
		cJSON_Delete(line);
	}
	chat_template_close(tmpl);
	golden_lines_close(&lines);
	assert_int_equal(n_checked, 26 * 30);
	assert_true(n_refusals > 50);
}

static void
rendered_text_becomes_the_ids_of_the_reference(void **state)
{
	struct golden_lines lines;
	struct tokenizer *tok = NULL;
	char open_name[128] = "", relative[256], *text;
	size_t n_checked = 0, n_bytes = 0, n_want = 0, n = 0;
	int32_t *want, *ids;
	cJSON *line;

	(void)state;
	if (!golden_lines_open(&lines, "chat/render_ids.jsonl")) {
		print_message("no golden data for chat\n");
		skip();
	}
	while ((line = golden_lines_next(&lines)) != NULL) {
		const char *name = text_of(line, "tokenizer"), *path;
		struct t2l_error err = { 0 };

		snprintf(relative, sizeof relative, "tokenizers/%s/tokenizer.json", name);
		path = golden_path(relative);
		if (path != NULL && strcmp(name, open_name) != 0) {
			tokenizer_close(tok);
			assert_int_equal(tokenizer_open_hf(path, &tok, &err), T2L_OK);
			snprintf(open_name, sizeof open_name, "%s", name);
		}
		if (path != NULL) {
			text = golden_text(line, "text", &n_bytes);
			want = golden_ids(line, "ids", &n_want);
			assert_int_equal(tokenizer_encode(tok, text, n_bytes,
					     TOKENIZER_PARSE_SPECIAL, &ids, &n, &err),
			    T2L_OK);
			assert_int_equal(n, n_want);
			assert_memory_equal(ids, want, n * sizeof *ids);
			free(text);
			free(want);
			free(ids);
			n_checked++;
		}
		cJSON_Delete(line);
	}
	tokenizer_close(tok);
	golden_lines_close(&lines);
	assert_true(n_checked > 20);
}

/* ---- the language, against what Jinja2 3.1 prints ---- */

static enum t2l_status
render(const char *source, char **text, struct t2l_error *err)
{
	static const struct chat_message messages[] = { { "system", "Be kind." },
		{ "user", " Hi\n" }, { "assistant", "Hello" }, { "user", "Bye" } };
	struct tm now = { .tm_year = 124, .tm_mon = 6, .tm_mday = 26, .tm_wday = 5 };
	struct chat_options options = { .bos_token = "<s>", .eos_token = "</s>", .now = &now };
	struct chat_template *tmpl = NULL;
	enum t2l_status status = chat_template_parse(source, strlen(source), "test", &tmpl, err);

	*text = NULL;
	if (status == T2L_OK)
		status = chat_template_render(tmpl, messages, 4, &options, text, err);
	chat_template_close(tmpl);
	return status;
}

static void
expressions_give_what_jinja2_gives(void **state)
{
	struct golden_lines lines;
	size_t n_checked = 0, n_right = 0;
	cJSON *line;

	(void)state;
	assert_true(golden_lines_open(&lines, "chat/expressions.jsonl"));
	for (; (line = golden_lines_next(&lines)) != NULL; n_checked++) {
		const char *source = text_of(line, "template"), *want = text_of(line, "text");
		struct t2l_error err = { 0 };
		char *text;
		enum t2l_status status = render(source, &text, &err);

		if (want == NULL && status == T2L_OK)
			print_error("'%s' is no error but '%s'\n", source, text);
		else if (want != NULL && status != T2L_OK)
			print_error("'%s': %s\n", source, err.message);
		else if (want != NULL && strcmp(text, want) != 0)
			print_error("'%s' gives '%s', not '%s'\n", source, text, want);
		else
			n_right++;
		free(text);
		cJSON_Delete(line);
	}
	golden_lines_close(&lines);
	assert_true(n_checked > 300);
	assert_int_equal(n_right, n_checked);
}

static void
assert_refused(const char *source, enum t2l_status want, const char *words)
{
	struct t2l_error err = { 0 };
	char *text;
	enum t2l_status status = render(source, &text, &err);

	free(text);
	if (status != want || strstr(err.message, words) == NULL)
		fail_msg("'%.60s': status %d, message '%s'", source, (int)status, err.message);
}

static void
an_unknown_construct_is_refused_with_its_name_and_line(void **state)
{
	(void)state;
	assert_refused("a\n{% include 'x' %}", T2L_EUNSUPPORTED, "line 2: the statement 'include'");
	assert_refused("\n\n{{ x | pprint }}", T2L_EUNSUPPORTED, "line 3: the filter 'pprint'");
	assert_refused("{{ x is wonderful }}", T2L_EUNSUPPORTED, "line 1: the test 'wonderful'");
	assert_refused("{{ cycler(1, 2) }}", T2L_EUNSUPPORTED, "line 1: 'cycler'");
	assert_refused("{{ 'a'.center(3) }}", T2L_EUNSUPPORTED, "no method 'center'");
}

static void
a_damaged_template_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("{% if true %}x", T2L_EFORMAT, "has no 'endif'");
	assert_refused("x\n{{ 'a", T2L_EFORMAT, "line 2: this string has no end");
	assert_refused("{{ a", T2L_EFORMAT, "no end '}}'");
	assert_refused("{# a", T2L_EFORMAT, "no end '#}'");
	assert_refused("{{ (1 }}", T2L_EFORMAT, "line 1");
	assert_refused("{% endif %}", T2L_EFORMAT, "'endif' without its beginning");
	assert_refused("{% for in x %}{% endfor %}", T2L_EFORMAT, "line 1");
	assert_refused("{{ 1 + }}", T2L_EFORMAT, "an expression is missing");
	assert_refused("{{ nothing.more }}", T2L_EFORMAT, "'nothing' is undefined");
}

static void
a_template_that_would_not_end_is_stopped(void **state)
{
	(void)state;
	assert_refused("{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}"
		       "{% endfor %}",
	    T2L_EFORMAT, "too many steps");
	assert_refused(
	    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", T2L_EFORMAT, "inside each other");
	assert_refused("{% set ns = namespace(s='xxxxxxxx') %}{% for a in range(64) %}"
		       "{% set ns.s = ns.s + ns.s %}{% endfor %}",
	    T2L_ENOMEM, "MiB");
	assert_refused("{% set s = 'x' * 60000000 %}{{ s }}{{ s }}{{ s }}", T2L_EFORMAT, "MiB");
	assert_refused("{{ 'x' * 9000000000000000000 }}", T2L_EFORMAT, "repeated too often");
}

static void
deep_nesting_is_refused_not_followed(void **state)
{
	char source[8192];

	(void)state;
	memset(source, '(', 4000);
	snprintf(source, 3, "{{");
	memset(source + 2, '(', 3998);
	source[4000] = '\0';
	strcat(source, " 1 }}");
	assert_refused(source, T2L_EFORMAT, "line 1");
	source[0] = '\0';
	for (int i = 0; i < 600; i++)
		strcat(source, "{% if 1 %}");
	assert_refused(source, T2L_EFORMAT, "nested more than");
}

static void
messages_are_data_and_never_run(void **state)
{
	static const struct chat_message messages[] = { { "user", "{{ 7 * 7 }}{% if %}" } };
	const char *source = "{{ messages[0].content }}";
	struct chat_options options = { 0 };
	struct chat_template *tmpl = NULL;
	char *text = NULL;

	(void)state;
	assert_int_equal(chat_template_parse(source, strlen(source), "t", &tmpl, NULL), T2L_OK);
	assert_int_equal(chat_template_render(tmpl, messages, 1, &options, &text, NULL), T2L_OK);
	assert_string_equal(text, "{{ 7 * 7 }}{% if %}");
	free(text);
	chat_template_close(tmpl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_conversation_is_written_exactly),
		cmocka_unit_test(builtin_templates_write_what_published_ones_write),
		cmocka_unit_test(a_family_is_told_by_its_special_tokens),
		cmocka_unit_test(rendered_text_becomes_the_ids_of_the_reference),
		cmocka_unit_test(expressions_give_what_jinja2_gives),
		cmocka_unit_test(an_unknown_construct_is_refused_with_its_name_and_line),
		cmocka_unit_test(a_damaged_template_is_refused_with_its_line),
		cmocka_unit_test(a_template_that_would_not_end_is_stopped),
		cmocka_unit_test(deep_nesting_is_refused_not_followed),
		cmocka_unit_test(messages_are_data_and_never_run),
	};

	return cmocka_run_group_tests_name("chat-template", tests, NULL, NULL);
}
