/* wal_reader.h — reads a log back: strictly as Prometheus does, or past damage.
 *
 * What        Streams the records of a range of segments. WAL_STRICT stops at the first corruption,
 *             with the same class and offset as Prometheus. WAL_SALVAGE notes it and goes on at the
 *             next page, or segment, that checks.
 * Invariants  (1) A record that is handed out passed its CRCs and its decompression. (2) Salvage
 *             hands out, in order, a superset of what strict reading gives before its error, and
 *             nothing that was not written (but see reject). (3) A record never joins fragments of
 *             two segments or over a corrupt spot.
 * Ownership   wal_reader_open allocates, wal_reader_close frees. A record's bytes live until the
 *             next wal_reader_next.
 * Threads     a reader: one at a time; any number of readers beside each other, and beside a writer
 *             of later segments
 * Errors      ERR_CORRUPT (strict; the words name file and offset as Prometheus' do), ERR_IO,
 *             ERR_LIMIT (a record that unpacks to more than WAL_RECORD_MAX_BYTES counts as corrupt)
 * Format      docs/format/wal.md
 */
#ifndef EPI_WAL_WAL_READER_H
#define EPI_WAL_WAL_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "io/fs.h"
#include "io/reader.h"

enum wal_mode { WAL_STRICT, WAL_SALVAGE };
enum { WAL_RECORD_MAX_BYTES = 1 << 30, WAL_SEGMENT_DIGITS = 8 };

/* What a folder holds. */
struct wal_dir {
    VEC(uint32_t) segments;                    /* ascending; gaps are possible */
    bool has_checkpoint; uint32_t checkpoint;  /* the newest checkpoint.NNNNNNNN that is a folder */
    VEC(uint32_t) older_checkpoints;
};
/* an absent folder is empty */
MUST_USE errc wal_dir_list(struct wal_dir *out, struct fs *fs, str dir, struct err *e);
void wal_dir_fini(struct wal_dir *d);
str wal_segment_path(struct arena *a, str dir, uint32_t seg);   /* dir/00000012 */

/* Removes what an interrupted writer left: checkpoint.*.tmp, older checkpoints than the newest, and
 * an interrupted repair's file (*.repair). For an opening that may write. */
MUST_USE errc wal_dir_tidy(struct fs *fs, str dir, struct err *e);

/* The first number behind the checkpoint that a folder has in place of a segment: whoever reads
 * files only stops there. False: none. For an opening, before wal_dir_settle. */
MUST_USE errc wal_dir_stumbles(
    struct fs *fs, str dir, uint32_t *segment, bool *any, struct err *e);

/* Names over which Prometheus stumbles become right ones or are set aside (io/numbered.h); *moved:
 * how many. For an opening that may write, after wal_dir_tidy; the folder of a checkpoint is one,
 * too. */
MUST_USE errc wal_dir_settle(struct fs *fs, str dir, uint32_t *moved, struct err *e);

/* off: the reader's position. tail: nothing good came after it in its segment. gap: the segment is
 * missing */
struct wal_corruption { uint32_t seg; uint64_t off; bool tail, gap, content; char why[160]; };

struct wal_rec {
    str bytes;                                 /* unpacked */
    str stored; uint8_t flags;                 /* as it lay in the file, fragments joined */
    /* offsets of its first fragment and after its last */
    uint32_t seg; uint64_t begin, end;
};

struct wal_reader_opts {
    struct fs *fs; str dir;
    enum io_backend backend;
    enum wal_mode mode;
    /* inclusive; numbers in between that are missing are skipped (salvage: noted) */
    uint32_t first, last;
    uint64_t offset;                           /* of the first: where reading begins in it */
};
struct wal_reader;
MUST_USE errc wal_reader_open(
    struct wal_reader **out, const struct wal_reader_opts *o, struct err *e);
/* *got false: the end */
MUST_USE errc wal_reader_next(struct wal_reader *r, struct wal_rec *out, bool *got, struct err *e);

/* As it lies in the file, for who unpacks elsewhere: CRCs are checked, `bytes` is empty. What
 * wal_rec_unpack refuses is to be rejected. */
MUST_USE errc wal_reader_next_stored(
    struct wal_reader *r, struct wal_rec *out, bool *got, struct err *e);
/* into room, or borrowed as it is */
MUST_USE errc wal_rec_unpack(
    struct buf *room, uint8_t flags, str stored, str *bytes, struct err *e);

/* The type of a stored record, when it can be told without unpacking it (not of zstd). */
bool wal_rec_peek(uint8_t flags, str stored, uint8_t *type);

/* For a pass that wants some types only: hands out the records whose type bit (1u << type) is in
 * `types`. The others' CRCs are checked, they are not unpacked (the first byte of a snappy record
 * can be read without). */
MUST_USE errc wal_reader_next_of(
    struct wal_reader *r, uint32_t types, struct wal_rec *out, bool *got, struct err *e);
#define WAL_TYPES_ALL UINT32_MAX

/* The record just handed out does not decode: a corruption at its end offset. Strict: returns the
 * ERR_CORRUPT to give up with; salvage: notes it and returns OK. */
MUST_USE errc wal_reader_reject(struct wal_reader *r, const struct err *why, struct err *e);
/* one handed out before */
MUST_USE errc wal_reader_reject_at(
    struct wal_reader *r, uint32_t seg, uint64_t end, const struct err *why, struct err *e);

const struct wal_corruption *wal_reader_corruptions(const struct wal_reader *r, size_t *n);
/* The last damage is the end of the log: a record of which a part was written when the process was
 * killed, and which nobody was told of. */
bool wal_reader_torn(const struct wal_reader *r);
/* Some of the damage is that the disk did not give the bytes: another time it may. */
bool wal_reader_unread(const struct wal_reader *r);
/* for progress */
void wal_reader_position(const struct wal_reader *r, uint32_t *seg, uint64_t *off);
void wal_reader_close(struct wal_reader *r);   /* NULL is fine */

#endif
