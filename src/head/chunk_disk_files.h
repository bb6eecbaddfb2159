/* chunk_disk_files.h — the names in chunks_head, and setting files aside.
 *
 * What        Lists the numbered files; moves damaged ones beside the folder.
 * Invariants  nothing is ever overwritten: a second .bad of the same number gets a suffix
 * Ownership   paths come from the caller's arena
 * Threads     the opener's
 * Errors      ERR_IO, ERR_NO_SPACE
 * Format      000001 …; chunks_head.000001.bad
 */
#ifndef EPI_HEAD_CHUNK_DISK_FILES_H
#define EPI_HEAD_CHUNK_DISK_FILES_H

#include "io/fs.h"

enum { CHUNK_FILE_DIGITS = 6 };
typedef VEC(uint32_t) chunk_file_numbers;

str chunk_file_path(struct arena *a, str dir, uint32_t n);
str chunk_files_parent(str dir);
/* ascending */
MUST_USE errc chunk_files_list(chunk_file_numbers *out, struct fs *fs, str dir, struct err *e);

/* The newest file when it was only just made: shorter than a magic, or with a magic of zeros. It is
 * deleted, and taken from the list. */
MUST_USE errc chunk_files_drop_unborn(chunk_file_numbers *n, struct fs *fs, str dir, struct err *e);

MUST_USE errc chunk_file_set_aside(struct fs *fs, str dir, uint32_t n, struct err *e);
/* the whole goes to .bad, the front stays */
MUST_USE errc chunk_file_keep_front(
    struct fs *fs, str dir, uint32_t n, uint64_t good, struct err *e);

#endif
