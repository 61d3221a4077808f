/*
 * nearness.c - search by meaning: embeddings as unit vectors, ranked by cosine in one scan.
 *
 * A vector is stored as int16 with 1.0 = 16384: half the size of f32, and the dot product of two
 * unit vectors is exact in 32-bit integers, because no partial sum exceeds 2^28 (Cauchy-Schwarz).
 * The error of a cosine is that of rounding the components, at most n * 2^-15 * mean |component|,
 * below 0.001 for any n we accept and about 0.00003 in practice.
 * The vectors of the encoder last asked for are kept in memory; a later search only reads those
 * that were added since (their SEQ is higher).
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

#define ONE 16384 /* 1.0 */
#define LANES 32  /* rows are padded to a multiple of this, which the compiler turns into SIMD */

struct vector_cache {
	int64_t encoder;
	int64_t last_seq;
	size_t n_values, stride; /* stride: n_values rounded up to LANES */
	size_t n_rows, capacity;
	int16_t *units; /* [n_rows, stride] */
	int64_t *ids;
	uint32_t *slots; /* id -> row + 1, open addressing; a power of two, at most half full */
	size_t n_slots;
};

void
vector_cache_free(struct vector_cache *cache)
{
	if (cache == NULL)
		return;
	free(cache->units);
	free(cache->ids);
	free(cache->slots);
	free(cache);
}

/* ---- storing ---- */

static enum store_status
normalise(struct store *store, const struct store_vector *vector, int16_t *unit)
{
	double sum = 0, norm;

	if (vector->n_values == 0 || vector->n_values > STORE_DIMS_MAX)
		return store_fail(store, STORE_EINVAL,
		    "an embedding of %zu numbers; between 1 and %d are possible", vector->n_values,
		    STORE_DIMS_MAX);
	for (size_t i = 0; i < vector->n_values; i++)
		sum += (double)vector->values[i] * (double)vector->values[i];
	norm = sqrt(sum);
	if (!isfinite(norm) || norm == 0)
		return store_fail(store, STORE_EINVAL,
		    "an embedding that is zero or holds NaN or infinity has no direction");
	for (size_t i = 0; i < vector->n_values; i++)
		unit[i] = (int16_t)lrint((double)vector->values[i] / norm * ONE);
	return STORE_OK;
}

static enum store_status
encoder_id(struct store *store, const char *fingerprint, int64_t *id)
{
	return sql_int64(
	    store, id, "SELECT id FROM encoders WHERE fingerprint = ?", "t", fingerprint);
}

/* All vectors of one encoder have one length. */
static enum store_status
check_length(struct store *store, int64_t encoder, size_t n_values)
{
	int64_t bytes;
	enum store_status status = sql_int64(store, &bytes,
	    "SELECT length(unit) FROM vectors WHERE encoder = ? LIMIT 1", "i", encoder);

	if (status == STORE_OK && bytes != (int64_t)(n_values * sizeof(int16_t)))
		return store_fail(store, STORE_EINVAL,
		    "an embedding of %zu numbers, where this encoder's others have %lld", n_values,
		    (long long)bytes / 2);
	return status == STORE_ENOENT ? STORE_OK : status;
}

/* Stored little-endian, wherever that is. */
static void
swap_if_big_endian(int16_t *unit, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	for (size_t i = 0; i < n; i++)
		unit[i] = (int16_t)__builtin_bswap16((uint16_t)unit[i]);
#else
	(void)unit, (void)n;
#endif
}

