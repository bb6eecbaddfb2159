#include "head/series.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/prng.h"
#include "head/byte_chunk.h"
#include "head/isolation.h"
#include "wal/wal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

ACCOUNT(labels_account, "labels")
ACCOUNT(table_account, "series_tables")

enum {
    TABLE_CAP_MIN = 64,
    PAIRS_MAX = 1 << 16, /* as the log has it */
    /* for one hold of the creation lock by the collector */
    SERIES_SLICE = 1024,
    PAIRS_SLICE = 8192,
    GIVE_WAY_NS = 1000000
};

void series_init(
    struct series_index *x, struct store *s, struct reclaim *rc, size_t labels_max_bytes)
{
    memset(x, 0, sizeof(*x));
    x->store = s;
    x->reclaim = rc;
    x->labels_max_bytes = labels_max_bytes;
    mtx_init(&x->create, LOCK_HEAD_CREATE);
    cond_init(&x->passed);
    symbols_init(&x->symbols, rc);
    pages_init(&x->labels, &labels_account);
    x->num_pages = mem_zalloc(NUM_PAGES * sizeof(*x->num_pages));
    prng_secret(&x->seed, sizeof(x->seed));
}

void series_fini(struct series_index *x)
{
    vec_fini(&x->key_pairs);
    vec_fini(&x->key_enc);
    for (unsigned i = 0; i < SERIES_TABLES; i++) {
        account_charge(&table_account, -(int64_t)x->table[i].cap * 8);
        mem_free(x->table[i].at);
    }
    for (size_t i = 0;
         i <= atomic_load_explicit(&x->last_num, memory_order_relaxed) >> NUM_PAGE_BITS; i++) {
        _Atomic uint32_t *page = atomic_load_explicit(&x->num_pages[i], memory_order_relaxed);
        if (page) account_charge(&table_account, -((int64_t)4 << NUM_PAGE_BITS));
        mem_free(page);
    }
    mem_free(x->num_pages);
    postings_fini(&x->all);
    pages_fini(&x->labels);
    symbols_fini(&x->symbols);
    cond_fini(&x->passed);
    mtx_fini(&x->create);
}

/* Labels as bytes. */

static size_t put_uvarint(uint8_t *at, uint32_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) at[n++] = (uint8_t)(v | 0x80);
    at[n++] = (uint8_t)v;
    return n;
}

uint32_t series_next_pair(const uint8_t **at)
{
    uint32_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*at)++;
        v |= (uint32_t)(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
}

size_t series_pairs(const struct series_index *x, uint32_t labels, const uint8_t **at)
{
    *at = pages_at(&x->labels, labels);
    return series_next_pair(at);
}

/* The code is free of prefixes: the first difference comes before the end of either. */
static bool labels_bytes_eq(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i == n;
}

static struct label label_of(const struct series_index *x, uint32_t pair)
{
    const struct sym_pair *p = symbols_pair_at(&x->symbols, pair);
    return (struct label){ symbols_name(&x->symbols, p->name), symbols_text(&x->symbols, p->text) };
}

bool series_labels_cached(const struct series_index *x, snum n, uint32_t slot,
    struct label_cache *c, struct arena *a, struct labels *out)
{
    if (series_slot_of(x, n) != slot) return false;
    const uint8_t *at;
    size_t count = series_pairs(x, store_cold(x->store, slot)->labels, &at);
    struct label *l = arena_array(a, count, sizeof(*l));
    for (size_t i = 0; i < count; i++) {
        uint32_t pair = series_next_pair(&at), k = pair % LABEL_CACHE;
        if (!c) {
            l[i] = label_of(x, pair);
            continue;
        }
        if (c->at[k].pair != pair) {
            c->at[k].l = label_of(x, pair);
            c->at[k].pair = pair;
        }
        l[i] = c->at[k].l;
    }
    *out = (struct labels){ l, count };
    return true;
}

bool series_labels(
    const struct series_index *x, snum n, uint32_t slot, struct arena *a, struct labels *out)
{
    return series_labels_cached(x, n, slot, NULL, a, out);
}

bool series_has_pair(const struct series_index *x, uint32_t slot, uint32_t pair)
{
    const uint8_t *at;
    bool has = false;
    for (size_t n = series_pairs(x, store_cold(x->store, slot)->labels, &at); n && !has; n--)
        has = series_next_pair(&at) == pair;
    return has;
}

