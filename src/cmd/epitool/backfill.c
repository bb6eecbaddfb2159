#include "cmd/epitool/backfill.h"

#include "block/block.h"
#include "block/block_writer.h"
#include "head/head.h"
#include "head/head_chunks.h"
#include "ingest/exposition.h"

enum {
    SAMPLES_A_COMMIT = 5000,
    LINES_A_TELL = 1000,
    SPANS_MANY = 1 << 20,
    RANGES = 10,
    RANGE_FACTOR = 3
};
#define TWO_HOURS_MS (2ll * 3600 * 1000)

/* 2 h, 6 h, 18 h …: the longest that is allowed */
static int64_t block_range(int64_t max_ms)
{
    int64_t range = TWO_HOURS_MS;
    for (unsigned i = 1; i < RANGES && range * RANGE_FACTOR <= max_ms; i++) range *= RANGE_FACTOR;
    return range;
}

static errc no_time(const struct expo *x, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    buf_labels(&text, expo_labels(x, &a));
    return err_set(e, ERR_BAD_INPUT, "expected timestamp for series %.*s, got none",
        STR_ARG(buf_view(&text)));
}

static errc find_times(const struct backfill_opts *o, int64_t *mint, int64_t *maxt, struct err *e)
{
    static const struct expo_opts eo = { 0 };
    struct expo x;
    enum expo_entry kind = EXPO_COMMENT;
    errc rc = OK;
    *mint = INT64_MAX;
    *maxt = INT64_MIN;
    expo_init(&x, EXPO_OPENMETRICS, o->page, o->n, &eo);
    while (rc == OK && kind != EXPO_END) {
        rc = expo_next(&x, &kind, e);
        if (rc != OK) rc = err_in(e, rc, "next");
        if (rc != OK || kind != EXPO_SERIES) continue;
        if (!x.has_ts)
            rc = err_set(e, ERR_BAD_INPUT, "expected timestamp for series got none");
        *mint = MIN(*mint, x.ts);
        *maxt = MAX(*maxt, x.ts);
    }
    expo_fini(&x);
    if (*mint > *maxt) *mint = *maxt = 0;
    return rc == OK ? OK : err_in(e, rc, "getting min and max timestamp");
}

/* The begin of the span that a time lies in. */
static int64_t span_of(int64_t t, int64_t range)
{
    int64_t at = t / range * range;
    return at > t ? at - range : at;           /* division rounds toward zero */
}

/* A span, and the one behind it, have times: no block could be told its end otherwise. */
static errc check_times(int64_t mint, int64_t maxt, int64_t range, struct err *e)
{
    int64_t far = mint < INT64_MIN + 2 * range ? mint : maxt;
    if (far >= INT64_MIN + 2 * range && far <= INT64_MAX - range) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "getting min and max timestamp: timestamp %" PRId64 " ms is beyond what a block can hold",
        far);
}

/* One span of time. */

struct backfill_span {
    const struct backfill_opts *o;
    int64_t from, to;                          /* exclusive */
    int64_t next;                              /* the first time behind it that has a sample */
    uint64_t read, total;                      /* for the progress: bytes, or spans if many */
    struct head *head;
    struct appender *app;
    size_t pending;
    struct arena arena;                        /* of a series */
};

static struct labels labels_of(struct backfill_span *s, const struct expo *x)
{
    struct labels_builder lb;
    struct labels own = expo_labels(x, &s->arena);
    labels_builder_init(&lb, &s->arena);
    labels_builder_from(&lb, own);
    for (size_t i = 0; i < own.n; i++)
        if (!own.at[i].value.n) labels_builder_del(&lb, own.at[i].name);
    for (size_t i = 0; i < s->o->n_labels; i++)
        labels_builder_set(&lb, s->o->labels[i].name, s->o->labels[i].value);
    return labels_builder_done(&lb);
}

static errc flush(struct backfill_span *s, struct err *e)
{
    struct appender *app = STEAL(s->app);
    s->pending = 0;
    if (app) TRY_IN(e, app->ops->commit(app, e), "commit");
    return OK;
}

