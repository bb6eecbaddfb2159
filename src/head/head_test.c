/* The head as a whole against a naive twin: series are lists of samples, matchers are asked one by
 * one. */
#include "head/head.h"
#include "head/replay.h"
#include "head/symbols.h"

#include "base/test.h"
#include "head/chunk_disk.h"
#include "io/thread.h"
#include "wal/record.h"

#include <stdio.h>
#include <stdlib.h>

enum { TWIN_SERIES = 60, TWIN_SAMPLES = 600 };
struct twin {
    struct label l[4];
    struct labels labels;
    struct sample at[TWIN_SAMPLES];
    size_t n;
    bool made;
    char text[4][24];
};

static struct head *open_head(void)
{
    struct head *h;
    EXPECT_OK(head_open(&h, &(struct head_opts){ 0 }, NULL));
    return h;
}

static struct appender *begin(struct head *h)
{
    struct appender *a;
    EXPECT_OK(head_appendable(h)->ops->begin(head_appendable(h), &a, NULL));
    return a;
}

static struct labels one_label(struct label *l, str name)
{
    *l = (struct label){ METRIC_NAME, name };
    return (struct labels){ l, 1 };
}

static errc add(struct appender *a, str name, int64_t t, double v, struct err *e)
{
    struct label l;
    series_handle h;
    TRY(a->ops->series(a, one_label(&l, name), &h, e));
    return a->ops->append(a, h, t, v, 0, e);
}

static void put(struct head *h, str name, int64_t t, double v)
{
    struct appender *a = begin(h);
    EXPECT_OK(add(a, name, t, v, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
}

static struct querier *querier_of(struct head *h, int64_t mint, int64_t maxt)
{
    struct querier *q;
    EXPECT_OK(head_queryable(h)->ops->querier(head_queryable(h), mint, maxt, &q, NULL));
    return q;
}

/* All samples of a series, through the seam. */
static size_t read_series(struct series *s, struct sample_iter **it, struct sample *out, size_t cap)
{
    struct sample_batch b;
    size_t n = 0;
    EXPECT_OK(s->ops->iterate(s, it, NULL));
    for (;;) {
        EXPECT_OK(sample_iter_fill(*it, &b, NULL));
        if (!b.n) return n;
        for (size_t i = 0; i < b.n; i++) {
            EXPECT(n < cap && b.kind == SAMPLE_FLOAT);
            EXPECT(!n || out[n - 1].t < b.t[i]);
            out[n++] = (struct sample){ b.t[i], b.v[i] };
        }
    }
}

static size_t count_of(struct querier *q, str name)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = name };
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample room[2000];
    size_t n = 0;
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    if (s) n = read_series(s, &it, room, ARRAY_LEN(room));
    sample_iter_free(it);
    series_set_free(set);
    return n;
}

