/* wal_reader.c — see wal_reader.h
 *
 * A segment is seen through a window of whole pages: pinned, walked fragment by fragment, and
 * pinned anew further on. One page more than the window is pinned, because a damaged length may
 * point over the end of a page, and Prometheus follows it.
 *
 * After damage a salvaging reader looks for the next place from which reading makes sense:
 *
 *     wrong CRC, length right      the next fragment of the page checks             -> there
 *     right CRC, wrong order       the length is as good as the CRC                 -> there; a
 *     FULL or FIRST begins a record itself anything else                where the next fragment
 *     lies is not known        -> the next page
 *
 * and from there drops MIDDLE and LAST fragments until a record begins. What a record was made of
 * before the damage is dropped with it.
 */
#include "wal/wal_reader.h"

#include "base/compress.h"
#include "base/cursor.h"
#include "base/mem.h"
#include "wal/page.h"

enum { WINDOW_PAGES = 32, READ_TRIES = 4, REPORTED_MAX = 10000 };

struct wal_reader {
    struct fs *fs;
    str dir;                                   /* heap */
    enum io_backend backend;
    enum wal_mode mode;
    VEC(uint32_t) segs;
    size_t cur;                                /* index in segs; segs.n: the end */
    uint32_t expect;                           /* the number that should come next, to note gaps */
    uint32_t first;
    uint64_t first_off;                        /* in it */
    struct reader *file;                       /* of segs[cur]; NULL: not open yet */
    uint64_t size, pos;                        /* of the file; the next fragment */
    struct pin window;
    uint64_t window_off, window_end;           /* fragments that begin in [off, end) may be read */
    bool window_last;                          /* the window reaches the end of the file */
    uint64_t begin;                            /* of the record under way */
    /* a record has begun; skipping to the next beginning */
    bool open, resync;
    /* the last fragment was padding: the end of a file there is none to Prometheus */
    bool padded;
    bool as_stored;                            /* the call at work wants nothing unpacked */
    bool failed;                               /* strict: nothing more comes */
    bool unread;                               /* the disk did not give something */
    struct err fail;
    uint8_t flags;
    struct buf joined, unpacked;
    uint8_t room[FRAG_HEADER_BYTES + FRAG_MAX_BYTES];
    VEC(struct wal_corruption) bad;
    uint32_t last_seg;                         /* of the record handed out last */
    uint64_t last_end;
};

/* ---- damage ---- */

/* What is wrong at r->pos. Salvage: noted, OK. Strict: the error that the reader ends with. */
static errc damage(struct wal_reader *r, uint32_t seg, uint64_t off, str why, struct err *e)
{
    if (r->mode == WAL_STRICT) {
        r->failed = true;
        err_set(&r->fail, ERR_CORRUPT,
            "corruption in segment %.*s/%08" PRIu32 " at %" PRIu64 ": %.*s", STR_ARG(r->dir), seg,
            off, STR_ARG(why));
        if (e) *e = r->fail;
        return ERR_CORRUPT;
    }
    struct wal_corruption c = { .seg = seg, .off = off, .tail = true };
    size_t n = MIN(why.n, sizeof(c.why) - 1);
    if (n) memcpy(c.why, why.p, n);
    if (r->bad.n < REPORTED_MAX) vec_push(&r->bad, c);
    return OK;
}

/* Good data after damage in the same segment: that was no torn tail. */
static void not_the_tail(struct wal_reader *r, uint32_t seg)
{
    for (size_t i = r->bad.n; i > 0 && r->bad.at[i - 1].seg == seg; i--)
        r->bad.at[i - 1].tail = false;
}

/* Does a fragment with data, or the padding, begin at `at`? */
static bool checks(struct wal_reader *r, str part, size_t at)
{
    struct frag f;
    size_t next;
    if (at % PAGE_BYTES == 0) return true;
    return frag_next(part, at, r->room, &f, &next, NULL) == FRAG_STEP_OK &&
           (f.type == FRAG_PAD || (f.data.n > 0 && f.type <= FRAG_LAST));
}

/* ---- windows ---- */

static errc window_drop(struct wal_reader *r, struct err *e)
{
    errc rc = reader_unpin(&r->window, e);
    r->window = (struct pin){ 0 };
    r->window_off = r->window_end = 0;
    return rc;
}

