/* base64.c - base64 over nettle. */

#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#include "src/base64.h"

unsigned char *
base64_decode(const char *text, size_t *n)
{
	struct base64_decode_ctx decoder;
	size_t length = strlen(text);
	unsigned char *bytes = malloc(BASE64_DECODE_LENGTH(length) + 1);

	*n = BASE64_DECODE_LENGTH(length);
	base64_decode_init(&decoder);
	if (bytes != NULL && base64_decode_update(&decoder, n, (uint8_t *)bytes, length, text) &&
	    base64_decode_final(&decoder))
		return bytes;
	free(bytes);
	return NULL;
}

char *
base64_encode(const unsigned char *bytes, size_t n)
{
	size_t length = BASE64_ENCODE_RAW_LENGTH(n);
	char *text = malloc(length + 1);

	if (text != NULL) {
		base64_encode_raw(text, n, bytes);
		text[length] = '\0';
	}
	return text;
}
