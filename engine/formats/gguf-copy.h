/*
 * formats/gguf-copy.h - metadata from one GGUF file into another.
 */
#ifndef ENGINE_FORMATS_GGUF_COPY_H
#define ENGINE_FORMATS_GGUF_COPY_H

#include "engine/formats/gguf-writer.h"

/* KEY of GGUF as it stands. */
enum t2l_status gguf_copy_key(const struct gguf *gguf, const struct gguf_key *key,
    struct gguf_writer *writer, struct t2l_error *err);

#endif