/* Pins pages from the one of r->pos on. A page that cannot be read shrinks the window, and when it
 * is the first and cannot be read once more, it is damage. */
static errc window_move(struct wal_reader *r, struct err *e)
{
    struct err lost = { 0 };
    errc rc = window_drop(r, &lost);
    if (rc != OK) {
        if (r->mode == WAL_STRICT)
            return err_in(
                e, err_set(e, rc, "%s", lost.msg), "segment %" PRIu32, r->segs.at[r->cur]);
        r->unread = true;
        TRY(damage(r, r->segs.at[r->cur], r->pos, err_str(&lost), e));
    }
    while (r->pos < r->size) {
        uint64_t from = r->pos / PAGE_BYTES * PAGE_BYTES, left = r->size - from;
        for (unsigned tries = 0; tries < READ_TRIES; tries++) {
            size_t pages = tries == 0 ? WINDOW_PAGES : 1;
            size_t n = (size_t)MIN(left, (uint64_t)(pages + (pages > 1)) * PAGE_BYTES);
            rc = reader_pin(r->file, from, n, &r->window, &lost);
            if (rc != OK && r->mode == WAL_STRICT) break;
            if (rc != OK) continue;
            r->window_off = from;
            r->window_last = n == left;
            r->window_end = r->window_last ? UINT64_MAX : from + pages * PAGE_BYTES;
            return OK;
        }
        if (r->mode == WAL_STRICT)
            return err_in(
                e, err_set(e, rc, "%s", lost.msg), "segment %" PRIu32, r->segs.at[r->cur]);
        r->unread = true;
        TRY(damage(r, r->segs.at[r->cur], r->pos, err_str(&lost), e));
        r->open = false;
        r->resync = true;
        r->pos = from + PAGE_BYTES;
    }
    return OK;
}

/* ---- segments ---- */

static void arena_finip(struct arena *a) { arena_fini(a); }

static void segment_close(struct wal_reader *r)
{
    errc rc = window_drop(r, NULL);            /* what it held was checked by its CRCs */
    (void)rc;
    reader_close(STEAL(r->file));
    r->pos = r->size = 0;
    r->open = r->resync = false;
}

static errc segment_open(struct wal_reader *r, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    uint32_t seg = r->segs.at[r->cur];
    struct err why = { 0 };
    if (seg != r->expect) {
        TRY(damage(r, r->expect, 0, S("segments are not sequential"), e));
        vec_last(&r->bad).gap = true;
    }
    r->expect = seg + 1;
    errc rc = reader_open(&r->file, r->fs, wal_segment_path(&a, r->dir, seg),
        (struct read_as){ r->backend, IO_LOG, IO_SEQUENTIAL }, &why);
    if (rc == OK) {
        r->size = reader_size(r->file);
        if (seg == r->first) r->pos = r->first_off;
        return OK;
    }
    if (r->mode == WAL_STRICT) return err_set(e, rc, "%s", why.msg);
    r->unread = true;
    TRY(damage(r, seg, 0, err_str(&why), e));
    r->cur++;
    return OK;
}

static errc segment_end(struct wal_reader *r, struct err *e)
{
    uint64_t pos = MAX(r->pos, r->size);
    if (r->open && !(r->padded && r->mode == WAL_STRICT))
        TRY(damage(r, r->segs.at[r->cur], pos, S("last record is torn"), e));
    segment_close(r);
    r->cur++;
    return OK;
}

/* ---- records ---- */

/* A snappy block begins with its length and, as nothing can be copied yet, a literal. */
bool wal_rec_peek(uint8_t flags, str stored, uint8_t *type)
{
    cursor c = cur_of(stored);
    if (frag_compress_of(flags) == COMPRESS_ZSTD) return false;
    if (frag_compress_of(flags) == COMPRESS_SNAPPY) {
        cur_uvarint(&c);
        uint8_t tag = cur_u8(&c), len = tag >> 2;
        if ((tag & 3) != 0) return false;
        if (len >= 60) cur_bytes(&c, len - 59u);
    }
    *type = cur_u8(&c);
    return cur_ok(&c);
}