TEST(append_rules)
{
    enum { HOUR = 3600 * 1000 };
    struct head *h = open_head();
    put(h, S("a"), 10 * HOUR, 1);
    EXPECT_EQ(head_min_time(h), 10 * HOUR);
    EXPECT_EQ(head_max_time(h), 10 * HOUR);
    static const struct {
        const char *name;
        int64_t t;
        double v;
        errc want;
        const char *words;
    } cases[] = {
        { "the same again", 10 * HOUR, 1, OK, "" },
        { "another value", 10 * HOUR, 2, ERR_DUPLICATE,
            "duplicate sample for timestamp 36000000; overrides not allowed: existing 1, new value "
            "2" },
        { "older", 10 * HOUR - 1, 1, ERR_OUT_OF_ORDER, "out of order sample" },
        { "at the bound", 9 * HOUR, 1, ERR_OUT_OF_ORDER, "out of order sample" },
        { "before the bound", 9 * HOUR - 1, 1, ERR_OUT_OF_BOUNDS, "out of bounds" },
        { "newer", 10 * HOUR + 1, 1, OK, "" },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        struct appender *a = begin(h);
        EXPECT_EQ(add(a, S("a"), c->t, c->v, &e), c->want);
        if (c->want != OK) EXPECT_STR(err_str(&e), str_z(c->words));
        a->ops->rollback(a);
    }
    /* twice in one batch: the second is dropped when it is applied */
    struct appender *a = begin(h);
    EXPECT_OK(add(a, S("a"), 10 * HOUR + 5, 1, NULL));
    EXPECT_OK(add(a, S("a"), 10 * HOUR + 5, 2, NULL));
    EXPECT_OK(add(a, S("a"), 10 * HOUR + 4, 2, NULL));
    EXPECT_OK(a->ops->commit(a, NULL));
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("a")), 2);
    querier_free(q);
    struct label two[] = { { S("x"), S("1") }, { S("x"), S("2") } };
    series_handle hd;
    a = begin(h);
    EXPECT_EQ(a->ops->series(a, (struct labels){ two, 2 }, &hd, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(a->ops->series(a, (struct labels){ NULL, 0 }, &hd, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(a->ops->append(a, 0, 1, 1, 0, NULL), ERR_NOT_FOUND);
    a->ops->rollback(a);
    head_close(h);
}

/* What writers ask before they make a series, and what is left out when the request is lost. */
TEST(series_are_not_made_in_vain)
{
    struct head *h = open_head();
    put(h, S("known"), 100 * 3600000, 1);
    struct appender *a = begin(h);
    struct label l;
    struct err e = { 0 };
    series_handle found, made;
    EXPECT_OK(a->ops->series(a, one_label(&l, S("known")), &made, NULL));
    EXPECT(a->ops->find(a, one_label(&l, S("known")), &found) && found == made);
    EXPECT(!a->ops->find(a, one_label(&l, S("unknown")), &found));
    struct label other = { S("known"), S("known") };
    EXPECT(!a->ops->find(a, (struct labels){ &other, 1 }, &found));
    EXPECT_OK(a->ops->admits(a, 100 * 3600000, false, &e));
    EXPECT_EQ(a->ops->admits(a, 98 * 3600000, false, &e), ERR_OUT_OF_BOUNDS);
    EXPECT_STR(err_str(&e), S("out of bounds"));
    EXPECT_EQ(a->ops->admits(a, 98 * 3600000, true, NULL), ERR_OUT_OF_BOUNDS);

    const series_handle handles[] = { made, 0, made, made };
    const int64_t t[] = { 100 * 3600000 + 1, 100 * 3600000 + 2, 1, 2 };
    const double v[] = { 1, 1, 1, 1 };
    uint8_t results[4];
    EXPECT_OK(a->ops->append_batch(a, handles, t, v, ARRAY_LEN(t), results, NULL));
    EXPECT(results[1] == ERR_NOT_FOUND && results[2] == ERR_OUT_OF_BOUNDS);
    EXPECT_EQ(results[3], ERR_OUT_OF_BOUNDS);
    a->ops->all_or_nothing(a);
    EXPECT_OK(a->ops->append_batch(a, handles, t, v, ARRAY_LEN(t), results, NULL));
    EXPECT(results[1] == ERR_NOT_FOUND && results[2] == ERR_OUT_OF_BOUNDS);
    EXPECT_EQ(results[3], OK);                 /* nobody looked */
    a->ops->rollback(a);
    head_close(h);
}

/* More labels than fit into a page of the index, and a longer value than any. */
TEST(large_label_sets)
{
    enum { LABELS = 15000, VALUE = 2 << 20 };
    struct head *h = open_head();
    struct arena a = { 0 };
    struct label *l = arena_array(&a, LABELS + 1, sizeof(*l));
    char *text = arena_alloc(&a, VALUE);
    memset(text, 'x', VALUE);
    l[0] = (struct label){ METRIC_NAME, S("large") };
    for (size_t i = 1; i <= LABELS; i++)
        l[i] = (struct label){ arena_fmt(&a, "l%05zu", i), arena_fmt(&a, "v%zu", i) };
    l[LABELS].value = str_of(text, VALUE);
    struct appender *w = begin(h);
    series_handle made, again, found;
    EXPECT_OK(w->ops->series(w, (struct labels){ l, LABELS + 1 }, &made, NULL));
    EXPECT_OK(w->ops->series(w, (struct labels){ l, LABELS }, &again, NULL));
    EXPECT(made != again);
    EXPECT(w->ops->find(w, (struct labels){ l, LABELS + 1 }, &found) && found == made);
    EXPECT_OK(w->ops->append(w, made, 1000, 1, 0, NULL));
    EXPECT_OK(w->ops->commit(w, NULL));
    struct querier *q = querier_of(h, 0, 2000);
    EXPECT_EQ(count_of(q, S("large")), 1);
    querier_free(q);
    head_close(h);
    arena_fini(&a);
}

TEST(batches_are_seen_whole)
{
    struct head *h = open_head();
    put(h, S("a"), 1000, 1);
    struct querier *before = querier_of(h, INT64_MIN, INT64_MAX);
    for (int i = 2; i < 400; i++) put(h, S("a"), i * 1000, i);
    struct querier *after = querier_of(h, INT64_MIN, INT64_MAX);
    put(h, S("a"), 400 * 1000, 1);
    EXPECT_EQ(count_of(before, S("a")), 1);
    EXPECT_EQ(count_of(after, S("a")), 399);
    querier_free(before);
    put(h, S("a"), 401 * 1000, 1);
    EXPECT_EQ(count_of(after, S("a")), 399);
    querier_free(after);
    struct querier *q = querier_of(h, 5000, 9000);
    EXPECT_EQ(count_of(q, S("a")), 5);
    querier_free(q);
    head_close(h);
}

TEST(deleted_samples_are_not_seen)
{
    struct head *h = open_head();
    for (int i = 0; i < 100; i++) put(h, S("a"), i * 1000, i);
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, 10000, 19000, NULL));
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, 20000, 29999, NULL));
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, 95000, INT64_MAX, NULL));
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("a")), 75);
    querier_free(q);
    put(h, S("a"), 200000, 1);
    q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("a")), 76);
    querier_free(q);
    head_close(h);
}

