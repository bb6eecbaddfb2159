/* index_header_build.c — an index-header out of an index that is far away.
 *
 *   the end of the index, with its TOC and often the whole table
 *   [0, TOC.series), and a bit           -> the version; symbols
 *   [TOC.postings table, the end)        -> table; what of it came not yet
 *   the end                              -> table, and the TOC
 *
 * A read costs a way there and back, so there are two of them, or three. An index so small that the
 * first query would have the rest of it read along comes by one. Ranges go straight into the file,
 * piece by piece. What they bring along that is no part of the header is where queries begin to
 * read: it is handed on. Whether all is right is looked at when the header is opened,
 * before it gets its name. */
#include "base/mem.h"
#include "block/index_codec.h"
#include "bucket/header_samples.h"
#include "bucket/index_header.h"
#include "bucket/index_header_codec.h"

enum {
    AT_ONCE_BYTES = 192 << 10,
    TAIL_MIN_BYTES = 4 << 10,
    TAIL_MAX_BYTES = 64 << 10,
    TAIL_SHARE = 4,
    WRITE_BYTES = 64 << 10
};

/* Of what is read, bytes [from, to) go into the file, the first ones to the version. */
struct writing {
    struct file *f;
    struct buf waiting;       /* the last of what is written, not in the file yet */
    uint64_t at, read;
    uint64_t from, to, place; /* place: of the next piece, in the index */
    uint64_t kept;            /* from here on what is read is kept in seen.begin as well */
    uint8_t head[INDEX_HEADER_BYTES];
    struct index_seen seen;
};

void index_seen_fini(struct index_seen *s)
{
    buf_fini(&s->begin.bytes);
    buf_fini(&s->end.bytes);
}

static errc put_waiting(struct writing *w, str more, struct err *e)
{
    const str both[] = { buf_view(&w->waiting), more };
    uint64_t done;
    TRY(file_pwrite(w->f, both, ARRAY_LEN(both), w->at - w->waiting.n, &done, e));
    buf_reset(&w->waiting);
    return OK;
}

static errc put(struct writing *w, str bytes, struct err *e)
{
    if (w->waiting.n + bytes.n < WRITE_BYTES) buf_str(&w->waiting, bytes);
    else TRY(put_waiting(w, bytes, e));
    w->at += bytes.n;
    return OK;
}

/* What of a piece at `place` lies in [from, to). */
static str part_of(str piece, uint64_t place, uint64_t from, uint64_t to)
{
    uint64_t end = place + piece.n;
    from = MIN(MAX(from, place), end);
    to = MAX(MIN(to, end), from);
    return str_slice(piece, (size_t)(from - place), (size_t)(to - place));
}

static errc put_piece(struct writing *w, str piece, struct err *e)
{
    for (size_t i = 0; i < piece.n && w->place + i < sizeof(w->head); i++)
        w->head[w->place + i] = piece.p[i];
    str mine = part_of(piece, w->place, w->from, w->to);
    w->place += piece.n;
    return mine.n ? put(w, mine, e) : OK;
}

static errc put_read(void *ctx, str piece, struct err *e)
{
    struct writing *w = ctx;
    buf_str(&w->seen.begin.bytes, part_of(piece, w->place, w->kept, UINT64_MAX));
    w->read += piece.n;
    return put_piece(w, piece, e);
}

struct tail { str bytes; uint64_t size, begin; struct index_toc toc; };

/* [begin, end) is read, but for what came with the tail. */
static errc index_put(struct bucket *b, str index, uint64_t begin, uint64_t end,
    const struct tail *t, struct writing *w, struct err *e)
{
    uint64_t here = MIN(MAX(begin, t->begin), end);
    w->place = begin;
    if (begin < here) TRY(bucket_stream(b, index, begin, here - begin, put_read, w, e));
    if (w->place != here)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes of %" PRIu64 " came", w->place - begin,
            here - begin);
    return here < end ? put_piece(w, part_of(t->bytes, t->begin, here, end), e) : OK;
}

