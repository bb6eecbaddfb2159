/* engine_fuzz.c — expressions over series of every kind, evaluated.
 *
 * The first bytes say when and how; the rest is the expression itself, or, if the first byte is
 * odd, what decides how one is made. Whatever is asked: a result or an error, nothing left behind.
 * A result lies on its grid, in the order of time, and is told as JSON. A range is also asked of
 * engines that keep answers, after another range: what they put together is the same, bit by
 * bit. */
#include "base/cursor.h"
#include "promql/explain.h"
#include "promql/functions.h"
#include "promql/print.h"
#include "promql/result_json.h"
#include "promql/script_run.h"
#include "storage/memstore.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { MINUTE_MS = 60000, DEPTH = 4, TEXT_MAX = 4096, QUERY_MS = 2000, STEPS_MAX = 40 };

static const char data[] =
    "load 1m\n"
    "  c_total{job=\"a\",i=\"0\"} 0+10x12 3+7x14\n"
    "  c_total{job=\"a\",i=\"1\"} 0+1x9 stale _x3 1+1x9\n"
    "  c_total{job=\"b\",i=\"0\"} 1e300+1e300x20\n"
    "  g{job=\"a\",i=\"0\"} 1 NaN Inf -Inf -0 0 stale 5 1e-310 3 _x4 2-1x9\n"
    "  g{job=\"b\",i=\"1\"} 5x25\n"
    "  g2{job=\"a\",i=\"0\"} _x5 1+3x20\n"
    "  b_bucket{job=\"a\",le=\"0.1\"} 0+1x20\n"
    "  b_bucket{job=\"a\",le=\"1\"} 0+3x20\n"
    "  b_bucket{job=\"a\",le=\"+Inf\"} 0+4x20\n"
    "  b_bucket{job=\"b\",le=\"x\"} 0+4x20\n"
    "  h{job=\"a\"} {{schema:0 count:4 sum:5 buckets:[1 2 1]}}+{{schema:0 count:4 sum:5 "
    "buckets:[1 2 1]}}x12 stale {{schema:3 count:1 sum:2 z_bucket:1 z_bucket_w:0.01}}x8\n"
    "  h{job=\"b\"} {{schema:2 count:6 sum:1 n_buckets:[1 0 2] buckets:[1 0 0 2]}}x20\n"
    "  hg{job=\"a\"} {{schema:1 sum:-1 count:5 buckets:[5] counter_reset_hint:gauge}}x20\n"
    "  n{job=\"a\"} {{schema:-53 sum:9 count:9 custom_values:[1 2 5] buckets:[1 5 2 1]}}x10 "
    "{{schema:-53 sum:9 count:9 custom_values:[1 3] buckets:[4 5]}}x9\n"
    "  m{job=\"a\"} 1 2 3 {{schema:0 count:1 sum:1 buckets:[1]}}x4 4 5 _x2 6 7\n"
    "  m{job=\"b\"} {{schema:0 count:1 sum:NaN buckets:[1]}} 1 2x5 "
    "{{schema:-53 sum:1 count:1 custom_values:[2] buckets:[1]}}x5\n"
    "  target_info{job=\"a\",i=\"0\",version=\"1\"} 1x25\n"
    "  x{__type__=\"counter\",__unit__=\"s\",i=\"é\"} 1+1x25\n";

static struct memstore *store(void)
{
    static struct memstore *made;
    struct script s = { 0 };
    struct err e = { 0 };
    if (made) return made;
    made = memstore_new();
    errc rc = script_parse(&s, str_z(data), &e);
    for (size_t i = 0; i < s.n && rc == OK; i++)
        rc = script_load_into(&s.at[i].load, memstore_appendable(made), &e);
    assert(rc == OK);
    script_fini(&s);
    return made;
}

