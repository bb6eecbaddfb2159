#include "head/replay_refs.h"

#include "base/mem.h"

ACCOUNT(refs_account, "replay_refs")

enum { CAP_MIN = 1 << 12, PROBES_MAX = 256 };

static struct replay_table *table_new(size_t cap, bool hashed)
{
    size_t size = sizeof(struct replay_table) + cap * sizeof(struct replay_ref);
    struct replay_table *t = mem_aligned(64, (size + 63) & ~(size_t)63);
    memset(t, 0, size);
    t->cap = cap;
    t->hashed = hashed;
    account_charge(&refs_account, (int64_t)size);
    return t;
}

static void entry_copy(struct replay_ref *to, const struct replay_ref *from)
{
    replay_ref_give(to, atomic_load_explicit(&from->since, memory_order_relaxed),
        replay_ref_slot(from), atomic_load_explicit(&from->covered, memory_order_relaxed));
    to->chunks = from->chunks;
    to->duplicate = from->duplicate;
    to->restored = from->restored;
    atomic_store_explicit(
        &to->ref, atomic_load_explicit(&from->ref, memory_order_relaxed), memory_order_release);
}

static struct replay_table *table_rebuilt(struct replay_table *old, size_t cap, bool hashed)
{
    struct replay_table *t = table_new(cap, hashed);
    for (size_t i = 0; i < old->cap; i++) {
        sref ref = atomic_load_explicit(&old->at[i].ref, memory_order_relaxed);
        if (ref) entry_copy(replay_ref_find(t, ref), &old->at[i]);
    }
    t->older = old;
    return t;
}

void replay_refs_init(struct replay_refs *r)
{
    r->n = 0;
    atomic_init(&r->now, table_new(CAP_MIN, false));
}

static void table_free(struct replay_table *t)
{
    for (struct replay_table *older; t; t = older) {
        older = t->older;
        account_charge(&refs_account, -(int64_t)(sizeof(*t) + t->cap * sizeof(*t->at)));
        mem_free(t);
    }
}

void replay_refs_trim(struct replay_refs *r) { table_free(STEAL(replay_refs_now(r)->older)); }

void replay_refs_reserve(struct replay_refs *r, size_t n)
{
    struct replay_table *t = replay_refs_now(r);
    size_t cap = t->cap;
    while (n >= cap / 4 * 3) cap *= 2;
    if (cap == t->cap) return;
    atomic_store_explicit(&r->now, table_rebuilt(t, cap, t->hashed), memory_order_release);
    replay_refs_trim(r);
}

void replay_refs_fini(struct replay_refs *r)
{
    table_free(replay_refs_now(r));
    atomic_store_explicit(&r->now, NULL, memory_order_relaxed);
}

struct replay_ref *replay_ref_add(struct replay_refs *r, sref ref)
{
    struct replay_table *t = replay_refs_now(r);
    struct replay_ref *x = replay_ref_find(t, ref);
    if (atomic_load_explicit(&x->ref, memory_order_relaxed)) return x;
    size_t probes = ((size_t)(x - t->at) - replay_ref_home(t, ref)) & (t->cap - 1);
    bool crowded = probes > PROBES_MAX && !t->hashed, full = r->n >= t->cap / 4 * 3;
    /* refs that wrap around meet those at the other end: more room, as long as it is not wasted */
    if (full || crowded) {
        bool grow = full || r->n > t->cap / 4;
        t = table_rebuilt(t, grow ? t->cap * 2 : t->cap, t->hashed || !grow);
        atomic_store_explicit(&r->now, t, memory_order_release);
        x = replay_ref_find(t, ref);
    }
    r->n++;
    atomic_store_explicit(&x->ref, ref, memory_order_release);
    return x;
}
