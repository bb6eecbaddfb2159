#include "head/symbols.h"

#include "base/prng.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

ACCOUNT(symbols_account, "symbols")

enum { INDEX_CAP_MIN = 64 };

static size_t text_put_len(uint8_t at[10], size_t len)
{
    size_t n = 0;
    for (; len >= 0x80; len >>= 7) at[n++] = (uint8_t)(len | 0x80);
    at[n++] = (uint8_t)len;
    return n;
}

static uint32_t symbols_add_text(struct symbols *s, str v)
{
    uint8_t len[10];
    size_t n = text_put_len(len, v.n);
    uint32_t h = pages_take(&s->text, n + v.n);
    if (!h) return 0;
    uint8_t *at = pages_at(&s->text, h);
    memcpy(at, len, n);
    if (v.n) memcpy(at + n, v.p, v.n);
    return h;
}

void symbols_init(struct symbols *s, struct reclaim *rc)
{
    *s = (struct symbols){ .reclaim = rc };
    mtx_init(&s->mu, LOCK_HEAD_SYMBOLS);
    slab_init(&s->names, &symbols_account, sizeof(struct sym_name));
    slab_init(&s->pairs, &symbols_account, sizeof(struct sym_pair));
    pages_init(&s->text, &symbols_account);
    prng_secret(&s->seed, sizeof(s->seed));
}

static void index_fini(struct id_index *x)
{
    account_charge(&symbols_account, -(int64_t)x->cap * (int64_t)sizeof(*x->at));
    mem_free(x->at);
}

void symbols_fini(struct symbols *s)
{
    for (uint32_t k = 0; k < PAIR_INDEXES; k++)
        for (uint32_t i = 0; i < s->by_pair[k].cap; i++)
            if (s->by_pair[k].at[i])
                postings_fini(&symbols_pair_at(s, s->by_pair[k].at[i])->series);
    for (uint32_t i = 1; i <= symbols_n_names(s); i++)
        postings_fini(&symbols_name_at(s, i)->series);
    index_fini(&s->by_name);
    for (unsigned k = 0; k < PAIR_INDEXES; k++) index_fini(&s->by_pair[k]);
    pages_fini(&s->text);
    slab_fini(&s->names);
    slab_fini(&s->pairs);
    mtx_fini(&s->mu);
}

uint32_t symbols_n_names(const struct symbols *s)
{
    return atomic_load_explicit(&s->first_name, memory_order_acquire);
}

/* The table keeps entries in the order of their hashes as far as probing allows: growing by a
 * quarter is a sweep, not a shuffle. */
static uint32_t index_home(const struct id_index *x, uint32_t hash)
{
    return (uint32_t)(((uint64_t)hash * x->cap) >> 32);
}
static uint32_t index_next(const struct id_index *x, uint32_t i)
{
    return i + 1 == x->cap ? 0 : i + 1;
}

static uint32_t symbols_hash_of(const struct symbols *s, const struct id_index *x, uint32_t id)
{
    return x == &s->by_name ? symbols_name_at(s, id)->hash : symbols_pair_at(s, id)->hash;
}

static void index_put(struct id_index *x, uint32_t hash, uint32_t id)
{
    uint32_t i = index_home(x, hash);
    while (x->at[i]) i = index_next(x, i);
    x->at[i] = id;
    x->n++;
}

static void symbols_index_add(struct symbols *s, struct id_index *x, uint32_t hash, uint32_t id)
{
    if (!x->cap || x->n >= x->cap - x->cap / 5) {
        struct id_index g = { .cap = x->cap ? x->cap + x->cap / 4 : INDEX_CAP_MIN };
        g.at = mem_zalloc(g.cap * sizeof(*g.at));
        account_charge(&symbols_account, (int64_t)g.cap * (int64_t)sizeof(*g.at));
        for (uint32_t i = 0; i < x->cap; i++)
            if (x->at[i]) index_put(&g, symbols_hash_of(s, x, x->at[i]), x->at[i]);
        index_fini(x);
        *x = g;
    }
    index_put(x, hash, id);
}

/* Removes by shifting back what would not be found behind a hole. */
static void symbols_index_remove(struct symbols *s, struct id_index *x, uint32_t hash, uint32_t id)
{
    uint32_t i = index_home(x, hash);
    while (x->at[i] != id) i = index_next(x, i);
    for (uint32_t j = index_next(x, i); x->at[j]; j = index_next(x, j)) {
        uint32_t home = index_home(x, symbols_hash_of(s, x, x->at[j]));
        bool stays = i <= j ? i < home && home <= j : i < home || home <= j;
        if (stays) continue;
        x->at[i] = x->at[j];
        i = j;
    }
    x->at[i] = 0;
    x->n--;
}

static uint32_t symbols_hash(const struct symbols *s, uint32_t name, str v)
{
    return (uint32_t)(XXH3_64bits_withSeed(v.p, v.n, s->seed + name) >> 32);
}

static uint32_t symbols_find_name_locked(struct symbols *s, str name, uint32_t hash)
{
    if (!s->by_name.cap) return 0;
    for (uint32_t i = index_home(&s->by_name, hash); s->by_name.at[i];
         i = index_next(&s->by_name, i)) {
        uint32_t id = s->by_name.at[i];
        if (symbols_name_at(s, id)->hash == hash && str_eq(symbols_name(s, id), name)) return id;
    }
    return 0;
}

static uint32_t symbols_find_pair_locked(struct symbols *s, uint32_t name, str value, uint32_t hash)
{
    const struct id_index *x = &s->by_pair[hash % PAIR_INDEXES];
    if (!x->cap) return 0;
    for (uint32_t i = index_home(x, hash); x->at[i]; i = index_next(x, i)) {
        const struct sym_pair *p = symbols_pair_at(s, x->at[i]);
        if (p->hash == hash && p->name == name && str_eq(symbols_text(s, p->text), value))
            return x->at[i];
    }
    return 0;
}