/* Three engines: each switch on in one of them. And three that keep answers. */
enum { ENGINES = 3 };
static struct engine *engine_of(unsigned which, bool keeps)
{
    static struct engine *made[2 * ENGINES];
    which %= ENGINES;
    struct engine **at = &made[2 * which + keeps];
    if (*at) return *at;
    struct engine_opts o = script_engine_opts();
    o.delayed_name_removal = o.type_and_unit_labels = which == 0;
    o.use_start_timestamps = o.per_step_stats = which == 1;
    o.result_cache_bytes = keeps ? 1 << 20 : 0;
    o.timeout_ms = QUERY_MS;
    o.max_samples = 50000;
    return *at = engine_new(&o);
}

/* --- expressions out of bytes --- */

struct maker { cursor c; struct buf *out; };

static size_t maker_pick(struct maker *m, size_t n)
{
    return cur_left(&m->c) > 0 ? cur_u8(&m->c) % n : 0;
}

static void make_value(struct maker *m, enum value_type t, unsigned depth);

/* $V $S $M $T: values; $F: a call; $D: a duration; $N: a number; $L: names of labels; $A: when */
static void make_from(struct maker *m, const char *const *at, size_t n, unsigned depth);

#define MAKE_FROM(m, list, depth) make_from((m), (list), ARRAY_LEN(list), (depth))

static void make_call(struct maker *m, unsigned depth)
{
    size_t n;
    const struct function *all = function_table(&n), *f = &all[maker_pick(m, n)];
    size_t args = f->n_args;
    if (f->variadic > 0) args = args - 1 + maker_pick(m, MIN((size_t)f->variadic, 3) + 1);
    else if (f->variadic < 0) args += maker_pick(m, 3);
    buf_str(m->out, str_z(f->name));
    buf_u8(m->out, '(');
    for (size_t i = 0; i < args; i++) {
        if (i) buf_str(m->out, S(", "));
        make_value(m, f->args[MIN(i, f->n_args - 1)], depth);
    }
    buf_u8(m->out, ')');
}

static void make_small(struct maker *m, char what)
{
    static const char *const durations[] = { "5m", "1m", "90s", "1ms", "step()", "(2*step()+1s)",
        "20m", "min_of(range(),3m)" };
    static const char *const numbers[] = { "1", "0", "-1", "NaN", "Inf", "-Inf", "0.5", "1e300",
        "5e-324", "9007199254740993", "3.7", "100" };
    static const char *const names[] = { "()", "(job)", "(i)", "(job,i)", "(le)", "(__name__)",
        "(nope,version)" };
    static const char *const times[] = { "", "", "", " @ 300", " @ start()", " @ end()",
        " offset 1m", " offset -90s", " offset step()", " @ 1.5 offset 1m" };
    static const char *const matchers[] = { "", "", "{job=\"a\"}", "{job!=\"a\"}", "{i=~\"0|1\"}",
        "{nope=\"\"}", "{le!~\"0.*\"}" };
    switch (what) {
    case 'D': MAKE_FROM(m, durations, 0); break;
    case 'N': MAKE_FROM(m, numbers, 0); break;
    case 'L': MAKE_FROM(m, names, 0); break;
    case 'A': MAKE_FROM(m, times, 0); break;
    case 'Q': MAKE_FROM(m, matchers, 0); break;
    default: break;
    }
}

static void make_from(struct maker *m, const char *const *at, size_t n, unsigned depth)
{
    for (const char *c = at[maker_pick(m, n)]; *c; c++) {
        if (*c != '$') {
            buf_u8(m->out, (uint8_t)*c);
            continue;
        }
        switch (*++c) {
        case 'V': make_value(m, VALUE_VECTOR, depth); break;
        case 'S': make_value(m, VALUE_SCALAR, depth); break;
        case 'M': make_value(m, VALUE_MATRIX, depth); break;
        case 'T': make_value(m, VALUE_STRING, depth); break;
        case 'F': make_call(m, depth); break;
        default: make_small(m, *c); break;
        }
    }
}

