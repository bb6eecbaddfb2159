/* chunk_merge.c — in three steps.
 *
 * Each source is trimmed first: a chunk of which something is deleted is written anew, by itself.
 * Sources that follow each other in time, in whatever order they come, are then copied one after
 * the other, which is what nearly always happens. Otherwise the chunks of all come out of a heap by
 * time; those that overlap are decoded, merged by the iterator that merges for queries, and encoded
 * again; what comes of them goes back into the heap, all but its first chunk. The heap and the
 * order of the overlapping chunks are Prometheus', because they decide which of two samples of the
 * same time is kept.
 */
#include "block/chunk_merge.h"

#include "block/segment_writer.h"
#include "chunk/chunk.h"
#include "storage/clip.h"

void chunk_merge_fini(struct chunk_merge *m)
{
    vec_fini(&m->out);
    vec_fini(&m->feeds);
    vec_fini(&m->in_time);
    vec_fini(&m->waiting);
    vec_fini(&m->overlap);
    chunk_encoder_fini(&m->encoder);
    if (m->iter.enc != CHUNK_NONE) chunk_iter_fini(&m->iter);
    sample_iter_free(m->merged);
    arena_fini(&m->arena);
}

/* What was encoded, in memory that stays until the next merge. */
static struct merge_feed take_encoded(struct chunk_merge *m)
{
    struct chunk_encoder *w = &m->encoder;
    struct chunk_view *at = arena_array(&m->arena, w->chunks.n, sizeof(*at));
    for (size_t i = 0; i < w->chunks.n; i++) {
        const struct encoded_chunk *c = &w->chunks.at[i];
        str data = arena_str(&m->arena, encoded_chunk_data(w, i));
        at[i] = (struct chunk_view){ c->mint, c->maxt, c->enc, data };
    }
    return (struct merge_feed){ at, at + w->chunks.n };
}

/* ---- deletion ---- */

static bool touched(const intervals *deleted, const struct chunk_view *c)
{
    return deleted && intervals_meet(deleted, c->mint, c->maxt);
}

static errc encode_trimmed(
    struct chunk_merge *m, const struct chunk_view *c, const intervals *deleted, struct err *e)
{
    struct sample_batch b;
    if (m->iter.enc == CHUNK_NONE) chunk_iter_init(&m->iter);
    TRY(chunk_iter_reset(&m->iter, c->enc, c->data, e));
    chunk_encoder_begin(&m->encoder, &(struct chunk_rules){ CHUNKS_TRIMMED, .enc = c->enc });
    do {
        TRY(chunk_iter_fill(&m->iter, &b, e));
        sample_batch_clip(&b, b.st ? m->iter.st : NULL, INT64_MIN, INT64_MAX, deleted);
        chunk_encoder_put(&m->encoder, &b);
    } while (!m->iter.ended);
    chunk_encoder_end(&m->encoder);
    return OK;
}

static errc trim(struct chunk_merge *m, const struct chunk_view *c, const intervals *deleted,
    chunk_views *out, struct err *e)
{
    TRY(segment_still_whole(c, 1, encode_trimmed(m, c, deleted, e), e));
    struct merge_feed f = take_encoded(m);
    for (; f.at < f.end; f.at++) avec_push(&m->arena, out, *f.at);
    return OK;
}

static errc feed_of(
    struct chunk_merge *m, const struct chunk_series *s, struct merge_feed *out, struct err *e)
{
    bool any = false;
    for (size_t i = 0; i < s->n && !any; i++) any = touched(s->deleted, &s->chunks[i]);
    if (!any) {
        *out = (struct merge_feed){ s->chunks, s->chunks + s->n };
        return OK;
    }
    chunk_views kept = { 0 };
    for (size_t i = 0; i < s->n; i++) {
        const struct chunk_view *c = &s->chunks[i];
        if (!touched(s->deleted, c)) avec_push(&m->arena, &kept, *c);
        else if (!intervals_cover(s->deleted, c->mint, c->maxt))
            TRY(trim(m, c, s->deleted, &kept, e));
    }
    *out = (struct merge_feed){ kept.at, kept.at + kept.n };
    return OK;
}

/* ---- overlap ---- */

/* The samples of one chunk, for the iterator that merges. */
struct chunk_source { struct series base; const struct chunk_view *view; };
struct chunk_source_iter { struct sample_iter base; struct chunk_iter in; };

static errc source_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    return chunk_iter_fill(&CONTAINER_OF(base, struct chunk_source_iter, base)->in, out, e);
}

static errc source_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    (void)base;
    (void)t;
    return err_set(e, ERR_UNSUPPORTED, "a merge of chunks goes from the first sample to the last");
}

static void source_free(struct sample_iter *base)
{
    struct chunk_source_iter *it = CONTAINER_OF(base, struct chunk_source_iter, base);
    chunk_iter_fini(&it->in);
    mem_free(it);
}

static const struct sample_iter_ops source_iter_ops = { source_fill, source_seek, source_free };

static errc source_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    const struct chunk_view *c = CONTAINER_OF(base, struct chunk_source, base)->view;
    if (!*it) {
        struct chunk_source_iter *fresh = NEW(struct chunk_source_iter);
        fresh->base.ops = &source_iter_ops;
        chunk_iter_init(&fresh->in);
        *it = &fresh->base;
    }
    return chunk_iter_reset(&CONTAINER_OF(*it, struct chunk_source_iter, base)->in, c->enc, c->data,
        e);
}