errc wal_rec_unpack(struct buf *room, uint8_t flags, str stored, str *bytes, struct err *e)
{
    enum compress_kind kind = frag_compress_of(flags);
    *bytes = stored;
    /* no frame of zstd at all is no byte */
    if (kind == COMPRESS_NONE || (kind == COMPRESS_ZSTD && !stored.n)) return OK;
    buf_reset(room);
    TRY(compress_unpack(room, kind, stored, WAL_RECORD_MAX_BYTES, e));
    *bytes = buf_view(room);
    return OK;
}

static bool type_wanted(uint32_t types, uint8_t type) { return type < 32 && types >> type & 1; }

/* A whole record is there: unpacks it, unless its type is not wanted (*got false) or it is wanted
 * as it is. */
static errc finish(struct wal_reader *r, str stored, uint8_t flags, uint64_t end, uint32_t types,
    struct wal_rec *out, bool *got, struct err *e)
{
    uint8_t type;
    uint32_t seg = r->segs.at[r->cur];
    str bytes = STR_EMPTY;
    r->open = false;
    *got = false;
    if (types != WAL_TYPES_ALL && wal_rec_peek(flags, stored, &type) && !type_wanted(types, type))
        return OK;
    if (!r->as_stored) {
        struct err why = { 0 };
        if (wal_rec_unpack(&r->unpacked, flags, stored, &bytes, &why) != OK)
            return damage(r, seg, end, err_str(&why), e);
        if (types != WAL_TYPES_ALL && (!bytes.n || !type_wanted(types, bytes.p[0]))) return OK;
    }
    not_the_tail(r, seg);
    r->last_seg = seg;
    r->last_end = end;
    *out = (struct wal_rec){ bytes, stored, flags & (FRAG_SNAPPY | FRAG_ZSTD), seg, r->begin, end };
    *got = true;
    return OK;
}

/* A good fragment at r->pos, which has been moved behind it. */
static errc take(struct wal_reader *r, const struct frag *f, uint64_t at, uint32_t types,
    struct wal_rec *out, bool *got, struct err *e)
{
    const char *wrong = frag_order(f->type, r->open);
    r->padded = f->type == FRAG_PAD;
    if (r->padded) return OK;
    if (r->resync && !r->open && (f->type == FRAG_MIDDLE || f->type == FRAG_LAST)) return OK;
    if (wrong) {
        TRY(damage(r, r->segs.at[r->cur], r->pos, str_z(wrong), e));
        r->open = false;
        r->resync = true;
        if (f->type != FRAG_FULL && f->type != FRAG_FIRST) return OK;
    }
    if (f->type == FRAG_FULL || f->type == FRAG_FIRST) {
        r->begin = at;
        r->flags = f->header;
        r->open = true;
        r->resync = false;
        buf_reset(&r->joined);
        if (f->type == FRAG_FULL) return finish(r, f->data, f->header, r->pos, types, out, got, e);
    }
    buf_str(&r->joined, f->data);
    if (f->type == FRAG_LAST)
        return finish(r, buf_view(&r->joined), f->header, r->pos, types, out, got, e);
    return OK;
}

/* Damage where a fragment should be: notes it and finds the place to go on. */
static errc skip(
    struct wal_reader *r, str part, size_t at, size_t next, const struct err *why, struct err *e)
{
    TRY(damage(r, r->segs.at[r->cur], r->window_off + next, err_str(why), e));
    bool in_page = next > at && next / PAGE_BYTES == at / PAGE_BYTES;
    size_t go_on = in_page && checks(r, part, next) ? next : (at / PAGE_BYTES + 1) * PAGE_BYTES;
    r->open = false;
    r->resync = true;
    r->pos = r->window_off + go_on;
    return OK;
}

static errc step(
    struct wal_reader *r, uint32_t types, struct wal_rec *out, bool *got, struct err *e)
{
    struct frag f;
    struct err why = { 0 };
    uint64_t pos = r->pos;
    size_t at = (size_t)(pos - r->window_off), next = at;
    switch (frag_next(r->window.bytes, at, r->room, &f, &next, &why)) {
    case FRAG_STEP_OK:
        r->pos = r->window_off + next;
        return take(r, &f, pos, types, out, got, e);
    case FRAG_STEP_BAD: return skip(r, r->window.bytes, at, next, &why, e);
    case FRAG_STEP_END:
        if (r->window_last) return segment_end(r, e);
        return skip(
            r, r->window.bytes, at, at, &(struct err){ .msg = "unexpected EOF", .n = 14 }, e);
    }
    return OK;
}

