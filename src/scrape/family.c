#include "scrape/family.h"

void family_init(struct family *f, struct meta_cache *cache)
{
    *f = (struct family){ .cache = cache };
    arena_init(&f->a, NULL, 0);
}

void family_fini(struct family *f) { arena_fini(&f->a); }

void family_named(struct family *f, str name, bool changed)
{
    bool same = str_eq(f->name, name);
    f->changed = changed || (same && f->changed);
    f->name = name;
    f->found = false;
}

static str without(str name, str suffix)
{
    return str_has_suffix(name, suffix) ? str_slice(name, 0, name.n - suffix.n) : name;
}

bool family_has(str family, enum metric_type type, str series_name)
{
    static const struct {
        enum metric_type type;
        str suffixes[3];
        bool of_family;
    } all[] = {
        { TYPE_COUNTER, { S("_total") }, true },
        { TYPE_HISTOGRAM, { S("_bucket"), S("_sum"), S("_count") }, false },
        { TYPE_GAUGE_HISTOGRAM, { S("_bucket"), S("_gsum"), S("_gcount") }, false },
        { TYPE_SUMMARY, { S("_sum"), S("_count") }, false },
        { TYPE_INFO, { S("_info") }, true },
    };
    if (!str_has_prefix(series_name, family)) return false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].type != type) continue;
        str base = series_name;
        for (size_t k = 0; k < 3 && base.n == series_name.n && all[i].suffixes[k].n; k++)
            base = without(series_name, all[i].suffixes[k]);
        if (all[i].of_family) family = without(family, all[i].suffixes[0]);
        return str_eq(base, family);
    }
    return str_eq(series_name, family);
}

void family_tell(struct family *f, str series_name, struct appender *app, series_handle h)
{
    if (!f->name.n) return;
    if (!f->found) {
        arena_reset(&f->a, (struct arena_mark){ 0 });
        f->found = meta_cache_find(f->cache, f->name, &f->a, &f->meta);
    }
    if (!f->found || !family_has(f->name, f->meta.type, series_name)) return;
    struct metadata m = { f->meta.type, f->meta.unit, f->meta.help };
    (void)app->ops->metadata(app, h, &m, NULL);
}
