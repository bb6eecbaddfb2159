#include "storeapi/part_set.h"

#include "base/mem.h"
#include "chunk/aggr.h"
#include "chunk/plain.h"

#include <stdlib.h>

enum { LOOK_EVERY = 64, FORGET_EVERY = 16 };

ACCOUNT(store_account, "store_api")

/* A series with all that it points to, in one piece of memory. */
struct held { struct chunk_series s; size_t bytes; };

enum order { ORDER_STRAIGHT, ORDER_STACK, ORDER_SORTED };

struct part_set {
    struct chunk_series_set base;
    struct part_select by;
    enum order order;
    struct chunk_series_set *chunks;           /* or, without chunks, these two */
    struct querier *querier;
    struct series_set *labels;
    uint64_t fetched;
    bool ended;

    struct outer_memo outside;                 /* has the labels of `now` */
    struct chunk_series now;                   /* that was fetched last */
    str own_last;                              /* its greatest own name */
    bool has_now;                              /* it was not handed out yet */
    VEC(struct chunk_view) views;
    VEC(struct buf) anew;                      /* bytes of chunks that were written anew */
    struct chunk_encoder encoder;
    struct chunk_iter iter;

    VEC(struct held *) held;                   /* the stack, or all in order from `given` on */
    size_t given;
    struct held *out;                          /* handed out last */
};

/* Copying. */

static size_t held_size(const struct chunk_series *s)
{
    size_t n = sizeof(struct held) + s->labels.n * sizeof(struct label) +
               s->n * sizeof(struct chunk_view);
    for (size_t i = 0; i < s->labels.n; i++)
        n += s->labels.at[i].name.n + s->labels.at[i].value.n;
    for (size_t i = 0; i < s->n; i++) n += s->chunks[i].data.n;
    return n;
}

static str put_bytes(uint8_t **at, str s)
{
    if (s.n) memcpy(*at, s.p, s.n);
    str copy = str_of(*at, s.n);
    *at += s.n;
    return copy;
}

static struct held *held_new(const struct chunk_series *s)
{
    size_t bytes = held_size(s);
    struct held *h = mem_alloc(bytes);
    struct label *labels = (struct label *)(h + 1);
    struct chunk_view *chunks = (struct chunk_view *)(labels + s->labels.n);
    uint8_t *at = (uint8_t *)(chunks + s->n);
    for (size_t i = 0; i < s->labels.n; i++) {
        labels[i].name = put_bytes(&at, s->labels.at[i].name);
        labels[i].value = put_bytes(&at, s->labels.at[i].value);
    }
    for (size_t i = 0; i < s->n; i++) {
        chunks[i] = s->chunks[i];
        chunks[i].data = put_bytes(&at, s->chunks[i].data);
    }
    assert(at == (uint8_t *)h + bytes);
    *h = (struct held){ { .labels = { labels, s->labels.n }, .chunks = chunks, .n = s->n }, bytes };
    account_charge(&store_account, (int64_t)bytes);
    return h;
}

static void held_free(struct held *h)
{
    if (!h) return;
    account_charge(&store_account, -(int64_t)h->bytes);
    mem_free(h);
}

static int held_cmp(const void *a, const void *b)
{
    const struct held *const *x = a, *const *y = b;
    return labels_cmp((*x)->s.labels, (*y)->s.labels);
}

/* The next series of the source. */

static void anew_drop(struct part_set *p)
{
    for (size_t i = 0; i < p->anew.n; i++) buf_fini(&p->anew.at[i]);
    p->anew.n = 0;
}

/* A chunk of aggregates goes as it is, if it has those that are wanted. */
static errc aggregates_check(const struct part_set *p, const struct chunk_view *c, struct err *e)
{
    struct aggr_one of[AGGR_KINDS];
    TRY(aggr_split(of, c->data, e));
    for (unsigned k = 0; k < AGGR_KINDS; k++)
        if ((p->by.aggregates & 1u << k) && of[k].enc == CHUNK_NONE)
            return err_set(
                e, ERR_UNSUPPORTED, "aggregate %s does not exist", aggr_name((enum aggr)k));
    return OK;
}