/* Tables. */

static uint32_t table_home(const struct series_table *t, uint32_t hash)
{
    return (uint32_t)(((uint64_t)hash * t->cap) >> 32);
}
static uint32_t table_next(const struct series_table *t, uint32_t i)
{
    return i + 1 == t->cap ? 0 : i + 1;
}

static void table_put(struct series_table *t, uint64_t entry)
{
    uint32_t i = table_home(t, (uint32_t)(entry >> 32));
    while (t->at[i]) i = table_next(t, i);
    t->at[i] = entry;
    t->n++;
}

static void table_add(struct series_table *t, uint32_t hash, uint32_t slot)
{
    if (!t->cap || t->n >= t->cap - t->cap / 6) {
        struct series_table g = { .cap = t->cap ? t->cap + t->cap / 4 : TABLE_CAP_MIN };
        g.at = mem_zalloc(g.cap * sizeof(*g.at));
        account_charge(&table_account, ((int64_t)g.cap - t->cap) * 8);
        for (uint32_t i = 0; i < t->cap; i++)
            if (t->at[i]) table_put(&g, t->at[i]);
        mem_free(t->at);
        *t = g;
    }
    table_put(t, (uint64_t)hash << 32 | slot);
}

static void table_remove(struct series_table *t, uint32_t hash, uint32_t slot)
{
    uint64_t entry = (uint64_t)hash << 32 | slot;
    uint32_t i = table_home(t, hash);
    while (t->at[i] != entry) i = table_next(t, i);
    for (uint32_t j = table_next(t, i); t->at[j]; j = table_next(t, j)) {
        uint32_t home = table_home(t, (uint32_t)(t->at[j] >> 32));
        bool stays = i <= j ? i < home && home <= j : i < home || home <= j;
        if (stays) continue;
        t->at[i] = t->at[j];
        i = j;
    }
    t->at[i] = 0;
    t->n--;
}

enum { PAIR_MAX_BYTES = 5 };
/* Its arrays are the index' room for the key at hand. */
struct key {
    uint64_t hash;
    size_t n, bytes;
    uint32_t *pairs;
    uint8_t *enc;
};
static struct key key_room_locked(struct series_index *x, size_t n)
{
    mtx_assert_held(&x->create);
    vec_reserve(&x->key_pairs, n + 1);
    vec_reserve(&x->key_enc, (n + 1) * PAIR_MAX_BYTES);
    return (struct key){ .pairs = x->key_pairs.at, .enc = x->key_enc.at };
}
static struct series_table *table_of(struct series_index *x, uint64_t hash)
{
    return &x->table[hash % SERIES_TABLES];
}

static void key_close(const struct series_index *x, struct key *k)
{
    k->hash = XXH3_64bits_withSeed(k->pairs, k->n * sizeof(*k->pairs), x->seed);
    k->bytes = put_uvarint(k->enc, (uint32_t)k->n);
    for (size_t i = 0; i < k->n; i++) k->bytes += put_uvarint(k->enc + k->bytes, k->pairs[i]);
}

/* Of labels that need not be known yet; `made` false: they are looked up, 0 where one is not. */
static uint32_t pair_of(struct series_index *x, const struct label *l, uint32_t *like, bool made)
{
    if (made) return *like = symbols_intern_like(&x->symbols, *like, l->name, l->value);
    uint32_t name = symbols_find_name(&x->symbols, l->name);
    return name ? symbols_find_pair(&x->symbols, name, l->value) : 0;
}

