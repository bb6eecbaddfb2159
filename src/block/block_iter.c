#include "block/block_impl.h"
#include "block/float_cache.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "chunk/xor_lanes.h"
#include "io/work.h"
#include "storage/clip.h"

ACCOUNT(block_iter_account, "block_iterators")

struct block_iter {
    struct sample_iter base;
    struct block_iter_of of;                   /* mint grows with seek */
    size_t next;                               /* chunk to be opened */
    struct segment_pin pin;                    /* of the open one; its reader NULL: none */
    struct chunk_iter chunk;
    bool ended, keep;                          /* keep: the open one is wanted by the cache */
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
    mem_free(it);
}

/* May it hold something to show? */
static bool iter_wants(const struct block_iter *it, const struct index_chunk *c)
{
    const struct block_iter_of *of = &it->of;
    return c->mint <= of->maxt && c->maxt >= of->mint &&
           !(of->deleted && intervals_cover(of->deleted, c->mint, c->maxt));
}

/* The next chunk that may; NULL: none. */
static const struct index_chunk *iter_wanted(struct block_iter *it)
{
    const struct block_iter_of *of = &it->of;
    for (; it->next < of->n && of->chunks[it->next].mint <= of->maxt; it->next++)
        if (iter_wants(it, &of->chunks[it->next])) return &of->chunks[it->next];
    return NULL;
}

static struct float_key iter_key(const struct block_iter *it, const struct index_chunk *c)
{
    return (struct float_key){ it->of.block->id, c->ref };
}

/* Opens it; none: the iterator has ended. */
static errc iter_open_chunk(struct block_iter *it, struct err *e)
{
    const struct index_chunk *c = iter_wanted(it);
    if (!c) {
        it->ended = true;
        return OK;
    }
    it->next++;
    if (it->alone) it->alone--;
    TRY(segments_pin(it->of.block->segments, c->ref, &it->pin, e));
    io_work.chunks++;
    return chunk_iter_reset(&it->chunk, it->pin.enc, it->pin.data, e);
}

/* Chunks that follow each other in a segment, as those of a series do: one pin, and their decoding
 * goes side by side. It pays for some of them, into arrays with room for as many. */
enum { ROW_MIN = 3, ROW_MIN_ROOM = 512, ROW_MAX_BYTES = 1 << 14 };

static size_t row_length(struct block_iter *it)
{
    const struct index_chunk *c = iter_wanted(it);
    size_t n = 1, left = MIN(it->of.n - it->next, (size_t)XOR_LANES);
    if (!c) return 0;
    while (n < left && iter_wants(it, &c[n]) && c[n].ref > c[n - 1].ref &&
           c[n].ref - c[0].ref < ROW_MAX_BYTES && segment_of(c[n].ref) == segment_of(c[0].ref))
        n++;
    return n;
}

/* Of the n chunks from c on, those before the first that is damaged, no XOR chunk, or has no room:
 * how many. */
static size_t row_open(struct xor_lane *lanes, const struct segment_run *run,
    const struct index_chunk *c, size_t n, int64_t *t, double *v, size_t cap)
{
    for (size_t i = 0, used = 0; i < n; i++) {
        struct segment_record r;
        if (segment_run_chunk(run, c[i].ref, &r, NULL) != OK) return i;
        if (r.enc != CHUNK_XOR || chunk_check(r.enc, r.data, NULL) != OK) return i;
        lanes[i] = (struct xor_lane){ .t = t + used, .v = v + used };
        xor_iter_init(&lanes[i].it, r.data);
        if (lanes[i].it.n > cap - used) return i;
        used += lanes[i].it.n;
    }
    return n;
}

/* False: the next chunks are to be decoded one by one, which also finds the words for what is wrong
 * with them. */
static bool iter_row(struct block_iter *it, int64_t *t, double *v, size_t cap, size_t *n)
{
    struct xor_lane lanes[XOR_LANES];
    struct segment_run run;
    if (it->alone || cap < ROW_MIN_ROOM) return false;
    size_t length = row_length(it), opened, all = 0;
    if (length < ROW_MIN) return false;
    const struct index_chunk *c = &it->of.chunks[it->next];
    it->alone = (unsigned)length;
    if (segments_pin_run(it->of.block->segments, c[0].ref, c[length - 1].ref, &run, NULL) != OK)
        return false;
    opened = row_open(lanes, &run, c, length, t, v, cap);
    xor_lanes_decode(lanes, opened);
    bool good = opened > 0;
    for (size_t i = 0; i < opened; i++) {
        good = good && !lanes[i].it.bad;
        all += lanes[i].it.n;
    }
    if (segments_unpin_run(&run, NULL) != OK || !good) return false;
    it->alone = 0;
    it->next += opened;
    it->unknown -= MIN(it->unknown, (unsigned)opened);
    io_work.chunks += opened;
    *n = all;
    return true;
}

/* Chunks that are there decoded, as many as there is room for. None: the next one is opened, or
 * some are decoded. A series' chunks come into the cache, and leave it, much at the same time:
 * where one is not known there, the next few are not asked for. */
static errc iter_open_or_get(
    struct block_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    *n = 0;
    it->keep = false;
    for (const struct index_chunk *c; !it->unknown && (c = iter_wanted(it)) != NULL; it->next++) {
        enum float_found found;
        size_t got = float_cache_get(iter_key(it, c), t + *n, v + *n, cap - *n, &found);
        it->keep = found == FLOATS_WANTED;
        if (found == FLOATS_UNKNOWN) it->unknown = FLOAT_CACHE_STRIDE;
        if (!got) break;
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
    float_cache_put(iter_key(it, &it->of.chunks[it->next - 1]), t, v, n);
}

static errc iter_step(struct block_iter *it, struct sample_batch *out, struct err *e)
{
    if (!it->pin.pin.reader)
        TRY(iter_open_or_get(it, out->t, out->v, SAMPLE_BATCH, &out->n, e));
    if (it->pin.pin.reader) {
        TRY(chunk_iter_fill(&it->chunk, out, e));
        if (it->chunk.ended || !out->n) TRY(iter_close_chunk(it, e));
        iter_keep(it, out->t, out->v, out->n);
    }
    int64_t *st = out->st ? it->chunk.st : NULL;
    if (sample_batch_clip(out, st, it->of.mint, it->of.maxt, it->of.deleted)) it->ended = true;
    return OK;
}

/* A step came to its end: true: its failure, if any, is that of a chunk that is left out. */
static bool iter_told(struct block_iter *it)
{
    if (it->failed == OK) return true;
    bool skip = block_leaves_out(it->of.block, it->of.left, it->failed, &it->why);
    if (skip) it->failed = iter_close_chunk(it, &it->why);
    if (it->failed != OK)
        it->failed = err_in(&it->why, it->failed, "block %.*s", STR_ARG(block_dir(it->of.block)));
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
        it->chunk.ended = xor->i == xor->n;
        if (it->chunk.ended || !*n) TRY(iter_close_chunk(it, e));
        iter_keep(it, t, v, *n);
    }
    if (floats_clip(t, v, n, it->of.mint, it->of.maxt, it->of.deleted)) it->ended = true;
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
    if (t > it->of.mint) it->of.mint = t;
    return OK;
}

static const struct sample_iter_ops block_iter_ops = {
    .fill = iter_fill, .seek = iter_seek, .free = iter_free, .floats = iter_floats
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
    it->of = *of;
    it->next = 0;
    it->unknown = it->alone = 0;
    it->ended = false;
    it->failed = OK;
    it->why.n = 0;
}
