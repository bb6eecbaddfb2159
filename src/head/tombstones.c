#include "head/tombstones.h"

#include "base/account.h"

ACCOUNT(tombstones_account, "head_tombstones")

struct entry { sref ref; intervals deleted; };

void head_tombstones_init(struct head_tombstones *t)
{
    *t = (struct head_tombstones){ 0 };
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++)
        rwlock_init(&t->shard[i].mu, LOCK_LEAF);
}

static int64_t entry_bytes(const struct entry *x)
{
    return (int64_t)(sizeof(*x) + x->deleted.cap * sizeof(*x->deleted.at));
}

static void entry_free(struct entry *x)
{
    account_charge(&tombstones_account, -entry_bytes(x));
    vec_fini(&x->deleted);
    mem_free(x);
}

void head_tombstones_fini(struct head_tombstones *t)
{
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++) {
        struct entry *x;
        for (size_t k = 0; (x = map_next(&t->shard[i].by_ref, &k)) != NULL;) entry_free(x);
        map_fini(&t->shard[i].by_ref);
        rwlock_fini(&t->shard[i].mu);
    }
}

/* Refs ascend one by one: neighbours are to lie in different shards, and far apart within one. */
static uint64_t hash_of(sref ref) { return ref * 0x9e3779b97f4a7c15u; }

static struct head_tombstone_shard *shard_of(struct head_tombstones *t, sref ref)
{
    return &t->shard[hash_of(ref) >> 58];
}
_Static_assert(HEAD_TOMBSTONE_SHARDS == 1 << (64 - 58), "the highest bits choose");

static bool is_of(const void *val, const void *key)
{
    return ((const struct entry *)val)->ref == *(const sref *)key;
}

void head_tombstones_add(struct head_tombstones *t, sref ref, struct interval deleted)
{
    struct head_tombstone_shard *s = shard_of(t, ref);
    if (deleted.mint > deleted.maxt) return;
    rwlock_wrlock(&s->mu);
    struct entry *x = map_find(&s->by_ref, hash_of(ref), is_of, &ref);
    int64_t before = x ? entry_bytes(x) : 0;
    if (!x) {
        x = NEW(struct entry);
        x->ref = ref;
        map_put(&s->by_ref, hash_of(ref), x);
        atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed);
    }
    intervals_add(&x->deleted, deleted);
    account_charge(&tombstones_account, entry_bytes(x) - before);
    rwlock_unlock(&s->mu);
}

void head_tombstones_get(struct head_tombstones *t, sref ref, intervals *out)
{
    struct head_tombstone_shard *s = shard_of(t, ref);
    if (!atomic_load_explicit(&t->n, memory_order_relaxed)) return;
    rwlock_rdlock(&s->mu);
    const struct entry *x = map_find(&s->by_ref, hash_of(ref), is_of, &ref);
    for (size_t i = 0; x && i < x->deleted.n; i++) vec_push(out, x->deleted.at[i]);
    rwlock_unlock(&s->mu);
}

/* Intervals ascend by their ends, too. */
static void entry_trim(struct entry *x, int64_t mint)
{
    size_t old = 0;
    while (old < x->deleted.n && x->deleted.at[old].maxt < mint) old++;
    if (!old) return;
    x->deleted.n -= old;
    memmove(x->deleted.at, x->deleted.at + old, x->deleted.n * sizeof(*x->deleted.at));
}

void head_tombstones_drop(struct head_tombstones *t, int64_t mint)
{
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++) {
        struct head_tombstone_shard *s = &t->shard[i];
        struct map left = { 0 };
        struct entry *x;
        uint32_t gone = 0;
        rwlock_wrlock(&s->mu);
        for (size_t k = 0; (x = map_next(&s->by_ref, &k)) != NULL;) {
            entry_trim(x, mint);
            if (x->deleted.n) {
                map_put(&left, hash_of(x->ref), x);
            } else {
                entry_free(x);
                gone++;
            }
        }
        map_fini(&s->by_ref);
        s->by_ref = left;
        rwlock_unlock(&s->mu);
        atomic_fetch_sub_explicit(&t->n, gone, memory_order_relaxed);
    }
}

void head_tombstones_each(struct head_tombstones *t,
    void (*fn)(void *ctx, sref ref, const intervals *deleted), void *ctx)
{
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++) {
        struct head_tombstone_shard *s = &t->shard[i];
        const struct entry *x;
        rwlock_rdlock(&s->mu);
        for (size_t k = 0; (x = map_next(&s->by_ref, &k)) != NULL;) fn(ctx, x->ref, &x->deleted);
        rwlock_unlock(&s->mu);
    }
}