/* Without room nothing is made. */
static errc key_of(
    struct series_index *x, struct labels l, bool room, struct key *k, struct err *e)
{
    if (!l.n) return err_set(e, ERR_BAD_INPUT, "empty labelset: invalid sample");
    if (l.n > PAIRS_MAX)
        return err_set(e, ERR_LIMIT, "a series with %zu labels: more than %d", l.n, PAIRS_MAX);
    size_t bytes = 0;
    *k = key_room_locked(x, l.n);
    for (size_t i = 0; i < l.n; i++) {
        bytes += l.at[i].name.n + l.at[i].value.n;
        int c = i ? str_cmp(l.at[i - 1].name, l.at[i].name) : -1;
        if (c == 0)
            return err_set(e, ERR_BAD_INPUT, "label name \"%.*s\" is not unique: invalid sample",
                STR_ARG(l.at[i].name));
        if (c > 0 || !l.at[i].value.n)
            return err_set(
                e, ERR_BAD_INPUT, "labels are not in order, or one is empty: invalid sample");
    }
    if (bytes > x->labels_max_bytes)
        return err_set(
            e, ERR_LIMIT, "labels of %zu bytes: more than %zu", bytes, x->labels_max_bytes);
    for (k->n = 0; k->n < l.n; k->n++) {
        /* series made together are much alike */
        uint32_t none = 0, *like = k->n < SERIES_LIKE_MAX ? &x->last_pairs[k->n] : &none;
        k->pairs[k->n] = pair_of(x, &l.at[k->n], like, room);
        if (!k->pairs[k->n] && !room) return budget_series_error(e);
        if (!k->pairs[k->n]) return err_set(e, ERR_LIMIT, "no room for further label values");
    }
    key_close(x, k);
    return OK;
}

/* As key_of, but nothing is interned: false: no series has these labels. */
static bool key_known(struct series_index *x, struct labels l, struct key *k)
{
    if (l.n > PAIRS_MAX) return false;
    *k = key_room_locked(x, l.n);
    for (k->n = 0; k->n < l.n; k->n++) {
        uint32_t name = symbols_find_name(&x->symbols, l.at[k->n].name);
        k->pairs[k->n] = name ? symbols_find_pair(&x->symbols, name, l.at[k->n].value) : 0;
        if (!k->pairs[k->n]) return false;
    }
    key_close(x, k);
    return true;
}

static uint32_t series_find_locked(struct series_index *x, const struct key *k)
{
    const struct series_table *t = table_of(x, k->hash);
    if (!t->cap) return 0;
    uint32_t hash = (uint32_t)(k->hash >> 32);
    for (uint32_t i = table_home(t, hash); t->at[i]; i = table_next(t, i)) {
        if (t->at[i] >> 32 != hash) continue;
        uint32_t slot = (uint32_t)t->at[i];
        if (labels_bytes_eq(
                pages_at(&x->labels, store_cold(x->store, slot)->labels), k->enc, k->bytes))
            return slot;
    }
    return 0;
}

static void series_set_num(struct series_index *x, snum n, uint32_t slot)
{
    _Atomic uint32_t *_Atomic *page = &x->num_pages[n >> NUM_PAGE_BITS];
    _Atomic uint32_t *at = atomic_load_explicit(page, memory_order_relaxed);
    if (!at) {
        at = mem_zalloc(sizeof(*at) << NUM_PAGE_BITS);
        account_charge(&table_account, (int64_t)sizeof(*at) << NUM_PAGE_BITS);
        atomic_store_explicit(page, at, memory_order_release);
    }
    atomic_store_explicit(&at[n & ((1u << NUM_PAGE_BITS) - 1)], slot, memory_order_release);
}

static void series_add_postings(struct series_index *x, const struct key *k, snum n)
{
    for (size_t i = 0; i < k->n; i++) {
        struct sym_pair *p = symbols_pair_at(&x->symbols, k->pairs[i]);
        postings_append(&p->series, n, x->reclaim);
        postings_append(&symbols_name_at(&x->symbols, p->name)->series, n, x->reclaim);
    }
    postings_append(&x->all, n, x->reclaim);
}

static errc series_make_locked(struct series_index *x, const struct key *k, struct labels l,
    struct wal *wal, sref ref, uint32_t *slot, struct err *e)
{
    uint64_t last_ref = atomic_load_explicit(&x->last_ref, memory_order_relaxed);
    snum num = atomic_load_explicit(&x->last_num, memory_order_relaxed) + 1;
    if (num == UINT32_MAX) return err_set(e, ERR_LIMIT, "no room for further series: restart");
    uint32_t handle = pages_take(&x->labels, k->bytes);
    if (!handle) return err_set(e, ERR_LIMIT, "no room for further label sets");
    sref r = ref ? ref : last_ref + 1;
    errc rc = wal ? wal_series(wal, r, l, e) : OK;
    if (rc != OK) {
        if (pages_give(&x->labels, handle, k->bytes)) pages_free_page(&x->labels, handle >> 16);
        return rc;
    }
    memcpy(pages_at(&x->labels, handle), k->enc, k->bytes);
    if (r > last_ref) atomic_store_explicit(&x->last_ref, r, memory_order_relaxed);