/* Floats are read as floats where all of a chunk of histograms before them is left out. */
TEST(deleted_histograms_before_floats)
{
    struct head *h = open_head();
    struct span span = { 0, 1 };
    int64_t delta = 1;
    struct int_histogram hist = { .count = 1, .sum = 1, .pos = { &span, 1, &delta, 1 } };
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    for (int i = 0; i < 10; i++) {
        struct appender *a = begin(h);
        struct label l;
        series_handle of;
        EXPECT_OK(a->ops->series(a, one_label(&l, S("a")), &of, NULL));
        EXPECT_OK(a->ops->histogram(a, of, i * 1000, 0, &hist, NULL, NULL));
        EXPECT_OK(a->ops->commit(a, NULL));
    }
    for (int i = 10; i < 20; i++) put(h, S("a"), i * 1000, i);
    EXPECT_OK(head_delete(h, (struct matchers){ &m, 1 }, 0, 9999, NULL));
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("a")), 10);
    querier_free(q);
    head_close(h);
}

/* The model. */

static void twin_init(struct twin *w, struct prng *r, size_t i)
{
    static const char *const names[] = { "__name__", "code", "job", "le" };
    size_t n = 0;
    memset(w, 0, sizeof(*w));
    for (size_t k = 0; k < 4; k++) {
        if (k && prng_below(r, 4) == 0) continue;
        int len = k == 0 ? snprintf(w->text[k], 24, "m%zu", i)
                         : snprintf(w->text[k], 24, "v%d", (int)prng_below(r, 6));
        w->l[n++] = (struct label){ str_z(names[k]), str_of(w->text[k], (size_t)len) };
    }
    w->labels = (struct labels){ w->l, n };
}

static void expect_selected(
    struct head *h, struct twin *all, struct matchers ms, int64_t mint, int64_t maxt, bool sorted)
{
    struct querier *q = querier_of(h, mint, maxt);
    struct series_set *set;
    struct sample_iter *it = NULL;
    struct sample got[TWIN_SAMPLES];
    struct labels before = { 0 };
    size_t seen = 0, want = 0;
    EXPECT_OK(q->ops->select(q, ms, &(struct select_hints){ .sorted = sorted }, &set, NULL));
    for (;;) {
        struct series *s;
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        struct twin *w = NULL;
        for (size_t i = 0; i < TWIN_SERIES && !w; i++)
            if (labels_eq(all[i].labels, s->labels)) w = &all[i];
        EXPECT(w && w->n && matchers_match(ms, w->labels));
        if (sorted && seen) EXPECT(labels_cmp(before, s->labels) < 0);
        before = s->labels;
        size_t n = read_series(s, &it, got, ARRAY_LEN(got)), k = 0;
        for (size_t i = 0; i < w->n; i++) {
            if (w->at[i].t < mint || w->at[i].t > maxt) continue;
            EXPECT(k < n && got[k].t == w->at[i].t && f64_bits(got[k].v) == f64_bits(w->at[i].v));
            k++;
        }
        EXPECT_EQ(k, n);
        seen += n > 0;
    }
    for (size_t i = 0; i < TWIN_SERIES; i++) {
        bool in = false;
        for (size_t k = 0; k < all[i].n; k++)
            in |= all[i].at[k].t >= mint && all[i].at[k].t <= maxt;
        want += in && matchers_match(ms, all[i].labels);
    }
    EXPECT_EQ(seen, want);
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
}

static void random_matcher(struct matcher *m, struct arena *a, struct prng *r)
{
    static const char *const names[] = { "__name__", "code", "job", "le", "none" };
    static const char *const res[] = { "v1|v2", "v[0-3]", ".*", ".+", "", "v1|", "m.*", "v.",
        "m1.?", "(v2|v3)" };
    enum match_type type = (enum match_type)prng_below(r, 4);
    str name = str_z(names[prng_below(r, ARRAY_LEN(names))]);
    str value = type >= MATCH_RE ? str_z(res[prng_below(r, ARRAY_LEN(res))])
        : prng_below(r, 4) == 0 ? STR_EMPTY : arena_fmt(a, "v%d", (int)prng_below(r, 7));
    EXPECT_OK(matcher_init(m, a, type, name, value, NULL));
}

