#include "head/head_impl.h"

#include "chunk/chunk.h"
#include "chunk/cut.h"
#include "head/exemplars.h"

enum { LOOKUP_BYTES = 64 << 20, LABELS_MAX_BYTES = 32 << 20, SAMPLES_PER_CHUNK_MAX = RUN_MAX / 2 };
#define HEAD_CHUNK_RANGE_MS ((int64_t)2 * 3600 * 1000)
#define HEAD_CHUNK_RANGE_MAX_MS ((int64_t)UINT32_MAX)

static bool head_lookup(struct appendable *s, const uint8_t *raw, size_t n, series_handle *out)
{
    struct head *h = CONTAINER_OF(s, struct head, appendable);
    uint32_t num = lookup_get(&h->lookup, str_of(raw, n));
    series_handle got = num ? series_handle_of_num(&h->series, num) : 0;
    if (got) *out = got;
    return got != 0;
}

static void head_teach(struct appendable *s, const uint8_t *raw, size_t n, series_handle handle)
{
    struct head *h = CONTAINER_OF(s, struct head, appendable);
    uint32_t num = store_cold(&h->store, (uint32_t)handle)->num;
    if (series_handle_of_num(&h->series, num) == handle)
        lookup_put(&h->lookup, str_of(raw, n), num);
}

void head_lookup_batch(struct head *h, const str *raw, size_t n, series_handle *found)
{
    uint32_t nums[LOOKUP_BATCH];
    for (size_t from = 0; from < n; from += LOOKUP_BATCH) {
        size_t k = MIN(n - from, (size_t)LOOKUP_BATCH);
        lookup_get_batch(&h->lookup, raw + from, k, nums);
        for (size_t i = 0; i < k; i++)
            found[from + i] = nums[i] ? series_handle_of_num(&h->series, nums[i]) : 0;
    }
}

static const struct appendable_ops head_appendable_ops = {
    .begin = head_begin, .lookup = head_lookup, .teach = head_teach
};
static const struct queryable_ops head_queryable_ops = { .querier = head_querier };

errc head_open(struct head **out, const struct head_opts *o, struct err *e)
{
    int64_t range = o->chunk_range_ms ? o->chunk_range_ms : HEAD_CHUNK_RANGE_MS;
    uint32_t samples = o->samples_per_chunk ? o->samples_per_chunk : CUT_SAMPLES;
    if (range < 0 || range > HEAD_CHUNK_RANGE_MAX_MS)
        return err_set(e, ERR_BAD_INPUT, "chunk range of %" PRId64 " ms", range);
    if (samples < 4 || samples > SAMPLES_PER_CHUNK_MAX)
        return err_set(e, ERR_BAD_INPUT, "samples per chunk: %u is not in 4 … %d", samples,
            SAMPLES_PER_CHUNK_MAX);
    struct head *h = NEW(struct head);
    h->appendable.ops = &head_appendable_ops;
    h->queryable.ops = &head_queryable_ops;
    h->opts = *o;
    h->opts.chunk_range_ms = range;
    h->opts.samples_per_chunk = samples;
    reclaim_init(&h->reclaim);
    store_init(&h->store, range, samples);
    series_init(&h->series, &h->store, &h->reclaim,
        o->labels_max_bytes ? o->labels_max_bytes : LABELS_MAX_BYTES);
    isolation_init(&h->isolation);
    lookup_init(&h->lookup, o->lookup_bytes ? o->lookup_bytes : LOOKUP_BYTES);
    atomic_init(&h->min_time, INT64_MAX);
    atomic_init(&h->max_time, INT64_MIN);
    atomic_init(&h->min_valid_time, INT64_MIN);
    mtx_init(&h->appenders_mu, LOCK_LEAF);
    cond_init(&h->appenders_gone);
    head_tombstones_init(&h->tombstones);
    baton_init(&h->writing, LOCK_HEAD_COMMIT);
    baton_init(&h->ooo_baton, LOCK_HEAD_COMMIT);
    ooo_table_init(&h->ooo, &h->reclaim);
    atomic_init(&h->min_ooo_time, INT64_MAX);
    atomic_init(&h->max_ooo_time, INT64_MIN);
    atomic_flag_clear(&h->told);
    h->exemplars = exemplars_new(o->keeps.max_exemplars, o->exemplar_late_ms);
    meta_table_init(&h->metadata);
    h->store.keep_st = o->keeps.start_times;
    h->store.histogram_st = o->keeps.histogram_st;
    head_set_float_xor2(h, o->keeps.float_xor2);
    head_show(h);
    *out = h;
    return OK;
}

