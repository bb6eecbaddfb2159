/* gateway_chunks.c — chunks of the blocks of a bucket, as they are. Where a block has external
 * labels its series are named first, put in their order, and then read in it. */
#include "bucket/gateway_impl.h"

#include "base/clock.h"
#include "block/series_merge.h"

#include <stdlib.h>

struct named { struct labels labels; uint32_t ref; };

/* One block. */
struct part_chunks {
    struct chunk_series_set base;
    struct opened *opened;
    struct chunk_series_set *in;
    struct arena arena;
    VEC(struct named) names; /* in the order of `in`; none: its own names stand */
    str_list nameless;       /* what was left out when they were read */
    size_t at;
    struct chunk_series series;
};

static errc part_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct part_chunks *p = CONTAINER_OF(base, struct part_chunks, base);
    errc rc = p->in->ops->next(p->in, out, e);
    if (rc == ERR_CORRUPT) opened_doubt(p->opened);
    if (rc != OK || !*out || !p->names.n) return rc;
    assert(p->at < p->names.n);
    p->series = **out;
    p->series.labels = p->names.at[p->at++].labels;
    *out = &p->series;
    return OK;
}

static void part_free(struct chunk_series_set *base)
{
    struct part_chunks *p = CONTAINER_OF(base, struct part_chunks, base);
    chunk_series_set_free(p->in);
    opened_unref(p->opened);
    vec_fini(&p->names);
    vec_fini(&p->nameless);
    arena_fini(&p->arena);
    mem_free(p);
}
static void part_warn(struct chunk_series_set *base, str_list *out)
{
    struct part_chunks *p = CONTAINER_OF(base, struct part_chunks, base);
    for (size_t i = 0; i < p->nameless.n; i++) vec_push(out, p->nameless.at[i]);
    chunk_series_set_warnings(p->in, out);
}
static const struct chunk_series_set_ops part_ops = { part_next, part_free, part_warn };

static int by_labels(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return labels_cmp(x->labels, y->labels);
}

/* series: named so far, of all blocks */
struct asked {
    struct gateway *g;
    struct matchers ms;
    int64_t mint, maxt, until_ns;
    uint64_t *series;
};

static errc names_read(struct part_chunks *p, const struct asked *x, struct labels external,
    struct matchers left, struct err *e)
{
    struct queryable *from = block_queryable(p->opened->block);
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct select_hints h = { .func = S("series"), .sorted = true };
    struct series *one = NULL;
    TRY(from->ops->querier(from, x->mint, x->maxt, &q, e));
    TRY(q->ops->select(q, left, &h, &set, e));
    for (;;) {
        TRY(set->ops->next(set, &one, e));
        if (!one) break;
        struct labels l = labels_copy(&p->arena, labels_join(&p->arena, external, one->labels));
        vec_push(&p->names, ((struct named){ l, (uint32_t)one->ref }));
        TRY(gateway_series_count(x->g, ++*x->series, e));
    }
    if (p->names.n > 1) qsort(p->names.at, p->names.n, sizeof(*p->names.at), by_labels);
    querier_warnings(q, &p->nameless);
    for (size_t i = 0; i < p->nameless.n; i++)
        p->nameless.at[i] = arena_str(&p->arena, p->nameless.at[i]);
    return OK;
}

static errc part_begin(struct part_chunks *p, const struct asked *x, const struct view_block *b,
    struct matchers left, struct err *e)
{
    struct labels external = x->g->o.without_external_labels ? (struct labels){ 0 } : b->labels;
    postings_list refs = { 0 };
    TRY(gateway_take(x->g, b, x->until_ns, &p->opened, e));
    struct block *block = p->opened->block;
    if (!external.n) return block_chunks_select(block, left, x->mint, x->maxt, &p->in, e);
    TRY(names_read(p, x, external, left, e));
    for (size_t i = 0; i < p->names.n; i++) vec_push(&refs, p->names.at[i].ref);
    block_chunks_list(block, &refs, x->mint, x->maxt, &p->in);
    return OK;
}