enum store_status
vector_put(struct store *store, int64_t id, const struct store_vector *vector)
{
	int16_t unit[STORE_DIMS_MAX];
	enum store_status status = normalise(store, vector, unit);
	int64_t encoder;

	if (status == STORE_OK)
		status = check_text(
		    store, "encoder's fingerprint", vector->encoder_fingerprint, STORE_TEXT_MAX);
	if (status == STORE_OK)
		status = sql_run(store, "INSERT OR IGNORE INTO encoders (fingerprint) VALUES (?)",
		    "t", vector->encoder_fingerprint);
	if (status == STORE_OK)
		status = encoder_id(store, vector->encoder_fingerprint, &encoder);
	if (status == STORE_OK)
		status = check_length(store, encoder, vector->n_values);
	if (status != STORE_OK)
		return status;
	swap_if_big_endian(unit, vector->n_values);
	return sql_run(store,
	    "INSERT OR REPLACE INTO vectors (adapter, encoder, unit) VALUES (?, ?, ?)", "iib", id,
	    encoder, (const void *)unit, vector->n_values * sizeof *unit);
}

enum store_status
store_set_vector(struct store *store, int64_t id, const struct store_vector *vector)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	status = adapter_check(store, id, false);
	if (status == STORE_OK)
		status = vector_put(store, id, vector);
	return transaction_end(store, status);
}

static enum store_status
read_id(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	(void)store, (void)result;
	*(int64_t *)row = sqlite3_column_int64(statement, 0);
	return STORE_OK;
}

enum store_status
store_without_vector(
    struct store *store, const char *encoder_fingerprint, size_t limit, struct store_ids **out)
{
	struct store_ids *ids = result_new(store, sizeof *ids);
	enum store_status status;

	if (ids == NULL)
		return STORE_ENOMEM;
	ids->rows = result_rows(store, ids,
	    sql_open(store,
		"SELECT id FROM adapters AS a WHERE trashed_ms IS NULL AND NOT EXISTS"
		" (SELECT 1 FROM vectors AS v JOIN encoders AS e ON e.id = v.encoder"
		"  WHERE v.adapter = a.id AND e.fingerprint = ?1)"
		" ORDER BY created_ms DESC, id DESC LIMIT ?2",
		"ti", encoder_fingerprint, (int64_t)(limit & INT64_MAX)),
	    read_id, sizeof *ids->rows, &ids->n_rows, &status);
	if (status != STORE_OK) {
		store_free(ids);
		return status;
	}
	*out = ids;
	return STORE_OK;
}

/* ---- the cache ---- */

static size_t
slot_of(const struct vector_cache *cache, int64_t id)
{
	/* Fibonacci hashing: ids are consecutive, their products with this are spread. */
	size_t slot = (size_t)((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	for (slot &= cache->n_slots - 1;; slot = (slot + 1) & (cache->n_slots - 1))
		if (cache->slots[slot] == 0 || cache->ids[cache->slots[slot] - 1] == id)
			return slot;
}

static bool
rehash(struct vector_cache *cache, size_t n_slots)
{
	uint32_t *slots = calloc(n_slots, sizeof *slots);

	if (slots == NULL)
		return false;
	free(cache->slots);
	cache->slots = slots;
	cache->n_slots = n_slots;
	for (size_t row = 0; row < cache->n_rows; row++)
		slots[slot_of(cache, cache->ids[row])] = (uint32_t)row + 1;
	return true;
}

static bool
reserve_row(struct vector_cache *cache)
{
	size_t capacity = cache->capacity != 0 ? 2 * cache->capacity : 1024;
	int16_t *units;
	int64_t *ids;

	if (cache->n_rows < cache->capacity)
		return true;
	if (capacity > UINT32_MAX / 2 || capacity > SIZE_MAX / sizeof *units / cache->stride)
		return false;
	units = realloc(cache->units, capacity * cache->stride * sizeof *units);
	if (units == NULL)
		return false;
	cache->units = units;
	ids = realloc(cache->ids, capacity * sizeof *ids);
	if (ids == NULL)
		return false;
	cache->ids = ids;
	cache->capacity = capacity;
	return rehash(cache, 2 * capacity);
}

/* The bound on partial sums holds for unit vectors; what the database has may be anything. */
static bool
is_unit(const int16_t *unit, size_t n_values)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n_values; i++)
		sum += (int32_t)unit[i] * unit[i];
	return sum > (int64_t)ONE * ONE * 9 / 10 && sum < (int64_t)ONE * ONE * 11 / 10;
}