uint32_t symbols_find_name(struct symbols *s, str name)
{
    uint32_t hash = symbols_hash(s, 0, name);
    mtx_lock(&s->mu);
    uint32_t id = symbols_find_name_locked(s, name, hash);
    mtx_unlock(&s->mu);
    return id;
}

uint32_t symbols_find_pair(struct symbols *s, uint32_t name, str value)
{
    uint32_t hash = symbols_hash(s, name, value);
    mtx_lock(&s->mu);
    uint32_t id = symbols_find_pair_locked(s, name, value, hash);
    mtx_unlock(&s->mu);
    return id;
}

/* Names are few and never go: a name without pairs costs 32 bytes and its text. */
static uint32_t symbols_add_name_locked(struct symbols *s, str name, uint32_t hash)
{
    uint32_t text = symbols_add_text(s, name);
    if (!text) return 0;
    uint32_t id = slab_take(&s->names);
    assert(id == symbols_n_names(s) + 1);
    struct sym_name *n = symbols_name_at(s, id);
    n->text = text;
    n->hash = hash;
    symbols_index_add(s, &s->by_name, hash, id);
    atomic_store_explicit(&s->first_name, id, memory_order_release);
    return id;
}

static uint32_t symbols_add_pair_locked(struct symbols *s, uint32_t name, str value, uint32_t hash)
{
    uint32_t text = symbols_add_text(s, value);
    if (!text) return 0;
    uint32_t id = slab_take(&s->pairs);
    struct sym_pair *p = symbols_pair_at(s, id);
    struct sym_name *n = symbols_name_at(s, name);
    p->text = text;
    p->hash = hash;
    p->begins = text_begins(value);
    p->name = name;
    atomic_store_explicit(
        &p->next, atomic_load_explicit(&n->first_pair, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(&n->first_pair, id, memory_order_release);
    atomic_fetch_add_explicit(&n->n_pairs, 1, memory_order_relaxed);
    n->value_bytes += value.n;
    symbols_index_add(s, &s->by_pair[hash % PAIR_INDEXES], hash, id);
    return id;
}

static uint32_t symbols_pair_locked(struct symbols *s, uint32_t name, str value)
{
    uint32_t hash = symbols_hash(s, name, value),
             id = symbols_find_pair_locked(s, name, value, hash);
    return id ? id : symbols_add_pair_locked(s, name, value, hash);
}

uint32_t symbols_intern(struct symbols *s, str name, str value)
{
    uint32_t name_hash = symbols_hash(s, 0, name);
    mtx_lock(&s->mu);
    uint32_t n = symbols_find_name_locked(s, name, name_hash), id = 0;
    if (!n) n = symbols_add_name_locked(s, name, name_hash);
    if (n) id = symbols_pair_locked(s, n, value);
    mtx_unlock(&s->mu);
    return id;
}

uint32_t symbols_intern_like(struct symbols *s, uint32_t like, str name, str value)
{
    if (!like) return symbols_intern(s, name, value);
    const struct sym_pair *p = symbols_pair_at(s, like);
    if (!str_eq(symbols_name(s, p->name), name)) return symbols_intern(s, name, value);
    if (str_eq(symbols_text(s, p->text), value)) return like;
    mtx_lock(&s->mu);
    uint32_t id = symbols_pair_locked(s, p->name, value);
    mtx_unlock(&s->mu);
    return id;
}

/* The last reader that could see the pair is gone. */
static void pair_end(void *ctx, void *p)
{
    struct symbols *s = ctx;
    uint32_t id = (uint32_t)(uintptr_t)p;
    mtx_lock(&s->mu);
    struct sym_pair *pair = symbols_pair_at(s, id);
    str text = symbols_text(s, pair->text);
    uint8_t len[10];
    if (pages_give(&s->text, pair->text, text_put_len(len, text.n) + text.n))
        pages_free_page(&s->text, pair->text >> 16);
    slab_give(&s->pairs, id);
    mtx_unlock(&s->mu);
}

/* A pair that stays leads to those behind it; fresh ones come before all. */
void symbols_sweep(struct symbols *s, uint32_t name, size_t max, symbols_place *where)
{
    struct sym_name *n = symbols_name_at(s, name);
    VEC(uint32_t) gone = { 0 };
    mtx_lock(&s->mu);
    symbols_place link = *where ? *where : &n->first_pair;
    uint32_t id = atomic_load_explicit(link, memory_order_relaxed);
    for (; id && max; max--, id = atomic_load_explicit(link, memory_order_relaxed)) {
        struct sym_pair *p = symbols_pair_at(s, id);
        if (postings_count(&p->series)) {
            link = &p->next;
            continue;
        }
        atomic_store_explicit(
            link, atomic_load_explicit(&p->next, memory_order_relaxed), memory_order_release);
        atomic_fetch_sub_explicit(&n->n_pairs, 1, memory_order_relaxed);
        n->value_bytes -= symbols_text(s, p->text).n;
        symbols_index_remove(s, &s->by_pair[p->hash % PAIR_INDEXES], p->hash, id);
        vec_push(&gone, id);
    }
    mtx_unlock(&s->mu);
    *where = id ? link : NULL;
    for (size_t i = 0; i < gone.n; i++)
        reclaim_retire_heavy(s->reclaim, (void *)(uintptr_t)gone.at[i], s, pair_end);
    vec_fini(&gone);
}

uint64_t symbols_bytes(const struct symbols *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= symbols_n_names(s); i++)
        sum += symbols_name(s, i).n + symbols_name_at(s, i)->value_bytes;
    return sum;
}
