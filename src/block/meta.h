/* meta.h — reading and writing the file meta.json of a block's folder.
 *
 * What        meta_read, and meta_write which replaces the file durably.
 * Invariants  the file is seen whole or not at all; a folder whose name is a ULID says the id,
 *             whatever the text has
 * Ownership   as meta_codec.h
 * Threads     any; one writer a folder
 * Errors      ERR_NOT_FOUND (no file), ERR_CORRUPT, ERR_IO, ERR_NO_SPACE
 * Format      meta_codec.h
 */
#ifndef EPI_BLOCK_META_H
#define EPI_BLOCK_META_H

#include "block/meta_codec.h"
#include "io/fs.h"

MUST_USE errc meta_read(
    struct block_meta *out, struct fs *fs, str dir, struct arena *a, struct err *e);
MUST_USE errc meta_write(struct fs *fs, str dir, const struct block_meta *m, struct err *e);

#endif