TEST(head_model)
{
    struct prng r = { test_seed() };
    struct head *h = open_head();
    struct arena a;
    static struct twin all[TWIN_SERIES];
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < TWIN_SERIES; i++) twin_init(&all[i], &r, i);
    for (int k = 0; k < 500; k++) {
        struct appender *app = begin(h);
        int64_t t = 1000000 + k * 15000;
        for (size_t i = 0; i < TWIN_SERIES; i++) {
            if (prng_below(&r, 12) == 0 || (i % 7 == 0 && k < 200)) continue;
            series_handle handle;
            double v = i % 3 == 0           ? prng_unit(&r)
                       : prng_below(&r, 30) ? (double)(k / 3)
                                            : stale_nan();
            EXPECT_OK(app->ops->series(app, all[i].labels, &handle, NULL));
            EXPECT_OK(app->ops->append(app, handle, t, v, 0, NULL));
            all[i].at[all[i].n++] = (struct sample){ t, v };
        }
        EXPECT_OK(app->ops->commit(app, NULL));
        if (k % 5) continue;
        struct matcher m[3];
        size_t n = prng_below(&r, 4);
        for (size_t i = 0; i < n; i++) random_matcher(&m[i], &a, &r);
        int64_t from = 1000000 + (int64_t)prng_below(&r, 500 * 15000),
                to = from + (int64_t)prng_below(&r, 200 * 15000);
        expect_selected(h, all, (struct matchers){ m, n }, prng_below(&r, 3) ? INT64_MIN : from,
            prng_below(&r, 3) ? INT64_MAX : to, k % 2);
        for (size_t i = 0; i < n; i++) matcher_fini(&m[i]);
    }
    expect_selected(h, all, (struct matchers){ NULL, 0 }, INT64_MIN, INT64_MAX, true);

    /* Truncation: what is left is what lies in chunks that reach past it; series without any are
     * gone. */
    EXPECT_OK(head_truncate(h, 1000000 + 1000 * 15000, NULL));
    EXPECT_EQ(head_series_count(h), 0);
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    str_list names = { 0 };
    bool cut;
    EXPECT_OK(q->ops->label_names(q, (struct matchers){ NULL, 0 }, 0, &names, &cut, NULL));
    EXPECT_EQ(names.n, 0);
    vec_fini(&names);
    querier_free(q);
    arena_fini(&a);
    head_close(h);
}

TEST(label_names_and_values)
{
    struct head *h = open_head();
    static const char *const jobs[] = { "b", "a", "c", "a" };
    struct appender *a = begin(h);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof(name), "m%d", i);
        struct label l[] = { { METRIC_NAME, str_z(name) }, { S("job"), str_z(jobs[i]) } };
        series_handle hd;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &hd, NULL));
        EXPECT_OK(a->ops->append(a, hd, 1000, i, 0, NULL));
    }
    EXPECT_OK(a->ops->commit(a, NULL));
    struct querier *q = querier_of(h, 0, 2000);
    str_list v = { 0 };
    bool cut;
    EXPECT_OK(q->ops->label_values(q, S("job"), (struct matchers){ NULL, 0 }, 2, &v, &cut, NULL));
    EXPECT(cut && v.n == 2);
    EXPECT_STR(v.at[0], S("a"));
    EXPECT_STR(v.at[1], S("b"));
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("m2") };
    EXPECT_OK(q->ops->label_values(q, S("job"), (struct matchers){ &m, 1 }, 0, &v, &cut, NULL));
    EXPECT(!cut && v.n == 1);
    EXPECT_STR(v.at[0], S("c"));
    EXPECT_OK(q->ops->label_names(q, (struct matchers){ &m, 1 }, 0, &v, &cut, NULL));
    EXPECT_EQ(v.n, 2);
    vec_fini(&v);
    EXPECT(!q->nothing);
    querier_free(q);
    q = querier_of(h, 0, 999);
    EXPECT(q->nothing);
    querier_free(q);
    struct arena ar;
    struct head_stats st;
    arena_init(&ar, NULL, 0);
    head_stats(h, 2, &ar, &st);
    EXPECT_EQ(st.series, 4);
    EXPECT_EQ(st.label_pairs, 7);
    EXPECT_EQ(st.n_series_by_pair, 2);
    EXPECT_STR(st.series_by_pair[0].name, S("job=a"));
    EXPECT_EQ(st.series_by_pair[0].value, 2);
    EXPECT_EQ(st.chunks, 4);
    arena_fini(&ar);
    head_close(h);
}

