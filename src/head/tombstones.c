#include "head/tombstones.h"

#include "base/account.h"

ACCOUNT(tombstones_account, "head_tombstones")

struct entry { sref ref; head_deletions deleted; };

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

/* ---- the deletions of a series ---- */

static bool touches(int64_t maxt, int64_t mint) { return maxt == INT64_MAX || mint <= maxt + 1; }

static void deletion_push(head_deletions *to, struct head_deletion x)
{
    struct head_deletion *last = to->n ? &vec_last(to) : NULL;
    if (x.mint > x.maxt) return;
    if (last && last->number == x.number && touches(last->maxt, x.mint)) last->maxt = x.maxt;
    else vec_push(to, x);
}

static void deletions_add(head_deletions *v, struct head_deletion add)
{
    head_deletions all = { 0 };
    size_t i = 0;
    vec_reserve(&all, v->n + 2);
    for (; i < v->n && v->at[i].mint < add.mint; i++) {
        struct head_deletion x = v->at[i];
        x.maxt = MIN(x.maxt, add.mint - 1);
        deletion_push(&all, x);
    }
    /* what goes on behind the new one: the last that began before its end */
    struct head_deletion rest = { .mint = 1 };
    for (size_t k = i ? i - 1 : 0; k < v->n && v->at[k].mint <= add.maxt; k++)
        if (v->at[k].maxt > add.maxt) rest = v->at[k];
    while (i < v->n && v->at[i].mint <= add.maxt) i++;
    deletion_push(&all, add);
    if (rest.mint <= rest.maxt) {
        rest.mint = add.maxt + 1;
        deletion_push(&all, rest);
    }
    for (; i < v->n; i++) deletion_push(&all, v->at[i]);
    vec_fini(v);
    *v = all;
}

void head_deletions_since(const head_deletions *d, uint32_t after, intervals *out)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct head_deletion *x = &d->at[i];
        struct interval *last = out->n ? &vec_last(out) : NULL;
        if (x->number <= after) continue;
        if (last && touches(last->maxt, x->mint)) last->maxt = x->maxt;
        else vec_push(out, ((struct interval){ x->mint, x->maxt }));
    }
}

bool head_deletions_cover(const head_deletions *d, uint32_t after, int64_t mint, int64_t maxt)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct head_deletion *x = &d->at[i];
        if (x->number <= after || x->maxt < mint) continue;
        if (x->mint > mint) return false;
        if (x->maxt >= maxt) return true;
        mint = x->maxt + 1;
    }
    return false;
}

/* ---- by series ---- */

static bool is_of(const void *val, const void *key)
{
    return ((const struct entry *)val)->ref == *(const sref *)key;
}

void head_tombstones_add(
    struct head_tombstones *t, sref ref, struct interval deleted, uint32_t number)
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
    deletions_add(&x->deleted, (struct head_deletion){ deleted.mint, deleted.maxt, number });
    account_charge(&tombstones_account, entry_bytes(x) - before);
    rwlock_unlock(&s->mu);
    if (number == DELETION_UNKNOWN)
        atomic_store_explicit(&t->unknown, true, memory_order_relaxed);
}

void head_tombstones_get(struct head_tombstones *t, sref ref, intervals *out)
{
    struct head_tombstone_shard *s = shard_of(t, ref);
    if (!atomic_load_explicit(&t->n, memory_order_relaxed)) return;
    rwlock_rdlock(&s->mu);
    const struct entry *x = map_find(&s->by_ref, hash_of(ref), is_of, &ref);
    if (x) head_deletions_since(&x->deleted, 0, out);
    rwlock_unlock(&s->mu);
}

void head_tombstones_list(struct head_tombstones *t, sref ref, head_deletions *out)
{
    struct head_tombstone_shard *s = shard_of(t, ref);
    if (!atomic_load_explicit(&t->n, memory_order_relaxed)) return;
    rwlock_rdlock(&s->mu);
    const struct entry *x = map_find(&s->by_ref, hash_of(ref), is_of, &ref);
    for (size_t i = 0; x && i < x->deleted.n; i++) vec_push(out, x->deleted.at[i]);
    rwlock_unlock(&s->mu);
}

void head_tombstones_number(struct head_tombstones *t, uint32_t number)
{
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++) {
        struct head_tombstone_shard *s = &t->shard[i];
        struct entry *x;
        rwlock_wrlock(&s->mu);
        for (size_t k = 0; (x = map_next(&s->by_ref, &k)) != NULL;)
            for (size_t j = 0; j < x->deleted.n; j++)
                if (x->deleted.at[j].number == DELETION_UNKNOWN) x->deleted.at[j].number = number;
        rwlock_unlock(&s->mu);
    }
    atomic_store_explicit(&t->unknown, false, memory_order_relaxed);
}

/* They ascend by their ends, too. */
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
    void (*fn)(void *ctx, sref ref, const head_deletions *deleted), void *ctx)
{
    for (unsigned i = 0; i < HEAD_TOMBSTONE_SHARDS; i++) {
        struct head_tombstone_shard *s = &t->shard[i];
        const struct entry *x;
        rwlock_rdlock(&s->mu);
        for (size_t k = 0; (x = map_next(&s->by_ref, &k)) != NULL;) fn(ctx, x->ref, &x->deleted);
        rwlock_unlock(&s->mu);
    }
}
