/* byte-level.c - the printable characters that stand for bytes in a byte-level vocabulary. */

#include "engine/text/byte-level.h"
#include "base/utf8.h"

static bool
is_printable(uint32_t c)
{
	return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

/* How many bytes below BYTE are not printable. */
static uint32_t
n_moved_below(uint32_t byte)
{
	uint32_t c, n = 0;

	for (c = 0; c < byte; c++)
		n += !is_printable(c);
	return n;
}

uint32_t
byte_level_code_point(uint8_t byte)
{
	return is_printable(byte) ? byte : 0x100 + n_moved_below(byte);
}

/* The moved bytes are 00-20, 7F-A0 and AD, and their characters follow each other from U+0100. */
static int
byte_of(uint32_t code_point)
{
	if (code_point < 0x100)
		return is_printable(code_point) ? (int)code_point : -1;
	if (code_point <= 0x120)
		return (int)code_point - 0x100;
	if (code_point <= 0x142)
		return (int)code_point - 0x121 + 0x7F;
	return code_point == 0x143 ? 0xAD : -1;
}

bool
byte_level_append(struct buffer *out, const char *name, size_t n_bytes)
{
	size_t at, before = out->n;
	uint32_t code_point;
	bool valid;
	int byte;

	for (at = 0; at < n_bytes;) {
		at += utf8_decode(name + at, n_bytes - at, &code_point, &valid);
		byte = byte_of(code_point);
		if (byte < 0) {
			out->n = before;
			buffer_append(out, name, n_bytes);
			return false;
		}
		buffer_char(out, (char)byte);
	}
	return true;
}
