#include "base/map.h"

#include "base/mem.h"

#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n) { return XXH3_64bits(n ? p : "", n); }

void map_fini(struct map *m)
{
    mem_free(m->at);
    *m = (struct map){ 0 };
}

static size_t map_home(const struct map *m, uint64_t hash) { return (size_t)(hash & (m->cap - 1)); }

/* Index of the matching entry, or of the empty place where the walk ended. REQUIRES: cap > 0. */
static size_t map_probe(const struct map *m, uint64_t hash, map_eq eq, const void *key)
{
    size_t i = map_home(m, hash);
    while (m->at[i].val) {
        if (m->at[i].hash == hash && (!eq || eq(m->at[i].val, key))) return i;
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

void *map_find(const struct map *m, uint64_t hash, map_eq eq, const void *key)
{
    return m->cap ? m->at[map_probe(m, hash, eq, key)].val : NULL;
}

static void map_place(struct map *m, uint64_t hash, void *val)
{
    size_t i = map_home(m, hash);
    while (m->at[i].val) i = (i + 1) & (m->cap - 1);
    m->at[i] = (struct map_entry){ hash, val };
}

static void map_resize(struct map *m, size_t cap)
{
    struct map old = *m;
    m->cap = cap;
    m->at = mem_zalloc(cap * sizeof(*m->at));
    for (size_t i = 0; i < old.cap; i++)
        if (old.at[i].val) map_place(m, old.at[i].hash, old.at[i].val);
    mem_free(old.at);
}

void map_put(struct map *m, uint64_t hash, void *val)
{
    assert(val);
    if ((m->n + 1) * 4 > m->cap * 3) map_resize(m, m->cap ? m->cap * 2 : 16);
    map_place(m, hash, val);
    m->n++;
}

void *map_remove(struct map *m, uint64_t hash, map_eq eq, const void *key)
{
    if (!m->cap) return NULL;
    size_t hole = map_probe(m, hash, eq, key);
    void *gone = m->at[hole].val;
    if (!gone) return NULL;
    for (size_t i = (hole + 1) & (m->cap - 1); m->at[i].val; i = (i + 1) & (m->cap - 1)) {
        size_t from_home = (i - map_home(m, m->at[i].hash)) & (m->cap - 1);
        size_t from_hole = (i - hole) & (m->cap - 1);
        /* its home lies behind the hole: it must stay */
        if (from_home < from_hole) continue;
        m->at[hole] = m->at[i];
        hole = i;
    }
    m->at[hole] = (struct map_entry){ 0 };
    m->n--;
    return gone;
}

void map_clear(struct map *m)
{
    if (m->cap) memset(m->at, 0, m->cap * sizeof(*m->at));
    m->n = 0;
}

void *map_next(const struct map *m, size_t *i)
{
    while (*i < m->cap) {
        void *val = m->at[(*i)++].val;
        if (val) return val;
    }
    return NULL;
}