TEST(lookup_by_raw_bytes)
{
    enum { SERIES = 5000 };
    struct head *h = open_head();
    struct appendable *s = head_appendable(h);
    static series_handle made[SERIES];
    series_handle got;
    struct appender *a = begin(h);
    for (uint32_t i = 0; i < SERIES; i++) {
        char raw[32];
        size_t n = (size_t)snprintf(raw, sizeof(raw), "raw bytes of %u", i);
        EXPECT(!s->ops->lookup(s, (const uint8_t *)raw, n, &got));
        struct label l;
        EXPECT_OK(a->ops->series(a, one_label(&l, str_of(raw, n)), &made[i], NULL));
        EXPECT_OK(a->ops->append(a, made[i], 1000, 1, 0, NULL));
        s->ops->teach(s, (const uint8_t *)raw, n, made[i]);
    }
    EXPECT_OK(a->ops->commit(a, NULL));
    for (uint32_t i = 0; i < SERIES; i++) {
        char raw[32];
        size_t n = (size_t)snprintf(raw, sizeof(raw), "raw bytes of %u", i);
        EXPECT(s->ops->lookup(s, (const uint8_t *)raw, n, &got));
        EXPECT_EQ(got, made[i]);
        str one = str_of(raw, n);
        head_lookup_batch(h, &one, 1, &got);
        EXPECT_EQ(got, made[i]);
    }
    head_close(h);
}

static void count_call(void *ctx) { ++*(int *)ctx; }

/* The writer is told when many chunks wait, once until it came. */
TEST(many_sealed_chunks_are_told)
{
    enum { SERIES = HEAD_MANY_SEALED / 2 };
    int calls = 0;
    size_t written;
    struct head *h;
    static series_handle made[SERIES];
    EXPECT_OK(head_open(
        &h, &(struct head_opts){ .many_sealed = count_call, .many_sealed_ctx = &calls }, NULL));
    /* each begins a range, and so a chunk, of its own */
    for (int64_t chunk = 0; chunk < 5; chunk++) {
        struct appender *a = begin(h);
        for (uint32_t i = 0; i < SERIES; i++) {
            char name[32];
            struct label l;
            str n = str_of(name, (size_t)snprintf(name, sizeof(name), "series_%u", i));
            if (!chunk) EXPECT_OK(a->ops->series(a, one_label(&l, n), &made[i], NULL));
            EXPECT_OK(a->ops->append(a, made[i], chunk * 7200000, 1, 0, NULL));
        }
        EXPECT_OK(a->ops->commit(a, NULL));
        EXPECT_EQ(calls, chunk < 2 ? 0 : chunk < 4 ? 1 : 2);
        if (chunk == 3) EXPECT_OK(head_write_sealed(h, 1, &written, NULL));
    }
    head_close(h);
}

TEST(symbols_like_another)
{
    struct reclaim rc;
    struct symbols s;
    reclaim_init(&rc);
    symbols_init(&s, &rc);
    uint32_t a = symbols_intern(&s, S("job"), S("x")),
             b = symbols_intern_like(&s, a, S("job"), S("y"));
    uint32_t c = symbols_intern_like(&s, a, S("pod"), S("x"));
    EXPECT(a != b && a != c && b != c);
    EXPECT_EQ(symbols_intern_like(&s, a, S("job"), S("x")), a);
    EXPECT_EQ(symbols_intern_like(&s, c, S("job"), S("x")), a);
    EXPECT_EQ(symbols_intern_like(&s, 0, S("job"), S("x")), a);
    EXPECT_EQ(symbols_intern(&s, S("job"), S("y")), b);
    EXPECT_EQ(symbols_intern(&s, S("pod"), S("x")), c);
    symbols_fini(&s);
    reclaim_fini(&rc);
}

/* Replay. */

/* A log in small: each call is a record; samples are decoded and applied at once, unless
 * `later`. */
struct small_log { struct head_replay *r; replay_mark mark; bool later; };

static void apply_all(struct head_replay *r)
{
    for (size_t i = 0; i < head_replay_parts(r); i++) head_replay_apply(r, i);
    head_replay_applied(r);
}

static void log_samples(
    struct small_log *l, const struct ref_sample *s, size_t n, const struct replay_reset *reset)
{
    struct replay_decoder *d = head_replay_decoder(l->r);
    if (reset && reset->slot) replay_decode_reset(d, reset);
    replay_decode_samples(d, ++l->mark, s, n);
    head_replay_collect(l->r, head_replay_decoded(l->r, d));
    if (!l->later) apply_all(l->r);
}

static struct replay_reset log_series(struct small_log *l, sref ref, str name)
{
    struct label label;
    struct replay_reset reset;
    EXPECT_OK(head_replay_series(l->r, ++l->mark, ref, one_label(&label, name), &reset, NULL));
    return reset;
}

static void log_tombstone(struct small_log *l, sref ref, int64_t mint, int64_t maxt)
{
    struct replay_reset reset;
    head_replay_tombstone(l->r, ref, mint, maxt, 1, &reset);
    log_samples(l, NULL, 0, &reset);
}

