/*
 * engine/text/byte-level.h - the printable characters that stand for bytes in a byte-level BPE
 * vocabulary (GPT-2): printable Latin-1 characters stand for themselves, the other 68 bytes are
 * U+0100, U+0101, ... in order.
 */
#ifndef ENGINE_TEXT_BYTE_LEVEL_H
#define ENGINE_TEXT_BYTE_LEVEL_H

#include <stdint.h>

#include "base/buffer.h"

uint32_t byte_level_code_point(uint8_t byte);

/* Appends the bytes that NAME stands for; a name with any other character stands for itself, and
 * false is returned. */
bool byte_level_append(struct buffer *out, const char *name, size_t n_bytes);

#endif
