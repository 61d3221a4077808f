/*
 * base/hash.h - SHA-256, as 64 lower-case hex digits.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_HEX_SIZE 65 /* 64 digits and the NUL */

/* Incremental form: start, add as often as needed, finish once. No resources to free. */
struct hash {
	uint64_t state[16]; /* nettle's context, hidden from the header's users */
};

void hash_start(struct hash *hash);
void hash_add(struct hash *hash, const void *bytes, size_t n);
void hash_finish(struct hash *hash, char out[HASH_HEX_SIZE]);

void hash_sha256_hex(const void *bytes, size_t n, char out[HASH_HEX_SIZE]);

/* 0, or -1 with errno when PATH cannot be read. */
int hash_sha256_file(const char *path, char out[HASH_HEX_SIZE]);

#endif
