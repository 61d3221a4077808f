/*
 * engine/text/bpe.h - byte-pair encoding of one piece of text (Sennrich et al. 2016).
 *
 * Symbols begin as bytes (byte-level) or characters; then the neighbouring pair with the lowest
 * rank is merged, the leftmost first, until none is left. A heap keeps this at n log n: texts
 * without blanks are one piece in SentencePiece-like models.
 */
#ifndef ENGINE_TEXT_BPE_H
#define ENGINE_TEXT_BPE_H

#include "engine/text/ids.h"
#include "engine/text/vocabulary.h"

struct merge_slot {
	int32_t left, right; /* left < 0: free */
	uint32_t rank;
	int32_t merged;
};

struct bpe {
	bool byte_level;    /* symbols are bytes; pieces hold the vocabulary's bytes */
	bool byte_fallback; /* unknown characters become <0x00>..<0xFF> */
	bool fuse_unk;	    /* neighbouring unknown characters are one unk_id */
	bool ignore_merges; /* a piece that is a token is that token, merges or not */
	int32_t unk_id;	    /* -1: unknown characters vanish */
	/* What stands for a blank (U+2581), or "". Set by the caller; emptied by bpe_finish() if
	 * some merge reaches over a blank. Else no merge can, and text is cut there into words. */
	char blank[8];
	int32_t byte_ids[256];
	struct merge_slot *slots; /* open addressing, a power of two of them */
	size_t mask;
	/* Pieces that are known to become one token: saves most merging, changes nothing. */
	struct string_index words;
	size_t longest_word;
};

struct bpe_symbol {
	int32_t id;	    /* -1: merged away */
	int32_t prev, next; /* -1: none */
	uint32_t rank;	    /* of the pair with the next symbol */
	int32_t merged;
};

/* A word seen lately and its ids. A line of the processor's cache. */
struct bpe_cached {
	uint32_t hash;
	uint8_t n_bytes, n_ids; /* n_bytes 0: free */
	char text[26];
	int32_t ids[8];
};

/* The working memory of one thread and one BPE; zeroed is valid. */
struct bpe_work {
	struct bpe_symbol *symbols;
	size_t n, symbols_capacity;
	uint64_t *heap; /* rank << 32 | index of the left symbol */
	size_t n_heap, heap_capacity;
	struct bpe_cached *cache; /* NULL: none kept */
};

/* For a long text: keeps words that come again. It is only slower when memory is out. */
void bpe_work_open_cache(struct bpe_work *work);

/* Sets up room for N_MERGES; false: out of memory. The flags are the caller's to set first. */
bool bpe_open(struct bpe *bpe, size_t n_merges);
/* Later merges of the same pair replace earlier ones. */
void bpe_add_merge(struct bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t merged);
/* Call once when all merges are in: finds the symbols of bytes and the words. */
bool bpe_finish(struct bpe *bpe, const struct vocabulary *vocabulary);
void bpe_free(struct bpe *bpe);

/* Appends the ids of TEXT, which is valid UTF-8 of less than INT32_MAX bytes. False: no memory. */
bool bpe_encode(const struct bpe *bpe, const struct vocabulary *vocabulary, struct bpe_work *work,
    const char *text, size_t n_bytes, struct id_array *ids);
void bpe_work_free(struct bpe_work *work);

#endif
