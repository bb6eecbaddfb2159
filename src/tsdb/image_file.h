/* image_file.h — head.image: what is open in the head, written down now and then, so that a start
 * reads the end of the log only.
 *
 * What        Written beside appends when so much was logged since the last one. The next opening
 *             takes series and deletions out of the log, what is open out of the image, and samples
 *             out of the log from the image's place on.
 * Invariants  (1) A file of that name is whole, or it is refused. (2) What is in it is in the log
 *             and in the chunk files as well, durable before the file has its name: who does not
 *             read it loses nothing, who does finds nothing that a power cut took. (3) It counts
 *             for the log that it was made of only: the segment up to its place has the same bytes.
 * Ownership   image_file_open allocates, image_file_close frees; borrows the rest
 * Threads     one. image_file_write: beside appenders and readers, not beside head_write_sealed or
 *             head_truncate
 * Errors      ERR_IO, ERR_NO_SPACE: the image before stays. ERR_CORRUPT of opening and loading: it
 *             is of no use
 * Format      docs/format/image.md
 *
 * Durability steps for fault_dropped(): image.log_first, image.fsync, image.dir_fsync.
 */
#ifndef EPI_TSDB_IMAGE_FILE_H
#define EPI_TSDB_IMAGE_FILE_H

#include "head/image_codec.h"
#include "io/reader.h"

struct chunk_disk;
struct fs;
struct head;
struct head_replay;
struct pool;
struct wal;
struct wal_stat;

/* rest, called before each frame with the CPU time since the last: who wants the image to be no
 * burden rests there; false: it is not wanted any more, ERR_CANCELED. May be NULL. */
struct image_file_of {
    struct fs *fs;
    struct head *head;
    struct wal *wal;
    struct chunk_disk *disk;                   /* may be NULL */
    bool (*rest)(void *ctx, int64_t worked_ns);
    void *ctx;
};
struct image_file_written { struct image_place place; uint64_t bytes, series; int64_t cpu_ns; };
/* place.offset 0: nothing was written, the end of the log is empty */
MUST_USE errc image_file_write(
    const struct image_file_of *of, struct image_file_written *out, struct err *e);

/* Bytes of the log behind an image's place, which a start would have to read. UINT64_MAX: the place
 * is in the log no more, the image is of no use. */
uint64_t image_file_behind(
    struct fs *fs, const struct wal_stat *now, const struct image_place *at);

/* *out NULL: there is none. Looks at lengths and at the log, not at what the image holds. */
struct image_file;
MUST_USE errc image_file_open(
    struct image_file **out, struct fs *fs, enum io_backend backend, struct err *e);
void image_file_close(struct image_file *f);   /* NULL is fine */
struct image_place image_file_place(const struct image_file *f);
uint64_t image_file_bytes(const struct image_file *f);
/* Into a head that has the series and deletions of the log before; *unknown: series of the image
 * that it has not. pool may be NULL. */
MUST_USE errc image_file_load(struct image_file *f, struct head_replay *to, struct pool *pool,
    uint64_t *unknown, struct err *e);

bool image_file_exists(struct fs *fs);
MUST_USE errc image_file_remove(struct fs *fs, struct err *e); /* OK if absent */
MUST_USE errc image_file_tidy(struct fs *fs, struct err *e);   /* what was interrupted goes */

#endif
