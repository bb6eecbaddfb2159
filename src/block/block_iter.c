#include "block/block_impl.h"
#include "block/float_cache.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "chunk/xor_lanes.h"
#include "io/work.h"
#include "storage/clip.h"

ACCOUNT(block_iter_account, "block_iterators")

/* The chunk to be opened: of a part. */
struct place { size_t part, next; };

struct block_iter {
    struct sample_iter base;
    VEC(struct block_iter_of) parts;           /* one after the other in time */
    struct place at;
    int64_t mint;                              /* grows with seek */
    struct sample_windows windows;             /* n 0: samples of all times are wanted */
    size_t shown;                              /* the part of the last sample; SIZE_MAX: none */
    union sample_copy copy;                    /* of a histogram without its hint */
    struct segment_pin pin;                    /* of the open one; its reader NULL: none */
    struct chunk_iter chunk;
    bool ended, keep;                          /* keep: the open one is wanted by the cache */
    bool warm;                                 /* and so are those that follow */
    unsigned unknown;                          /* so many chunks that follow are not in the cache */
    unsigned alone;                            /* so many are decoded one by one */
    errc failed;
    struct err why;
};

static errc iter_close_chunk(struct block_iter *it, struct err *e)
{
    return segments_unpin(&it->pin, e);
}

static void iter_free(struct sample_iter *base)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    /* what was read of it was told, or is wanted by nobody */
    errc rc = iter_close_chunk(it, NULL);
    (void)rc;
    account_charge(&block_iter_account, -(int64_t)sizeof(*it));
    chunk_iter_fini(&it->chunk);
    vec_fini(&it->parts);
    mem_free(it);
}

static const struct block_iter_of *iter_part(const struct block_iter *it)
{
    return &it->parts.at[MIN(it->at.part, it->parts.n - 1)];
}

/* May a chunk of these times have a sample in a window? What cannot be computed may. */
static bool windows_meet(const struct sample_windows *w, int64_t mint, int64_t maxt)
{
    int64_t hi, behind, steps, lo;
    if (!w->n) return true;
    if (__builtin_add_overflow(w->lo, w->width, &hi)) return true;
    if (__builtin_sub_overflow(mint, hi, &behind)) return true;
    /* the first that ends at mint or behind it */
    int64_t k = behind <= 0 ? 0 : (behind - 1) / w->interval + 1;
    if ((uint64_t)k >= w->n) return false;
    if (__builtin_mul_overflow(k, w->interval, &steps)) return true;
    if (__builtin_add_overflow(w->lo, steps, &lo)) return true;
    return lo < maxt;
}

/* May it hold something to show? */
static bool iter_wants(
    const struct block_iter *it, const struct block_iter_of *of, const struct index_chunk *c)
{
    return c->mint <= of->maxt && c->maxt >= MAX(of->mint, it->mint) &&
           windows_meet(&it->windows, c->mint, c->maxt) &&
           !(of->deleted && intervals_cover(of->deleted, c->mint, c->maxt));
}

/* Moves to the next chunk that may; NULL: none. */
static const struct index_chunk *iter_wanted(const struct block_iter *it, struct place *p)
{
    for (; p->part < it->parts.n; *p = (struct place){ p->part + 1, 0 }) {
        const struct block_iter_of *of = &it->parts.at[p->part];
        for (; p->next < of->n && of->chunks[p->next].mint <= of->maxt; p->next++)
            if (iter_wants(it, of, &of->chunks[p->next])) return &of->chunks[p->next];
    }
    return NULL;
}

/* May samples of the part at hand and of this one be cut together? */
static bool iter_joins(const struct block_iter *it, size_t part)
{
    return part == it->at.part || (!iter_part(it)->deleted && !it->parts.at[part].deleted);
}

static struct float_key iter_key(const struct block_iter_of *of, const struct index_chunk *c)
{
    return (struct float_key){ of->block->id, c->ref };
}

/* Opens it; none: the iterator has ended. */
static errc iter_open_chunk(struct block_iter *it, struct err *e)
{
    const struct index_chunk *c = iter_wanted(it, &it->at);
    if (!c) {
        it->ended = true;
        return OK;
    }
    it->at.next++;
    if (it->alone) it->alone--;
    TRY(segments_pin(iter_part(it)->block->segments, c->ref, &it->pin, e));
    io_work.chunks++;
    return chunk_iter_reset(&it->chunk, it->pin.enc, it->pin.data, e);
}

/* Chunks whose decoding goes side by side, of all parts; those that follow each other in a segment,
 * as those of a series do, have one pin. It pays for some of them, into arrays with room for as
 * many. */
