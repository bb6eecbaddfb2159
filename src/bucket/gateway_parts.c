#include "bucket/gateway_parts.h"

#include "base/clock.h"
#include "bucket/gateway_impl.h"

static errc part_take(struct gateway_part *p, struct err *e)
{
    if (!p->block)
        return err_set(e, ERR_UNAVAILABLE, "it cannot be read: %.*s", STR_ARG(p->why));
    if (p->opened) return OK;
    int64_t until = clock_mono_ns() + p->g->o.patience_ms * INT64_C(1000000);
    return gateway_take(p->g, p->block, until, &p->opened, e);
}

static errc part_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct gateway_part *p = CONTAINER_OF(s, struct gateway_part, queryable);
    TRY(part_take(p, e));
    gateway_window(p->g, &mint, &maxt);
    struct queryable *from = block_queryable(p->opened->block);
    return from->ops->querier(from, mint, maxt, out, e);
}

static errc part_select(struct chunk_queryable *q, struct matchers ms, int64_t mint, int64_t maxt,
    struct chunk_series_set **out, struct err *e)
{
    struct gateway_part *p = CONTAINER_OF(q, struct gateway_part, chunks);
    struct chunk_series_set *in = NULL;
    TRY(part_take(p, e));
    gateway_window(p->g, &mint, &maxt);
    TRY(block_chunks_select(p->opened->block, ms, mint, maxt, &in, e));
    *out = gateway_with_chunks(p->g, in);
    return OK;
}

static struct gateway_part part_of(struct gateway *g, str id, int64_t mint, int64_t maxt)
{
    static const struct queryable_ops queryable_ops = { .querier = part_querier };
    static const struct chunk_queryable_ops chunk_ops = { .select = part_select };
    return (struct gateway_part){ .queryable = { &queryable_ops }, .chunks = { &chunk_ops },
        .g = g, .id = id, .mint = mint, .maxt = maxt };
}

/* A block is made of samples that were there before it. */
static void troubles_list(
    struct gateway *g, struct bucket_view *v, struct gateway_parts *out)
{
    for (size_t i = 0; i < v->troubles.n && !g->o.partial; i++) {
        const struct view_trouble *t = &v->troubles.at[i];
        if (!t->is_block) continue;
        struct gateway_part p = part_of(g, t->what, INT64_MIN, ulid_time_ms(t->id));
        p.why = t->why;
        out->at[out->n++] = p;
    }
}

errc gateway_parts_list(
    struct gateway *g, struct arena *a, struct gateway_parts *out, struct err *e)
{
    struct bucket_view *v = NULL;
    TRY(gateway_view(g, &v, e));
    *out = (struct gateway_parts){ .view = v };
    out->at = arena_array(a, v->blocks.n + v->troubles.n, sizeof(*out->at));
    for (size_t i = 0; i < v->blocks.n; i++) {
        const struct view_block *b = &v->blocks.at[i];
        str id = arena_str(a, str_z(ulid_text(b->id).z));
        int64_t mint = b->mint, maxt = b->maxt - 1;
        gateway_window(g, &mint, &maxt);
        struct gateway_part p = part_of(g, id, mint, maxt);
        p.block = b;
        p.resolution_ms = b->resolution_ms;
        p.stream = b->labels;
        if (!g->o.without_external_labels) p.external = b->labels;
        out->at[out->n++] = p;
    }
    troubles_list(g, v, out);
    return OK;
}

void gateway_parts_end(struct gateway_parts *p)
{
    for (size_t i = 0; i < p->n; i++) opened_unref(p->at[i].opened);
    bucket_view_unref(p->view);
    *p = (struct gateway_parts){ 0 };
}

void gateway_part_begin(struct gateway_part *p)
{
    if (p->block && !p->opened) gateway_begin(p->g, p->block);
}
