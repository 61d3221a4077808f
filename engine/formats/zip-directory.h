/*
 * formats/zip-directory.h - the files inside a zip archive that is mapped in memory.
 *
 * Stored entries stay where they are in the mapping, which is why this is not libzip: it does not
 * say where in the archive an entry's bytes lie, so what it gives would have to be copied. Of the
 * format (APPNOTE 6.3) it reads what torch writes and zip programs re-pack it to: stored and
 * deflated entries, zip64, one disk, no encryption.
 *
 * Everything is checked at opening: every entry lies inside the archive, no name is there twice.
 */
#ifndef ENGINE_FORMATS_ZIP_DIRECTORY_H
#define ENGINE_FORMATS_ZIP_DIRECTORY_H

#include <stdint.h>

#include "engine/error.h"

struct zip_entry {
	const char *name;      /* without NUL inside */
	const uint8_t *stored; /* as the archive holds it */
	size_t n_stored, n;    /* bytes there, and bytes of the file itself */
	bool deflated;
	uint32_t crc;
};

struct zip_directory;

bool zip_is(const void *bytes, size_t n); /* whether it begins as a zip archive does */

/* BYTES[N] must outlive the directory; PATH is for messages. */
enum t2l_status zip_directory_read(const void *bytes, size_t n, const char *path,
    struct zip_directory **out, struct t2l_error *err);
void zip_directory_free(struct zip_directory *directory);

/* In byte order of the names; NULL when there is none of that name. */
size_t zip_directory_count(const struct zip_directory *directory);
const struct zip_entry *zip_directory_at(const struct zip_directory *directory, size_t i);
const struct zip_entry *zip_directory_find(const struct zip_directory *directory, const char *name);

/* *BYTES [entry->n]: into the archive when the entry is stored, else inflated (its check sum
 * compared) into fresh memory that is also given in *OWNED, to be freed. */
enum t2l_status zip_directory_content(const struct zip_directory *directory,
    const struct zip_entry *entry, const uint8_t **bytes, uint8_t **owned, struct t2l_error *err);

/* Compares the check sum of a stored entry, which zip_directory_content() leaves alone: it would
 * read gigabytes that are not wanted yet. */
enum t2l_status zip_directory_verify(const struct zip_directory *directory,
    const struct zip_entry *entry, const uint8_t *bytes, struct t2l_error *err);

#endif
