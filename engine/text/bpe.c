/* bpe.c - byte-pair encoding of one piece of text. */

#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/bpe.h"
#include "engine/text/byte-level.h"

#define NO_RANK UINT32_MAX

/* ---- the table of merges ---- */

bool
bpe_open(struct bpe *bpe, size_t n_merges)
{
	size_t n_slots = 16, i;

	while (n_slots < 2 * n_merges)
		n_slots *= 2;
	bpe->slots = malloc(n_slots * sizeof *bpe->slots);
	if (bpe->slots == NULL)
		return false;
	for (i = 0; i < n_slots; i++)
		bpe->slots[i].left = -1;
	bpe->mask = n_slots - 1;
	return true;
}

/* The slot of the pair, or the free one where it belongs. */
static struct merge_slot *
find_merge(const struct bpe *bpe, int32_t left, int32_t right)
{
	uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	size_t at = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & bpe->mask;

	for (;; at = (at + 1) & bpe->mask) {
		struct merge_slot *slot = &bpe->slots[at];

		if (slot->left < 0 || (slot->left == left && slot->right == right))
			return slot;
	}
}

void
bpe_add_merge(struct bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t merged)
{
	*find_merge(bpe, left, right) = (struct merge_slot){ left, right, rank, merged };
}

void
bpe_free(struct bpe *bpe)
{
	free(bpe->slots);
	string_index_free(&bpe->words);
	*bpe = (struct bpe){ 0 };
}

void
bpe_work_free(struct bpe_work *work)
{
	free(work->symbols);
	free(work->heap);
	free(work->cache);
	*work = (struct bpe_work){ 0 };
}

/* ---- the heap of pairs that may be merged, lowest rank and then leftmost first ---- */

static bool
heap_push(struct bpe_work *work, uint64_t key)
{
	void *heap = work->heap;
	size_t at = work->n_heap, parent;

	if (!array_grow(&heap, &work->heap_capacity, at + 1, sizeof *work->heap))
		return false;
	work->heap = heap;
	work->n_heap++;
	while (at > 0 && work->heap[parent = (at - 1) / 2] > key) {
		work->heap[at] = work->heap[parent];
		at = parent;
	}
	work->heap[at] = key;
	return true;
}

static uint64_t
heap_pop(struct bpe_work *work)
{
	uint64_t top = work->heap[0], last = work->heap[--work->n_heap];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < work->n_heap) {
		if (child + 1 < work->n_heap && work->heap[child + 1] < work->heap[child])
			child++;
		if (work->heap[child] >= last)
			break;
		work->heap[at] = work->heap[child];
		at = child;
	}
	work->heap[at] = last;
	return top;
}

/* ---- merging ---- */

/* Looks up the pair that begins at symbol I and queues it if it can be merged. */
static bool
queue_pair(const struct bpe *bpe, struct bpe_work *work, int32_t i)
{
	struct bpe_symbol *symbol = &work->symbols[i];
	const struct merge_slot *slot;

	symbol->rank = NO_RANK;
	if (symbol->next < 0)
		return true;
	slot = find_merge(bpe, symbol->id, work->symbols[symbol->next].id);
	if (slot->left < 0)
		return true;
	symbol->rank = slot->rank;
	symbol->merged = slot->merged;
	return heap_push(work, (uint64_t)slot->rank << 32 | (uint32_t)i);
}

/* Replaces the pair that begins at I by its merged symbol. */
static bool
merge_pair(const struct bpe *bpe, struct bpe_work *work, int32_t i)
{
	struct bpe_symbol *left = &work->symbols[i], *right = &work->symbols[left->next];

	left->id = left->merged;
	left->next = right->next;
	right->id = -1;
	right->rank = NO_RANK;
	if (left->next >= 0)
		work->symbols[left->next].prev = i;
	return queue_pair(bpe, work, i) && (left->prev < 0 || queue_pair(bpe, work, left->prev));
}

static bool
merge_all(const struct bpe *bpe, struct bpe_work *work)
{
	size_t i;

	work->n_heap = 0;
	for (i = 0; i < work->n; i++) {
		work->symbols[i].prev = (int32_t)i - 1;
		work->symbols[i].next = i + 1 < work->n ? (int32_t)i + 1 : -1;
	}
	for (i = 0; i + 1 < work->n; i++)
		if (!queue_pair(bpe, work, (int32_t)i))
			return false;
	while (work->n_heap > 0) {
		uint64_t key = heap_pop(work);
		int32_t at = (int32_t)(uint32_t)key;

		/* A pair whose symbols have changed since is stale. */
		if (work->symbols[at].rank == (uint32_t)(key >> 32) && !merge_pair(bpe, work, at))
			return false;
	}
	return true;
}

/* ---- the first symbols ---- */

static void
add_symbol(struct bpe_work *work, int32_t id)
{
	work->symbols[work->n].id = id;
	work->symbols[work->n].rank = NO_RANK;
	work->n++;
}