static void make_value(struct maker *m, enum value_type t, unsigned depth)
{
    static const char *const plain[] = { "g$Q$A", "c_total$Q$A", "m$Q$A", "h$Q$A", "n$Q", "hg$A",
        "b_bucket$A", "g2", "x", "target_info", "{__name__=~\"g|h|m\"}$A", "g smoothed",
        "c_total anchored", "none" };
    static const char *const vectors[] = { "$F", "sum by $L ($V)", "avg without $L ($V)", "-($V)",
        "max($V)", "stddev($V)", "topk by $L ($S, $V)", "bottomk($S, $V)", "quantile($S, $V)",
        "count_values by $L ($T, $V)", "limitk($S, $V)", "limit_ratio($S, $V)", "group by $L ($V)",
        "($V) + on $L ($V)", "($V) / ignoring $L group_left $L ($V)", "($V) and on $L ($V)",
        "($V) or ($V)", "($V) unless ($V)", "($V) > bool ($S)", "($S) - ($V)", "($V) == ($V)",
        "($V) * fill($N) ($V)", "($V) % ($S)", "($V) </ ($S)", "($V) >/ ($V)", "sort($V)",
        "vector($S)", "label_replace($V, $T, $T, $T, $T)", "label_join($V, $T, $T, $T)",
        "info($V)", "histogram_quantile($S, $V)", "$F", "$F" };
    static const char *const scalars[] = { "$N", "scalar($V)", "time()", "($S) + ($S)",
        "($S) ^ ($S)", "($S) < bool ($S)", "-($S)", "pi()", "step()" };
    static const char *const ranges[] = { "c_total$Q[$D]$A", "g$Q[$D]$A", "m[$D]$A", "h[$D]$A",
        "n[$D]", "c_total[$D] anchored$A", "m[$D] smoothed$A", "hg[$D]$A", "x[$D]",
        "({__name__=~\".+\"})[$D:]", "g[$D:$D]$A" };
    static const char *const deep_ranges[] = { "($V)[$D:$D]$A", "($V)[$D:]$A", "m[$D]$A" };
    static const char *const texts[] = { "\"job\"", "\"i\"", "\"\"", "\"(.*)\"", "\"$1x\"",
        "\"__name__\"", "\"(\"", "\"le\"", "\"a b\"" };
    bool deep = depth > 0 && maker_pick(m, 6) > 0 && m->out->n < TEXT_MAX;
    switch (t) {
    case VALUE_VECTOR:
        if (deep) MAKE_FROM(m, vectors, depth - 1);
        else MAKE_FROM(m, plain, 0);
        break;
    case VALUE_SCALAR: make_from(m, scalars, deep ? ARRAY_LEN(scalars) : 1, depth - deep); break;
    case VALUE_MATRIX:
        if (deep) MAKE_FROM(m, deep_ranges, depth - 1);
        else MAKE_FROM(m, ranges, 0);
        break;
    default: MAKE_FROM(m, texts, 0); break;
    }
}

/* --- results --- */

static void check_result(const struct query_opts *o, const struct result *r)
{
    for (size_t i = 0; i < r->n_series; i++) {
        const struct result_series *s = &r->series[i];
        assert(s->n > 0 || r->type == VALUE_MATRIX);
        for (size_t k = 0; k < s->n; k++) {
            int64_t t = s->t[k];
            if (!o->instant)
                assert(t >= o->start_ms && t <= o->end_ms && (t - o->start_ms) % o->step_ms == 0);
            if (k) assert(t >= s->t[k - 1]);
        }
    }
    struct buf b = { 0 };
    struct json j = json_to(&b);
    promql_result_json(&j, r, true);
    buf_fini(&b);
}