/* Puts a vector in, over an older one of the same adapter. */
static bool
cache_put(struct vector_cache *cache, int64_t id, int16_t *unit)
{
	int16_t *row;
	size_t slot;

	if (!reserve_row(cache))
		return false;
	slot = slot_of(cache, id);
	if (cache->slots[slot] == 0) {
		cache->ids[cache->n_rows] = id;
		cache->slots[slot] = (uint32_t)++cache->n_rows;
	}
	row = cache->units + (cache->slots[slot] - 1) * cache->stride;
	memset(row, 0, cache->stride * sizeof *row);
	memcpy(row, unit, cache->n_values * sizeof *row);
	return true;
}

/* The vector in column COLUMN, at most STORE_DIMS_MAX numbers; 0 when it is no unit vector. */
static size_t
read_unit(sqlite3_stmt *statement, int column, int16_t *unit)
{
	const void *blob = sqlite3_column_blob(statement, column);
	size_t bytes = (size_t)sqlite3_column_bytes(statement, column);

	if (bytes == 0 || bytes > STORE_DIMS_MAX * sizeof *unit)
		return 0;
	memcpy(unit, blob, bytes);
	swap_if_big_endian(unit, bytes / sizeof *unit);
	return is_unit(unit, bytes / sizeof *unit) ? bytes / sizeof *unit : 0;
}

static enum store_status
cache_fill(struct store *store, struct vector_cache *cache)
{
	int16_t unit[STORE_DIMS_MAX];
	enum store_status status = STORE_OK;
	sqlite3_stmt *statement = sql_open(store,
	    "SELECT seq, adapter, unit FROM vectors WHERE encoder = ? AND seq > ? ORDER BY seq",
	    "ii", cache->encoder, cache->last_seq);

	if (statement == NULL)
		return store->status;
	while (sql_next(store, statement, &status)) {
		/* A damaged one, or of another length, is left out; verify reports it. */
		if (read_unit(statement, 2, unit) == cache->n_values &&
		    !cache_put(cache, sqlite3_column_int64(statement, 1), unit))
			status = store_fail(store, STORE_ENOMEM, "out of memory");
		else if (atomic_load(&store->interrupted))
			status = store_fail(store, STORE_ECANCELLED, "the search was cancelled");
		if (status != STORE_OK) {
			sql_close(statement);
			return status;
		}
		cache->last_seq = sqlite3_column_int64(statement, 0);
	}
	return status;
}

static enum store_status
prepare_cache(struct store *store, int64_t encoder, size_t n_values)
{
	struct vector_cache *cache = store->vectors;

	if (cache == NULL || cache->encoder != encoder || cache->n_values != n_values) {
		vector_cache_free(cache);
		store->vectors = cache = calloc(1, sizeof *cache);
		if (cache == NULL)
			return store_fail(store, STORE_ENOMEM, "out of memory");
		cache->encoder = encoder;
		cache->n_values = n_values;
		cache->stride = (n_values + LANES - 1) / LANES * LANES;
	}
	return cache_fill(store, cache);
}

/* The row of ID plus one, 0 when it has no vector. Ids mostly come in the order of the rows, so the
 * one after the LAST is tried first. */
static size_t
row_of(const struct vector_cache *cache, int64_t id, size_t last)
{
	if (last < cache->n_rows && cache->ids[last] == id)
		return last + 1;
	return cache->slots[slot_of(cache, id)];
}

/* ---- ranking ---- */