errc wal_reader_next_of(
    struct wal_reader *r, uint32_t types, struct wal_rec *out, bool *got, struct err *e)
{
    bool found = false;
    struct wal_rec rec;
    if (r->failed) {
        if (e) *e = r->fail;
        return ERR_CORRUPT;
    }
    while (!found && r->cur < r->segs.n) {
        if (!r->file) {
            TRY(segment_open(r, e));
            continue;
        }
        if (r->pos < r->window_off || r->pos >= r->window_end) TRY(window_move(r, e));
        uint64_t filled = (r->size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        if (r->pos >= filled) TRY(segment_end(r, e));
        else if (r->window_end > 0) TRY(step(r, types, &rec, &found, e));
    }
    *got = found;
    if (found) *out = rec;
    return OK;
}

errc wal_reader_next(struct wal_reader *r, struct wal_rec *out, bool *got, struct err *e)
{
    return wal_reader_next_of(r, WAL_TYPES_ALL, out, got, e);
}

errc wal_reader_next_stored(struct wal_reader *r, struct wal_rec *out, bool *got, struct err *e)
{
    r->as_stored = true;
    errc rc = wal_reader_next_of(r, WAL_TYPES_ALL, out, got, e);
    r->as_stored = false;
    return rc;
}

errc wal_reader_reject(struct wal_reader *r, const struct err *why, struct err *e)
{
    return wal_reader_reject_at(r, r->last_seg, r->last_end, why, e);
}

errc wal_reader_reject_at(
    struct wal_reader *r, uint32_t seg, uint64_t end, const struct err *why, struct err *e)
{
    size_t n = r->bad.n;
    TRY(damage(r, seg, end, err_str(why), e));
    if (r->bad.n > n) vec_last(&r->bad).content = true;
    return OK;
}

bool wal_reader_torn(const struct wal_reader *r)
{
    for (size_t i = r->bad.n; i-- > 0;) {
        const struct wal_corruption *c = &r->bad.at[i];
        if (c->seg == vec_last(&r->segs) && c->tail && !c->gap && !c->content) return true;
    }
    return false;
}

bool wal_reader_unread(const struct wal_reader *r) { return r->unread; }

const struct wal_corruption *wal_reader_corruptions(const struct wal_reader *r, size_t *n)
{
    *n = r->bad.n;
    return r->bad.at;
}

void wal_reader_position(const struct wal_reader *r, uint32_t *seg, uint64_t *off)
{
    *seg = r->cur < r->segs.n ? r->segs.at[r->cur] : r->expect;
    *off = r->pos;
}

static void wal_reader_freep(struct wal_reader **r) { wal_reader_close(*r); }

errc wal_reader_open(struct wal_reader **out, const struct wal_reader_opts *o, struct err *e)
{
    SCOPED(wal_reader_freep) struct wal_reader *r = NEW(struct wal_reader);
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    r->fs = o->fs;
    r->dir = mem_str(o->dir);
    r->backend = o->backend;
    r->mode = o->mode;
    r->expect = r->first = o->first;
    r->first_off = o->offset;
    buf_init(&r->joined, NULL, WAL_RECORD_MAX_BYTES);
    buf_init(&r->unpacked, NULL, 0);
    TRY(wal_dir_list(&d, o->fs, o->dir, e));
    for (size_t i = 0; i < d.segments.n; i++)
        if (d.segments.at[i] >= o->first && d.segments.at[i] <= o->last)
            vec_push(&r->segs, d.segments.at[i]);
    *out = STEAL(r);
    return OK;
}

void wal_reader_close(struct wal_reader *r)
{
    if (!r) return;
    segment_close(r);
    mem_free((void *)(uintptr_t)r->dir.p);
    buf_fini(&r->joined);
    buf_fini(&r->unpacked);
    vec_fini(&r->segs);
    vec_fini(&r->bad);
    mem_free(r);
}
