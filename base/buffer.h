/*
 * base/buffer.h - bytes or text that grow as they are appended.
 *
 * Start from `struct buffer b = { 0 };`. Out of memory is sticky: appending to a failed buffer
 * does nothing, so a writer asks buffer_failed() (or sees NULL from buffer_take()) once, at the
 * end.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *bytes; /* NULL until something is appended; then always followed by a NUL */
	size_t n;    /* bytes without that NUL */
	size_t capacity;
	bool failed;
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t n);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* TEXT as a JSON string with its quotes; malformed UTF-8 becomes U+FFFD, DEL and all control
 * characters are escaped. */
void buffer_json_string(struct buffer *buffer, const char *text, size_t n);

bool buffer_failed(const struct buffer *buffer);

/* The text itself, never NULL ("" when empty); valid until the next append. */
const char *buffer_string(const struct buffer *buffer);

/* Hands the memory to the caller (free() it) and empties the buffer. NULL when out of memory. */
char *buffer_take(struct buffer *buffer);

void buffer_clear(struct buffer *buffer); /* empty again, memory kept */
void buffer_free(struct buffer *buffer);

#endif
