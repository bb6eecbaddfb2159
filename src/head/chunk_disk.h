/* chunk_disk.h — the files of chunks_head: closed chunks of the head, on disk and referenced.
 *
 * What        Appends sealed chunks in batches, finds them again by reference, hands all of them
 *             out at opening, deletes old files.
 * Invariants  (1) A reference is file number << 32 | offset of the record. (2) A chunk whose
 *             reference was given out was written with its CRC; it is durable once its file was
 *             finished or chunk_disk_sync() returned. (3) Within a file and over files the records
 *             are in the order of writing. (4) At opening every good chunk before the first
 *             corruption is handed out, none after it: so what is missing of a series lies after
 *             what is there, and the WAL holds it. Where that is not so, none is kept.
 * Ownership   chunk_disk_open() allocates, chunk_disk_close() frees. Written bytes are copied. A
 *             pin borrows until its unpin.
 * Threads     chunk_disk_write(), _cut(), _truncate(), _sync(): one at a time (the head's writer);
 *             pins: any, beside them, also while their file is truncated away. Lock:
 *             LOCK_CHUNK_DISK, never held over I/O.
 * Errors      ERR_NO_SPACE, ERR_IO: nothing of the batch is referenced, the file is cut back.
 *             ERR_CORRUPT: a chunk fails its CRC; ERR_NOT_FOUND: no such file.
 * Format      docs/format/chunks_head.md
 *
 * Durability steps for fault_dropped(): chunks_head.fsync, chunks_head.dir_fsync,
 * chunks_head.parent_fsync, chunks_head.finish_order,
 * chunks_head.bad_fsync, chunks_head.front_fsync, chunks_head.undo_order, chunks_head.undo_fsync,
 * chunks_head.damage_order.
 */
#ifndef EPI_HEAD_CHUNK_DISK_H
#define EPI_HEAD_CHUNK_DISK_H

#include "base/err.h"
#include "io/fs.h"
#include "io/reader.h"
#include "model/sample.h"

enum { CHUNK_DISK_FILE_BYTES = 128 << 20 };
typedef uint64_t chunk_ref;                    /* 0: none */
static inline uint32_t chunk_ref_file(chunk_ref r) { return (uint32_t)(r >> 32); }
static inline uint32_t chunk_ref_offset(chunk_ref r) { return (uint32_t)r; }

/* A chunk to be written. */
struct chunk_desc { sref series; int64_t mint, maxt; uint8_t enc; bool ooo; str data; };

/* A chunk as it was found at opening. */
struct chunk_found {
    chunk_ref ref;
    sref series;
    int64_t mint, maxt;
    uint32_t len;
    uint16_t n;
    uint8_t enc;
    bool ooo;
};

/* Called for each chunk with a known encoding, in file order. ERR_CORRUPT makes the record count as
 * damaged: it and all after it are set aside. ERR_OUT_OF_ORDER, a chunk that does not follow the
 * one before it of its series: which of the two is in the wrong place cannot be known, nor what
 * the log has to give, so all files are set aside. Other errors end the opening. */
typedef errc (*chunk_found_fn)(void *ctx, const struct chunk_found *c, struct err *e);

struct chunk_disk_opts {
    struct fs *fs;
    str dir;                                   /* "chunks_head"; made if it is missing */
    enum io_backend backend;
    uint64_t file_bytes;                       /* 0: CHUNK_DISK_FILE_BYTES */
    /* so many files are looked at beside each other at opening; 0 and 1: only the caller works */
    unsigned workers;
    /* Damage was found, and the files are as they were: what counts on them goes first, for good,
     * as the next opening finds them mended and cannot know. May be NULL; an error ends the
     * opening. */
    errc (*damaged)(void *ctx, struct err *e);
    void *damaged_ctx;
};
struct chunk_disk;

/* What opening found. Damage is never an error: bad files are set aside as chunks_head.NNNNNN.bad
 * beside the folder, the good front of a damaged file stays in place, later files are set aside,
 * too. */
struct chunk_disk_opened {
    uint64_t files, chunks, corruptions, set_aside;
    uint32_t last_file;
    bool out_of_order;                         /* nothing of what was handed out is there */
};

MUST_USE errc chunk_disk_open(struct chunk_disk **out, const struct chunk_disk_opts *o,
    chunk_found_fn found, void *ctx, struct chunk_disk_opened *what, struct err *e);
/* fsyncs the current file; NULL is fine. REQUIRES: no pins */
void chunk_disk_close(struct chunk_disk *d);

/* Writes n chunks with one write per file; refs[i] is the reference of chunks[i]. All or none are
 * referenced. */
MUST_USE errc chunk_disk_write(struct chunk_disk *d, const struct chunk_desc *chunks, size_t n,
    chunk_ref *refs, struct err *e);
MUST_USE errc chunk_disk_sync(struct chunk_disk *d, struct err *e);

/* The next chunk begins a file. */
void chunk_disk_cut(struct chunk_disk *d);

/* Deletes the files with numbers < file. The current one stays; if it holds chunks the next one
 * goes to a file of its own. */
MUST_USE errc chunk_disk_truncate(struct chunk_disk *d, uint32_t file, struct err *e);
uint64_t chunk_disk_bytes(struct chunk_disk *d);   /* of all files, for metrics */

/* A chunk's bytes, CRC checked. hint: its data length if known, else 0. */
struct chunk_pin {
    sref series;
    int64_t mint, maxt;
    uint8_t enc;
    bool ooo;
    str data;
    struct pin pin;
    void *file;
};
MUST_USE errc chunk_disk_pin(
    struct chunk_disk *d, chunk_ref ref, size_t hint, struct chunk_pin *out, struct err *e);
/* ERR_IO: throw away what was decoded; the zero pin is fine */
MUST_USE errc chunk_disk_unpin(struct chunk_disk *d, struct chunk_pin *p, struct err *e);

/* The codec: one record of a chunks_head file. */
enum { CHUNK_FILE_HEADER_BYTES = 8, CHUNK_RECORD_MIN_BYTES = 34 };
#define CHUNK_FILE_MAGIC 0x0130BC91u
struct buf;
void chunk_file_header_encode(struct buf *b);
MUST_USE errc chunk_file_header_check(str file, struct err *e);
void chunk_record_encode(struct buf *b, const struct chunk_desc *c);
size_t chunk_record_bytes(size_t data_len);

enum chunk_step { CHUNK_STEP_RECORD, CHUNK_STEP_END, CHUNK_STEP_SHORT, CHUNK_STEP_BAD };
/* The record at `at` of some bytes of a file. RECORD: *out and *next are set. END: a record of
 * zeros, or less than a record of zeros: what follows should be zeros. SHORT: the record needs
 * *next - at bytes, more than there are (damage, if the file ends here). BAD: e has words. */
enum chunk_step chunk_record_next(
    str bytes, size_t at, struct chunk_desc *out, size_t *next, struct err *e);

#endif
