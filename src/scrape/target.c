#include "scrape/target.h"

#include "base/url.h"
#include "base/utf8.h"
#include "model/duration.h"

#include <stdlib.h>

ACCOUNT(acc_targets, "scrape_targets")
ACCOUNT(acc_lines, "scrape_line_cache")

static const str health_names[] = { S("unknown"), S("up"), S("down") };
str health_name(enum health h) { return health_names[h]; }

static const struct { str name; struct metadata meta;
} reports[REPORTS] = {
    { S("up"),
        { TYPE_GAUGE, S("targets"),
            S("Health of the scrape target. 1 means the target is healthy, 0 if the scrape "
              "failed.") } },
    { S("scrape_duration_seconds"),
        { TYPE_GAUGE, S("seconds"), S("Duration of the last scrape in seconds.") } },
    { S("scrape_samples_scraped"),
        { TYPE_GAUGE, S("samples"), S("Number of samples last scraped.") } },
    { S("scrape_samples_post_metric_relabeling"),
        { TYPE_GAUGE, S("samples"),
            S("Number of samples remaining after metric relabeling was applied.") } },
    { S("scrape_series_added"),
        { TYPE_GAUGE, S("series"), S("Number of series in the last scrape.") } },
    { S("scrape_timeout_seconds"),
        { TYPE_GAUGE, S("seconds"), S("The configured scrape timeout for a target.") } },
    { S("scrape_sample_limit"),
        { TYPE_GAUGE, S("samples"),
            S("The configured sample limit for a target. Returns zero if there is no limit "
              "configured.") } },
    { S("scrape_body_size_bytes"),
        { TYPE_GAUGE, S("bytes"),
            S("The uncompressed size of the last scrape response, if successful. Scrapes failing "
              "because body_size_limit is exceeded report -1, other scrape failures report 0.") } },
};
str report_name(enum report r) { return reports[r].name; }
const struct metadata *report_metadata(enum report r) { return &reports[r].meta; }

static void set_default(struct labels_builder *lb, str name, str value)
{
    if (!labels_builder_get(lb, name).n) labels_builder_set(lb, name, value);
}

static str bool_str(bool v) { return v ? S("true") : S("false"); }

static void set_discovered(struct labels_builder *lb, const struct scrape_config *c, str address,
    struct labels group, struct arena *a)
{
    labels_builder_set(lb, S("__address__"), address);
    for (size_t i = 0; i < group.n; i++)
        if (!str_eq(group.at[i].name, S("__address__")))
            set_default(lb, group.at[i].name, group.at[i].value);
    set_default(lb, S("job"), c->job_name);
    set_default(lb, S("__scrape_interval__"), arena_duration(a, c->interval_ms));
    set_default(lb, S("__scrape_timeout__"), arena_duration(a, c->timeout_ms));
    set_default(lb, S("__metrics_path__"), c->metrics_path);
    set_default(lb, S("__scheme__"), c->scheme);
    set_default(lb, S("__scrape_native_histograms__"), bool_str(c->scrape_native_histograms));
    set_default(
        lb, S("__convert_classic_histograms_to_nhcb__"), bool_str(c->convert_classic_histograms));
    set_default(lb, S("__always_scrape_classic_histograms__"),
        bool_str(c->always_scrape_classic_histograms));
    for (size_t i = 0; i < c->n_params; i++)
        if (c->params[i].n_values)
            set_default(lb, arena_fmt(a, "__param_%.*s", STR_ARG(c->params[i].name)),
                c->params[i].values[0]);
}

static errc bad_quoted(struct err *e, const char *fmt, str s)
{
    struct buf q = { 0 };
    buf_go_quote(&q, s);
    buf_u8(&q, 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    err_set(e, ERR_BAD_INPUT, fmt, (const char *)q.p);
#pragma GCC diagnostic pop
    buf_fini(&q);
    return ERR_BAD_INPUT;
}

static errc check_times(const struct labels_builder *lb, struct err *e)
{
    str interval = labels_builder_get(lb, S("__scrape_interval__")),
        timeout = labels_builder_get(lb, S("__scrape_timeout__"));
    int64_t interval_ms, timeout_ms;
    TRY_IN(e, duration_parse(interval, &interval_ms, e), "error parsing scrape interval");
    if (!interval_ms) return err_set(e, ERR_BAD_INPUT, "scrape interval cannot be 0");
    TRY_IN(e, duration_parse(timeout, &timeout_ms, e), "error parsing scrape timeout");
    if (!timeout_ms) return err_set(e, ERR_BAD_INPUT, "scrape timeout cannot be 0");
    if (timeout_ms > interval_ms)
        return err_set(e, ERR_BAD_INPUT,
            "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
            STR_ARG(timeout), STR_ARG(interval));
    return OK;
}

/* The words that Go's strconv.ParseBool takes. */
static bool is_bool_word(str v)
{
    static const str words[] = { S("1"), S("t"), S("T"), S("true"), S("TRUE"), S("True"), S("0"),
        S("f"), S("F"), S("false"), S("FALSE"), S("False") };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(v, words[i])) return true;
    return false;
}

