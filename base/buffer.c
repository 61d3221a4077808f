/* buffer.c - a growable byte buffer with a sticky out-of-memory flag. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"

/* Makes room for MORE bytes and the terminating NUL. */
static bool
buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t capacity = buffer->capacity ? buffer->capacity : 64;
	char *bytes;

	if (buffer->failed)
		return false;
	if (more > SIZE_MAX / 2 - 1 - buffer->n) {
		buffer->failed = true;
		return false;
	}
	if (buffer->n + more + 1 <= buffer->capacity)
		return true;
	while (capacity < buffer->n + more + 1)
		capacity *= 2;
	bytes = realloc(buffer->bytes, capacity);
	if (bytes == NULL) {
		buffer->failed = true;
		return false;
	}
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

void
buffer_append(struct buffer *buffer, const void *bytes, size_t n)
{
	if (!buffer_reserve(buffer, n))
		return;
	if (n > 0)
		memcpy(buffer->bytes + buffer->n, bytes, n);
	buffer->n += n;
	buffer->bytes[buffer->n] = '\0';
}

void
buffer_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void
buffer_char(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void
buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
	va_list again;
	int needed;

	va_copy(again, args);
	needed = vsnprintf(NULL, 0, format, args);
	if (needed < 0)
		buffer->failed = true;
	else if (buffer_reserve(buffer, (size_t)needed)) {
		vsnprintf(buffer->bytes + buffer->n, (size_t)needed + 1, format, again);
		buffer->n += (size_t)needed;
	}
	va_end(again);
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vprintf(buffer, format, args);
	va_end(args);
}

void
buffer_json_string(struct buffer *buffer, const char *text, size_t n)
{
	static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, its letter */
	char encoded[UTF8_MAX_BYTES];
	uint32_t codepoint;
	bool valid;

	buffer_char(buffer, '"');
	for (size_t i = 0; i < n;) {
		const char *escape = NULL;

		i += utf8_decode(text + i, n - i, &codepoint, &valid);
		for (size_t e = 0; e + 1 < sizeof escapes && escape == NULL; e += 2)
			if (codepoint == (unsigned char)escapes[e])
				escape = &escapes[e + 1];
		if (escape != NULL)
			buffer_printf(buffer, "\\%c", *escape);
		else if (codepoint < 0x20 || (codepoint >= 0x7F && codepoint < 0xA0))
			buffer_printf(buffer, "\\u%04x", (unsigned)codepoint);
		else
			buffer_append(buffer, encoded, utf8_encode(codepoint, encoded));
	}
	buffer_char(buffer, '"');
}

bool
buffer_failed(const struct buffer *buffer)
{
	return buffer->failed;
}

const char *
buffer_string(const struct buffer *buffer)
{
	return buffer->bytes != NULL ? buffer->bytes : "";
}

char *
buffer_take(struct buffer *buffer)
{
	char *bytes;

	buffer_append(buffer, "", 0);
	bytes = buffer->bytes;
	if (buffer->failed) {
		free(bytes);
		bytes = NULL;
	}
	*buffer = (struct buffer){ 0 };
	return bytes;
}

void
buffer_clear(struct buffer *buffer)
{
	buffer->n = 0;
	buffer->failed = false;
	if (buffer->bytes != NULL)
		buffer->bytes[0] = '\0';
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){ 0 };
}
