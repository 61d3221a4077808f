/*
 * engine/text/protobuf.h - reads untrusted protocol buffers, one field after the other.
 *
 * The wire format alone (https://protobuf.dev/programming-guides/encoding/): who reads knows the
 * field numbers. Nothing is copied or allocated, and no read leaves the bytes given.
 */
#ifndef ENGINE_TEXT_PROTOBUF_H
#define ENGINE_TEXT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
	const uint8_t *bytes;
	size_t n, at;
	bool damaged; /* what follows AT is no field */
};

enum protobuf_kind { PROTOBUF_NUMBER, PROTOBUF_BYTES };

struct protobuf_field {
	uint32_t number;
	enum protobuf_kind kind;
	uint64_t value;	      /* NUMBER: varint as it is, fixed 32 and 64 bit as their bits */
	const uint8_t *bytes; /* BYTES: a string or a message */
	size_t n;
};

/* False: the end, or damage. */
bool protobuf_next(struct protobuf *message, struct protobuf_field *field);

/* A field of type float. */
float protobuf_float(const struct protobuf_field *field);

#endif