static errc chunk_anew(struct part_set *p, const struct chunk_view *c, struct err *e)
{
    if (!chunk_enc_known(c->enc))
        return err_set(e, ERR_UNSUPPORTED, "unsupported chunk encoding %u", c->enc);
    TRY(chunk_plain(&p->encoder, &p->iter, c->enc, c->data, e));
    for (size_t i = 0; i < p->encoder.chunks.n; i++) {
        const struct encoded_chunk *x = &p->encoder.chunks.at[i];
        struct buf copy = { 0 };
        buf_str(&copy, encoded_chunk_data(&p->encoder, i));
        vec_push(&p->anew, copy);
        vec_push(&p->views,
            ((struct chunk_view){ x->mint, x->maxt, x->enc, buf_view(&copy), 0 }));
    }
    return OK;
}

static bool stays(uint8_t enc) { return chunk_enc_plain(enc) || enc == CHUNK_AGGR; }

/* The views are the source's own as long as none is written anew. */
static errc chunks_make_plain(struct part_set *p, struct err *e)
{
    size_t good = 0;
    for (; good < p->now.n && stays(p->now.chunks[good].enc); good++)
        if (p->now.chunks[good].enc == CHUNK_AGGR)
            TRY(aggregates_check(p, &p->now.chunks[good], e));
    if (good == p->now.n) return OK;
    p->views.n = 0;
    for (size_t i = 0; i < p->now.n; i++) {
        const struct chunk_view *c = &p->now.chunks[i];
        if (i >= good && c->enc == CHUNK_AGGR) TRY(aggregates_check(p, c, e));
        if (stays(c->enc)) vec_push(&p->views, *c);
        else TRY(chunk_anew(p, c, e));
    }
    p->now.chunks = p->views.at;
    p->now.n = p->views.n;
    return OK;
}

static errc source_next(struct part_set *p, bool *more, struct err *e)
{
    const struct chunk_series *s = NULL;
    struct series *bare = NULL;
    if (p->chunks) {
        TRY(p->chunks->ops->next(p->chunks, &s, e));
        if (s) p->now = *s;
        *more = s != NULL;
        return OK;
    }
    if (p->labels->ops->forget && p->fetched % FORGET_EVERY == 0)
        p->labels->ops->forget(p->labels);
    TRY(p->labels->ops->next(p->labels, &bare, e));
    if (bare) p->now = (struct chunk_series){ .labels = bare->labels };
    *more = bare != NULL;
    return OK;
}

/* has_now false afterwards: there are no more. */
static errc fetch(struct part_set *p, struct err *e)
{
    bool more = false, lost = false;
    anew_drop(p);
    if (++p->fetched % LOOK_EVERY == 0) TRY(grpc_over(p->by.call, e));
    TRY(source_next(p, &more, e));
    p->ended = !more;
    if (!more) return OK;
    TRY(chunks_make_plain(p, e));
    p->own_last = p->now.labels.n ? p->now.labels.at[p->now.labels.n - 1].name : STR_EMPTY;
    p->now.labels = outer_labels(&p->outside, p->by.outer, p->now.labels, &lost);
    if (lost && p->order != ORDER_SORTED)
        return err_set(e, ERR_UNAVAILABLE, "labels of series changed meanwhile");
    p->has_now = true;
    return OK;
}

/* The three orders. */

static errc next_straight(struct part_set *p, const struct chunk_series **out, struct err *e)
{
    TRY(fetch(p, e));
    *out = p->has_now ? &p->now : NULL;
    p->has_now = false;
    return OK;
}

static errc next_of_stack(struct part_set *p, const struct chunk_series **out, struct err *e)
{
    for (;;) {
        if (!p->has_now && !p->ended) TRY(fetch(p, e));
        struct held *top = p->held.n ? p->held.at[p->held.n - 1] : NULL;
        if (top && (!p->has_now || labels_cmp(top->s.labels, p->now.labels) < 0)) {
            p->held.n--;
            p->out = top;
            *out = &top->s;
            return OK;
        }
        *out = p->has_now ? &p->now : NULL;
        bool settled = str_cmp(p->own_last, p->by.outer->last) >= 0;
        if (!p->has_now || settled) {
            p->has_now = false;
            return OK;
        }
        vec_push(&p->held, held_new(&p->now));
        p->has_now = false;
    }
}

