#include "block/segment_writer.h"

#include "base/fault.h"
#include "block/segment_codec.h"
#include "io/out.h"

struct segment_writer {
    struct fs *fs;
    struct arena a;                            /* dir */
    str dir;
    uint64_t segment_bytes, finished_bytes;
    uint32_t n_segments;
    struct out out;                            /* the current segment; file NULL: none */
};

errc segment_writer_open(
    struct segment_writer **out, struct fs *fs, str dir, uint64_t segment_bytes, struct err *e)
{
    TRY(fs_mkdir(fs, dir, e));
    struct segment_writer *w = NEW(struct segment_writer);
    w->fs = fs;
    w->dir = arena_str(&w->a, dir);
    w->segment_bytes = segment_bytes ? segment_bytes : SEGMENT_BYTES;
    *out = w;
    return OK;
}

void segment_writer_close(struct segment_writer *w)
{
    if (!w) return;
    out_close(&w->out);
    arena_fini(&w->a);
    mem_free(w);
}

uint64_t segment_writer_bytes(const struct segment_writer *w)
{
    return w->finished_bytes + (w->out.file ? out_at(&w->out) : 0);
}

static errc segment_end(struct segment_writer *w, struct err *e)
{
    if (!w->out.file) return OK;
    w->finished_bytes += out_at(&w->out);
    errc rc = fault_dropped("block.segment_fsync") ? out_flush(&w->out, e) : out_sync(&w->out, e);
    out_close(&w->out);
    return rc;
}

static errc segment_begin(struct segment_writer *w, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    TRY(segment_end(w, e));
    TRY(out_open(
        &w->out, w->fs, arena_fmt(&a, "%.*s/%06u", STR_ARG(w->dir), w->n_segments + 1), e));
    w->n_segments++;
    segment_header_encode(out_buf(&w->out));
    return OK;
}

static uint64_t room_of(const struct chunk_view *c)
{
    return SEGMENT_LENGTH_MAX_BYTES + SEGMENT_RECORD_EXTRA_BYTES + c->data.n;
}

/* What lies in a segment already is copied as it is, records that lie one behind the other at one
 * go: that is the run. */
static str record_of(const struct chunk_view *c)
{
    return c->head ? str_of(c->data.p - c->head, c->head + c->data.n + CHUNK_TAIL_BYTES)
                   : STR_EMPTY;
}

errc segment_still_whole(const struct chunk_view *chunks, size_t n, errc rc, struct err *e)
{
    if (rc != OK && rc != ERR_CORRUPT) return rc;
    for (size_t i = 0; i < n; i++)
        if (chunks[i].head && !segment_data_check(chunks[i].data))
            return err_set(e, ERR_IO, "a chunk was changed in memory while it was read");
    return rc;
}

/* They lay in memory that others may write to by mistake since their checksums were looked at: it
 * is the copy that has to be whole. */
static errc copy_check(str copy, struct err *e)
{
    struct segment_record r;
    for (; copy.n; copy = str_from(copy, r.used))
        if (segment_record_decode(&r, copy, NULL) != OK)
            return err_set(e, ERR_IO, "a chunk was changed in memory before it was copied");
    return OK;
}

static errc run_end(struct segment_writer *w, str *run, struct err *e)
{
    struct buf *to = out_buf(&w->out);
    size_t from = to->n;
    buf_str(to, *run);
    *run = STR_EMPTY;
    TRY(copy_check(str_from(buf_view(to), from), e));
    return out_step(&w->out, e);
}

static errc add_one(struct segment_writer *w, const struct chunk_view *c, str *run, uint64_t *ref,
    struct err *e)
{
    str record = record_of(c);
    bool behind = record.n && run->n && record.p == run->p + run->n;
    if (!behind) TRY(run_end(w, run, e));
    uint64_t at = out_at(&w->out) + run->n;
    if (at > UINT32_MAX) return err_set(e, ERR_LIMIT, "a chunk segment beyond 4 GiB");
    *ref = segment_ref(w->n_segments - 1, (uint32_t)at);
    if (!record.n) segment_record_encode(out_buf(&w->out), c->enc, c->data);
    else *run = str_of(behind ? run->p : record.p, run->n + record.n);
    return OK;
}

/* A segment ends before the chunk that might not fit it; the lengths of the call's chunks are
 * counted at their largest. A chunk that is first in its segment stays, whatever its size. */
errc segment_writer_add(struct segment_writer *w, const struct chunk_view *chunks, size_t n,
    uint64_t *refs, struct err *e)
{
    str run = STR_EMPTY;
    if (n && !w->out.file) TRY(segment_begin(w, e));
    uint64_t before = n ? out_at(&w->out) : 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += room_of(&chunks[i]);
        bool first = before == SEGMENT_HEADER_BYTES && i == 0;
        if (!first && before + bytes > w->segment_bytes) {
            TRY(run_end(w, &run, e));
            TRY(segment_begin(w, e));
            before = SEGMENT_HEADER_BYTES;
            bytes = room_of(&chunks[i]);
        }
        TRY(add_one(w, &chunks[i], &run, &refs[i], e));
    }
    return n ? run_end(w, &run, e) : OK;
}

errc segment_writer_finish(struct segment_writer *w, struct err *e)
{
    TRY(segment_end(w, e));
    return fault_dropped("block.segment_dir_fsync") ? OK : fs_sync_dir(w->fs, w->dir, e);
}
