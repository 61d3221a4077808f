/*
 * src/base64.h - bytes as text that JSON can carry, over nettle.
 */
#ifndef SRC_BASE64_H
#define SRC_BASE64_H

#include <stddef.h>

/* Fresh memory, to be freed; NULL when TEXT is no base64 or memory is out. */
unsigned char *base64_decode(const char *text, size_t *n);
char *base64_encode(const unsigned char *bytes, size_t n);

#endif