static errc part_open(const struct asked *x, const struct view_block *b, struct matchers left,
    struct chunk_series_set **out, struct err *e)
{
    struct part_chunks *p = NEW(struct part_chunks);
    p->base.ops = &part_ops;
    errc rc = part_begin(p, x, b, left, e);
    if (rc == OK) *out = &p->base;
    else part_free(&p->base);
    return rc;
}

/* A series of which everything was cut away is none. */
struct all_chunks {
    struct chunk_series_set base;
    struct gateway *g;
    struct chunk_series_set *in;
    uint64_t given;
};
static errc all_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct all_chunks *s = CONTAINER_OF(base, struct all_chunks, base);
    do TRY(s->in->ops->next(s->in, out, e));
    while (*out && !(*out)->n);
    return *out ? gateway_series_count(s->g, ++s->given, e) : OK;
}
static void all_free(struct chunk_series_set *base)
{
    struct all_chunks *s = CONTAINER_OF(base, struct all_chunks, base);
    chunk_series_set_free(s->in);
    mem_free(s);
}
static void all_warn(struct chunk_series_set *base, str_list *out)
{
    chunk_series_set_warnings(CONTAINER_OF(base, struct all_chunks, base)->in, out);
}
static const struct chunk_series_set_ops all_ops = { all_next, all_free, all_warn };

struct chunk_series_set *gateway_with_chunks(struct gateway *g, struct chunk_series_set *in)
{
    struct all_chunks *s = NEW(struct all_chunks);
    *s = (struct all_chunks){ { &all_ops }, g, in, 0 };
    return &s->base;
}

typedef VEC(struct chunk_series_set *) chunk_sets;
typedef VEC(const struct view_block *) block_picks_of_view;

static errc open_all(
    const struct asked *x, const struct bucket_view *v, chunk_sets *all, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    block_picks_of_view picks = { 0 };
    struct matchers left;
    errc rc = OK;
    for (size_t i = 0; i < v->blocks.n; i++) {
        const struct view_block *b = &v->blocks.at[i];
        struct labels external = x->g->o.without_external_labels ? (struct labels){ 0 } : b->labels;
        if (b->mint > x->maxt || b->maxt <= x->mint || b->resolution_ms) continue;
        if (!matchers_left(&left, x->ms, external, &a)) continue;
        gateway_begin(x->g, b);
        vec_push(&picks, b);
    }
    for (size_t i = 0; rc == OK && i < picks.n; i++) {
        struct chunk_series_set *one = NULL;
        struct labels external =
            x->g->o.without_external_labels ? (struct labels){ 0 } : picks.at[i]->labels;
        bool match = matchers_left(&left, x->ms, external, &a);
        assert(match);
        (void)match;
        rc = part_open(x, picks.at[i], left, &one, e);
        if (rc == OK) vec_push(all, one);
    }
    vec_fini(&picks);
    return rc;
}

errc gateway_chunks_select(struct chunk_queryable *q, struct matchers ms, int64_t mint,
    int64_t maxt, struct chunk_series_set **out, struct err *e)
{
    struct gateway *g = CONTAINER_OF(q, struct gateway, chunks);
    uint64_t series = 0;
    gateway_window(g, &mint, &maxt);
    int64_t until = clock_mono_ns() + g->o.patience_ms * INT64_C(1000000);
    struct asked x = { g, ms, mint, maxt, until, &series };
    struct bucket_view *v = NULL;
    struct chunk_series_set *in = NULL;
    chunk_sets all = { 0 };
    TRY(gateway_view(g, &v, e));
    errc rc = gateway_whole(g, v, mint, e);
    if (rc == OK) rc = open_all(&x, v, &all, e);
    bucket_view_unref(v);
    if (rc == OK) rc = series_merge(&in, all.at, all.n, e);
    else
        for (size_t i = 0; i < all.n; i++) chunk_series_set_free(all.at[i]);
    vec_fini(&all);
    if (rc != OK) return rc;
    *out = gateway_with_chunks(g, in);
    return OK;
}
