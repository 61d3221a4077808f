/* utf8.c - a strict UTF-8 decoder and encoder. */

#include "base/utf8.h"

/* Lead byte ranges and what the second byte may be after them (Unicode table 3-7). */
static const struct sequence {
	uint8_t first, last;	   /* of the lead byte */
	uint8_t low, high;	   /* of the second byte */
	uint8_t length, lead_bits; /* bytes in all; payload mask of the lead byte */
} sequences[] = {
	{ 0xC2, 0xDF, 0x80, 0xBF, 2, 0x1F },
	{ 0xE0, 0xE0, 0xA0, 0xBF, 3, 0x0F },
	{ 0xE1, 0xEC, 0x80, 0xBF, 3, 0x0F },
	{ 0xED, 0xED, 0x80, 0x9F, 3, 0x0F },
	{ 0xEE, 0xEF, 0x80, 0xBF, 3, 0x0F },
	{ 0xF0, 0xF0, 0x90, 0xBF, 4, 0x07 },
	{ 0xF1, 0xF3, 0x80, 0xBF, 4, 0x07 },
	{ 0xF4, 0xF4, 0x80, 0x8F, 4, 0x07 },
};

static const struct sequence *
sequence_of(uint8_t lead)
{
	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
		if (lead >= sequences[i].first && lead <= sequences[i].last)
			return &sequences[i];
	return NULL;
}

size_t
utf8_decode(const char *text, size_t n, uint32_t *codepoint, bool *valid)
{
	const uint8_t *bytes = (const uint8_t *)text;
	const struct sequence *sequence;
	uint32_t value;

	*valid = true;
	if (bytes[0] < 0x80) {
		*codepoint = bytes[0];
		return 1;
	}
	*valid = false;
	*codepoint = UTF8_REPLACEMENT;
	sequence = sequence_of(bytes[0]);
	if (sequence == NULL)
		return 1;
	value = bytes[0] & sequence->lead_bits;
	for (size_t i = 1; i < sequence->length; i++) {
		uint8_t low = i == 1 ? sequence->low : 0x80;
		uint8_t high = i == 1 ? sequence->high : 0xBF;

		if (i >= n || bytes[i] < low || bytes[i] > high)
			return i;
		value = value << 6 | (bytes[i] & 0x3F);
	}
	*valid = true;
	*codepoint = value;
	return sequence->length;
}

size_t
utf8_encode(uint32_t codepoint, char out[UTF8_MAX_BYTES])
{
	if (codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint <= 0xDFFF))
		codepoint = UTF8_REPLACEMENT;
	if (codepoint < 0x80) {
		out[0] = (char)codepoint;
		return 1;
	}
	if (codepoint < 0x800) {
		out[0] = (char)(0xC0 | codepoint >> 6);
		out[1] = (char)(0x80 | (codepoint & 0x3F));
		return 2;
	}
	if (codepoint < 0x10000) {
		out[0] = (char)(0xE0 | codepoint >> 12);
		out[1] = (char)(0x80 | (codepoint >> 6 & 0x3F));
		out[2] = (char)(0x80 | (codepoint & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | codepoint >> 18);
	out[1] = (char)(0x80 | (codepoint >> 12 & 0x3F));
	out[2] = (char)(0x80 | (codepoint >> 6 & 0x3F));
	out[3] = (char)(0x80 | (codepoint & 0x3F));
	return 4;
}

bool
utf8_valid(const char *text, size_t n)
{
	uint32_t codepoint;
	bool valid = true;

	for (size_t i = 0; i < n && valid;)
		i += utf8_decode(text + i, n - i, &codepoint, &valid);
	return valid;
}
