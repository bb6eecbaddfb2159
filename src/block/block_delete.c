/* block_delete.c — deleting from a block: its tombstones grow, its chunks stay until the block is
 * compacted. */
#include "block/block_impl.h"
#include "block/meta.h"

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

/* Series come in the order of their refs: each is added behind the others. */
static errc deleted_find(struct block *b, struct tombstones *to, struct matchers ms, int64_t mint,
    int64_t maxt, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    postings_list found = { 0 };
    struct interval add;
    errc rc = block_select(b, ms, &found, e);
    for (size_t i = 0; rc == OK && i < found.n; i++) {
        rc = index_reader_series(b->index, found.at[i], false, &s, e);
        if (rc != OK || !touched(&s, mint, maxt, &add)) continue;
        tombstones_add(to, found.at[i], add);
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

static errc deleted_put(struct block *b, const struct tombstones *found, struct err *e)
{
    struct block_deleted *was = block_deleted_ref(b), *now = block_deleted_new();
    tombstones_merge(&now->all, &was->all, found);
    block_deleted_unref(was);
    errc rc = deleted_write(b, &now->all, e);
    if (rc == OK) now = block_deleted_swap(b, now);
    block_deleted_unref(now);
    return rc;
}

errc block_delete(
    struct block *b, struct matchers ms, int64_t mint, int64_t maxt, uint64_t *n, struct err *e)
{
    struct tombstones found = { 0 };
    errc rc = deleted_find(b, &found, ms, mint, maxt, e);
    if (rc == OK && found.at.n) rc = deleted_put(b, &found, e);
    if (rc == OK) *n = found.at.n;
    tombstones_fini(&found);
    return rc == OK ? OK : err_in(e, rc, "block %.*s", STR_ARG(b->dir));
}