/* Unknown characters wait in *N_UNKNOWN until it is clear how many there are. */
static void
flush_unknown(const struct bpe *bpe, struct bpe_work *work, size_t *n_unknown)
{
	if (*n_unknown > 0 && bpe->unk_id >= 0) {
		if (bpe->fuse_unk)
			*n_unknown = 1;
		while ((*n_unknown)-- > 0)
			add_symbol(work, bpe->unk_id);
	}
	*n_unknown = 0;
}

static bool
has_fallback(const struct bpe *bpe, const char *text, size_t n_bytes)
{
	size_t i;

	for (i = 0; i < n_bytes; i++)
		if (bpe->byte_ids[(unsigned char)text[i]] < 0)
			return false;
	return bpe->byte_fallback;
}

static bool
split_into_symbols(const struct bpe *bpe, const struct vocabulary *vocabulary,
    struct bpe_work *work, const char *text, size_t n_bytes)
{
	void *symbols = work->symbols;
	size_t i, length, j, n_unknown = 0;
	uint32_t code_point;
	bool valid;
	int32_t id;

	/* Never more symbols than bytes. */
	if (!array_grow(&symbols, &work->symbols_capacity, n_bytes, sizeof *work->symbols))
		return false;
	work->symbols = symbols;
	work->n = 0;
	for (i = 0; i < n_bytes; i += length) {
		if (bpe->byte_level) {
			length = 1;
			id = bpe->byte_ids[(unsigned char)text[i]];
		} else {
			length = utf8_decode(text + i, n_bytes - i, &code_point, &valid);
			id = string_index_find(
			    &vocabulary->by_name, &vocabulary->names, text + i, length);
		}
		if (id >= 0) {
			flush_unknown(bpe, work, &n_unknown);
			add_symbol(work, id);
		} else if (!bpe->byte_level && has_fallback(bpe, text + i, length)) {
			for (j = 0; j < length; j++)
				add_symbol(work, bpe->byte_ids[(unsigned char)text[i + j]]);
		} else {
			n_unknown++;
		}
	}
	flush_unknown(bpe, work, &n_unknown);
	return true;
}

static bool
encode_new_word(const struct bpe *bpe, const struct vocabulary *vocabulary, struct bpe_work *work,
    const char *text, size_t n_bytes, struct id_array *ids)
{
	int32_t id, i;

	if (n_bytes <= bpe->longest_word) {
		id = string_index_find(&bpe->words,
		    bpe->byte_level ? &vocabulary->pieces : &vocabulary->names, text, n_bytes);
		if (id >= 0) {
			id_array_append(ids, id);
			return !ids->failed;
		}
	}
	if (!split_into_symbols(bpe, vocabulary, work, text, n_bytes) || !merge_all(bpe, work))
		return false;
	for (i = work->n > 0 ? 0 : -1; i >= 0; i = work->symbols[i].next)
		id_array_append(ids, work->symbols[i].id);
	return !ids->failed;
}

/* Few enough for a processor's second-level cache, enough for the words of a text. */
#define CACHED_WORDS 4096

void
bpe_work_open_cache(struct bpe_work *work)
{
	if (work->cache == NULL)
		work->cache = calloc(CACHED_WORDS, sizeof *work->cache);
}

/* Where the word is kept, or would be: each word has one place, and the latest stays. */
static struct bpe_cached *
find_cached(const struct bpe_work *work, const char *text, size_t n_bytes, uint32_t *hash)
{
	if (work->cache == NULL || n_bytes == 0 || n_bytes > sizeof work->cache->text)
		return NULL;
	*hash = string_hash(text, n_bytes);
	return &work->cache[*hash % CACHED_WORDS];
}

static bool
encode_word(const struct bpe *bpe, const struct vocabulary *vocabulary, struct bpe_work *work,
    const char *text, size_t n_bytes, struct id_array *ids)
{
	uint32_t hash = 0;
	struct bpe_cached *cached = find_cached(work, text, n_bytes, &hash);
	size_t before = ids->n;

	if (cached != NULL && cached->hash == hash && cached->n_bytes == n_bytes &&
	    memcmp(cached->text, text, n_bytes) == 0) {
		for (int i = 0; i < cached->n_ids; i++)
			id_array_append(ids, cached->ids[i]);
		return !ids->failed;
	}
	if (!encode_new_word(bpe, vocabulary, work, text, n_bytes, ids))
		return false;
	if (cached == NULL || ids->n - before > sizeof cached->ids / sizeof *cached->ids)
		return true;
	cached->hash = hash;
	cached->n_bytes = (uint8_t)n_bytes;
	cached->n_ids = (uint8_t)(ids->n - before);
	memcpy(cached->text, text, n_bytes);
	memcpy(cached->ids, ids->at + before, cached->n_ids * sizeof *cached->ids);
	return true;
}

