/* zip-directory.c - reads a zip archive's central directory and finds each file's bytes. */

#include "engine/formats/zip-directory.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/visible.h"

#define END_SIZE 22 /* end of central directory */
#define MAX_COMMENT 65535
#define LOCATOR_SIZE 20 /* of the zip64 end record */
#define END64_SIZE 56
#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30
#define ZIP64_EXTRA 1
#define FLAG_ENCRYPTED 1
#define SHOWN 200
/* Deflate packs at most 1032 bytes into one. */
#define MAX_RATIO 1040

enum signature {
	LOCAL = 0x04034b50,
	CENTRAL = 0x02014b50,
	END = 0x06054b50,
	END64 = 0x06064b50,
	LOCATOR = 0x07064b50
};

struct zip_directory {
	const char *path;
	const uint8_t *bytes;
	size_t n;
	struct zip_entry *entries; /* sorted by name */
	size_t n_entries;
	char *names; /* of all entries, each with its NUL */
};

static uint64_t
number(const uint8_t *at, int n_bytes)
{
	uint64_t value = 0;

	for (int i = n_bytes - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

#define U16(at) ((uint32_t)number(at, 2))
#define U32(at) ((uint32_t)number(at, 4))
#define U64(at) number(at, 8)

bool
zip_is(const void *bytes, size_t n)
{
	return n >= 4 &&
	       (U32((const uint8_t *)bytes) == LOCAL || U32((const uint8_t *)bytes) == END);
}

/* Whether COUNT bytes from OFFSET on are inside. */
static bool
inside(const struct zip_directory *zip, uint64_t offset, uint64_t count)
{
	return offset <= zip->n && count <= zip->n - offset;
}

static enum t2l_status
wrong(const struct zip_directory *zip, const char *what, struct t2l_error *err)
{
	return t2l_fail(err, T2L_EFORMAT, "%s: damaged zip archive: %s", zip->path, what);
}

/* ---- where the directory is ---- */

struct extent {
	uint64_t n_entries, offset, n_bytes;
};

/* The end record lies behind everything, followed by a comment of the length it states. */
static const uint8_t *
find_end(const struct zip_directory *zip)
{
	size_t farthest = END_SIZE + MAX_COMMENT;

	for (size_t back = END_SIZE; back <= zip->n && back <= farthest; back++) {
		const uint8_t *at = zip->bytes + zip->n - back;

		if (U32(at) == END && U16(at + 20) == back - END_SIZE)
			return at;
	}
	return NULL;
}

/* Where 32 bits were too few, a record of 64 bits stands before, and a locator names its place. */
static enum t2l_status
read_end64(const struct zip_directory *zip, const uint8_t *end, struct extent *extent,
    struct t2l_error *err)
{
	const uint8_t *locator, *end64;

	if (!(extent->n_entries == 0xffff || extent->offset == 0xffffffff ||
		extent->n_bytes == 0xffffffff))
		return T2L_OK;
	if (end - zip->bytes < LOCATOR_SIZE || U32(end - LOCATOR_SIZE) != LOCATOR)
		return T2L_OK;
	locator = end - LOCATOR_SIZE;
	if (!inside(zip, U64(locator + 8), END64_SIZE))
		return wrong(zip, "its zip64 record is outside", err);
	end64 = zip->bytes + U64(locator + 8);
	if (U32(end64) != END64)
		return wrong(zip, "its zip64 record is not where its locator says", err);
	*extent = (struct extent){ U64(end64 + 32), U64(end64 + 48), U64(end64 + 40) };
	return T2L_OK;
}

static enum t2l_status
find_directory(const struct zip_directory *zip, struct extent *extent, struct t2l_error *err)
{
	const uint8_t *end = find_end(zip);
	enum t2l_status status;

	if (end == NULL)
		return wrong(zip, "it has no directory at its end; was it cut short?", err);
	*extent = (struct extent){ U16(end + 10), U32(end + 16), U32(end + 12) };
	if ((status = read_end64(zip, end, extent, err)) != T2L_OK)
		return status;
	if (!inside(zip, extent->offset, extent->n_bytes))
		return wrong(zip, "its directory is outside of it", err);
	if (extent->n_entries > extent->n_bytes / CENTRAL_SIZE)
		return wrong(zip, "its directory is shorter than its entries", err);
	return T2L_OK;
}

/* ---- entries ---- */

static enum t2l_status
wrong_entry(const struct zip_directory *zip, const struct zip_entry *entry, enum t2l_status status,
    const char *what, struct t2l_error *err)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, entry->name, strlen(entry->name), 0);
	return t2l_fail(err, status, "%s: '%s' in the zip archive %s", zip->path, shown, what);
}