/* The product of two unit vectors, padded with zeros to a multiple of LANES. */
static int32_t
dot(const int16_t *a, const int16_t *b, size_t stride)
{
	int32_t sum = 0;

	for (size_t i = 0; i < stride; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			sum += (int32_t)a[i + j] * b[i + j];
	return sum;
}

static bool
is_nearer(const struct near_match *a, const struct near_match *b)
{
	return a->cosine > b->cosine || (a->cosine == b->cosine && a->id > b->id);
}

/* HEAP[0] is the worst of the best. */
static void
sift_down(struct near_match *heap, size_t n, size_t at)
{
	for (;;) {
		size_t worst = at, left = 2 * at + 1;

		for (size_t child = left; child < left + 2 && child < n; child++)
			if (is_nearer(&heap[worst], &heap[child]))
				worst = child;
		if (worst == at)
			return;
		struct near_match swap = heap[at];

		heap[at] = heap[worst];
		heap[worst] = swap;
		at = worst;
	}
}

static void
heap_offer(struct near_match *heap, size_t capacity, size_t *n, struct near_match match)
{
	if (*n < capacity) {
		heap[(*n)++] = match;
		if (*n == capacity)
			for (size_t i = capacity / 2; i-- > 0;)
				sift_down(heap, capacity, i);
	} else if (capacity > 0 && is_nearer(&match, &heap[0])) {
		heap[0] = match;
		sift_down(heap, capacity, 0);
	}
}

static int
compare_matches(const void *a, const void *b)
{
	return is_nearer(a, b) ? -1 : is_nearer(b, a);
}

/* What is asked for: the vector of a row (by any encoder, the latest), or one that was given. */
static enum store_status
wanted_vector(struct store *store, const struct store_query *query, int16_t *unit, size_t *n_values,
    int64_t *encoder)
{
	enum store_status status;
	sqlite3_stmt *statement;

	if (query->near != NULL) {
		*n_values = query->near->n_values;
		status = normalise(store, query->near, unit);
		return status != STORE_OK
			   ? status
			   : encoder_id(store, query->near->encoder_fingerprint, encoder);
	}
	statement = sql_open(store,
	    "SELECT encoder, unit FROM vectors WHERE adapter = ? ORDER BY seq DESC LIMIT 1", "i",
	    query->near_id);
	if (statement == NULL)
		return store->status;
	if (!sql_next(store, statement, &status))
		return status != STORE_OK ? status
					  : store_fail(store, STORE_ENOENT,
						"adapter %lld has no embedding of its task to "
						"compare by; sort by another order",
						(long long)query->near_id);
	*encoder = sqlite3_column_int64(statement, 0);
	*n_values = read_unit(statement, 1, unit);
	sql_close(statement);
	if (*n_values == 0)
		return store_fail(store, STORE_EDAMAGED,
		    "the embedding of adapter %lld is damaged; run `t2l catalog verify`",
		    (long long)query->near_id);
	return STORE_OK;
}

enum store_status
near_rank(struct store *store, const struct store_query *query, const int64_t *allowed,
    size_t n_allowed, struct near_match *best, size_t n, size_t *n_best, uint64_t *n_ranked)
{
	int16_t unit[STORE_DIMS_MAX] = { 0 };
	const struct vector_cache *cache;
	enum store_status status;
	size_t n_values = 0;
	int64_t encoder;

	*n_best = 0;
	*n_ranked = 0;
	if (query->near == NULL && query->near_id == 0)
		return store_fail(store, STORE_EINVAL,
		    "sorting by nearness needs a sentence or a row to be near to");
	status = wanted_vector(store, query, unit, &n_values, &encoder);
	if (status == STORE_ENOENT && query->near != NULL)
		return STORE_OK; /* nothing was ever embedded by this encoder */
	if (status == STORE_OK)
		status = prepare_cache(store, encoder, n_values);
	if (status != STORE_OK)
		return status;
	cache = store->vectors;
	for (size_t i = 0, row = 0; i < n_allowed && cache->n_rows > 0; i++) {
		struct near_match match = { .id = allowed[i] };

		row = row_of(cache, allowed[i], row);
		if (row == 0 || allowed[i] == query->near_id)
			continue;
		match.cosine =
		    (float)dot(cache->units + (row - 1) * cache->stride, unit, cache->stride) /
		    (float)(ONE * ONE);
		heap_offer(best, n, n_best, match);
		++*n_ranked;
	}
	qsort(best, *n_best, sizeof *best, compare_matches);
	return STORE_OK;
}
