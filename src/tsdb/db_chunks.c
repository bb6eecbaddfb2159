#include "tsdb/db_chunks.h"

#include "block/series_merge.h"
#include "head/head.h"
#include "head/head_chunks.h"
#include "tsdb/blocks.h"

struct db_chunk_set {
    struct chunk_series_set base;
    struct chunk_series_set *in;
    struct head_chunks *head;
    struct block_list *list;
};

/* A series of which everything was cut away is none. */
static errc set_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct db_chunk_set *s = CONTAINER_OF(base, struct db_chunk_set, base);
    do TRY(s->in->ops->next(s->in, out, e));
    while (*out && !(*out)->n);
    return OK;
}

static void set_free(struct chunk_series_set *base)
{
    struct db_chunk_set *s = CONTAINER_OF(base, struct db_chunk_set, base);
    chunk_series_set_free(s->in);
    head_chunks_close(s->head);
    block_list_unref(s->list);
    mem_free(s);
}
static void set_warn(struct chunk_series_set *base, str_list *out)
{
    chunk_series_set_warnings(CONTAINER_OF(base, struct db_chunk_set, base)->in, out);
}
static const struct chunk_series_set_ops db_chunk_set_ops = { set_next, set_free, set_warn };

typedef VEC(struct chunk_series_set *) chunk_sets;

static errc open_all(const struct db_chunks *db, struct db_chunk_set *s, struct matchers ms,
    int64_t mint, int64_t maxt, chunk_sets *all, struct err *e)
{
    if (maxt >= MIN(head_min_time(db->head), head_min_ooo_time(db->head))) {
        TRY(head_chunks_select(&s->head, db->head, ms, mint, maxt, e));
        vec_push(all, head_chunks_series(s->head));
    }
    for (size_t i = 0; i < s->list->n; i++) {
        const struct block_meta *m = block_meta(s->list->at[i]);
        struct chunk_series_set *one = NULL;
        if (m->mint > maxt || m->maxt <= mint) continue;
        TRY(block_chunks_select(s->list->at[i], ms, mint, maxt, &one, e));
        vec_push(all, one);
    }
    return OK;
}

/* The list of blocks first, as in db_querier. */
static errc db_chunks_select(struct chunk_queryable *q, struct matchers ms, int64_t mint,
    int64_t maxt, struct chunk_series_set **out, struct err *e)
{
    struct db_chunks *db = CONTAINER_OF(q, struct db_chunks, base);
    struct db_chunk_set *s = NEW(struct db_chunk_set);
    chunk_sets all = { 0 };
    s->base.ops = &db_chunk_set_ops;
    s->list = blocks_now(db->blocks);
    errc rc = open_all(db, s, ms, mint, maxt, &all, e);
    if (rc == OK) rc = series_merge(&s->in, all.at, all.n, e);
    else
        for (size_t i = 0; i < all.n; i++) chunk_series_set_free(all.at[i]);
    vec_fini(&all);
    if (rc != OK) set_free(&s->base);
    else *out = &s->base;
    return rc;
}

static const struct chunk_queryable_ops db_chunks_ops = { .select = db_chunks_select };

void db_chunks_init(struct db_chunks *q, struct blocks *blocks, struct head *head)
{
    *q = (struct db_chunks){ .base.ops = &db_chunks_ops, .blocks = blocks, .head = head };
}