    *slot = slab_take(&x->store->slots);
    struct slot *s = store_slot(x->store, *slot);
    slab_reach(&x->store->cold, *slot);
    *store_cold(x->store, *slot) = (struct cold){ .ref = r, .labels = handle, .num = num };
    slot_set_last_t(s, INT64_MIN);
    slot_flag(s, SLOT_LIVE, 0);
    atomic_store_explicit(&s->generation, series_generation_of(x, num), memory_order_release);
    table_add(table_of(x, k->hash), (uint32_t)(k->hash >> 32), *slot);
    series_set_num(x, num, *slot);
    series_add_postings(x, k, num);
    atomic_store_explicit(&x->last_num, num, memory_order_release);
    atomic_fetch_add_explicit(&x->n_series, 1, memory_order_relaxed);
    return OK;
}

errc series_get(struct series_index *x, struct labels l, struct wal *wal, sref ref, uint32_t *slot,
    bool *made, struct err *e)
{
    struct key k;
    bool room = ref || budget_has_room();      /* what the log has is always taken */
    *made = false;
    atomic_fetch_add_explicit(&x->waiting, 1, memory_order_relaxed);
    mtx_lock(&x->create);
    atomic_fetch_sub_explicit(&x->waiting, 1, memory_order_relaxed);
    errc rc = key_of(x, l, room, &k, e);
    if (rc == OK) {
        *slot = series_find_locked(x, &k);
        if (!*slot && !room) {
            rc = budget_series_error(e);
        } else if (!*slot) {
            rc = series_make_locked(x, &k, l, wal, ref, slot, e);
            *made = rc == OK;
        }
    }
    cond_signal(&x->passed);
    mtx_unlock(&x->create);
    return rc;
}

uint32_t series_find(struct series_index *x, struct labels l)
{
    struct key k;
    mtx_lock(&x->create);
    uint32_t slot = key_known(x, l, &k) ? series_find_locked(x, &k) : 0;
    mtx_unlock(&x->create);
    return slot;
}

void series_reserve_ref(struct series_index *x, sref ref)
{
    mtx_lock(&x->create);
    if (ref > atomic_load_explicit(&x->last_ref, memory_order_relaxed))
        atomic_store_explicit(&x->last_ref, ref, memory_order_relaxed);
    mtx_unlock(&x->create);
}

/* Removal. */

/* For a slice of a long work. A lock that is given back and taken again at once is not fair: who
 * waits to make a series goes first. */
static void series_slice_lock(struct series_index *x) ACQUIRE(x->create)
{
    mtx_lock(&x->create);
    if (atomic_load_explicit(&x->waiting, memory_order_relaxed))
        (void)cond_wait_until(&x->passed, &x->create, clock_mono_ns() + GIVE_WAY_NS);
}

/* No reader can look at the series any more: its labels and its slot are free. */
static void series_end(void *ctx, void *p)
{
    struct series_index *x = ctx;
    uint32_t slot = (uint32_t)(uintptr_t)p, handle = store_cold(x->store, slot)->labels;
    const uint8_t *at, *begin = pages_at(&x->labels, handle);
    series_slice_lock(x);
    for (size_t n = series_pairs(x, handle, &at); n; n--) (void)series_next_pair(&at);
    if (pages_give(&x->labels, handle, (size_t)(at - begin)))
        pages_free_page(&x->labels, handle >> 16);
    slab_give(&x->store->slots, slot);
    mtx_unlock(&x->create);
}

typedef VEC(uint32_t) id_list;

static int id_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void ids_unique(id_list *v)
{
    if (!v->n) return;
    qsort(v->at, v->n, sizeof(*v->at), id_cmp);
    size_t n = 1;
    for (size_t i = 1; i < v->n; i++)
        if (v->at[i] != v->at[n - 1]) v->at[n++] = v->at[i];
    v->n = n;
}

