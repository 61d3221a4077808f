/* visible.c - turns control and invisible characters into something a person can see. */

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/visible.h"

#define PICTURE_MAX 16 /* "<U+10FFFF>" and its NUL fit */

/* Characters that show nothing, break lines or change direction; sorted. */
static const struct {
	uint32_t first, last;
} invisible[] = {
	{ 0x00AD, 0x00AD },   /* soft hyphen */
	{ 0x034F, 0x034F },   /* combining grapheme joiner */
	{ 0x061C, 0x061C },   /* Arabic letter mark */
	{ 0x115F, 0x1160 },   /* Hangul fillers */
	{ 0x17B4, 0x17B5 },   /* Khmer inherent vowels */
	{ 0x180E, 0x180E },   /* Mongolian vowel separator */
	{ 0x200B, 0x200B },   /* zero width space */
	{ 0x200E, 0x200F },   /* left-to-right and right-to-left marks */
	{ 0x2028, 0x202E },   /* line and paragraph separator, bidi embeddings and overrides */
	{ 0x2060, 0x206F },   /* word joiner, invisible operators, bidi isolates */
	{ 0x3164, 0x3164 },   /* Hangul filler */
	{ 0xFEFF, 0xFEFF },   /* byte order mark */
	{ 0xFFA0, 0xFFA0 },   /* halfwidth Hangul filler */
	{ 0xFFF0, 0xFFFB },   /* interlinear annotation */
	{ 0xFFFE, 0xFFFF },   /* not characters */
	{ 0x1D173, 0x1D17A }, /* musical formatting */
	{ 0xE0000, 0xE0FFF }, /* tags (invisible ASCII) and the selectors beyond emoji's */
};

static bool
is_invisible(uint32_t codepoint)
{
	for (size_t i = 0; i < sizeof invisible / sizeof invisible[0]; i++)
		if (codepoint <= invisible[i].last)
			return codepoint >= invisible[i].first;
	return (codepoint & 0xFFFE) == 0xFFFE;
}

/* Writes what stands for CODEPOINT, terminated; returns its bytes. */
static size_t
picture_of(uint32_t codepoint, bool valid, unsigned flags, char out[PICTURE_MAX])
{
	bool ascii = flags & VISIBLE_ASCII;
	bool kept = (codepoint == '\n' && (flags & VISIBLE_KEEP_LF)) ||
		    (codepoint == '\t' && (flags & VISIBLE_KEEP_TAB));
	size_t n;

	if (ascii && !valid)
		return (size_t)snprintf(out, PICTURE_MAX, "?");
	if (ascii && !kept && (codepoint < 0x20 || codepoint == 0x7F))
		return (size_t)snprintf(out, PICTURE_MAX, "^%c", (char)(codepoint ^ 0x40));
	if (!kept && codepoint < 0x20)
		codepoint += 0x2400; /* U+2400 SYMBOL FOR NULL ... */
	else if (codepoint == 0x7F)
		codepoint = 0x2421;
	else if ((codepoint >= 0x80 && codepoint < 0xA0) || is_invisible(codepoint) ||
		 (ascii && codepoint >= 0x80))
		return (size_t)snprintf(out, PICTURE_MAX, "<U+%04X>", (unsigned)codepoint);
	n = utf8_encode(codepoint, out);
	out[n] = '\0';
	return n;
}

void
visible_append(struct buffer *out, const char *text, size_t n, unsigned flags)
{
	char picture[PICTURE_MAX];
	uint32_t codepoint;
	bool valid;

	for (size_t i = 0; i < n;) {
		i += utf8_decode(text + i, n - i, &codepoint, &valid);
		buffer_append(out, picture, picture_of(codepoint, valid, flags, picture));
	}
}

size_t
visible_copy(char *out, size_t size, const char *text, size_t n, unsigned flags)
{
	char picture[PICTURE_MAX];
	uint32_t codepoint;
	bool valid;
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		size_t length;

		i += utf8_decode(text + i, n - i, &codepoint, &valid);
		length = picture_of(codepoint, valid, flags, picture);
		if (used + length >= size)
			break;
		memcpy(out + used, picture, length);
		used += length;
	}
	out[used] = '\0';
	return used;
}

char *
visible_text(const char *text, unsigned flags)
{
	struct buffer out = { 0 };

	visible_append(&out, text, strlen(text), flags);
	return buffer_take(&out);
}
