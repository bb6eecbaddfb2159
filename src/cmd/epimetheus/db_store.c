#include "cmd/epimetheus/db_store.h"

#include "block/meta.h"
#include "cmd/epimetheus/parts.h"
#include "head/head.h"

struct db_store {
    struct store_source base;
    struct server *s;
    _Atomic bool attached;                     /* release: the database is open */
};

static void earliest(void *ctx, const struct block_meta *m)
{
    int64_t *mint = ctx;
    *mint = MIN(*mint, m->mint);
}

static errc list(
    struct store_source *base, struct arena *a, store_parts *out, void **pin, struct err *e)
{
    struct db_store *d = CONTAINER_OF(base, struct db_store, base);
    struct server *s = d->s;
    struct store_part p = { .maxt = INT64_MAX };
    if (!atomic_load_explicit(&d->attached, memory_order_acquire))
        return err_set(e, ERR_UNAVAILABLE, "Not ready");
    mtx_lock(&s->mu);
    p.external = labels_copy(a, s->external);
    mtx_unlock(&s->mu);
    p.mint = MIN(head_min_time(db_head(s->db)), head_min_ooo_time(db_head(s->db)));
    db_block_metas(s->db, earliest, &p.mint);
    p.queryable = db_queryable(s->db);
    p.chunks = db_chunk_queryable(s->db);
    avec_push(a, out, p);
    *pin = NULL;
    return OK;
}

/* The database outlives the server of this. */
static void release(struct store_source *base, void *pin)
{
    (void)base, (void)pin;
}

struct db_store *db_store_new(struct server *s)
{
    static const struct store_source_ops ops = { list, release };
    struct db_store *d = NEW(struct db_store);
    d->base.ops = &ops;
    d->s = s;
    return d;
}

struct store_source *db_store_source(struct db_store *d) { return &d->base; }

void db_store_attach(struct db_store *d)
{
    atomic_store_explicit(&d->attached, true, memory_order_release);
}

void db_store_free(struct db_store *d) { mem_free(d); }
