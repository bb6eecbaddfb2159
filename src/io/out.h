/* out.h — a file written from its first byte to its last, through a buffer.
 *
 * What        Bytes are appended to a buf; what has gathered is written in large pieces.
 * Invariants  the file holds what was appended, in order, once out_flush() answered OK
 * Ownership   out_open opens the file and makes the buffer, out_close ends both
 * Threads     one thread
 * Errors      ERR_IO, ERR_NO_SPACE; sticky: after a failure every out_flush and out_sync answers
 *             the same
 * Format      none
 */
#ifndef EPI_IO_OUT_H
#define EPI_IO_OUT_H

#include "base/buf.h"
#include "io/fs.h"

enum { OUT_PIECE_BYTES = 1 << 20 };
struct out {
    struct file *file;
    struct buf waiting;
    uint64_t written;
    errc failed;
    struct err why;
};

/* a new file; one that is there is cut to nothing */
MUST_USE errc out_open(struct out *o, struct fs *fs, str path, struct err *e);
MUST_USE errc out_flush(struct out *o, struct err *e);
/* flushes, then everything is durable but the file's name */
MUST_USE errc out_sync(struct out *o, struct err *e);
/* writes nothing; the zero value is fine */
void out_close(struct out *o);

static inline uint64_t out_at(const struct out *o) { return o->written + o->waiting.n; }
/* only to be appended to */
static inline struct buf *out_buf(struct out *o) { return &o->waiting; }
/* After each record. */
MUST_USE static inline errc out_step(struct out *o, struct err *e)
{
    return o->waiting.n < OUT_PIECE_BYTES ? OK : out_flush(o, e);
}
static inline void out_pad(struct out *o, size_t align)        /* zeros up to a multiple of align */
{
    while (out_at(o) % align) buf_u8(&o->waiting, 0);
}
/* Writes over bytes that were flushed before. */
MUST_USE errc out_patch(struct out *o, uint64_t at, str bytes, struct err *e);

#endif
