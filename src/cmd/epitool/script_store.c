/* script_store.c — see script_store.h
 *
 * The queryable asks both stores and hands out the series of the one after those of the other, or,
 * where they are asked for in the order of their labels, in that order. */
#include "cmd/epitool/script_store.h"

#include <stdlib.h>

#include "base/vec.h"
#include "head/head.h"
#include "storage/memstore.h"

enum { STORES = 2 };
struct both_querier { struct querier base; struct querier *of[STORES]; };
struct both_set {
    struct series_set base;
    struct series_set *of[STORES];
    VEC(struct series *) all;
    size_t at;
};

static int series_by_labels(const void *a, const void *b)
{
    return labels_cmp((*(struct series *const *)a)->labels, (*(struct series *const *)b)->labels);
}

static errc both_next(struct series_set *base, struct series **out, struct err *e UNUSED)
{
    struct both_set *s = CONTAINER_OF(base, struct both_set, base);
    *out = s->at < s->all.n ? s->all.at[s->at++] : NULL;
    return OK;
}

static void both_set_free(struct series_set *base)
{
    struct both_set *s = CONTAINER_OF(base, struct both_set, base);
    for (int i = 0; i < STORES; i++) series_set_free(s->of[i]);
    vec_fini(&s->all);
    mem_free(s);
}
static const struct series_set_ops both_set_ops = { both_next, both_set_free };

static errc both_drain(struct both_set *s, int i, struct err *e)
{
    for (;;) {
        struct series *one = NULL;
        TRY(s->of[i]->ops->next(s->of[i], &one, e));
        if (!one) return OK;
        vec_push(&s->all, one);
    }
}

static errc both_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct both_querier *q = CONTAINER_OF(base, struct both_querier, base);
    struct both_set *s = NEW(struct both_set);
    s->base.ops = &both_set_ops;
    errc rc = OK;
    for (int i = 0; i < STORES && rc == OK; i++) {
        rc = q->of[i]->ops->select(q->of[i], ms, h, &s->of[i], e);
        if (rc == OK) rc = both_drain(s, i, e);
    }
    if (rc != OK) {
        both_set_free(&s->base);
        return rc;
    }
    if (h && h->sorted && s->all.n)
        qsort(s->all.at, s->all.n, sizeof(*s->all.at), series_by_labels);
    *out = &s->base;
    return OK;
}

static errc both_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct both_querier *q = CONTAINER_OF(base, struct both_querier, base);
    return q->of[0]->ops->label_values(q->of[0], name, ms, limit, out, truncated, e);
}

static errc both_names(struct querier *base, struct matchers ms, size_t limit, str_list *out,
    bool *truncated, struct err *e)
{
    struct both_querier *q = CONTAINER_OF(base, struct both_querier, base);
    return q->of[0]->ops->label_names(q->of[0], ms, limit, out, truncated, e);
}

static void both_free(struct querier *base)
{
    struct both_querier *q = CONTAINER_OF(base, struct both_querier, base);
    for (int i = 0; i < STORES; i++) querier_free(q->of[i]);
    mem_free(q);
}
static const struct querier_ops both_ops = { both_select, both_values, both_names, both_free };

static errc both_querier(
    struct queryable *base, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct script_store *s = CONTAINER_OF(base, struct script_store, both);
    struct queryable *of[STORES] = { head_queryable(s->head), memstore_queryable(s->rest) };
    struct both_querier *q = NEW(struct both_querier);
    q->base.ops = &both_ops;
    errc rc = OK;
    for (int i = 0; i < STORES && rc == OK; i++)
        rc = of[i]->ops->querier(of[i], mint, maxt, &q->of[i], e);
    if (rc == OK) *out = &q->base;
    else both_free(&q->base);
    return rc;
}
static const struct queryable_ops both_queryable_ops = { both_querier };

static errc store_reset(void *ctx, struct err *e)
{
    struct script_store *s = ctx;
    struct head_opts o = { .chunk_range_ms = 24ll * 3600 * 1000 };
    script_store_fini(s);
    s->both.ops = &both_queryable_ops;
    s->rest = memstore_new();
    return head_open(&s->head, &o, e);
}

static struct appendable *store_appendable(void *ctx)
{
    return head_appendable(((struct script_store *)ctx)->head);
}
static struct appendable *store_histograms(void *ctx)
{
    return memstore_appendable(((struct script_store *)ctx)->rest);
}
static struct queryable *store_queryable(void *ctx) { return &((struct script_store *)ctx)->both; }

struct script_storage script_store_of(struct script_store *s)
{
    return (struct script_storage){ s, store_reset, store_appendable, store_histograms,
        store_queryable };
}

void script_store_fini(struct script_store *s)
{
    head_close(s->head);
    memstore_free(s->rest);
    s->head = NULL;
    s->rest = NULL;
}