static errc ask(
    unsigned which, bool keeps, const struct query_opts *o, struct result *r, struct err *e)
{
    *e = (struct err){ 0 };
    errc rc = engine_query(engine_of(which, keeps), memstore_queryable(store()), o, r, e);
    if (rc == OK) check_result(o, r);
    else assert(e->code != OK && e->n > 0);
    return rc;
}

static void same_notes(const str *a, size_t n, const str *b, size_t m)
{
    assert(n == m);
    for (size_t i = 0; i < n; i++) assert(str_eq(a[i], b[i]));
}

static void same_result(const struct result *a, const struct result *b)
{
    assert(a->type == b->type && a->n_series == b->n_series);
    for (size_t i = 0; i < a->n_series; i++) {
        const struct result_series *x = &a->series[i], *y = &b->series[i];
        assert(labels_eq(x->labels, y->labels) && x->n == y->n && !x->h == !y->h);
        for (size_t k = 0; k < x->n; k++) {
            assert(x->t[k] == y->t[k] && (x->h && x->h[k] ? true : !y->h || !y->h[k]));
            if (!x->h || !x->h[k]) assert(f64_bits(x->v[k]) == f64_bits(y->v[k]));
        }
    }
    same_notes(a->warnings, a->n_warnings, b->warnings, b->n_warnings);
    same_notes(a->infos, a->n_infos, b->infos, b->n_infos);
}

/* The first steps of a range are asked, then all of it, and once more. Who ran out of time or
 * samples in one way need not in the other. */
static void ask_kept(unsigned which, const struct query_opts *o, unsigned first)
{
    struct query_opts part = *o, all = *o;
    struct result want, got;
    struct err why, e;
    all.stats = all.per_step_stats = all.explain = false;
    errc rc = ask(which, false, &all, &want, &why);
    part = all;
    part.end_ms -= (int64_t)first * o->step_ms;
    part.start_ms -= (int64_t)(first % 3) * o->step_ms;
    if (part.end_ms >= part.start_ms && ask(which, true, &part, &got, &e) == OK)
        promql_result_fini(&got);
    for (int i = 0; i < 2; i++) {
        errc now = ask(which, true, &all, &got, &e);
        bool limits = rc == ERR_LIMIT || rc == ERR_TIMEOUT || now == ERR_TIMEOUT;
        if (!limits) assert(rc == now && (rc == OK || str_eq(err_str(&why), err_str(&e))));
        if (rc == OK && now == OK) same_result(&want, &got);
        if (now == OK) promql_result_fini(&got);
    }
    if (rc == OK) promql_result_fini(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const int64_t steps[] = { 60000, 15000, 1, 90000, 300000, 59999 };
    struct maker m = { .c = cur_of(str_of(p, n)) };
    SCOPED(buf_fini) struct buf text = { 0 };
    unsigned how = cur_u8(&m.c), start = cur_u8(&m.c), count = cur_u8(&m.c), flags = cur_u8(&m.c);
    if (!cur_ok(&m.c) || n > TEXT_MAX) return 0;
    m.out = &text;
    if (how & 1) make_value(&m, VALUE_VECTOR, DEPTH);
    else buf_str(&text, cur_bytes(&m.c, cur_left(&m.c)));
    struct query_opts o = { .query = buf_view(&text),
        .start_ms = (int64_t)(start % 32) * MINUTE_MS - (start >= 128 ? 1 : 0),
        .instant = flags & 1,
        .stats = flags & 2,
        .per_step_stats = flags & 2,
        .explain = flags & 4 };
    o.end_ms = o.start_ms;
    if (!o.instant) {
        o.step_ms = steps[(flags >> 3) % ARRAY_LEN(steps)];
        o.end_ms += (int64_t)(count % STEPS_MAX) * o.step_ms;
    }
    struct result r = { 0 };
    struct err e;
    if (ask(how >> 1, false, &o, &r, &e) == OK) promql_result_fini(&r);
    if (!o.instant) ask_kept(how >> 1, &o, count / STEPS_MAX + 1);
    return 0;
}