/* The bytes of TEXT up to the first blank behind something else. */
static size_t
word_length(const struct bpe *bpe, const char *text, size_t n_bytes)
{
	size_t n_blank = strlen(bpe->blank), at = 0;
	const char *blank;

	if (n_blank == 0)
		return n_bytes;
	while (n_bytes - at >= n_blank && memcmp(text + at, bpe->blank, n_blank) == 0)
		at += n_blank;
	blank = memmem(text + at, n_bytes - at, bpe->blank, n_blank);
	return blank != NULL ? (size_t)(blank - text) : n_bytes;
}

bool
bpe_encode(const struct bpe *bpe, const struct vocabulary *vocabulary, struct bpe_work *work,
    const char *text, size_t n_bytes, struct id_array *ids)
{
	size_t at, length;

	for (at = 0; at < n_bytes; at += length) {
		length = word_length(bpe, text + at, n_bytes - at);
		if (!encode_word(bpe, vocabulary, work, text + at, length, ids))
			return false;
	}
	return true;
}

/* ---- setting up ---- */

static int32_t
find_byte(const struct bpe *bpe, const struct vocabulary *vocabulary, unsigned byte)
{
	char name[8];
	size_t n_bytes;

	if (bpe->byte_level) {
		n_bytes = utf8_encode(byte_level_code_point((uint8_t)byte), name);
	} else {
		n_bytes = (size_t)snprintf(name, sizeof name, "<0x%02X>", byte);
	}
	return string_index_find(&vocabulary->by_name, &vocabulary->names, name, n_bytes);
}

/* Does merging the bytes of token ID give that token and nothing else? */
static bool
reaches_itself(const struct bpe *bpe, const struct vocabulary *vocabulary, struct bpe_work *work,
    const char *bytes, size_t n_bytes, int32_t id, bool *ok)
{
	*ok = split_into_symbols(bpe, vocabulary, work, bytes, n_bytes) && merge_all(bpe, work);
	return *ok && work->n > 0 && work->symbols[0].next < 0 && work->symbols[0].id == id;
}

/* A token longer than this is no word of a text, and finding out whether it can be reached is
 * not worth it. */
#define LONGEST_WORD 64

static bool
collect_words(struct bpe *bpe, const struct vocabulary *vocabulary)
{
	const struct string_table *table =
	    bpe->byte_level ? &vocabulary->pieces : &vocabulary->names;
	struct bpe_work work = { 0 };
	struct buffer mapped = { 0 };
	const char *bytes, *name;
	size_t n_bytes, n_name;
	int32_t id;
	bool ok = string_index_open(&bpe->words, vocabulary->by_name.n);

	for (id = 0; ok && (size_t)id < table->n; id++) {
		bytes = string_table_get(table, id, &n_bytes);
		if (bytes == NULL || n_bytes == 0)
			continue;
		name = string_table_get(&vocabulary->names, id, &n_name);
		buffer_clear(&mapped);
		if (bpe->byte_level && !byte_level_append(&mapped, name, n_name))
			continue;
		if (!bpe->ignore_merges &&
		    (n_bytes > LONGEST_WORD ||
			!reaches_itself(bpe, vocabulary, &work, bytes, n_bytes, id, &ok)))
			continue;
		string_index_add(&bpe->words, table, id);
		if (n_bytes > bpe->longest_word)
			bpe->longest_word = n_bytes;
	}
	ok = ok && !buffer_failed(&mapped);
	buffer_free(&mapped);
	bpe_work_free(&work);
	return ok;
}

/* Does the name of a token have a blank behind something else? */
static bool
has_inner_blank(const struct bpe *bpe, const struct vocabulary *vocabulary, int32_t id)
{
	size_t n_bytes;
	const char *name = string_table_get(&vocabulary->names, id, &n_bytes);

	return word_length(bpe, name, n_bytes) < n_bytes;
}

/* May text be cut into words at blanks? */
static bool
is_cut_at_blanks(const struct bpe *bpe, const struct vocabulary *vocabulary)
{
	size_t i;

	/* An unknown blank could be fused with an unknown character before it. */
	if (bpe->byte_level || bpe->ignore_merges || bpe->blank[0] == '\0' ||
	    string_index_find(
		&vocabulary->by_name, &vocabulary->names, bpe->blank, strlen(bpe->blank)) < 0)
		return false;
	for (i = 0; i <= bpe->mask; i++)
		if (bpe->slots[i].left >= 0 &&
		    has_inner_blank(bpe, vocabulary, bpe->slots[i].merged))
			return false;
	return true;
}

bool
bpe_finish(struct bpe *bpe, const struct vocabulary *vocabulary)
{
	unsigned byte;

	for (byte = 0; byte < 256; byte++)
		bpe->byte_ids[byte] = find_byte(bpe, vocabulary, byte);
	if (!is_cut_at_blanks(bpe, vocabulary))
		bpe->blank[0] = '\0';
	if (!bpe->byte_level && !bpe->ignore_merges && bpe->blank[0] == '\0')
		return true; /* pieces are whole texts: no words to find */
	return collect_words(bpe, vocabulary);
}
