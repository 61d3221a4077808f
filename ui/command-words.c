/* command-words.c - quotes words for command lines and completes paths. */

#include "config.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "ui/command-words.h"

enum { MAX_PATHS = 200 };

void
add_word(struct buffer *line, const char *text)
{
	buffer_text(line, " '");
	for (; *text != '\0'; text++)
		if (*text == '\'')
			buffer_text(line, "'\\''");
		else
			buffer_char(line, *text);
	buffer_char(line, '\'');
}

void
add_adapter_word(struct buffer *line, int64_t id, double weight)
{
	buffer_printf(line, " '#%lld", (long long)id);
	if (weight < 1 || weight > 1)
		buffer_printf(line, ":%.6g", weight);
	buffer_char(line, '\'');
}

char **
complete_path(void *user, const char *text)
{
	struct buffer pattern = { 0 };
	char **words = NULL;
	glob_t found;

	(void)user;
	for (const char *at = text; *at != '\0'; at++) {
		if (strchr("*?[\\", *at) != NULL)
			buffer_char(&pattern, '\\');
		buffer_char(&pattern, *at);
	}
	buffer_char(&pattern, '*');
	if (glob(buffer_string(&pattern), GLOB_MARK | GLOB_TILDE, NULL, &found) == 0) {
		size_t n = found.gl_pathc < MAX_PATHS ? found.gl_pathc : MAX_PATHS, kept = 0;

		words = calloc(n + 1, sizeof *words);
		for (size_t i = 0; words != NULL && i < n; i++) {
			words[kept] = strdup(found.gl_pathv[i]);
			kept += words[kept] != NULL;
		}
		globfree(&found);
	}
	buffer_free(&pattern);
	return words;
}
