/* stats.c — the head in figures: /api/v1/status/tsdb, and gauges that are read when they are asked
 * for. */
#include "base/log.h"
#include "head/chunk_disk.h"
#include "head/head_impl.h"

#include <stdlib.h>

/* Counters that several modules of the room count: COUNTER() makes static ones. */
#define SHARED_COUNTER(var, name_, help_) \
    struct metric_family var = { .name = (name_), .help = (help_), .kind = METRIC_COUNTER }; \
    __attribute__((constructor)) static void var##_register(void) { metric_register(&var); }

SHARED_COUNTER(head_chunks_created, "prometheus_tsdb_head_chunks_created_total",
    "Total number of chunks created in the head")
SHARED_COUNTER(head_chunks_removed, "prometheus_tsdb_head_chunks_removed_total",
    "Total number of chunks removed in the head")
SHARED_COUNTER(head_series_created, "prometheus_tsdb_head_series_created_total",
    "Total number of series created in the head")
SHARED_COUNTER(head_series_removed, "prometheus_tsdb_head_series_removed_total",
    "Total number of series removed in the head")

/* What cannot happen, or not yet; dashboards ask for it all the same. A truncation takes memory
 * only. */
COUNTER(truncations_failed, "prometheus_tsdb_head_truncations_failed_total",
    "Total number of head truncations that failed.")
COUNTER(not_found, "prometheus_tsdb_head_series_not_found_total",
    "Total number of requests for series that were not found.")

COUNTER(m_left_out, "epimetheus_head_damage_met_total",
    "Damaged chunks of the head's files that were met while serving and left out.")

bool head_leaves_out(struct left_out *l, errc rc, const struct err *why)
{
    if (!l || rc != ERR_CORRUPT) return false;
    metric_inc(&m_left_out);
    LOG_LIMITED(WARN, LEFT_OUT_WARN_EVERY_MS, "a damaged chunk of the head is left out",
        kv_err(why));
    left_out_add(l, S("head"), STR_EMPTY, why);
    return true;
}

/* Gauges are read when they are asked for, from the head that was opened last: a process has
 * one. */
static struct head *_Atomic shown;