void head_close(struct head *h)
{
    if (!h) return;
    head_hide(h);
    head_free_idle(h);
    reclaim_fini(&h->reclaim);
    series_fini(&h->series);
    ooo_table_fini(&h->ooo);
    store_fini(&h->store);
    isolation_fini(&h->isolation);
    lookup_fini(&h->lookup);
    head_tombstones_fini(&h->tombstones);
    vec_fini(&h->other_refs);
    baton_fini(&h->writing);
    baton_fini(&h->ooo_baton);
    exemplars_free(h->exemplars);
    meta_table_fini(&h->metadata);
    cond_fini(&h->appenders_gone);
    mtx_fini(&h->appenders_mu);
    mem_free(h);
}

struct appendable *head_appendable(struct head *h) { return &h->appendable; }
struct queryable *head_queryable(struct head *h) { return &h->queryable; }
struct exemplar_queryable *head_exemplars(struct head *h)
{
    return exemplars_queryable(h->exemplars);
}

void head_set_max_exemplars(struct head *h, size_t n) { exemplars_resize(h->exemplars, n); }

void head_set_float_xor2(struct head *h, bool on)
{
    atomic_store_explicit(
        &h->store.float_enc, on ? CHUNK_XOR2 : CHUNK_XOR, memory_order_relaxed);
}

int64_t head_min_time(const struct head *h)
{
    return atomic_load_explicit(&h->min_time, memory_order_relaxed);
}
int64_t head_max_time(const struct head *h)
{
    return atomic_load_explicit(&h->max_time, memory_order_relaxed);
}
int64_t head_min_valid_time(const struct head *h)
{
    return atomic_load_explicit(&h->min_valid_time, memory_order_relaxed);
}
void head_set_min_valid_time(struct head *h, int64_t t)
{
    atomic_store_explicit(&h->min_valid_time, t, memory_order_relaxed);
}
int64_t head_min_ooo_time(const struct head *h)
{
    return atomic_load_explicit(&h->min_ooo_time, memory_order_relaxed);
}
int64_t head_max_ooo_time(const struct head *h)
{
    return atomic_load_explicit(&h->max_ooo_time, memory_order_relaxed);
}
void head_set_ooo_window(struct head *h, int64_t window_ms)
{
    atomic_store_explicit(&h->ooo_window_ms, MAX(window_ms, 0), memory_order_relaxed);
    exemplars_set_late(h->exemplars, window_ms);
}
bool head_reaches(const struct head *h, int64_t mint, int64_t maxt)
{
    bool late = maxt >= head_min_ooo_time(h) && mint <= head_max_ooo_time(h);
    return late || maxt >= head_min_time(h);
}
bool head_has_ooo(const struct head *h)
{
    bool logged = atomic_load_explicit(&h->wbl, memory_order_acquire) != NULL;
    return logged || head_min_ooo_time(h) <= head_max_ooo_time(h);
}
void head_set_ooo_log(struct head *h, struct wal *wbl)
{
    atomic_store_explicit(&h->wbl, wbl, memory_order_release);
}
uint64_t head_series_count(const struct head *h)
{
    return atomic_load_explicit(&h->series.n_series, memory_order_relaxed);
}

bool head_compactable(const struct head *h)
{
    int64_t min = head_min_time(h), max = head_max_time(h), span;
    if (min > max) return false;
    return __builtin_sub_overflow(max, min, &span) || span > h->opts.chunk_range_ms / 2 * 3;
}

static void time_lower(_Atomic int64_t *at, int64_t t)
{
    int64_t was = atomic_load_explicit(at, memory_order_relaxed);
    while (t < was && !atomic_compare_exchange_weak_explicit(
                          at, &was, t, memory_order_relaxed, memory_order_relaxed)) {}
}

static void time_raise(_Atomic int64_t *at, int64_t t)
{
    int64_t was = atomic_load_explicit(at, memory_order_relaxed);
    while (t > was && !atomic_compare_exchange_weak_explicit(
                          at, &was, t, memory_order_relaxed, memory_order_relaxed)) {}
}

void head_saw_time(struct head *h, int64_t mint, int64_t maxt)
{
    time_lower(&h->min_time, mint);
    time_raise(&h->max_time, maxt);
}

void head_saw_ooo_time(struct head *h, int64_t mint, int64_t maxt)
{
    time_lower(&h->min_ooo_time, mint);
    time_raise(&h->max_ooo_time, maxt);
}

void head_give_back(struct head *h) { store_trim(&h->store); }
