/* protobuf.c - reads untrusted protocol buffers, one field after the other. */

#include <string.h>

#include "engine/text/protobuf.h"

/* The wire types; 3 and 4 (groups) are of protobuf 1 and in no file of ours. */
enum { VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2, FIXED32 = 5 };

static bool
read_varint(struct protobuf *message, uint64_t *out)
{
	*out = 0;
	for (unsigned shift = 0; shift < 64 && message->at < message->n; shift += 7) {
		uint8_t byte = message->bytes[message->at++];

		*out |= (uint64_t)(byte & 0x7F) << shift;
		if ((byte & 0x80) == 0)
			return true;
	}
	return false;
}

/* Little-endian, as the format has it on every machine. */
static bool
read_fixed(struct protobuf *message, size_t n_bytes, uint64_t *out)
{
	if (message->n - message->at < n_bytes)
		return false;
	*out = 0;
	for (size_t i = 0; i < n_bytes; i++)
		*out |= (uint64_t)message->bytes[message->at++] << 8 * i;
	return true;
}

static bool
read_field(struct protobuf *message, struct protobuf_field *field)
{
	uint64_t key, length;

	if (!read_varint(message, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
		return false;
	*field = (struct protobuf_field){ .number = (uint32_t)(key >> 3) };
	switch (key & 7) {
	case VARINT:
		return read_varint(message, &field->value);
	case FIXED64:
		return read_fixed(message, 8, &field->value);
	case FIXED32:
		return read_fixed(message, 4, &field->value);
	case LENGTH_DELIMITED:
		if (!read_varint(message, &length) || length > message->n - message->at)
			return false;
		field->kind = PROTOBUF_BYTES;
		field->bytes = message->bytes + message->at;
		field->n = (size_t)length;
		message->at += field->n;
		return true;
	}
	return false;
}

bool
protobuf_next(struct protobuf *message, struct protobuf_field *field)
{
	if (message->damaged || message->at >= message->n)
		return false;
	message->damaged = !read_field(message, field);
	return !message->damaged;
}

float
protobuf_float(const struct protobuf_field *field)
{
	uint32_t bits = (uint32_t)field->value;
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}