static errc gather(struct part_set *p, struct err *e)
{
    struct resort *r = p->by.resort;
    while (!p->ended) {
        TRY(fetch(p, e));
        if (!p->has_now) break;
        struct held *h = held_new(&p->now);
        vec_push(&p->held, h);
        p->has_now = false;
        size_t before = atomic_fetch_add_explicit(&r->bytes, h->bytes, memory_order_relaxed);
        if (before + h->bytes > r->bytes_max)
            return err_set(e, ERR_LIMIT,
                "series to be sorted without some of their labels are more than %zu bytes",
                r->bytes_max);
    }
    if (p->held.n) qsort(p->held.at, p->held.n, sizeof(*p->held.at), held_cmp);
    return OK;
}

static errc next_sorted(struct part_set *p, const struct chunk_series **out, struct err *e)
{
    if (!p->ended) TRY(gather(p, e));
    *out = NULL;
    if (p->given == p->held.n) return OK;
    p->out = p->held.at[p->given];
    p->held.at[p->given++] = NULL;
    *out = &p->out->s;
    return OK;
}

static errc part_set_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct part_set *p = CONTAINER_OF(base, struct part_set, base);
    held_free(STEAL(p->out));
    switch (p->order) {
    case ORDER_STRAIGHT: return next_straight(p, out, e);
    case ORDER_STACK: return next_of_stack(p, out, e);
    case ORDER_SORTED: break;
    }
    return next_sorted(p, out, e);
}

static void part_set_free(struct chunk_series_set *base)
{
    struct part_set *p = CONTAINER_OF(base, struct part_set, base);
    held_free(p->out);
    for (size_t i = 0; i < p->held.n; i++) held_free(p->held.at[i]);
    vec_fini(&p->held);
    anew_drop(p);
    vec_fini(&p->anew);
    vec_fini(&p->views);
    chunk_encoder_fini(&p->encoder);
    chunk_iter_fini(&p->iter);
    chunk_series_set_free(p->chunks);
    series_set_free(p->labels);
    querier_free(p->querier);
    outer_memo_fini(&p->outside);
    mem_free(p);
}

static void part_set_warn(struct chunk_series_set *base, str_list *out)
{
    struct part_set *p = CONTAINER_OF(base, struct part_set, base);
    chunk_series_set_warnings(p->chunks, out);
    querier_warnings(p->querier, out);
}

/* Opening. */

/* Whether the part's series have labels of their own that go. */
static errc order_choose(struct part_set *p, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    const struct outer *o = p->by.outer;
    str_list names = { 0 };
    bool cut;
    if (!o->taken.n) return OK;
    p->order = o->last.n ? ORDER_STACK : ORDER_STRAIGHT;
    struct queryable *from = p->by.part->queryable;
    TRY(from->ops->querier(from, p->by.mint, p->by.maxt, &q, e));
    errc rc = q->ops->label_names(q, (struct matchers){ 0 }, 0, &names, &cut, e);
    for (size_t i = 0, k = 0; rc == OK && i < names.n && k < o->taken.n;) {
        int order = str_cmp(names.at[i], o->taken.at[k]);
        if (order == 0) p->order = ORDER_SORTED;
        i += order <= 0;
        k += order >= 0;
    }
    vec_fini(&names);
    return rc;
}

static errc source_open(struct part_set *p, struct err *e)
{
    static const struct matcher any = { MATCH_EQ, { (const uint8_t *)"", 0 },
        { (const uint8_t *)"", 0 }, NULL };
    const struct part_select *by = &p->by;
    struct matchers ms = by->matchers.n ? by->matchers : (struct matchers){ &any, 1 };
    struct chunk_queryable *from = by->part->chunks;
    if (!by->skip_chunks) return from->ops->select(from, ms, by->mint, by->maxt, &p->chunks, e);
    struct queryable *bare = by->part->queryable;
    struct select_hints h = {
        .start = by->mint, .end = by->maxt, .func = S("series"), .sorted = true
    };
    TRY(bare->ops->querier(bare, by->mint, by->maxt, &p->querier, e));
    return p->querier->ops->select(p->querier, ms, &h, &p->labels, e);
}

errc part_set_open(struct chunk_series_set **out, const struct part_select *by, struct err *e)
{
    static const struct chunk_series_set_ops ops = {
        part_set_next, part_set_free, part_set_warn
    };
    struct part_set *p = NEW(struct part_set);
    p->base.ops = &ops;
    p->by = *by;
    chunk_iter_init(&p->iter);
    errc rc = order_choose(p, e);
    if (rc == OK) rc = source_open(p, e);
    if (rc == OK) *out = &p->base;
    else part_set_free(&p->base);
    return rc;
}