/* Ends the slot if it is still marked and holds nothing: no handle to it is good from here on. */
static bool slot_kill(struct store *st, struct slot *s)
{
    slot_lock(s);
    bool dead = slot_flags(s) & SLOT_DYING && !s->n && !s->sealed && !s->n_closed &&
                !(slot_flags(s) & SLOT_OOO);
    if (dead) {
        atomic_store_explicit(&s->generation, 0, memory_order_release);
        slot_set_stale(st, s, false);
        slot_set_last(st, s, LAST_IS_FLOAT, 0);
        slot_flag(s, 0, SLOT_LIVE | SLOT_DYING);
    }
    slot_unlock(s);
    return dead;
}

/* One series out of the tables, if it is dead; its pairs are noted, its labels and slot go when no
 * reader can look. */
static bool series_unlink_locked(
    struct series_index *x, snum n, struct wal *wal, id_list *pairs, id_list *slots)
{
    uint32_t slot = series_slot_of(x, n);
    if (!slot || !slot_kill(x->store, store_slot(x->store, slot))) return false;
    struct slot *s = store_slot(x->store, slot);
    const struct cold *c = store_cold(x->store, slot);
    const uint8_t *at;
    size_t n_pairs = series_pairs(x, c->labels, &at);
    if (wal) wal_series_end(wal, c->ref);
    struct key k = key_room_locked(x, n_pairs);
    k.n = n_pairs;
    for (size_t i = 0; i < k.n; i++) {
        k.pairs[i] = series_next_pair(&at);
        vec_push(pairs, k.pairs[i]);
    }
    key_close(x, &k);
    table_remove(table_of(x, k.hash), (uint32_t)(k.hash >> 32), slot);
    series_set_num(x, n, 0);
    vec_push(slots, slot);
    slot_lock(s);
    isolation_forget(x->store, s);
    slot_unlock(s);
    atomic_fetch_sub_explicit(&x->n_series, 1, memory_order_relaxed);
    return true;
}

static void remove_from(struct series_index *x, postings *p, const runs *dead)
{
    series_slice_lock(x);
    postings_remove(p, dead, x->reclaim);
    mtx_unlock(&x->create);
}

/* Out of the tables; of each what is to be removed further. */
static void remove_series(struct series_index *x, const runs *nums, struct wal *wal, runs *dead,
    id_list *pairs, id_list *slots)
{
    for (size_t i = 0; i < nums->n; i++) {
        for (snum n = nums->at[i].start; n < nums->at[i].end; n += SERIES_SLICE) {
            series_slice_lock(x);
            for (snum m = n; m < nums->at[i].end && m - n < SERIES_SLICE; m++)
                if (series_unlink_locked(x, m, wal, pairs, slots)) runs_push(dead, m, m + 1);
            mtx_unlock(&x->create);
        }
    }
}

static void remove_pairs(
    struct series_index *x, const id_list *pairs, const runs *dead, id_list *names)
{
    for (size_t i = 0; i < pairs->n; i++) {
        struct sym_pair *p = symbols_pair_at(&x->symbols, pairs->at[i]);
        vec_push(names, p->name);
        remove_from(x, &p->series, dead);
    }
}

static void remove_values(struct series_index *x, uint32_t name)
{
    symbols_place where = NULL;
    do {
        series_slice_lock(x);
        memset(x->last_pairs, 0, sizeof(x->last_pairs));
        symbols_sweep(&x->symbols, name, PAIRS_SLICE, &where);
        mtx_unlock(&x->create);
    } while (where);
}

size_t series_remove(struct series_index *x, const runs *nums, struct wal *wal)
{
    id_list pairs = { 0 }, names = { 0 }, slots = { 0 };
    runs dead = { 0 };
    remove_series(x, nums, wal, &dead, &pairs, &slots);
    ids_unique(&pairs);
    remove_pairs(x, &pairs, &dead, &names);
    ids_unique(&names);
    for (size_t i = 0; i < names.n; i++) {
        remove_from(x, &symbols_name_at(&x->symbols, names.at[i])->series, &dead);
        remove_values(x, names.at[i]);
    }
    remove_from(x, &x->all, &dead);
    for (size_t i = 0; i < slots.n; i++)
        reclaim_retire_heavy(x->reclaim, (void *)(uintptr_t)slots.at[i], x, series_end);
    size_t n = slots.n;
    vec_fini(&pairs);
    vec_fini(&names);
    vec_fini(&slots);
    vec_fini(&dead);
    return n;
}