static errc check_switches(const struct labels_builder *lb, struct err *e)
{
    static const struct { str name; const char *words;
    } all[] = {
        { S("__convert_classic_histograms_to_nhcb__"),
            "error parsing convert classic histograms to nhcb: strconv.ParseBool: parsing %s: "
            "invalid syntax" },
        { S("__always_scrape_classic_histograms__"),
            "error parsing always scrape classic histograms: strconv.ParseBool: parsing %s: "
            "invalid syntax" },
        { S("__scrape_native_histograms__"), "error parsing scrape native histograms: "
                                             "strconv.ParseBool: parsing %s: invalid syntax" },
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        str v = labels_builder_get(lb, all[i].name);
        if (v.n && !is_bool_word(v)) return bad_quoted(e, all[i].words, v);
    }
    return OK;
}

static struct labels without_prefix(struct labels l, str prefix, struct arena *a)
{
    struct label *kept = arena_array(a, l.n + 1, sizeof(*kept));
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        if (!str_has_prefix(l.at[i].name, prefix)) kept[n++] = l.at[i];
    return (struct labels){ kept, n };
}

/* A format for bad_quoted: what the name has of '%' is written twice. */
static const char *bad_value_format(str name, struct arena *a)
{
    struct buf b = { 0 };
    buf_str(&b, S("invalid label value for "));
    size_t from = b.n;
    buf_go_quote(&b, name);
    str quoted = arena_str(a, str_from(buf_view(&b), from));
    b.n = from;
    for (size_t i = 0; i < quoted.n; i++) {
        buf_u8(&b, quoted.p[i]);
        if (quoted.p[i] == '%') buf_u8(&b, '%');
    }
    buf_str(&b, S(": %s"));
    char *format = arena_cstr(a, buf_view(&b));
    buf_fini(&b);
    return format;
}

static errc target_finish(
    struct labels *out, struct labels_builder *lb, struct arena *a, struct err *e)
{
    str address = labels_builder_get(lb, S("__address__"));
    if (!address.n) return err_set(e, ERR_BAD_INPUT, "no address");
    if (str_index(address, '/') != SIZE_MAX)
        return bad_quoted(e, "%s is not a valid hostname", address);
    TRY(check_times(lb, e));
    TRY(check_switches(lb, e));
    set_default(lb, S("instance"), address);
    *out = without_prefix(labels_builder_done(lb), S("__meta_"), a);
    for (size_t i = 0; i < out->n; i++)
        if (!utf8_valid(out->at[i].value))
            return bad_quoted(e, bad_value_format(out->at[i].name, a), out->at[i].value);
    return OK;
}

errc target_labels(struct labels *out, struct labels *discovered, bool *keep,
    const struct scrape_config *c, str address, struct labels group, struct arena *a, struct err *e)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    set_discovered(&lb, c, address, group, a);
    *discovered = labels_builder_done(&lb);
    *out = (struct labels){ 0 };
    *keep = relabel_apply(c->relabel, &lb);
    return *keep ? target_finish(out, &lb, a, e) : OK;
}

struct url_param { str name, value; size_t order; };
static int url_param_order(const void *a, const void *b)
{
    const struct url_param *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* The parameters of the configuration, their first values replaced by __param_ labels, sorted by
 * name. */
static void put_query(struct buf *b, struct labels l, const struct scrape_config *c)
{
    VEC(struct url_param) all = { 0 };
    for (size_t i = 0; i < c->n_params; i++)
        for (size_t k = 0; k < c->params[i].n_values; k++)
            vec_push(&all, ((struct url_param){ c->params[i].name, c->params[i].values[k], k }));
    for (size_t i = 0; i < l.n; i++) {
        if (!str_has_prefix(l.at[i].name, S("__param_"))) continue;
        str name = str_from(l.at[i].name, S("__param_").n);
        bool found = false;
        for (size_t k = 0; k < all.n && !found; k++) {
            found = str_eq(all.at[k].name, name) && all.at[k].order == 0;
            if (found) all.at[k].value = l.at[i].value;
        }
        if (!found) vec_push(&all, ((struct url_param){ name, l.at[i].value, 0 }));
    }
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), url_param_order);
    for (size_t i = 0; i < all.n; i++) {
        buf_u8(b, i ? '&' : '?');
        buf_url_escape(b, all.at[i].name, URL_QUERY);
        buf_u8(b, '=');
        buf_url_escape(b, all.at[i].value, URL_QUERY);
    }
    vec_fini(&all);
}