static errc add(struct backfill_span *s, const struct expo *x, struct err *e)
{
    series_handle h = 0;
    struct appendable *to = head_appendable(s->head);
    if (!s->app) TRY(to->ops->begin(to, &s->app, e));
    struct arena_mark mark = arena_mark(&s->arena);
    errc rc = s->app->ops->series(s->app, labels_of(s, x), &h, e);
    if (rc == OK) rc = s->app->ops->append(s->app, h, x->ts, x->value, 0, e);
    arena_reset(&s->arena, mark);
    if (rc != OK) return err_in(e, rc, "add sample");
    return ++s->pending < SAMPLES_A_COMMIT ? OK : flush(s, e);
}

static errc fill_span(struct backfill_span *s, struct err *e)
{
    static const struct expo_opts eo = { 0 };
    struct expo x;
    enum expo_entry kind = EXPO_COMMENT;
    uint64_t lines = 0;
    errc rc = OK;
    expo_init(&x, EXPO_OPENMETRICS, s->o->page, s->o->n, &eo);
    while (rc == OK && kind != EXPO_END) {
        rc = expo_next(&x, &kind, e);
        if (rc != OK) rc = err_in(e, rc, "parse");
        if (lines++ % LINES_A_TELL == 0)
            progress_tell(s->o->progress, S("blocks"), MIN(s->read + x.i, s->total), s->total);
        if (rc != OK || kind != EXPO_SERIES) continue;
        if (!x.has_ts) rc = no_time(&x, e);
        else if (x.ts >= s->to) s->next = MIN(s->next, x.ts);
        else if (x.ts >= s->from) rc = add(s, &x, e);
    }
    expo_fini(&x);
    return rc == OK ? flush(s, e) : rc;
}

static errc told(struct backfill_span *s, ulid id, struct err *e)
{
    struct block *b = NULL;
    struct block_opts bo = { .fs = s->o->fs, .backend = IO_AUTO };
    TRY(block_open(&b, &bo, str_z(ulid_text(id).z), e));
    s->o->made(s->o->ctx, block_meta(b), block_bytes(b));
    block_unref(b);
    return OK;
}

static errc write_span(struct backfill_span *s, struct err *e)
{
    int64_t mint = head_min_time(s->head), maxt = head_max_time(s->head);
    ulid id = ulid_new();
    if (mint > maxt) return OK;                                /* nothing is in it */
    struct block_meta meta = {
        .id = id, .mint = mint, .maxt = maxt + 1, .level = 1, .sources = &id, .n_sources = 1
    };
    struct block_writer_opts wo = { .fs = s->o->fs, .meta = &meta };
    struct block_stats stats;
    struct head_chunks *hc = NULL;
    TRY(head_chunks_open(&hc, s->head, mint, maxt, e));
    errc rc = block_write(&wo, head_chunks_symbols(hc), head_chunks_series(hc), &stats, e);
    head_chunks_close(hc);
    if (rc != OK) return err_in(e, rc, "flush");
    return stats.samples ? told(s, id, e) : OK;
}

/* The head takes what is half a range behind its newest sample: a range twice as long lets samples
 * of the whole span come in any order of series. */
static errc make_span(struct backfill_span *s, struct err *e)
{
    struct head_opts ho = { .chunk_range_ms = 2 * (s->to - s->from) };
    TRY(head_open(&s->head, &ho, e));
    errc rc = fill_span(s, e);
    if (rc == OK) rc = write_span(s, e);
    if (s->app) s->app->ops->rollback(s->app);
    head_close(s->head);
    arena_fini(&s->arena);
    return rc == OK ? OK : err_in(e, rc, "process blocks");
}

errc backfill(const struct backfill_opts *o, struct err *e)
{
    int64_t mint, maxt, range = block_range(o->max_block_ms);
    TRY(find_times(o, &mint, &maxt, e));
    TRY(check_times(mint, maxt, range, e));
    uint64_t first = (uint64_t)span_of(mint, range), all = (uint64_t)maxt - first;
    for (int64_t next = mint; next <= maxt;) {
        int64_t from = span_of(next, range);
        uint64_t n = all / (uint64_t)range + 1, unit = n > SPANS_MANY ? 1 : o->n;
        struct backfill_span s = { .o = o,
            .from = from,
            .to = from + range,
            .next = INT64_MAX,
            .read = ((uint64_t)from - first) / (uint64_t)range * unit,
            .total = n * unit };
        errc rc = make_span(&s, e);
        if (rc != OK) return err_in(e, rc, "block creation");
        if (s.next == INT64_MAX) break;
        next = s.next;
    }
    return OK;
}