/* Sizes and place that did not fit 32 bits stand in an extra field, in this order, those only. */
static bool
read_extra64(const uint8_t *extra, size_t n, uint64_t *const wide[3])
{
	size_t n_field;

	for (; n >= 4; extra += 4 + n_field, n -= 4 + n_field) {
		const uint8_t *at = extra + 4;

		n_field = U16(extra + 2);
		if (n_field > n - 4)
			return false;
		if (U16(extra) != ZIP64_EXTRA)
			continue;
		for (int i = 0; i < 3; i++) {
			if (*wide[i] != 0xffffffff)
				continue;
			if (extra + 4 + n_field - at < 8)
				return false;
			*wide[i] = U64(at);
			at += 8;
		}
		return true;
	}
	return true;
}

/* The bytes begin behind the local header, whose own name and extra field may differ in length. */
static enum t2l_status
find_bytes(const struct zip_directory *zip, struct zip_entry *entry, uint64_t n_stored, uint64_t n,
    uint64_t offset, struct t2l_error *err)
{
	const uint8_t *local;

	if (!inside(zip, offset, LOCAL_SIZE) || U32(zip->bytes + offset) != LOCAL)
		return wrong_entry(zip, entry, T2L_EFORMAT, "is not where its directory says", err);
	local = zip->bytes + offset;
	offset += LOCAL_SIZE + U16(local + 26) + U16(local + 28);
	if (!inside(zip, offset, n_stored))
		return wrong_entry(zip, entry, T2L_EFORMAT, "reaches beyond the end of it", err);
	if (entry->deflated ? n / MAX_RATIO > n_stored : n != n_stored)
		return wrong_entry(zip, entry, T2L_EFORMAT, "has a size that cannot be", err);
	entry->stored = zip->bytes + offset;
	entry->n_stored = (size_t)n_stored;
	entry->n = (size_t)n;
	return T2L_OK;
}

/* Reads the entry at AT, of N bytes to the directory's end; *SIZE is what it takes there. */
static enum t2l_status
read_entry(const struct zip_directory *zip, const uint8_t *at, size_t n, struct zip_entry *entry,
    char **name, size_t *size, struct t2l_error *err)
{
	uint64_t n_stored, n_whole, offset;
	uint64_t *const wide[] = { &n_whole, &n_stored, &offset };
	size_t n_name, n_extra;
	uint32_t method;

	if (n < CENTRAL_SIZE || U32(at) != CENTRAL)
		return wrong(zip, "its directory ends too early", err);
	n_name = U16(at + 28);
	n_extra = U16(at + 30);
	*size = CENTRAL_SIZE + n_name + n_extra + U16(at + 32);
	if (*size > n || memchr(at + CENTRAL_SIZE, '\0', n_name) != NULL)
		return wrong(zip, "a name in its directory is no name", err);
	memcpy(*name, at + CENTRAL_SIZE, n_name);
	(*name)[n_name] = '\0';
	method = U16(at + 10);
	*entry = (struct zip_entry){ .name = *name, .deflated = method == 8, .crc = U32(at + 16) };
	*name += n_name + 1;
	if ((U16(at + 8) & FLAG_ENCRYPTED) != 0)
		return wrong_entry(zip, entry, T2L_EUNSUPPORTED, "is encrypted", err);
	if (method != 0 && method != 8)
		return wrong_entry(zip, entry, T2L_EUNSUPPORTED,
		    "is compressed by another method than deflate", err);
	n_stored = U32(at + 20);
	n_whole = U32(at + 24);
	offset = U32(at + 42);
	if (!read_extra64(at + CENTRAL_SIZE + n_name, n_extra, wide))
		return wrong_entry(zip, entry, T2L_EFORMAT, "has a damaged extra field", err);
	return find_bytes(zip, entry, n_stored, n_whole, offset, err);
}