TEST(replay_follows_the_log)
{
    for (unsigned later = 0; later < 2; later++) {
        struct head *h = open_head();
        struct small_log l = { .r = head_replay_begin(h), .later = later };
        struct ref_sample s[] = { { 7, 1000, 1, 0 }, { 7, 2000, 2, 0 }, { 9, 1000, 3, 0 },
            { 7, 1500, 9, 0 }, { 99, 1000, 1, 0 } };
        EXPECT_EQ(log_series(&l, 7, S("a")).slot, 0);
        EXPECT_EQ(log_series(&l, 9, S("b")).slot, 0);
        EXPECT_EQ(log_series(&l, 11, S("empty")).slot, 0);
        log_samples(&l, s, ARRAY_LEN(s), NULL);
        /* a duplicate: what was read of b is lost */
        struct replay_reset reset = log_series(&l, 20, S("b"));
        EXPECT(reset.slot != 0);
        struct ref_sample more[] = { { 20, 3000, 4, 0 }, { 9, 4000, 5, 0 },
            { 9, INT64_MAX, 6, 0 } };
        log_samples(&l, more, ARRAY_LEN(more) - 1, &reset);
        struct replay_decoder *d = head_replay_decoder(l.r);
        struct ref_exemplar stray = { .ref = 500, .t = 1000 };
        struct ref_histogram none = { .ref = 11, .t = 1000 };
        replay_decode_exemplars(d, ++l.mark, &stray, 1);
        replay_decode_histograms(d, l.mark, &none, 1);
        head_replay_collect(l.r, head_replay_decoded(l.r, d));
        log_tombstone(&l, 7, 1000, 1000);
        log_tombstone(&l, 499, 1000, 1000);
        apply_all(l.r);
        struct head_replay_stats st;
        head_replay_finish(l.r, &st);
        EXPECT_EQ(st.series, 3);
        EXPECT_EQ(st.duplicates, 1);
        EXPECT_EQ(st.unknown[REPLAY_SAMPLES], 1);
        EXPECT_EQ(st.unknown[REPLAY_EXEMPLARS], 1);
        EXPECT_EQ(st.unknown[REPLAY_HISTOGRAMS], 0);
        EXPECT_EQ(st.unknown[REPLAY_TOMBSTONES], 1);
        EXPECT_EQ(st.unknown[REPLAY_SERIES], 3);
        EXPECT_EQ(st.dropped_old, 1);
        EXPECT_EQ(head_series_count(h), 3);
        EXPECT_EQ(head_max_time(h), 4000);
        struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
        EXPECT_EQ(count_of(q, S("a")), 1);
        EXPECT_EQ(count_of(q, S("b")), 2);
        querier_free(q);
        put(h, S("c"), 5000, 1);
        head_refs refs = { 0 };
        head_live_refs(h, &refs);
        EXPECT_EQ(refs.n, 5);
        EXPECT_EQ(refs.at[0], 7);
        /* the first ref of b, by which the log names samples */
        EXPECT_EQ(refs.at[1], 9);
        EXPECT_EQ(refs.at[2], 11);
        EXPECT_EQ(refs.at[3], 20);
        EXPECT_EQ(refs.at[4], 501);
        vec_fini(&refs);
        head_close(h);
    }
}

/* Reading is ahead of decoding: a series record that lies behind a record of samples does not speak
 * for it. */
TEST(replay_resolves_by_place)
{
    struct head *h = open_head();
    struct small_log l = { .r = head_replay_begin(h) };
    struct label label;
    log_series(&l, 1, S("a"));
    replay_mark before = ++l.mark;
    log_series(&l, 2, S("b"));
    struct replay_decoder *d = head_replay_decoder(l.r);
    struct ref_sample s[] = { { 1, 1000, 1, 0 }, { 2, 1000, 1, 0 } };
    replay_decode_samples(d, before, s, 2);
    replay_decode_samples(d, ++l.mark, s + 1, 1);
    head_replay_collect(l.r, head_replay_decoded(l.r, d));
    apply_all(l.r);

    EXPECT(!head_replay_moves_series(l.r, 1, one_label(&label, S("a"))));
    EXPECT(!head_replay_moves_series(l.r, 3, one_label(&label, S("a"))));
    EXPECT(head_replay_moves_series(l.r, 1, one_label(&label, S("c"))));
    EXPECT(!head_replay_moves_tombstone(l.r, 1, 0, 1));
    EXPECT(!head_replay_moves_tombstone(l.r, 4, INT64_MIN, INT64_MAX));
    EXPECT(head_replay_moves_tombstone(l.r, 1, INT64_MIN, INT64_MAX));
    /* the end of a series: its ref is nobody's, then another's */
    log_tombstone(&l, 1, INT64_MIN, INT64_MAX);
    log_samples(&l, s, 1, NULL);
    log_series(&l, 1, S("c"));
    log_samples(&l, s, 1, NULL);
    struct head_replay_stats st;
    head_replay_finish(l.r, &st);
    EXPECT_EQ(st.unknown[REPLAY_SAMPLES], 2);
    EXPECT_EQ(st.unknown[REPLAY_SERIES], 2);
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("b")), 1);
    EXPECT_EQ(count_of(q, S("c")), 1);
    querier_free(q);
    EXPECT_EQ(head_series_count(h), 2);
    head_close(h);
}

