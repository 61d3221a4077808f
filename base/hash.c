/* hash.c - SHA-256 through nettle. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include "base/hash.h"

static_assert(sizeof(struct sha256_ctx) <= sizeof(struct hash), "struct hash is too small");

static struct sha256_ctx *
context_of(struct hash *hash)
{
	return (struct sha256_ctx *)hash->state;
}

void
hash_start(struct hash *hash)
{
	sha256_init(context_of(hash));
}

void
hash_add(struct hash *hash, const void *bytes, size_t n)
{
	sha256_update(context_of(hash), n, bytes);
}

void
hash_finish(struct hash *hash, char out[HASH_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(context_of(hash), sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * sizeof digest] = '\0';
}

void
hash_sha256_hex(const void *bytes, size_t n, char out[HASH_HEX_SIZE])
{
	struct hash hash;

	hash_start(&hash);
	if (n > 0)
		hash_add(&hash, bytes, n);
	hash_finish(&hash, out);
}

int
hash_sha256_file(const char *path, char out[HASH_HEX_SIZE])
{
	uint8_t chunk[65536];
	struct hash hash;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	hash_start(&hash);
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			int number = errno;

			close(fd);
			errno = number;
			return -1;
		}
		hash_add(&hash, chunk, (size_t)n);
	}
	close(fd);
	hash_finish(&hash, out);
	return 0;
}
