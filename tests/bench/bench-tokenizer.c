/* bench-tokenizer.c - MB/s of encoding and decoding English text on one core.
 *
 * bench-tokenizer TEXT MB TOKENIZER...: the text is repeated up to so many megabytes. One line a
 * tokenizer: encode MB/s, decode MB/s, tokens, and a hash of the ids for a peer to compare. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "engine/text/tokenizer.h"

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* other programs may run beside */
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* FNV-1a over the ids as little-endian 32 bit numbers. */
static unsigned long long
hash_ids(const int32_t *ids, size_t n)
{
	unsigned long long hash = 14695981039346656037ULL;

	for (size_t i = 0; i < n; i++)
		for (int shift = 0; shift < 32; shift += 8)
			hash = (hash ^ ((uint32_t)ids[i] >> shift & 0xFF)) * 1099511628211ULL;
	return hash;
}

/* The text again and again, cut behind a newline; *N is its size. */
static char *
repeat(const char *text, size_t n_text, size_t wanted, size_t *n)
{
	char *all = malloc(wanted + n_text + 1);

	*n = 0;
	while (all != NULL && *n < wanted) {
		memcpy(all + *n, text, n_text);
		*n += n_text;
	}
	return all;
}

static int
measure(const char *path, const char *text, size_t n_bytes)
{
	struct tokenizer *tok;
	struct t2l_error err = { 0 };
	double encode = 1e9, decode = 1e9, begin;
	int32_t *ids = NULL;
	char *back = NULL;
	size_t n = 0, n_back = 0;

	if (tokenizer_open_hf(path, &tok, &err) != T2L_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	/* The best of three: what else runs on the machine only ever slows. */
	for (int i = 0; i < 3; i++) {
		free(ids);
		free(back);
		begin = seconds();
		if (tokenizer_encode(tok, text, n_bytes, TOKENIZER_PLAIN, &ids, &n, &err) != T2L_OK)
			return 1;
		encode = seconds() - begin < encode ? seconds() - begin : encode;
		begin = seconds();
		if (tokenizer_decode(tok, ids, n, DETOKENIZE_ALL, &back, &n_back, &err) != T2L_OK)
			return 1;
		decode = seconds() - begin < decode ? seconds() - begin : decode;
	}
	printf("t2l %s encode %.1f MB/s decode %.1f MB/s tokens %zu hash %016llx%s\n", path,
	    (double)n_bytes * 1e-6 / encode, (double)n_back * 1e-6 / decode, n, hash_ids(ids, n),
	    n_back == n_bytes && memcmp(back, text, n_bytes) == 0 ? "" : " (text differs)");
	free(ids);
	free(back);
	tokenizer_close(tok);
	return 0;
}

int
main(int argc, char **argv)
{
	size_t n_text = 0, n = 0;
	char *text, *all;
	int failed = 0;

	if (argc < 4 || atof(argv[2]) <= 0) {
		fprintf(stderr, "usage: bench-tokenizer TEXT MB TOKENIZER...\n");
		return 2;
	}
	text = read_whole_file(argv[1], (size_t)1 << 30, &n_text);
	all = text != NULL && n_text > 0 ? repeat(text, n_text, (size_t)(atof(argv[2]) * 1e6), &n)
					 : NULL;
	if (all == NULL) {
		fprintf(stderr, "cannot read '%s'\n", argv[1]);
		return 1;
	}
	for (int i = 3; i < argc; i++)
		failed |= measure(argv[i], all, n);
	free(all);
	free(text);
	return failed;
}