static int
by_name(const void *left, const void *right)
{
	const struct zip_entry *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static enum t2l_status
read_entries(struct zip_directory *zip, const struct extent *extent, struct t2l_error *err)
{
	const uint8_t *at = zip->bytes + extent->offset;
	size_t left = (size_t)extent->n_bytes, size = 0;
	enum t2l_status status;
	char *name;

	/* Names take no more room than the directory that holds them. */
	zip->entries = calloc((size_t)extent->n_entries + 1, sizeof *zip->entries);
	zip->names = name = malloc(left + 1);
	if (zip->entries == NULL || zip->names == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", zip->path);
	for (uint64_t i = 0; i < extent->n_entries; i++, at += size, left -= size) {
		status = read_entry(zip, at, left, &zip->entries[i], &name, &size, err);
		if (status != T2L_OK)
			return status;
		zip->n_entries++;
	}
	if (zip->n_entries > 1)
		qsort(zip->entries, zip->n_entries, sizeof *zip->entries, by_name);
	for (size_t i = 1; i < zip->n_entries; i++) {
		if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
			return wrong_entry(
			    zip, &zip->entries[i], T2L_EFORMAT, "is there twice", err);
	}
	return T2L_OK;
}

enum t2l_status
zip_directory_read(const void *bytes, size_t n, const char *path, struct zip_directory **out,
    struct t2l_error *err)
{
	struct zip_directory *zip = calloc(1, sizeof *zip);
	struct extent extent = { 0, 0, 0 };
	enum t2l_status status;

	if (zip == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	zip->path = path;
	zip->bytes = bytes;
	zip->n = n;
	status = find_directory(zip, &extent, err);
	if (status == T2L_OK)
		status = read_entries(zip, &extent, err);
	if (status != T2L_OK) {
		zip_directory_free(zip);
		return status;
	}
	*out = zip;
	return T2L_OK;
}

void
zip_directory_free(struct zip_directory *zip)
{
	if (zip == NULL)
		return;
	free(zip->entries);
	free(zip->names);
	free(zip);
}

size_t
zip_directory_count(const struct zip_directory *zip)
{
	return zip->n_entries;
}

const struct zip_entry *
zip_directory_at(const struct zip_directory *zip, size_t i)
{
	return &zip->entries[i];
}

const struct zip_entry *
zip_directory_find(const struct zip_directory *zip, const char *name)
{
	struct zip_entry key = { .name = name };

	if (zip->n_entries == 0)
		return NULL;
	return bsearch(&key, zip->entries, zip->n_entries, sizeof key, by_name);
}

/* ---- contents ---- */

/* zlib counts in 32 bits, so long inputs and outputs go in portions. */
static bool
inflate_whole(const struct zip_entry *entry, uint8_t *out)
{
	const size_t portion = (size_t)1 << 30;
	z_stream stream = { .next_in = (Bytef *)entry->stored, .next_out = out };
	size_t in_left = entry->n_stored, out_left = entry->n;
	int result;

	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return false;
	do {
		uInt some_in = (uInt)(in_left < portion ? in_left : portion);
		uInt some_out = (uInt)(out_left < portion ? out_left : portion);

		stream.avail_in = some_in;
		stream.avail_out = some_out;
		result = inflate(&stream, Z_NO_FLUSH);
		in_left -= some_in - stream.avail_in;
		out_left -= some_out - stream.avail_out;
	} while (result == Z_OK && (in_left > 0 || out_left > 0));
	inflateEnd(&stream);
	return result == Z_STREAM_END && out_left == 0;
}

static uint32_t
check_sum(const uint8_t *bytes, size_t n)
{
	const size_t portion = (size_t)1 << 30;
	uLong crc = crc32(0, NULL, 0);

	for (size_t at = 0; at < n; at += portion)
		crc = crc32(crc, bytes + at, (uInt)(n - at < portion ? n - at : portion));
	return (uint32_t)crc;
}

enum t2l_status
zip_directory_verify(const struct zip_directory *zip, const struct zip_entry *entry,
    const uint8_t *bytes, struct t2l_error *err)
{
	if (check_sum(bytes, entry->n) != entry->crc)
		return wrong_entry(
		    zip, entry, T2L_EFORMAT, "is damaged: its check sum differs", err);
	return T2L_OK;
}

enum t2l_status
zip_directory_content(const struct zip_directory *zip, const struct zip_entry *entry,
    const uint8_t **bytes, uint8_t **owned, struct t2l_error *err)
{
	enum t2l_status status;
	uint8_t *content;

	if (!entry->deflated) {
		*owned = NULL;
		*bytes = entry->stored;
		return T2L_OK;
	}
	content = malloc(entry->n > 0 ? entry->n : 1);
	if (content == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", zip->path);
	if (!inflate_whole(entry, content))
		status = wrong_entry(zip, entry, T2L_EFORMAT, "cannot be inflated", err);
	else
		status = zip_directory_verify(zip, entry, content, err);
	if (status != T2L_OK) {
		free(content);
		return status;
	}
	*bytes = *owned = content;
	return T2L_OK;
}
