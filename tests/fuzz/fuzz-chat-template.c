/* fuzz-chat-template.c - any bytes as a chat template, rendered for a short conversation. */

#include <stdlib.h>
#include <string.h>

#include "engine/text/chat-template.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct chat_message messages[] = { { "system", "Be kind." },
		{ "user", " Hi {{ x }}\n" }, { "assistant", "H\xC3\xA9llo" }, { "user", "" } };
	const struct tm now = { .tm_year = 124, .tm_mon = 6, .tm_mday = 26 };
	struct chat_options options = { .bos_token = "<s>", .eos_token = "</s>", .now = &now };
	struct chat_template *tmpl = NULL;
	struct t2l_error err;

	if (chat_template_parse((const char *)bytes, n, "fuzz", &tmpl, &err) != T2L_OK)
		return 0;
	for (int i = 0; i < 2; i++) {
		char *text = NULL;

		options.add_generation_prompt = i == 1;
		if (chat_template_render(tmpl, messages, 4, &options, &text, &err) == T2L_OK)
			fuzz_touch(text, strlen(text) + 1);
		free(text);
	}
	chat_template_close(tmpl);
	return 0;
}