/* Times of all 64 bits: what does not fit a run begins another. */
TEST(replay_takes_any_time)
{
    struct head *h = open_head();
    struct small_log l = { .r = head_replay_begin(h), .later = true };
    struct ref_sample s[] = { { 1, INT64_MIN + 1, 1, 0 }, { 1, -5, 2, 0 }, { 1, 0, 3, 0 },
        { 1, UINT32_MAX, 4, 0 }, { 1, INT64_MAX / 2, 5, 0 }, { 1, INT64_MAX - 1, 6, 0 } };
    log_series(&l, 1, S("a"));
    log_samples(&l, s, ARRAY_LEN(s), NULL);
    apply_all(l.r);
    struct head_replay_stats st;
    head_replay_finish(l.r, &st);
    EXPECT_EQ(st.samples, ARRAY_LEN(s));
    EXPECT_EQ(head_min_time(h), INT64_MIN + 1);
    EXPECT_EQ(head_max_time(h), INT64_MAX - 1);
    head_close(h);
}

/* Closed chunks. */

struct found { VEC(struct chunk_found) all; };

static errc note_chunk(void *ctx, const struct chunk_found *c, struct err *e)
{
    (void)e;
    vec_push(&((struct found *)ctx)->all, *c);
    return OK;
}

static void expect_counter(struct head *h, size_t n)
{
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    static struct sample got[2000];
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    EXPECT(s != NULL);
    EXPECT_EQ(read_series(s, &it, got, ARRAY_LEN(got)), n);
    for (size_t i = 0; i < n; i++)
        EXPECT(got[i].t == (int64_t)i * 15000 && got[i].v == (double)i / 4);
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    struct sample_batch b;
    EXPECT_OK(sample_iter_seek(it, 200 * 15000 - 1, NULL));
    EXPECT_OK(sample_iter_fill(it, &b, NULL));
    EXPECT(b.n && b.t[0] == 200 * 15000);
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
}

TEST(full_chunks_go_to_files)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct chunk_disk_opts o = { .fs = fs, .dir = S("chunks_head") };
    struct chunk_disk *d;
    struct chunk_disk_opened what;
    struct head *h;
    struct found found = { 0 };
    size_t n;
    EXPECT_OK(chunk_disk_open(&d, &o, note_chunk, &found, &what, NULL));
    EXPECT_OK(head_open(&h, &(struct head_opts){ .disk = d }, NULL));
    for (int i = 0; i < 300; i++) put(h, S("a"), i * 15000, i / 4.0);
    struct querier *cut = querier_of(h, INT64_MIN, INT64_MAX);
    for (int i = 300; i < 500; i++) put(h, S("a"), i * 15000, i / 4.0);
    expect_counter(h, 500);
    EXPECT_EQ(head_sealed_count(h), 4);
    EXPECT_OK(head_write_sealed(h, 1, &n, NULL));
    EXPECT_EQ(head_sealed_count(h), 3);
    EXPECT_EQ(n, 1);
    expect_counter(h, 500);
    EXPECT_OK(head_write_sealed(h, SIZE_MAX, &n, NULL));
    EXPECT_EQ(n, 3);
    EXPECT_OK(head_write_sealed(h, SIZE_MAX, &n, NULL));
    EXPECT_EQ(n, 0);
    expect_counter(h, 500);
    /* what was hidden stays hidden when its chunk is closed */
    EXPECT_EQ(count_of(cut, S("a")), 300);
    querier_free(cut);
    EXPECT_EQ(head_first_disk_file(h), 1);
    head_close(h);
    chunk_disk_close(d);

    /* Opened again: the chunks are attached, the log brings the rest, and what they cover is
     * dropped. */
    EXPECT_OK(chunk_disk_open(&d, &o, note_chunk, &found, &what, NULL));
    EXPECT_EQ(found.all.n, 4);
    EXPECT_OK(head_open(&h, &(struct head_opts){ .disk = d }, NULL));
    struct small_log l = { .r = head_replay_begin(h) };
    for (size_t i = 0; i < found.all.n; i++) {
        const struct chunk_found *c = &found.all.at[i];
        head_replay_chunk(l.r, &(struct head_replay_chunk){
                                   c->series, c->mint, c->maxt, c->ref, c->n, c->enc, c->ooo });
    }
    struct head_replay_stats st;
    log_series(&l, 1, S("a"));
    for (int i = 0; i < 500; i++)
        log_samples(&l, &(struct ref_sample){ 1, i * 15000, i / 4.0, 0 }, 1, NULL);
    head_replay_finish(l.r, &st);
    EXPECT_EQ(st.samples, 20);
    EXPECT_EQ(st.dropped_old, 480);
    expect_counter(h, 500);
    put(h, S("a"), 500 * 15000, 500 / 4.0);
    expect_counter(h, 501);
    EXPECT_OK(head_truncate(h, 130 * 15000, NULL));
    struct querier *q = querier_of(h, INT64_MIN, INT64_MAX);
    EXPECT_EQ(count_of(q, S("a")), 501 - 120);
    querier_free(q);
    EXPECT_EQ(head_min_time(h), 130 * 15000);
    head_close(h);
    chunk_disk_close(d);
    vec_fini(&found.all);
    fs_free(fs);
}