static const struct series_ops source_ops = { source_iterate };

static errc encode_joined(struct chunk_merge *m, struct err *e)
{
    size_t n = m->overlap.n;
    struct chunk_source *sources = arena_array(&m->arena, n, sizeof(*sources));
    struct series **list = arena_array(&m->arena, n, sizeof(*list));
    struct sample_batch b;
    for (size_t i = 0; i < n; i++) {
        sources[i] = (struct chunk_source){ { .ops = &source_ops }, &m->overlap.at[i] };
        list[i] = &sources[i].base;
    }
    TRY(merge_iter_open(&m->merged, list, n, e));
    chunk_encoder_begin(&m->encoder, &(struct chunk_rules){ CHUNKS_JOINED, .floats = CHUNK_XOR });
    do {
        TRY(sample_iter_fill(m->merged, &b, e));
        chunk_encoder_put(&m->encoder, &b);
    } while (b.n);
    chunk_encoder_end(&m->encoder);
    return OK;
}

/* The chunks of m->overlap as one row of chunks. */
static errc rewrite(struct chunk_merge *m, struct merge_feed *out, struct err *e)
{
    TRY(segment_still_whole(m->overlap.at, m->overlap.n, encode_joined(m, e), e));
    *out = take_encoded(m);
    return OK;
}

static bool earlier(const void *a, const void *b)
{
    const struct chunk_view *x = ((const struct merge_feed *)a)->at;
    const struct chunk_view *y = ((const struct merge_feed *)b)->at;
    return x->mint == y->mint ? x->maxt < y->maxt : x->mint < y->mint;
}

/* The next chunk by time; its feed goes back into the heap. */
static struct chunk_view pop(struct chunk_merge *m)
{
    struct merge_feed *f = heap_pop(&m->waiting, earlier);
    struct chunk_view c = *f->at++;
    if (f->at < f->end) heap_push(&m->waiting, earlier, f);
    return c;
}

static bool same(const struct chunk_view *a, const struct chunk_view *b)
{
    return a->mint == b->mint && a->maxt == b->maxt && str_eq(a->data, b->data);
}

/* All that overlaps with `first`, without it, in the order of the heap. */
static void gather(struct chunk_merge *m, struct chunk_view first)
{
    int64_t reach = first.maxt;
    struct chunk_view last = first;
    m->overlap.n = 0;
    while (m->waiting.n && ((struct merge_feed *)m->waiting.at[0])->at->mint <= reach) {
        struct chunk_view c = pop(m);
        if (same(&c, &last)) continue;
        vec_push(&m->overlap, c);
        reach = MAX(reach, c.maxt);
        last = c;
    }
}

static errc merge_by_time(struct chunk_merge *m, struct err *e)
{
    m->waiting.n = 0;
    for (size_t i = 0; i < m->feeds.n; i++) {
        struct merge_feed *f = &m->feeds.at[i];
        if (f->at < f->end) heap_push(&m->waiting, earlier, f);
    }
    while (m->waiting.n) {
        struct chunk_view first = pop(m);
        gather(m, first);
        if (m->overlap.n) {
            struct merge_feed *anew = ANEW(&m->arena, struct merge_feed);
            vec_push(&m->overlap, first);
            TRY(rewrite(m, anew, e));
            if (anew->at == anew->end) continue;       /* chunks without samples */
            first = *anew->at++;
            if (anew->at < anew->end) heap_push(&m->waiting, earlier, anew);
        }
        vec_push(&m->out, first);
    }
    return OK;
}

/* The sources by their first times: the heap of the series has no order for equal ones. */
static void order_by_time(struct chunk_merge *m)
{
    m->in_time.n = 0;
    vec_reserve(&m->in_time, m->feeds.n);
    for (size_t i = 0; i < m->feeds.n; i++) {
        const struct merge_feed *f = &m->feeds.at[i];
        size_t k = m->in_time.n++;
        for (; k && m->in_time.at[k - 1]->at->mint > f->at->mint; k--)
            m->in_time.at[k] = m->in_time.at[k - 1];
        m->in_time.at[k] = f;
    }
}

/* Does each chunk begin after all before it, source after source? Then they are the result. */
static bool follow(struct chunk_merge *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->feeds.n; i++) n += (size_t)(m->feeds.at[i].end - m->feeds.at[i].at);
    vec_reserve(&m->out, n);
    order_by_time(m);
    struct chunk_view *to = m->out.at;
    for (size_t i = 0; i < m->in_time.n; i++) {
        const struct merge_feed *f = m->in_time.at[i];
        for (const struct chunk_view *c = f->at; c < f->end; c++) {
            if (m->feeds.n > 1 && to > m->out.at && c->mint <= to[-1].maxt) return false;
            *to++ = *c;
        }
    }
    m->out.n = n;
    return true;
}

errc chunk_merge(
    struct chunk_merge *m, const struct chunk_series *const *sources, size_t n, struct err *e)
{
    arena_reset(&m->arena, (struct arena_mark){ 0 });
    m->out.n = m->feeds.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct merge_feed f;
        TRY(feed_of(m, sources[i], &f, e));
        if (f.at < f.end) vec_push(&m->feeds, f);
    }
    return follow(m) ? OK : merge_by_time(m, e);
}
