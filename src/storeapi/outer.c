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

struct labels outer_labels(
    const struct outer *o, struct labels own, struct arena *a, bool *lost)
{
    *lost = false;
    if (!o->taken.n) return own;
    struct label *at = arena_array(a, own.n + o->external.n, sizeof(*at));
    size_t n = 0, k = 0, taken = 0;
    for (size_t i = 0; i < own.n; i++) {
        str name = own.at[i].name;
        while (k < o->external.n && str_cmp(o->external.at[k].name, name) < 0)
            at[n++] = o->external.at[k++];
        while (taken < o->taken.n && str_cmp(o->taken.at[taken], name) < 0) taken++;
        if (taken < o->taken.n && str_eq(o->taken.at[taken], name)) *lost = true;
        else at[n++] = own.at[i];
    }
    while (k < o->external.n) at[n++] = o->external.at[k++];
    return (struct labels){ at, n };
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
