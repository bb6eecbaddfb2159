#include "base/f64.h"
#include "base/mem.h"
#include "ingest/line_cache.h"

static void nobody(void *ctx, uint64_t handle) { *(uint64_t *)ctx += handle; }

static size_t fuzz_run(struct line_cache *c)
{
    uint64_t handle[3];
    double value[3];
    uint32_t index[3];
    size_t at[3];
    uint8_t type[3];
    struct line_run run = {
        .cap = 3, .handle = handle, .value = value, .index = index, .at = at, .type = type
    };
    line_cache_run(c, &run);
    return run.n;
}

/* What is made of a page may be no histogram, but can be looked at. */
static void fuzz_histogram(struct expo_histogram h, struct arena *a)
{
    if (h.whole && int_histogram_validate(h.whole, NULL) == OK)
        (void)int_histogram_to_float(a, h.whole);
    if (h.floats && histogram_validate(h.floats, NULL) == OK) (void)histogram_copy(a, h.floats);
}

/* A series is found again where it stood. */
static void fuzz_return(
    const struct expo *x, uint8_t *body, size_t n, const struct expo_opts *opts)
{
    struct expo again;
    expo_init(&again, EXPO_PROTOBUF, body, n, opts);
    errc rc = expo_return(&again, expo_spot(x), NULL);
    assert(rc == OK && again.key == x->key && f64_bits(again.value) == f64_bits(x->value));
    (void)rc;
    expo_fini(&again);
}

/* The page through the parser with everything made on demand, then twice through the cache, which
 * has to see the same lines. */
static void fuzz_page(
    enum expo_format format, const uint8_t *data, size_t n, const struct expo_opts *opts)
{
    uint8_t *body = mem_zalloc(n + EXPO_PADDING);
    if (n) memcpy(body, data, n);
    struct arena a;
    arena_init(&a, NULL, 0);
    struct expo x;
    expo_init(&x, format, body, n, opts);
    enum expo_entry kind;
    size_t series = 0;
    while (expo_next(&x, &kind, NULL) == OK && kind != EXPO_END) {
        bool histogram = kind == EXPO_HISTOGRAM;
        series += kind == EXPO_SERIES || histogram;
        if (kind == EXPO_HELP) (void)expo_help(&x, &a);
        if (kind != EXPO_SERIES && !histogram) continue;
        (void)expo_labels(&x, &a);
        if (histogram) fuzz_histogram(expo_histogram(&x, &a), &a);
        for (struct expo_exemplar ex; expo_exemplar(&x, &a, &ex);) assert(ex.labels.n <= n);
        (void)expo_start_ts(&x);
        if (format == EXPO_PROTOBUF && kind == EXPO_SERIES) fuzz_return(&x, body, n, opts);
    }
    bool fine = x.rc == OK;
    expo_fini(&x);

    struct line_cache *c = line_cache_new(NULL);
    uint64_t gone = 0;
    for (int round = 0; round < 3 && !opts->skip_created; round++) {
        body[n] = 0;
        expo_init(&x, format, body, n, opts);
        line_cache_begin(c, &x, false);
        struct line l;
        size_t lines = 0;
        errc rc;
        for (;;) {
            lines += fuzz_run(c);
            if ((rc = line_cache_next(c, &l, NULL)) != OK || l.kind == LINE_END) break;
            if (l.kind == LINE_META) line_cache_learn(c, l.index, 1, false);
            lines += l.kind != LINE_META;
            if (l.kind == LINE_NEW) line_cache_learn(c, l.index, l.index + 1, false);
        }
        if (rc == OK) line_cache_commit(c, nobody, &gone);
        else (void)line_cache_rollback(c, nobody, &gone);
        if (format != EXPO_OPENMETRICS) assert((rc == OK) == fine && lines == series);
        expo_fini(&x);
    }
    line_cache_free(c);
    arena_fini(&a);
    mem_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct expo_opts opts = { .type_and_unit_labels = n & 1,
        .skip_created = n & 2,
        .convert_classic = n & 4,
        .keep_classic = n & 8,
        .ignore_native = n & 16 };
    fuzz_page(EXPO_TEXT, data, n, &opts);
    fuzz_page(EXPO_OPENMETRICS, data, n, &opts);
    fuzz_page(EXPO_PROTOBUF, data, n, &opts);
    return 0;
}
