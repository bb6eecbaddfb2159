#include "scrape/meta_cache.h"

enum { WASTE_BYTES = 64 << 10 };

void meta_cache_init(struct meta_cache *c, struct account *account)
{
    mtx_init(&c->mu, LOCK_LEAF);
    arena_init(&c->a, account, 0);
}

void meta_cache_fini(struct meta_cache *c)
{
    map_fini(&c->by_name);
    arena_fini(&c->a);
    mtx_fini(&c->mu);
}

static bool family_eq(const void *val, const void *key)
{
    return str_eq(((const struct meta_family *)val)->name, *(const str *)key);
}

static size_t family_said(const struct meta_family *f)
{
    return f->help.n + f->unit.n + metric_type_name(f->type).n;
}
static size_t family_live(const struct meta_family *f)
{
    return sizeof(*f) + f->name.n + f->help.n + f->unit.n;
}

static void count_off(struct meta_cache *c, const struct meta_family *f)
{
    c->said_bytes -= family_said(f);
    c->live_bytes -= family_live(f);
}

static void count_in(struct meta_cache *c, const struct meta_family *f)
{
    c->said_bytes += family_said(f);
    c->live_bytes += family_live(f);
}

/* NULL: there are too many. */
static struct meta_family *family_of(struct meta_cache *c, str name)
{
    uint64_t hash = hash_str(name);
    struct meta_family *f = map_find(&c->by_name, hash, family_eq, &name);
    if (!f && c->by_name.n < META_MAX) {
        f = ANEW(&c->a, struct meta_family);
        f->name = arena_str(&c->a, name);
        map_put(&c->by_name, hash, f);
        count_in(c, f);
    }
    if (f) f->seen = c->pages;
    return f;
}

bool meta_cache_type(struct meta_cache *c, str name, enum metric_type type)
{
    mtx_lock(&c->mu);
    struct meta_family *f = family_of(c, name);
    bool changed = f && f->type != type;
    if (changed) {
        count_off(c, f);
        f->type = type;
        count_in(c, f);
    }
    mtx_unlock(&c->mu);
    return changed;
}

static bool text_set(struct meta_cache *c, struct meta_family *f, str *text, str to)
{
    if (str_eq(*text, to)) return false;
    count_off(c, f);
    *text = arena_str(&c->a, to);
    count_in(c, f);
    return true;
}

bool meta_cache_help(struct meta_cache *c, str name, str help)
{
    mtx_lock(&c->mu);
    struct meta_family *f = family_of(c, name);
    bool changed = f && text_set(c, f, &f->help, help);
    mtx_unlock(&c->mu);
    return changed;
}

bool meta_cache_unit(struct meta_cache *c, str name, str unit)
{
    mtx_lock(&c->mu);
    struct meta_family *f = family_of(c, name);
    bool changed = f && text_set(c, f, &f->unit, unit);
    mtx_unlock(&c->mu);
    return changed;
}

bool meta_cache_stays(struct meta_cache *c, uint64_t name_hash)
{
    mtx_lock(&c->mu);
    struct meta_family *f = map_find(&c->by_name, name_hash, NULL, NULL);
    if (f) f->seen = c->pages;
    mtx_unlock(&c->mu);
    return f != NULL;
}

static bool family_old(const struct meta_cache *c, const struct meta_family *f)
{
    return c->pages - f->seen > META_KEPT;
}

static void family_copy(struct arena *a, struct meta_family *to, const struct meta_family *from)
{
    *to = *from;
    to->name = arena_str(a, from->name);
    to->help = arena_str(a, from->help);
    to->unit = arena_str(a, from->unit);
}

bool meta_cache_find(struct meta_cache *c, str name, struct arena *a, struct meta_family *out)
{
    mtx_lock(&c->mu);
    const struct meta_family *f = map_find(&c->by_name, hash_str(name), family_eq, &name);
    if (f) family_copy(a, out, f);
    mtx_unlock(&c->mu);
    return f != NULL;
}

/* What is still used moves to an arena of its own. */
static void cache_rebuild(struct meta_cache *c)
{
    struct arena old_arena = c->a;
    struct map old = c->by_name;
    arena_init(&c->a, old_arena.acc, 0);
    c->by_name = (struct map){ 0 };
    c->said_bytes = c->live_bytes = 0;
    struct meta_family *f;
    for (size_t i = 0; (f = map_next(&old, &i)) != NULL;) {
        if (family_old(c, f)) continue;
        struct meta_family *copy = ANEW(&c->a, struct meta_family);
        family_copy(&c->a, copy, f);
        map_put(&c->by_name, hash_str(copy->name), copy);
        count_in(c, copy);
    }
    map_fini(&old);
    arena_fini(&old_arena);
}

void meta_cache_page(struct meta_cache *c, bool whole)
{
    mtx_lock(&c->mu);
    bool old = c->a.used > 2 * c->live_bytes + WASTE_BYTES;
    struct meta_family *f;
    for (size_t i = 0; whole && !old && (f = map_next(&c->by_name, &i)) != NULL;)
        old = family_old(c, f);
    if (whole && old) cache_rebuild(c);
    c->pages++;
    mtx_unlock(&c->mu);
}

struct meta_size meta_cache_size(struct meta_cache *c)
{
    mtx_lock(&c->mu);
    struct meta_size s = { c->by_name.n, c->said_bytes };
    mtx_unlock(&c->mu);
    return s;
}

size_t meta_cache_list(struct meta_cache *c, struct arena *a, struct meta_family **out)
{
    mtx_lock(&c->mu);
    size_t n = 0;
    struct meta_family *all = arena_array(a, c->by_name.n + 1, sizeof(*all)), *f;
    for (size_t i = 0; (f = map_next(&c->by_name, &i)) != NULL;) family_copy(a, &all[n++], f);
    mtx_unlock(&c->mu);
    *out = all;
    return n;
}
