#include "tsdb/db_querier.h"

#include "base/clock.h"
#include "head/head.h"
#include "storage/changes.h"
#include "storage/merge.h"
#include "tsdb/blocks.h"

struct db_querier { struct querier base; struct querier *in; struct block_list *list; };

static errc querier_select(struct querier *base, struct matchers ms, const struct select_hints *h,
    struct series_set **out, struct err *e)
{
    struct querier *in = CONTAINER_OF(base, struct db_querier, base)->in;
    return in->ops->select(in, ms, h, out, e);
}

static errc querier_label_values(struct querier *base, str name, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct querier *in = CONTAINER_OF(base, struct db_querier, base)->in;
    return in->ops->label_values(in, name, ms, limit, out, truncated, e);
}

static errc querier_label_names(struct querier *base, struct matchers ms, size_t limit,
    str_list *out, bool *truncated, struct err *e)
{
    struct querier *in = CONTAINER_OF(base, struct db_querier, base)->in;
    return in->ops->label_names(in, ms, limit, out, truncated, e);
}

static void querier_end(struct querier *base)
{
    struct db_querier *q = CONTAINER_OF(base, struct db_querier, base);
    querier_free(q->in);
    block_list_unref(q->list);
    mem_free(q);
}

static void querier_warn(struct querier *base, str_list *out)
{
    querier_warnings(CONTAINER_OF(base, struct db_querier, base)->in, out);
}

static const struct querier_ops db_querier_ops = { querier_select, querier_label_values,
    querier_label_names, querier_end, querier_warn };

typedef VEC(struct querier *) queriers;

static errc add(queriers *all, struct queryable *from, int64_t mint, int64_t maxt, struct err *e)
{
    struct querier *q = NULL;
    TRY(from->ops->querier(from, mint, maxt, &q, e));
    vec_push(all, q);
    return OK;
}

static bool block_reaches(struct block *b, int64_t mint, int64_t maxt)
{
    const struct block_meta *m = block_meta(b);
    return m->mint <= maxt && m->maxt > mint;
}

/* The blocks and the head that may have something of [mint, maxt]. */
static errc open_all(struct db_queryable *db, const struct block_list *list, int64_t mint,
    int64_t maxt, queriers *all, struct err *e)
{
    struct head *h = atomic_load_explicit(&db->head, memory_order_acquire);
    if (h && head_reaches(h, mint, maxt))
        TRY(add(all, head_queryable(h), mint, maxt, e));
    for (size_t i = 0; i < list->n; i++)
        if (block_reaches(list->at[i], mint, maxt))
            TRY(add(all, block_queryable(list->at[i]), mint, maxt, e));
    return OK;
}

#define MS_NS 1000000ll

/* Until the head is there. ERR_UNAVAILABLE: too many wait, or it took too long. */
static errc await_head(struct db_queryable *db, struct err *e)
{
    int64_t until = clock_mono_ns() + db->patience_ms * MS_NS;
    bool there = false, late = false;
    mtx_lock(&db->mu);
    bool full = db->waiting >= DB_WAITING_MAX;
    db->waiting += !full;
    while (!full && !db->over && !late) {
        there = atomic_load_explicit(&db->head, memory_order_acquire) != NULL;
        if (there) break;
        late = !cond_wait_until(&db->come, &db->mu, until);
    }
    db->waiting -= !full;
    mtx_unlock(&db->mu);
    if (there) return OK;
    return err_set(e, ERR_UNAVAILABLE, "the write-ahead log is being replayed");
}

static errc head_if_needed(struct db_queryable *db, int64_t maxt, struct err *e)
{
    if (!db->patience_ms || atomic_load_explicit(&db->head, memory_order_acquire)) return OK;
    if (!db->wait_always && maxt < blocks_reached(db->blocks)) return OK;
    return await_head(db, e);
}

/* The list first: what leaves the head later is in a block of a newer list, and waits for ours to
 * be given back. */
static errc db_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e)
{
    struct db_queryable *db = CONTAINER_OF(s, struct db_queryable, base);
    TRY(head_if_needed(db, maxt, e));
    struct block_list *list = blocks_now(db->blocks);
    queriers all = { 0 };
    errc rc = open_all(db, list, mint, maxt, &all, e);
    if (rc == OK) {
        struct db_querier *q = NEW(struct db_querier);
        *q = (struct db_querier){
            .base.ops = &db_querier_ops, .in = merge_querier(all.at, all.n), .list = list
        };
        q->base.nothing = q->in->nothing;
        *out = &q->base;
    } else {
        for (size_t i = 0; i < all.n; i++) querier_free(all.at[i]);
        block_list_unref(list);
    }
    vec_fini(&all);
    return rc;
}

/* While the head is rebuilt nobody is told what comes. The head alone gives series in the order of
 * refs; the list that this is told of stands until everything is noted. */
static struct changes *db_changes(
    struct queryable *s, int64_t mint, int64_t maxt, bool *by_labels)
{
    struct db_queryable *db = CONTAINER_OF(s, struct db_queryable, base);
    if (!atomic_load_explicit(&db->head, memory_order_acquire)) return NULL;
    struct block_list *list = blocks_now(db->blocks);
    *by_labels = false;
    for (size_t i = 0; i < list->n; i++)
        *by_labels |= block_reaches(list->at[i], mint, maxt);
    block_list_unref(list);
    return db->changes;
}

static const struct queryable_ops db_queryable_ops = {
    .querier = db_querier, .changes = db_changes
};

void db_queryable_init(struct db_queryable *q, struct blocks *blocks, struct changes *changes,
    int64_t patience_ms, bool always)
{
    q->base.ops = &db_queryable_ops;
    q->blocks = blocks;
    q->changes = changes;
    q->patience_ms = patience_ms;
    q->wait_always = always;
    atomic_init(&q->head, NULL);
    mtx_init(&q->mu, LOCK_LEAF);
    cond_init(&q->come);
}

void db_queryable_fini(struct db_queryable *q)
{
    if (!q->base.ops) return;
    cond_fini(&q->come);
    mtx_fini(&q->mu);
}

void db_queryable_add_head(struct db_queryable *q, struct head *head)
{
    changes_note_all(q->changes);
    mtx_lock(&q->mu);
    atomic_store_explicit(&q->head, head, memory_order_release);
    cond_broadcast(&q->come);
    mtx_unlock(&q->mu);
}

void db_queryable_give_up(struct db_queryable *q)
{
    mtx_lock(&q->mu);
    q->over = true;
    cond_broadcast(&q->come);
    mtx_unlock(&q->mu);
}
