#include "storeapi/outer.h"

#include "base/strs.h"

#include <xxhash.h>

static bool listed(str_list names, str name)
{
    for (size_t i = 0; i < names.n; i++)
        if (str_eq(names.at[i], name)) return true;
    return false;
}

void outer_init(struct outer *o, struct labels external, str_list without, struct arena *a)
{
    struct label *at = arena_array(a, external.n, sizeof(*at));
    *o = (struct outer){ 0 };
    for (size_t i = 0; i < external.n; i++) {
        if (!listed(without, external.at[i].name)) at[o->external.n++] = external.at[i];
        avec_push(a, &o->taken, external.at[i].name);
    }
    for (size_t i = 0; i < without.n; i++) avec_push(a, &o->taken, without.at[i]);
    strs_sort(o->taken.at, o->taken.n);
    o->external.at = at;
    if (o->external.n) o->last = at[o->external.n - 1].name;
}

void outer_memo_fini(struct outer_memo *m)
{
    buf_fini(&m->names);
    vec_fini(&m->lengths);
    vec_fini(&m->places);
    vec_fini(&m->labels);
}

static bool names_known(const struct outer_memo *m, struct labels own)
{
    const uint8_t *at = m->names.p;
    if (!m->known || m->lengths.n != own.n) return false;
    for (size_t i = 0; i < own.n; i++) {
        str name = own.at[i].name;
        if (name.n != m->lengths.at[i] || (name.n && memcmp(at, name.p, name.n) != 0)) return false;
        at += name.n;
    }
    return true;
}

static void names_learn(struct outer_memo *m, const struct outer *o, struct labels own)
{
    size_t k = 0, taken = 0;
    buf_reset(&m->names);
    m->lengths.n = m->places.n = 0;
    m->known = true;
    m->lost = false;
    for (size_t i = 0; i < own.n; i++) {
        str name = own.at[i].name;
        buf_str(&m->names, name);
        vec_push(&m->lengths, name.n);
        for (; k < o->external.n && str_cmp(o->external.at[k].name, name) < 0; k++)
            vec_push(&m->places, own.n + k);
        while (taken < o->taken.n && str_cmp(o->taken.at[taken], name) < 0) taken++;
        if (taken < o->taken.n && str_eq(o->taken.at[taken], name)) m->lost = true;
        else vec_push(&m->places, i);
    }
    for (; k < o->external.n; k++) vec_push(&m->places, own.n + k);
}

struct labels outer_labels(
    struct outer_memo *m, const struct outer *o, struct labels own, bool *lost)
{
    *lost = false;
    if (!o->taken.n) return own;
    if (!names_known(m, own)) names_learn(m, o, own);
    *lost = m->lost;
    vec_reserve(&m->labels, m->places.n);
    m->labels.n = m->places.n;
    for (size_t i = 0; i < m->places.n; i++) {
        size_t k = m->places.at[i];
        m->labels.at[i] = k < own.n ? own.at[k] : o->external.at[k - own.n];
    }
    return (struct labels){ m->labels.at, m->labels.n };
}

bool shard_wants(const struct store_shard *s, struct labels labels, struct buf *scratch)
{
    if (s->total < 1) return true;
    buf_reset(scratch);
    for (size_t i = 0; i < labels.n; i++) {
        if (listed(s->labels, labels.at[i].name) != s->by) continue;
        buf_str(scratch, labels.at[i].name);
        buf_u8(scratch, 0xff);
        buf_str(scratch, labels.at[i].value);
        buf_u8(scratch, 0xff);
    }
    return XXH64(scratch->p, scratch->n, 0) % (uint64_t)s->total == (uint64_t)s->index;
}