/* Threads: writers of whole pages, readers that must see pages whole, a collector. */

enum { PAGE_SERIES = 50, WRITERS = 2, READERS = 2, ROUNDS = 150, PAGES_FROM = 1000000 };
struct crowd { struct head *head; _Atomic int writers_left; _Atomic unsigned broken; };
struct one { struct crowd *crowd; int number; };

static void write_pages(void *ctx)
{
    struct one *me = ctx;
    for (int k = 1; k <= ROUNDS; k++) {
        struct appender *a;
        if (head_appendable(me->crowd->head)
                ->ops->begin(head_appendable(me->crowd->head), &a, NULL) != OK)
            me->crowd->broken++;
        for (int i = 0; i < PAGE_SERIES; i++) {
            char name[16], page[8];
            snprintf(name, sizeof(name), "s%d", i);
            /* a few are made by all at once */
            snprintf(page, sizeof(page), "%d", i < 5 ? 9 : me->number);
            struct label l[] = { { METRIC_NAME, str_z(name) }, { S("page"), str_z(page) } };
            series_handle h;
            if (a->ops->series(a, (struct labels){ l, 2 }, &h, NULL) != OK) me->crowd->broken++;
            errc rc = a->ops->append(a, h, PAGES_FROM + k * 1000, k, 0, NULL);
            if (i >= 5 && rc != OK) me->crowd->broken++;
        }
        if (a->ops->commit(a, NULL) != OK) me->crowd->broken++;
    }
    me->crowd->writers_left--;
}

static void read_pages_once(struct one *me)
{
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    struct sample_batch b;
    char page[8];
    snprintf(page, sizeof(page), "%d", me->number);
    struct matcher m = { .type = MATCH_EQ, .name = S("page"), .value = str_z(page) };
    if (head_queryable(me->crowd->head)
            ->ops->querier(head_queryable(me->crowd->head), INT64_MIN, INT64_MAX, &q, NULL) != OK)
        me->crowd->broken++;
    if (q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL) != OK) me->crowd->broken++;
    size_t want = SIZE_MAX;
    while (set->ops->next(set, &s, NULL) == OK && s) {
        size_t n = 0;
        if (s->ops->iterate(s, &it, NULL) != OK) me->crowd->broken++;
        while (sample_iter_fill(it, &b, NULL) == OK && b.n) n += b.n;
        if (want == SIZE_MAX) want = n;
        if (n != want) me->crowd->broken++;
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_free(q);
}

static void read_pages(void *ctx)
{
    struct one *me = ctx;
    while (me->crowd->writers_left > 0) read_pages_once(me);
}

TEST(threads_see_whole_pages)
{
    struct crowd c = { .writers_left = WRITERS };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct chunk_disk *d;
    struct chunk_disk_opened what;
    struct found found = { 0 };
    EXPECT_OK(chunk_disk_open(&d, &(struct chunk_disk_opts){ .fs = fs, .dir = S("chunks_head") },
        note_chunk, &found, &what, NULL));
    EXPECT_OK(head_open(&c.head, &(struct head_opts){ .disk = d, .samples_per_chunk = 8 }, NULL));
    struct one w[WRITERS], r[READERS];
    struct thread *all[WRITERS + READERS];
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (struct one){ &c, i };
        all[i] = thread_start("writer", write_pages, &w[i]);
    }
    for (int i = 0; i < READERS; i++) {
        r[i] = (struct one){ &c, i % WRITERS };
        all[WRITERS + i] = thread_start("reader", read_pages, &r[i]);
    }
    /* Meanwhile series come and go: each has one old sample, and the next truncation takes it. */
    for (int i = 1; c.writers_left > 0; i++) {
        char name[24];
        snprintf(name, sizeof(name), "gone%d", i);
        put(c.head, str_z(name), i, i);
        EXPECT_OK(head_truncate(c.head, i + 1, NULL));
        size_t n;
        EXPECT_OK(head_write_sealed(c.head, SIZE_MAX, &n, NULL));
    }
    for (int i = 0; i < WRITERS + READERS; i++) thread_join(all[i]);
    EXPECT_EQ(c.broken, 0);
    EXPECT_EQ(head_series_count(c.head), WRITERS * (PAGE_SERIES - 5) + 5);
    head_close(c.head);
    chunk_disk_close(d);
    fs_free(fs);
}