enum { ROW_MIN = 3, ROW_MIN_ROOM = 512, ROW_MANY_ROOM = 2048, ROW_MAX_BYTES = 1 << 14 };
struct chunk_row {
    struct xor_lane lanes[XOR_LANES_CHUNKS];
    struct segment_record records[XOR_LANES_CHUNKS];
    struct segment_run runs[XOR_LANES_CHUNKS];
    const struct index_chunk *chunks[XOR_LANES_CHUNKS];
    size_t n, n_runs, used;                    /* used: samples of them */
    struct place end;
};

/* A chunk whose samples are not of the times that the index says is another one's: files of two
 * blocks in each other's place have whole chunks where the index looks for them. */
static bool times_agree(const struct index_chunk *c, const int64_t *t, size_t n)
{
    return !n || (t[0] >= c->mint && t[n - 1] <= c->maxt);
}

static errc iter_check_times(
    const struct block_iter *it, const int64_t *t, size_t n, struct err *e)
{
    const struct index_chunk *c = &iter_part(it)->chunks[it->at.next - 1];
    return times_agree(c, t, n) ? OK : index_chunk_other(c, e);
}

static bool iter_has(const struct block_iter *it, size_t many)
{
    struct place p = it->at;
    size_t n = 0;
    while (n < many && iter_wanted(it, &p)) {
        p.next++;
        n++;
    }
    return n == many;
}

/* How many from the wanted one on have one pin. */
static size_t run_length(const struct block_iter *it, const struct chunk_row *r)
{
    const struct block_iter_of *of = &it->parts.at[r->end.part];
    const struct index_chunk *c = &of->chunks[r->end.next];
    size_t n = 1, left = MIN(of->n - r->end.next, XOR_LANES_CHUNKS - r->n);
    while (n < left && iter_wants(it, of, &c[n]) && c[n].ref > c[n - 1].ref &&
           c[n].ref - c[0].ref < ROW_MAX_BYTES && segment_of(c[n].ref) == segment_of(c[0].ref))
        n++;
    return n;
}

/* Of n chunks, those before the first that is cut short, no XOR chunk, or has no room. False: there
 * was one. */
static bool run_open(struct chunk_row *r, const struct segment_run *run,
    const struct index_chunk *c, size_t n, int64_t *t, double *v, size_t cap)
{
    for (size_t i = 0; i < n; i++) {
        struct segment_record *record = &r->records[r->n];
        struct xor_lane *l = &r->lanes[r->n];
        if (segment_run_split(run, c[i].ref, record, NULL) != OK) return false;
        if (record->enc != CHUNK_XOR || chunk_check(record->enc, record->data, NULL) != OK)
            return false;
        r->chunks[r->n] = &c[i];
        str bytes = run->pin.bytes;
        l->behind = (size_t)(bytes.p + bytes.n - (record->data.p + record->data.n));
        l->t = t + r->used;
        l->v = v + r->used;
        xor_iter_init(&l->it, record->data);
        if (l->it.n > cap - r->used) return false;
        r->used += l->it.n;
        r->n++;
        r->end.next++;
    }
    return true;
}

/* What lies behind a run is read next, be it the series' or the next one's: its way from memory
 * begins while these chunks are decoded. Where the bytes are no map's nothing lies there, which
 * does no harm. */
static void run_next_soon(const struct segment_run *run)
{
    enum { SOON_BYTES = 8 << 10, LINE_BYTES = 64 };
    uintptr_t end = (uintptr_t)run->pin.bytes.p + run->pin.bytes.n;
    for (size_t i = 0; i < SOON_BYTES; i += LINE_BYTES) __builtin_prefetch((const void *)(end + i));
}

/* The next run of chunks joins the row. False: it was the last. */
static bool row_add(
    const struct block_iter *it, struct chunk_row *r, int64_t *t, double *v, size_t cap)
{
    struct place p = r->end;
    const struct index_chunk *c = iter_wanted(it, &p);
    if (!c || !iter_joins(it, p.part)) return false;
    r->end = p;                                /* of the part that the samples are of */
    size_t n = run_length(it, r);
    struct segment_run *run = &r->runs[r->n_runs];
    struct segments *from = it->parts.at[r->end.part].block->segments;
    if (segments_pin_run(from, c[0].ref, c[n - 1].ref, run, NULL) != OK) return false;
    r->n_runs++;
    run_next_soon(run);
    return run_open(r, run, c, n, t, v, cap) && r->n < XOR_LANES_CHUNKS;
}