/* The last bytes of an index of this size, and its TOC. */
static errc tail_read(struct bucket *b, str index, uint64_t size, struct tail *t,
    struct writing *w, struct err *e)
{
    if (size < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no index", size);
    uint64_t share = MIN(size / TAIL_SHARE, (uint64_t)TAIL_MAX_BYTES);
    uint64_t begin = size - MIN(size, MAX(share, (uint64_t)TAIL_MIN_BYTES));
    if (size <= AT_ONCE_BYTES) begin = 0;
    struct buf *all = &w->seen.end.bytes;
    t->size = size;
    t->begin = w->seen.end.at = begin - begin % INDEX_SEEN_ALIGN;
    size_t n = (size_t)(size - t->begin);
    buf_reset(all);
    struct byte_span to = { buf_room(all, n), n };
    TRY(bucket_read(b, index, t->begin, (struct spans){ &to, 1 }, e));
    buf_commit(all, n);
    w->read += n;
    t->bytes = buf_view(all);
    TRY(index_toc_decode(&t->toc, str_from(t->bytes, n - INDEX_TOC_BYTES), size, e));
    if (!t->toc.symbols || !t->toc.postings_table || t->toc.series < t->toc.symbols)
        return err_set(e, ERR_CORRUPT, "TOC: no symbols, or no postings");
    return OK;
}

/* size: as meta.json has it, 0: it is not known. What is not so there is asked for. */
static errc tail_find(struct bucket *b, str index, uint64_t size, struct tail *t,
    struct writing *w, struct err *e)
{
    struct bucket_attributes at;
    errc rc = size ? tail_read(b, index, size, t, w, NULL) : ERR_CORRUPT;
    if (rc == OK) return OK;
    TRY(bucket_attributes(b, index, &at, e));
    return tail_read(b, index, at.size_bytes, t, w, e);
}

static errc symbols_put(
    struct bucket *b, str index, const struct tail *t, struct writing *w, struct err *e)
{
    SCOPED(buf_fini) struct buf head = { 0 };
    uint8_t version;
    uint64_t end = t->toc.series, over = end % INDEX_SEEN_ALIGN;
    index_header_head_encode(&head, INDEX_V2, t->toc.postings_table);
    TRY(put(w, buf_view(&head), e));
    w->from = t->toc.symbols;
    w->to = end;
    w->kept = w->seen.begin.at = end - over;
    if (over) end = MIN(end + INDEX_SEEN_ALIGN - over, t->size);
    TRY(index_put(b, index, 0, end, t, w, e));
    TRY(index_header_check(str_of(w->head, sizeof(w->head)), &version, e));
    return version == INDEX_V2 ? OK : err_set(e, ERR_UNSUPPORTED, "index version %u", version);
}

static errc table_put(
    struct bucket *b, str index, const struct tail *t, struct writing *w, struct err *e)
{
    w->from = t->toc.postings_table;
    w->to = t->size;
    w->kept = UINT64_MAX;
    return index_put(b, index, w->from, w->to, t, w, e);
}

static errc parts_put(
    struct bucket *b, str index, const struct tail *t, struct writing *w, struct err *e)
{
    SCOPED(buf_fini) struct buf own = { 0 };
    TRY(symbols_put(b, index, t, w, e));
    uint64_t table = w->at;
    TRY(table_put(b, index, t, w, e));
    index_header_toc_encode(&own, INDEX_HEADER_HEAD_BYTES, table);
    TRY(put(w, buf_view(&own), e));
    return put_waiting(w, STR_EMPTY, e);
}

static errc build(struct bucket *b, str index, struct writing *w, uint64_t *size, struct err *e)
{
    struct tail t = { 0 };
    errc rc = tail_find(b, index, *size, &t, w, e);
    if (rc == OK) rc = parts_put(b, index, &t, w, e);
    *size = t.size;
    return rc;
}

errc index_header_sample(struct fs *fs, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf sparse = { 0 };
    struct index_header *h = NULL;
    TRY(index_header_open(&h, fs, dir, IO_BUFFERED, e));
    errc rc = index_header_sparse(h, &sparse, e);
    index_header_close(h);
    if (rc != OK) return rc;
    return fs_write_cache(
        fs, path_join(&a, dir, S(SPARSE_HEADER_FILE)), buf_view(&sparse), e);
}

/* As one, unless something is there: then the samples first, since without a header they are
 * nothing. Nothing is synced here: what a power cut left of it is found wrong when it is opened,
 * and built anew. */
static errc named(struct fs *fs, str tmp, str dir, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const str files[] = { S(SPARSE_HEADER_FILE), S("index-header") };
    if (!fs_exists(fs, dir)) return fs_rename(fs, tmp, dir, e);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        TRY(fs_rename(fs, path_join(&a, tmp, files[i]), path_join(&a, dir, files[i]), e));
    return OK;
}

errc index_header_build(struct bucket *b, ulid id, uint64_t index_bytes, struct fs *fs, str dir,
    struct header_built *what, struct index_seen *seen, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct writing w = { 0 };
    uint64_t size = index_bytes;
    str index = arena_fmt(&a, "%s/index", ulid_text(id).z);
    str tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(dir));
    TRY(fs_remove_tree(fs, tmp, e));
    TRY(fs_mkdir(fs, tmp, e));
    TRY(fs_open(
        &w.f, fs, path_join(&a, tmp, S("index-header")), FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = build(b, index, &w, &size, e);
    buf_fini(&w.waiting);
    file_close(w.f);
    if (rc == OK) rc = index_header_sample(fs, tmp, e);
    if (rc == OK) rc = named(fs, tmp, dir, e);
    errc left = fs_remove_tree(fs, tmp, NULL);
    (void)left; /* the next building removes it */
    if (rc == OK && seen) *seen = w.seen;
    else index_seen_fini(&w.seen);
    if (rc != OK) return err_in(e, rc, "index-header of block %s", ulid_text(id).z);
    *what = (struct header_built){ size, w.read, w.at };
    return OK;
}
