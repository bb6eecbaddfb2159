#include "head/meta_table.h"

#include "base/account.h"
#include "base/mem.h"

ACCOUNT(meta_table_account, "series_metadata")

struct meta_entry {
    uint32_t slot, generation;
    size_t bytes;
    struct metadata m; /* text behind the entry */
};

static uint64_t key_of(uint32_t slot) { return hash_bytes(&slot, sizeof(slot)); }

static void entry_free(struct meta_entry *x)
{
    if (!x) return;
    account_charge(&meta_table_account, -(int64_t)x->bytes);
    mem_free(x);
}

void meta_table_init(struct meta_table *t)
{
    *t = (struct meta_table){ 0 };
    mtx_init(&t->mu, LOCK_LEAF);
}

void meta_table_fini(struct meta_table *t)
{
    struct meta_entry *x;
    for (size_t i = 0; (x = map_next(&t->by_slot, &i)) != NULL;) entry_free(x);
    map_fini(&t->by_slot);
    mtx_fini(&t->mu);
}

static bool same(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && str_eq(a->unit, b->unit) && str_eq(a->help, b->help);
}

bool meta_table_has(
    struct meta_table *t, uint32_t slot, uint32_t generation, const struct metadata *m)
{
    mtx_lock(&t->mu);
    const struct meta_entry *x = map_find(&t->by_slot, key_of(slot), NULL, NULL);
    bool has = x && x->generation == generation && same(&x->m, m);
    mtx_unlock(&t->mu);
    return has;
}

static struct meta_entry *entry_new(uint32_t slot, uint32_t generation, const struct metadata *m)
{
    size_t bytes = sizeof(struct meta_entry) + m->unit.n + m->help.n;
    struct meta_entry *x = mem_alloc(bytes);
    uint8_t *text = (uint8_t *)(x + 1);
    if (m->unit.n) memcpy(text, m->unit.p, m->unit.n);
    if (m->help.n) memcpy(text + m->unit.n, m->help.p, m->help.n);
    *x = (struct meta_entry){ slot, generation, bytes,
        { m->type, str_of(text, m->unit.n), str_of(text + m->unit.n, m->help.n) } };
    account_charge(&meta_table_account, (int64_t)bytes);
    return x;
}

void meta_table_set(
    struct meta_table *t, uint32_t slot, uint32_t generation, const struct metadata *m)
{
    struct meta_entry *x = entry_new(slot, generation, m);
    mtx_lock(&t->mu);
    struct meta_entry *old = map_remove(&t->by_slot, key_of(slot), NULL, NULL);
    map_put(&t->by_slot, key_of(slot), x);
    mtx_unlock(&t->mu);
    entry_free(old);
}

void meta_table_sweep(struct meta_table *t,
    bool (*lives)(const void *ctx, uint32_t slot, uint32_t generation), const void *ctx)
{
    struct map kept = { 0 };
    struct meta_entry *x;
    mtx_lock(&t->mu);
    for (size_t i = 0; (x = map_next(&t->by_slot, &i)) != NULL;) {
        if (lives(ctx, x->slot, x->generation)) map_put(&kept, key_of(x->slot), x);
        else entry_free(x);
    }
    map_fini(&t->by_slot);
    t->by_slot = kept;
    mtx_unlock(&t->mu);
}