/* False: the next chunks are to be decoded one by one, which also finds the words for what is wrong
 * with them. */
static bool iter_row(struct block_iter *it, int64_t *t, double *v, size_t cap, size_t *n)
{
    struct chunk_row r;
    if (it->alone || cap < ROW_MIN_ROOM || !iter_has(it, ROW_MIN)) return false;
    (void)iter_wanted(it, &it->at);
    r.n = r.n_runs = r.used = 0;
    r.end = it->at;
    while (row_add(it, &r, t, v, cap)) continue;
    bool good = r.n > 0 && segment_records_check(r.records, r.n);
    if (good) xor_lanes_decode(r.lanes, r.n);
    for (size_t i = 0; i < r.n; i++)
        good = good && !r.lanes[i].it.bad &&
               times_agree(r.chunks[i], r.lanes[i].t, r.lanes[i].it.n);
    for (size_t i = 0; i < r.n_runs; i++)
        if (segments_unpin_run(&r.runs[i], NULL) != OK) good = false;
    it->alone = good ? 0 : (unsigned)MAX(r.n, (size_t)ROW_MIN);
    if (!good) return false;
    it->at = r.end;
    it->unknown -= MIN(it->unknown, (unsigned)r.n);
    io_work.chunks += r.n;
    *n = r.used;
    return true;
}

/* Chunks that are there decoded, as many as there is room for. None: the next one is opened, or
 * some are decoded. A series' chunks come into the cache, and leave it, much at the same time:
 * where one is not known there, the next few are not asked for. Nor are many of many series, where
 * they are decoded as fast as they would be copied. Of a few all follow one that comes again. */
static errc iter_open_or_get(
    struct block_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    *n = 0;
    it->keep = false;
    struct place p = it->at;
    bool many = !iter_part(it)->few && cap >= ROW_MANY_ROOM && !it->alone && xor_lanes_quick() &&
                iter_has(it, XOR_LANES);
    if (many && iter_row(it, t, v, cap, n)) return OK;
    for (const struct index_chunk *c; !it->unknown && (c = iter_wanted(it, &p)) != NULL;) {
        enum float_found found;
        if (*n && !iter_joins(it, p.part)) break;
        struct float_key key = iter_key(&it->parts.at[p.part], c);
        size_t got = float_cache_get(key, t + *n, v + *n, cap - *n, &found);
        if (found == FLOATS_WANTED) it->warm = iter_part(it)->few;
        it->keep = found == FLOATS_WANTED || (found == FLOATS_UNKNOWN && it->warm);
        if (found == FLOATS_UNKNOWN && !it->warm) it->unknown = FLOAT_CACHE_STRIDE;
        if (!got) break;
        p.next++;
        it->at = p;
        io_work.chunks++;
        io_work.kept_bytes += got * (sizeof(*t) + sizeof(*v));
        *n += got;
    }
    if (*n || (it->unknown && iter_row(it, t, v, cap, n))) return OK;
    if (it->unknown) it->unknown--;
    return iter_open_chunk(it, e);
}

/* The open chunk was decoded into n samples. */
static void iter_keep(struct block_iter *it, const int64_t *t, const double *v, size_t n)
{
    if (!it->keep || it->chunk.enc != CHUNK_XOR || n != it->chunk.xor.n) return;
    it->keep = false;
    const struct block_iter_of *of = iter_part(it);
    float_cache_put(iter_key(of, &of->chunks[it->at.next - 1]), t, v, n);
}

/* The newest sample is one of the part at hand. True: the one before was not, or there is none. */
static bool iter_changes(struct block_iter *it)
{
    bool changes = it->parts.n > 1 && it->shown != it->at.part;
    it->shown = it->at.part;
    return changes;
}

static errc iter_step(struct block_iter *it, struct sample_batch *out, struct err *e)
{
    if (!it->pin.pin.reader)
        TRY(iter_open_or_get(it, out->t, out->v, SAMPLE_BATCH, &out->n, e));
    if (it->pin.pin.reader) {
        TRY(chunk_iter_fill(&it->chunk, out, e));
        TRY(iter_check_times(it, out->t, out->n, e));
        if (it->chunk.ended || !out->n) TRY(iter_close_chunk(it, e));
        iter_keep(it, out->t, out->v, out->n);
    }
    int64_t *st = out->st ? it->chunk.st : NULL;
    const struct block_iter_of *of = iter_part(it);
    int64_t mint = MAX(of->mint, it->mint);
    if (sample_batch_clip(out, st, mint, of->maxt, of->deleted)) it->ended = true;
    if (out->n && iter_changes(it)) sample_batch_forget_hint(out, 0, &it->copy);
    return OK;
}

