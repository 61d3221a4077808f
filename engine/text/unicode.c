/* unicode.c - character classes, normal forms, repair of bad UTF-8, over utf8proc's tables. */

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "engine/text/unicode.h"

bool
unicode_is_ascii(const char *text, size_t n_bytes)
{
	uint64_t word;
	size_t i = 0;

	for (; i + sizeof word <= n_bytes; i += sizeof word) {
		memcpy(&word, text + i, sizeof word);
		if (word & UINT64_C(0x8080808080808080))
			return false;
	}
	for (; i < n_bytes; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

size_t
utf8_incomplete_tail(const char *text, size_t n_bytes)
{
	size_t back, wanted;
	uint32_t code_point;
	bool valid;

	for (back = 1; back <= 3 && back <= n_bytes; back++) {
		const char *at = text + n_bytes - back;
		unsigned char lead = (unsigned char)*at;

		if ((lead & 0xC0) == 0x80)
			continue;
		wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
		if (lead >= 0xC2 && lead <= 0xF4 && back < wanted &&
		    utf8_decode(at, back, &code_point, &valid) == back)
			return back;
		return 0;
	}
	return 0;
}

char *
utf8_repair(const char *text, size_t n_bytes, size_t *n_out)
{
	char *out;
	size_t i = 0, used = 0, length;
	uint32_t code_point;
	bool valid;

	if (n_bytes > (SIZE_MAX - 1) / 3) /* one bad byte becomes three */
		return NULL;
	out = malloc(n_bytes * 3 + 1);
	if (out == NULL)
		return NULL;
	while (i < n_bytes) {
		length = utf8_decode(text + i, n_bytes - i, &code_point, &valid);
		used += utf8_encode(code_point, out + used);
		i += length;
	}
	out[used] = '\0';
	*n_out = used;
	return out;
}

char *
unicode_normalize(const char *text, size_t n_bytes, enum unicode_form form, size_t *n_out)
{
	static const utf8proc_option_t options[] = {
		[UNICODE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
		[UNICODE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
		[UNICODE_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
		[UNICODE_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
	};
	utf8proc_uint8_t *out;
	utf8proc_ssize_t n;
	char *copy;

	if (unicode_is_ascii(text, n_bytes)) { /* already in every normal form */
		copy = malloc(n_bytes + 1);
		if (copy == NULL)
			return NULL;
		memcpy(copy, text, n_bytes);
		copy[n_bytes] = '\0';
		*n_out = n_bytes;
		return copy;
	}
	n = utf8proc_map(
	    (const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n_bytes, &out, options[form]);
	if (n < 0)
		return NULL;
	*n_out = (size_t)n;
	return (char *)out; /* utf8proc allocates with malloc() and terminates */
}

bool
unicode_is_white_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
	       c == 0x205F || c == 0x3000;
}

static utf8proc_category_t
category(uint32_t code_point)
{
	return utf8proc_category((utf8proc_int32_t)code_point);
}

bool
unicode_is_control(uint32_t code_point)
{
	switch (category(code_point)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
		return true;
	default:
		return false;
	}
}

bool
unicode_is_punctuation(uint32_t code_point)
{
	utf8proc_category_t c = category(code_point);

	return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool
unicode_is_mark_nonspacing(uint32_t code_point)
{
	return category(code_point) == UTF8PROC_CATEGORY_MN;
}

bool
unicode_is_mark(uint32_t code_point)
{
	utf8proc_category_t c = category(code_point);

	return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}

bool
unicode_is_number(uint32_t code_point)
{
	utf8proc_category_t c = category(code_point);

	return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool
unicode_is_word(uint32_t code_point)
{
	utf8proc_category_t c = category(code_point);

	return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME) ||
	       c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL ||
	       c == UTF8PROC_CATEGORY_PC || code_point == 0x200C || code_point == 0x200D;
}

size_t
unicode_to_lower(uint32_t code_point, uint32_t out[2])
{
	if (code_point == 0x130) { /* the only letter whose lower case is two characters */
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point);
	return 1;
}
