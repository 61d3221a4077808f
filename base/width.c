/* width.c - terminal columns of UTF-8 text, by utf8proc's tables. */

#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "base/width.h"

size_t
text_fit(const char *text, int columns)
{
	size_t n = strlen(text), at = 0;
	int used = 0;

	while (at < n) {
		uint32_t codepoint;
		bool valid;
		size_t bytes = utf8_decode(text + at, n - at, &codepoint, &valid);
		int width = utf8proc_charwidth((utf8proc_int32_t)codepoint);

		if (used + width > columns)
			break;
		used += width;
		at += bytes;
	}
	return at;
}

int
text_width(const char *text)
{
	size_t n = strlen(text), at = 0;
	int used = 0;

	while (at < n) {
		uint32_t codepoint;
		bool valid;

		at += utf8_decode(text + at, n - at, &codepoint, &valid);
		used += utf8proc_charwidth((utf8proc_int32_t)codepoint);
	}
	return used;
}