#define HEAD_GAUGE(id, kind_, name_, help_, expr) \
    static double read_##id(void *ctx) \
    { \
        (void)ctx; \
        struct head *h = atomic_load_explicit(&shown, memory_order_acquire); \
        return h ? (double)(expr) : 0; \
    } \
    METRIC_DEFINE(id, kind_, name_, help_, .read = read_##id)

#define RELAXED(x) atomic_load_explicit(&(x), memory_order_relaxed)
HEAD_GAUGE(gauge_series, METRIC_GAUGE, "prometheus_tsdb_head_series",
    "Total number of series in the head block.", head_series_count(h))
HEAD_GAUGE(gauge_chunks, METRIC_GAUGE, "prometheus_tsdb_head_chunks",
    "Total number of chunks in the head block.", RELAXED(h->n_chunks))
HEAD_GAUGE(gauge_active, METRIC_GAUGE, "prometheus_tsdb_head_active_appenders",
    "Number of currently active appender transactions", RELAXED(h->n_active))
HEAD_GAUGE(gauge_max, METRIC_GAUGE, "prometheus_tsdb_head_max_time",
    "Maximum timestamp of the head block. The unit is decided by the library consumer.",
    head_max_time(h))
HEAD_GAUGE(gauge_min, METRIC_GAUGE, "prometheus_tsdb_head_min_time",
    "Minimum time bound of the head block. The unit is decided by the library consumer.",
    head_min_time(h))
HEAD_GAUGE(gauge_max_s, METRIC_GAUGE, "prometheus_tsdb_head_max_time_seconds",
    "Maximum timestamp of the head block.", head_max_time(h) / 1000)
HEAD_GAUGE(gauge_min_s, METRIC_GAUGE, "prometheus_tsdb_head_min_time_seconds",
    "Minimum time bound of the head block.", head_min_time(h) / 1000)
HEAD_GAUGE(gauge_low, METRIC_GAUGE, "prometheus_tsdb_isolation_low_watermark",
    "The lowest TSDB append ID that is still referenced.", isolation_low(&h->isolation))
HEAD_GAUGE(gauge_high, METRIC_GAUGE, "prometheus_tsdb_isolation_high_watermark",
    "The highest TSDB append ID that has been given out.", isolation_high(&h->isolation))
HEAD_GAUGE(gauge_stale, METRIC_GAUGE, "prometheus_tsdb_head_stale_series",
    "Total number of stale series in the head block.", RELAXED(h->store.n_stale))
HEAD_GAUGE(gauge_histograms, METRIC_GAUGE, "prometheus_tsdb_head_native_histogram_series",
    "Number of series whose most recent in-order sample is a native histogram.",
    RELAXED(h->store.n_hist))
HEAD_GAUGE(gauge_buckets, METRIC_GAUGE, "prometheus_tsdb_head_native_histogram_buckets",
    "Number of positive and negative bucket entries in the most recent in-order native histogram "
    "sample of each series, including entries carried by staleness markers.",
    RELAXED(h->store.n_hist_buckets))
HEAD_GAUGE(gauge_chunk_files, METRIC_GAUGE, "prometheus_tsdb_head_chunks_storage_size_bytes",
    "Size of the chunks_head directory.", h->opts.disk ? chunk_disk_bytes(h->opts.disk) : 0)
HEAD_GAUGE(gauge_lowest, METRIC_GAUGE, "prometheus_tsdb_lowest_timestamp",
    "Lowest timestamp value stored in the database. The unit is decided by the library consumer.",
    head_min_time(h))
HEAD_GAUGE(gauge_lowest_s, METRIC_GAUGE, "prometheus_tsdb_lowest_timestamp_seconds",
    "Lowest timestamp value stored in the database.", head_min_time(h) / 1000)
HEAD_GAUGE(gauge_symbols, METRIC_GAUGE, "epimetheus_head_symbols_bytes",
    "Bytes of label names and values in the head.", symbols_bytes(&h->series.symbols))

void head_show(struct head *h) { atomic_store_explicit(&shown, h, memory_order_release); }
void head_hide(struct head *h)
{
    (void)atomic_compare_exchange_strong_explicit(
        &shown, &h, NULL, memory_order_acq_rel, memory_order_relaxed);
}

/* The greatest `limit` seen so far, as a heap whose root is the least of them. */
struct top { struct head_stat *at; size_t n, limit; };

/* Greater values first, equal ones by name. */
static int stat_cmp(const void *a, const void *b)
{
    const struct head_stat *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static void top_sink(struct top *t, size_t i)
{
    for (;;) {
        size_t last = i, l = 2 * i + 1, r = l + 1;
        if (l < t->n && stat_cmp(&t->at[l], &t->at[last]) > 0) last = l;
        if (r < t->n && stat_cmp(&t->at[r], &t->at[last]) > 0) last = r;
        if (last == i) return;
        struct head_stat x = t->at[i];
        t->at[i] = t->at[last];
        t->at[last] = x;
        i = last;
    }
}

static bool top_wants(const struct top *t, struct head_stat s)
{
    return t->n < t->limit || (t->limit && stat_cmp(&s, &t->at[0]) < 0);
}

static void top_add(struct top *t, struct head_stat s)
{
    if (!top_wants(t, s)) return;
    if (t->n == t->limit) {
        t->at[0] = s;
        top_sink(t, 0);
        return;
    }
    t->at[t->n++] = s;
    for (size_t i = t->n; i-- > 0;) top_sink(t, i);            /* few, and only until it is full */
}

static void top_init(struct top *t, size_t limit, struct arena *a)
{
    *t = (struct top){ .at = arena_array(a, limit + 1, sizeof(*t->at)), .limit = limit };
}

static void top_done(struct top *t, struct arena *a, struct head_stat **out, size_t *n)
{
    if (t->n) qsort(t->at, t->n, sizeof(*t->at), stat_cmp);
    for (size_t i = 0; i < t->n; i++) t->at[i].name = arena_str(a, t->at[i].name);
    *out = t->at;
    *n = t->n;
}

struct tops { struct top metrics, values, bytes, pairs; };

/* What Prometheus' labels take for a name or value: its length before it in 1 byte, or in 4. */
static uint64_t label_bytes(str s) { return s.n + (s.n < 255 ? 1 : 4); }

static void stats_of_name(const struct symbols *sy, uint32_t id, struct tops *tops, struct arena *a,
    struct head_stats *out)
{
    str name = symbols_name(sy, id);
    bool metric = str_eq(name, METRIC_NAME);
    uint64_t values = 0, bytes = 0;
    for (uint32_t p =
             atomic_load_explicit(&symbols_name_at(sy, id)->first_pair, memory_order_acquire);
         p; p = atomic_load_explicit(&symbols_pair_at(sy, p)->next, memory_order_acquire)) {
        uint64_t n = postings_count(&symbols_pair_at(sy, p)->series);
        str value = symbols_value(sy, p);
        if (!n) continue;
        values++;
        bytes += n * (label_bytes(name) + label_bytes(value));
        if (metric) top_add(&tops->metrics, (struct head_stat){ value, n });
        struct head_stat s = { STR_EMPTY, n };
        /* spares the text; an empty name sorts first */
        if (!top_wants(&tops->pairs, s)) continue;
        s.name = arena_fmt(a, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
        top_add(&tops->pairs, s);
    }
    if (!values) return;
    out->label_pairs += values;
    top_add(&tops->values, (struct head_stat){ name, values });
    top_add(&tops->bytes, (struct head_stat){ name, bytes });
}

void head_stats(struct head *h, size_t limit, struct arena *a, struct head_stats *out)
{
    struct reclaim_reader me;
    struct tops tops;
    *out = (struct head_stats){ .series = head_series_count(h),
        .min_time = head_min_time(h),
        .max_time = head_max_time(h),
        .chunks = atomic_load_explicit(&h->n_chunks, memory_order_relaxed) };
    top_init(&tops.metrics, limit, a);
    top_init(&tops.values, limit, a);
    top_init(&tops.bytes, limit, a);
    top_init(&tops.pairs, limit, a);
    reclaim_enter(&h->reclaim, &me);
    for (uint32_t i = 1, n = symbols_n_names(&h->series.symbols); i <= n; i++)
        stats_of_name(&h->series.symbols, i, &tops, a, out);
    top_done(&tops.metrics, a, &out->series_by_metric, &out->n_series_by_metric);
    top_done(&tops.values, a, &out->values_by_label, &out->n_values_by_label);
    top_done(&tops.bytes, a, &out->bytes_by_label, &out->n_bytes_by_label);
    top_done(&tops.pairs, a, &out->series_by_pair, &out->n_series_by_pair);
    reclaim_leave(&h->reclaim, &me);
}