/* A step came to its end: true: its failure, if any, is that of a chunk that is left out. */
static bool iter_told(struct block_iter *it)
{
    if (it->failed == OK) return true;
    const struct block_iter_of *of = iter_part(it);
    bool skip = block_leaves_out(of->block, of->left, it->failed, &it->why);
    if (skip) it->failed = iter_close_chunk(it, &it->why);
    if (it->failed != OK)
        it->failed = err_in(&it->why, it->failed, "block %.*s", STR_ARG(block_dir(of->block)));
    return !skip;
}

static errc iter_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    out->kind = SAMPLE_FLOAT;
    out->st = NULL;
    out->n = 0;
    while (it->failed == OK && !out->n && !it->ended) {
        it->failed = iter_step(it, out, &it->why);
        if (!iter_told(it)) out->n = 0;
    }
    if (it->failed == OK) return OK;
    out->n = 0;
    return err_set(e, it->failed, "%s", it->why.msg);
}

static errc iter_step_floats(
    struct block_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    if (!it->pin.pin.reader) TRY(iter_open_or_get(it, t, v, cap, n, e));
    if (it->pin.pin.reader) {
        if (it->chunk.enc != CHUNK_XOR) return OK;
        struct xor_iter *xor = &it->chunk.xor;
        TRY(xor_iter_fill(xor, t, v, cap, n, e));
        TRY(iter_check_times(it, t, *n, e));
        it->chunk.ended = xor->i == xor->n;
        if (it->chunk.ended || !*n) TRY(iter_close_chunk(it, e));
        iter_keep(it, t, v, *n);
    }
    const struct block_iter_of *of = iter_part(it);
    if (floats_clip(t, v, n, MAX(of->mint, it->mint), of->maxt, of->deleted)) it->ended = true;
    if (*n) (void)iter_changes(it);
    return OK;
}

static errc iter_floats(
    struct sample_iter *base, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    *n = 0;
    while (it->failed == OK && !*n && !it->ended) {
        if (it->pin.pin.reader && it->chunk.enc != CHUNK_XOR) return OK;
        it->failed = iter_step_floats(it, t, v, cap, n, &it->why);
        if (!iter_told(it)) *n = 0;
    }
    if (it->failed == OK) return OK;
    *n = 0;
    return err_set(e, it->failed, "%s", it->why.msg);
}

static errc iter_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    (void)e;
    /* chunks before it are skipped, the rest is clipped */
    if (t > it->mint) it->mint = t;
    return OK;
}

static void iter_windows(struct sample_iter *base, const struct sample_windows *w)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    assert(!w->n || (w->interval > 0 && w->width >= 0));
    it->windows = *w;
}

static const struct sample_iter_ops block_iter_ops = {
    .fill = iter_fill,
    .seek = iter_seek,
    .free = iter_free,
    .floats = iter_floats,
    .windows = iter_windows
};

struct sample_iter *block_iter_new(void)
{
    struct block_iter *it = NEW(struct block_iter);
    it->base.ops = &block_iter_ops;
    chunk_iter_init(&it->chunk);
    it->ended = true;
    account_charge(&block_iter_account, sizeof(*it));
    return &it->base;
}

bool block_iter_is(const struct sample_iter *it) { return it && it->ops == &block_iter_ops; }

void block_iter_reset(struct sample_iter *base, const struct block_iter_of *of)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    errc rc = iter_close_chunk(it, NULL);
    (void)rc;
    it->parts.n = 0;
    vec_push(&it->parts, *of);
    it->at = (struct place){ 0 };
    it->mint = INT64_MIN;
    it->windows.n = 0;
    it->shown = SIZE_MAX;
    it->unknown = it->alone = 0;
    it->ended = it->warm = false;
    it->failed = OK;
    it->why.n = 0;
}

void block_iter_add(struct sample_iter *base, const struct block_iter_of *of)
{
    struct block_iter *it = CONTAINER_OF(base, struct block_iter, base);
    size_t i = it->parts.n;
    assert(it->shown == SIZE_MAX && of->n > 0);
    while (i > 0 && it->parts.at[i - 1].chunks[0].mint > of->chunks[0].mint) i--;
    vec_push(&it->parts, *of);
    memmove(&it->parts.at[i + 1], &it->parts.at[i], (it->parts.n - 1 - i) * sizeof(*of));
    it->parts.at[i] = *of;
}
