/* test-chat-lines.c - chat fine-tuning data against the published rules. */
#include "tests/unit/golden-tensors.h"

#include "base/file.h"
#include "engine/formats/chat-lines.h"
#include "engine/formats/json.h"

#define OPENAI "export/openai-jsonl/"

static enum t2l_status
check_file(const char *relative, size_t *n_lines, struct t2l_error *err)
{
	size_t n;
	char *text = read_whole_file(need_golden(relative), 1 << 20, &n);
	enum t2l_status status;

	assert_non_null(text);
	status = t2l_chat_lines_check(text, n, relative, n_lines, err);
	free(text);
	return status;
}

static void
good_data_is_accepted(void **state)
{
	struct t2l_error err = { 0 };
	size_t n = 0;

	(void)state;
	assert_ok(check_file(OPENAI "good.jsonl", &n, &err));
	assert_true(n >= CHAT_LINES_MIN);
}

static void
nine_conversations_are_too_few(void **state)
{
	struct t2l_error err;

	(void)state;
	assert_fails(
	    check_file(OPENAI "too_few.jsonl", NULL, &err), T2L_EFORMAT, "9 conversations");
}

static void
every_bad_line_is_refused_with_its_number(void **state)
{
	static const char good[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
				   "{\"role\": \"assistant\", \"content\": \"b\", \"weight\": 1}]}";
	const cJSON *item;
	struct t2l_error err;
	cJSON *root = NULL;
	int n = 0;
	char text[4096];

	(void)state;
	assert_int_equal(chat_line_check(good, strlen(good), "x", NULL), T2L_OK);
	assert_int_equal(
	    json_open(need_golden(OPENAI "bad_lines.json"), 1 << 20, &root, NULL), T2L_OK);
	cJSON_ArrayForEach(item, root)
	{
		const char *line = item->valuestring;

		if (chat_line_check(line, strlen(line), "x", &err) == T2L_OK)
			fail_msg("'%s' was accepted", item->string);
		snprintf(text, sizeof text, "%s\n%s\n", good, line);
		assert_fails(t2l_chat_lines_check(text, strlen(text), "data", NULL, &err),
		    T2L_EFORMAT, "data:2");
		n++;
	}
	assert_int_equal(n, 13);
	cJSON_Delete(root);
}

static void
tool_calls_stand_for_content_and_weight_for_the_assistant_alone(void **state)
{
	static const struct {
		const char *line;
		bool fine;
	} lines[] = {
		{ "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": "
		  "\"assistant\", "
		  "\"tool_calls\": []}]}",
		    true },
		{ "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"weight\": 1}, "
		  "{\"role\": "
		  "\"assistant\", \"content\": \"b\"}]}",
		    false },
		{ "{\"messages\": [{\"role\": \"developer\", \"content\": \"a\"}, {\"role\": "
		  "\"assistant\", \"content\": \"b\"}], \"tools\": []}",
		    true },
		{ "{\"messages\": [{\"role\": \"assistant\", \"content\": \"b\"}], \"prompt\": 1}",
		    false },
		{ "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}, {\"role\": "
		  "\"assistant\", \"content\": \"b\"}]}",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		enum t2l_status status =
		    chat_line_check(lines[i].line, strlen(lines[i].line), "x", NULL);

		assert_true((status == T2L_OK) == lines[i].fine);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_data_is_accepted),
		cmocka_unit_test(nine_conversations_are_too_few),
		cmocka_unit_test(every_bad_line_is_refused_with_its_number),
		cmocka_unit_test(tool_calls_stand_for_content_and_weight_for_the_assistant_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
