/* block_delete.c — deleting from a block: its tombstones grow, its chunks stay until the block is
 * compacted. */
#include "block/block_impl.h"
#include "block/meta.h"

static void deleted_copy(struct tombstones *to, const struct tombstones *from)
{
    for (size_t i = 0; i < from->at.n; i++) {
        struct tombstone t = { .ref = from->at.at[i].ref };
        for (size_t k = 0; k < from->at.at[i].deleted.n; k++)
            vec_push(&t.deleted, from->at.at[i].deleted.at[k]);
        vec_push(&to->at, t);
    }
}

/* Only what lies in the times of a series is noted, and only if a chunk is touched. */
static bool touched(const struct index_series *s, int64_t mint, int64_t maxt, struct interval *out)
{
    bool any = false;
    for (size_t i = 0; i < s->chunks.n; i++)
        any |= s->chunks.at[i].mint <= maxt && s->chunks.at[i].maxt >= mint;
    if (any)
        *out = (struct interval){ MAX(mint, s->chunks.at[0].mint),
            MIN(maxt, s->chunks.at[s->chunks.n - 1].maxt) };
    return any;
}

static errc deleted_add(struct block *b, struct tombstones *to, struct matchers ms, int64_t mint,
    int64_t maxt, uint64_t *n, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    postings_list found = { 0 };
    struct interval add;
    errc rc = block_select(b, ms, &found, e);
    for (size_t i = 0; rc == OK && i < found.n; i++) {
        rc = index_reader_series(b->index, found.at[i], false, &s, e);
        if (rc != OK || !touched(&s, mint, maxt, &add)) continue;
        tombstones_add(to, found.at[i], add);
        ++*n;
    }
    vec_fini(&found);
    return rc;
}

static errc deleted_write(struct block *b, const struct tombstones *t, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf file = { 0 };
    struct block_meta meta = block_meta_now(b);
    block_tombstones_encode(&file, t);
    TRY(fs_write_durable(b->fs, path_join(&a, b->dir, S("tombstones")), buf_view(&file), e));
    meta.stats.tombstones = tombstones_count(t);
    return meta_write(b->fs, b->dir, &meta, e);
}

errc block_delete(
    struct block *b, struct matchers ms, int64_t mint, int64_t maxt, uint64_t *n, struct err *e)
{
    struct block_deleted *was = block_deleted_ref(b), *now = block_deleted_new();
    uint64_t series = 0;
    deleted_copy(&now->all, &was->all);
    block_deleted_unref(was);
    errc rc = deleted_add(b, &now->all, ms, mint, maxt, &series, e);
    if (rc == OK && series) rc = deleted_write(b, &now->all, e);
    if (rc == OK && series) now = block_deleted_swap(b, now);
    block_deleted_unref(now);
    if (rc != OK) return err_in(e, rc, "block %.*s", STR_ARG(b->dir));
    *n = series;
    return OK;
}