static str target_url(struct labels l, const struct scrape_config *c, struct arena *a)
{
    struct buf b = { 0 };
    str path = labels_get(l, S("__metrics_path__")), scheme = labels_get(l, S("__scheme__"));
    buf_str(&b, scheme);
    buf_str(&b, scheme.n ? S("://") : S("//"));
    buf_url_escape(&b, labels_get(l, S("__address__")), URL_HOST);
    if (path.n && path.p[0] != '/') buf_u8(&b, '/');
    buf_url_escape(&b, path, URL_PATH);
    put_query(&b, l, c);
    str url = arena_str(a, buf_view(&b));
    buf_fini(&b);
    return url;
}

static uint64_t hash_target(struct labels l, str url)
{
    uint64_t parts[2] = { labels_hash(l), hash_str(url) };
    return hash_bytes(parts, sizeof(parts));
}

uint64_t target_hash_of(struct labels labels, const struct scrape_config *c, struct arena *a)
{
    return hash_target(labels, target_url(labels, c, a));
}

/* REQUIRES: the label is absent or a word that target_labels let through */
static bool switch_of(struct labels l, str name, bool otherwise)
{
    str v = labels_get(l, name);
    return v.n ? v.p[0] == '1' || v.p[0] == 't' || v.p[0] == 'T' : otherwise;
}

struct target *target_new(
    const struct scrape_config *c, struct labels labels, struct labels discovered)
{
    struct target *t = NEW(struct target);
    arena_init(&t->arena, &acc_targets, 0);
    arena_init(&t->discovered_arena, &acc_targets, 0);
    meta_cache_init(&t->meta, &acc_targets);
    mtx_init(&t->mu, LOCK_LEAF);
    atomic_init(&t->refs, 1);
    t->config = c;
    t->labels = labels_copy(&t->arena, labels);
    t->public_labels = without_prefix(t->labels, S("__"), &t->arena);
    t->url = target_url(t->labels, c, &t->arena);
    t->unix_socket = labels_get(t->labels, S("__unix_socket__"));
    t->native_histograms =
        switch_of(labels, S("__scrape_native_histograms__"), c->scrape_native_histograms);
    t->classic_histograms = switch_of(
        labels, S("__always_scrape_classic_histograms__"), c->always_scrape_classic_histograms);
    t->convert_histograms = switch_of(
        labels, S("__convert_classic_histograms_to_nhcb__"), c->convert_classic_histograms);
    t->hash = hash_target(t->labels, t->url);
    bool ok =
        duration_parse(labels_get(labels, S("__scrape_interval__")), &t->interval_ms, NULL) == OK &&
        duration_parse(labels_get(labels, S("__scrape_timeout__")), &t->timeout_ms, NULL) == OK;
    assert(ok);                                                /* target_labels checked them */
    (void)ok;
    t->discovered = labels_copy(&t->discovered_arena, discovered);
    t->cache = line_cache_new(&acc_lines);
    return t;
}

struct target *target_ref(struct target *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void target_unref(struct target *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1) return;
    line_cache_free(t->cache);
    meta_cache_fini(&t->meta);
    buf_fini(&t->shown.error);
    mtx_fini(&t->mu);
    arena_fini(&t->discovered_arena);
    arena_fini(&t->arena);
    mem_free(t);
}

void target_set_discovered(struct target *t, struct labels discovered)
{
    mtx_lock(&t->mu);
    if (!labels_eq(t->discovered, discovered)) {
        arena_reset(&t->discovered_arena, (struct arena_mark){ 0 });
        t->discovered = labels_copy(&t->discovered_arena, discovered);
    }
    mtx_unlock(&t->mu);
}

void target_show(struct target *t, int64_t scraped_ns, double duration_s, const struct err *failed)
{
    mtx_lock(&t->mu);
    t->shown.health = failed ? HEALTH_DOWN : HEALTH_UP;
    t->shown.scraped_ns = scraped_ns;
    t->shown.duration_s = duration_s;
    buf_reset(&t->shown.error);
    if (failed) buf_str(&t->shown.error, err_str(failed));
    mtx_unlock(&t->mu);
}

int64_t target_offset_ms(const struct target *t, uint64_t seed, int64_t now_ms)
{
    int64_t base = t->interval_ms - now_ms % t->interval_ms;
    int64_t next = base + (int64_t)((t->hash ^ seed) % (uint64_t)t->interval_ms);
    return next > t->interval_ms ? next - t->interval_ms : next;
}
