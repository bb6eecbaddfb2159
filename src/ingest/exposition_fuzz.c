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
        series += kind == EXPO_SERIES;
        if (kind == EXPO_HELP) (void)expo_help(&x, &a);
        if (kind != EXPO_SERIES) continue;
        struct expo_exemplar ex;
        (void)expo_labels(&x, &a);
        if (expo_exemplar(&x, &a, &ex)) assert(ex.labels.n <= n);
        (void)expo_start_ts(&x);
    }
    bool fine = x.rc == OK;
    expo_fini(&x);

    struct line_cache *c = line_cache_new(NULL);
    uint64_t gone = 0;
    for (int round = 0; round < 3 && !opts->skip_created; round++) {
        body[n] = 0;
        expo_init(&x, format, body, n, NULL);
        line_cache_begin(c, &x, false);
        struct line l;
        size_t lines = 0;
        errc rc;
        for (;;) {
            lines += fuzz_run(c);
            if ((rc = line_cache_next(c, &l, NULL)) != OK || l.kind == LINE_END) break;
            lines += l.kind != LINE_META;
            if (l.kind == LINE_NEW) line_cache_learn(c, l.index, l.index + 1, false);
        }
        if (rc == OK) line_cache_commit(c, nobody, &gone);
        else (void)line_cache_rollback(c, nobody, &gone);
        if (format == EXPO_TEXT) assert((rc == OK) == fine && lines == series);
        expo_fini(&x);
    }
    line_cache_free(c);
    arena_fini(&a);
    mem_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct expo_opts opts = { .type_and_unit_labels = n & 1, .skip_created = n & 2 };
    fuzz_page(EXPO_TEXT, data, n, &opts);
    fuzz_page(EXPO_OPENMETRICS, data, n, &opts);
    return 0;
}
