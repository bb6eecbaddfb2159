/* parse_series.c — what the productions of series descriptions do.
 *
 * `metric 1 2+3x4 _x2 {{sum:1 buckets:[1 2]}}x3`: repetitions are written out here. A step is added
 * again and again, so that it rounds as the reference rounds. */
#include "promql/parse_int.h"

#include "base/f64.h"
#include "model/sample.h"
#include "promql/series_histogram.h"

enum { SERIES_VALUES_MAX = 1 << 22 };      /* of one item */

static str token_key(enum token t)
{
    switch (t) {
    case TOK_SCHEMA_DESC: return S("schema");
    case TOK_SUM_DESC: return S("sum");
    case TOK_COUNT_DESC: return S("count");
    case TOK_ZERO_BUCKET_DESC: return S("z_bucket");
    case TOK_ZERO_BUCKET_WIDTH_DESC: return S("z_bucket_w");
    case TOK_CUSTOM_VALUES_DESC: return S("custom_values");
    case TOK_BUCKETS_DESC: return S("buckets");
    case TOK_OFFSET_DESC: return S("offset");
    case TOK_NEGATIVE_BUCKETS_DESC: return S("n_buckets");
    case TOK_NEGATIVE_OFFSET_DESC: return S("n_offset");
    default: return S("counter_reset_hint");
    }
}

/* What a histogram literal says, by the token of its key. */
struct hist_map {
    struct hist_entry {
        bool set;
        double f;
        int64_t i;
        struct float_list *floats;
        enum token hint;
    } at[TOK_HISTOGRAM_DESC_END - TOK_HISTOGRAM_DESC_START];
};
static struct hist_entry *hist_at(struct hist_map *m, enum token key)
{
    return &m->at[key - TOK_HISTOGRAM_DESC_START];
}

static void hist_merge(struct parser *p, struct hist_map *into, const struct hist_map *from)
{
    for (size_t i = 0; i < ARRAY_LEN(into->at); i++) {
        if (!from->at[i].set) continue;
        if (into->at[i].set) {
            str key = token_key((enum token)(TOK_HISTOGRAM_DESC_START + i));
            parser_error(p, (struct pos){ 0 }, "duplicate key \"%.*s\" in histogram", STR_ARG(key));
        } else {
            into->at[i] = from->at[i];
        }
    }
}

static struct histogram_side hist_side(
    struct parser *p, const struct hist_entry *buckets, const struct hist_entry *offset)
{
    if (!buckets->set || !buckets->floats || buckets->floats->v.n == 0)
        return (struct histogram_side){ 0 };
    struct span *s = ANEW(p->a, struct span);
    *s = (struct span){ (int32_t)offset->i, (uint32_t)buckets->floats->v.n };
    return (struct histogram_side){ s, 1, buckets->floats->v.at, buckets->floats->v.n };
}

static const struct histogram *hist_build(struct parser *p, struct hist_map *m)
{
    struct histogram *h = ANEW(p->a, struct histogram);
    const struct hist_entry *custom = hist_at(m, TOK_CUSTOM_VALUES_DESC),
                            *hint = hist_at(m, TOK_COUNTER_RESET_HINT_DESC);
    h->schema = (int32_t)hist_at(m, TOK_SCHEMA_DESC)->i;
    h->sum = hist_at(m, TOK_SUM_DESC)->f;
    h->count = hist_at(m, TOK_COUNT_DESC)->f;
    h->zero_count = hist_at(m, TOK_ZERO_BUCKET_DESC)->f;
    h->zero_threshold = hist_at(m, TOK_ZERO_BUCKET_WIDTH_DESC)->f;
    if (custom->floats) {
        h->custom = custom->floats->v.at;
        h->n_custom = custom->floats->v.n;
    }
    p->hint_set = hint->set;
    if (hint->set)
        h->hint = hint->hint == TOK_HINT_RESET       ? RESET_YES
                  : hint->hint == TOK_HINT_NOT_RESET ? RESET_NO
                  : hint->hint == TOK_HINT_GAUGE     ? RESET_GAUGE
                                                     : RESET_UNKNOWN;
    h->pos = hist_side(p, hist_at(m, TOK_BUCKETS_DESC), hist_at(m, TOK_OFFSET_DESC));
    h->neg =
        hist_side(p, hist_at(m, TOK_NEGATIVE_BUCKETS_DESC), hist_at(m, TOK_NEGATIVE_OFFSET_DESC));
    return h;
}

static struct hist_map *hist_one(struct parser *p, enum token key, struct hist_entry entry)
{
    struct hist_map *m = ANEW(p->a, struct hist_map);
    entry.set = true;
    *hist_at(m, key) = entry;
    return m;
}

static void hist_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    enum token key = v[0].item.typ;
    switch (act) {
    case ACT_HIST: out->histogram = hist_build(p, v[1].hist_map); break;
    case ACT_HIST_EMPTY: out->histogram = hist_build(p, ANEW(p->a, struct hist_map)); break;
    case ACT_HIST_MERGE: hist_merge(p, out->hist_map, v[2].hist_map); break;
    case ACT_HIST_INT: out->hist_map = hist_one(p, key, (struct hist_entry){ .i = v[2].i }); break;
    case ACT_HIST_FLOAT:
        out->hist_map = hist_one(p, key, (struct hist_entry){ .f = v[2].f });
        break;
    case ACT_HIST_BUCKETS:
        out->hist_map = hist_one(p, key, (struct hist_entry){ .floats = v[2].floats });
        break;
    case ACT_HIST_HINT:
        out->hist_map = hist_one(p, key, (struct hist_entry){ .hint = v[2].item.typ });
        break;
    case ACT_BUCKET_FIRST: {
        double f = v[0].f;
        out->floats = ANEW(p->a, struct float_list);
        avec_push(p->a, &out->floats->v, f);
        break;
    }
    case ACT_BUCKET_MORE: avec_push(p->a, &out->floats->v, v[2].f); break;
    default: assert(!"a histogram's action");
    }
}

/* --- labels --- */

/* Sorted by name, in the order in which they were written if a name comes twice. */
static struct labels labels_of(struct parser *p, const struct label_list *l)
{
    size_t n = l ? l->v.n : 0;
    struct label *at = arena_array(p->a, n + 1, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        size_t to = i;
        for (; to > 0 && str_cmp(at[to - 1].name, l->v.at[i].name) > 0; to--) at[to] = at[to - 1];
        at[to] = l->v.at[i];
    }
    return (struct labels){ at, n };
}

/* With the name before the braces, which replaces one inside of them; empty labels are none. */
static struct labels labels_named(struct parser *p, struct labels l, str name)
{
    struct label_list all = { 0 };
    struct label first = { METRIC_NAME, name };
    avec_push(p->a, &all.v, first);
    for (size_t i = 0; i < l.n; i++)
        if (l.at[i].value.n && !str_eq(l.at[i].name, METRIC_NAME)) avec_push(p->a, &all.v, l.at[i]);
    return labels_of(p, &all);
}

static void labels_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    struct label *l;
    switch (act) {
    case ACT_METRIC: out->labels = labels_named(p, v[1].labels, v[0].item.val); break;
    case ACT_LABELS: out->labels = labels_of(p, v[1].label_list); break;
    case ACT_LABELS_EMPTY: out->labels = (struct labels){ 0 }; break;
    case ACT_LABEL_FIRST: {
        const struct label *first = v[0].label;
        out->label_list = ANEW(p->a, struct label_list);
        if (first) avec_push(p->a, &out->label_list->v, *first);
        break;
    }
    case ACT_LABEL_MORE:
        if (v[2].label) avec_push(p->a, &out->label_list->v, *v[2].label);
        break;
    case ACT_LABEL: case ACT_LABEL_NAME:
        l = ANEW(p->a, struct label);
        *l = act == ACT_LABEL ? (struct label){ v[0].item.val, parser_unquote(p, v[2].item.val) }
                              : (struct label){ METRIC_NAME, v[0].item.val };
        out->label = l;
        break;
    default: assert(!"a labels' action");
    }
}

/* --- values --- */

static void value_push(struct parser *p, struct value_list *l, struct seq_value v)
{
    avec_push(p->a, &l->v, v);
}

static void repeat(struct parser *p, struct sem *out, struct seq_value v, double step, uint64_t n)
{
    struct value_list *l = ANEW(p->a, struct value_list);
    out->values = l;
    if (n > SERIES_VALUES_MAX) {
        parser_error(p, item_pos(&p->item), "more than %d values in one item of a series",
            SERIES_VALUES_MAX);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        value_push(p, l, v);
        v.v += step;
    }
}

/* base, base + inc, base + 2 inc, …: each from the one before. */
static void repeat_histogram(struct parser *p, struct sem *out, const struct histogram *h,
    const struct histogram *inc, double sign, uint64_t n)
{
    struct seq_value v = { .kind = SEQ_HISTOGRAM, .h = h, .hint_set = p->hint_set };
    repeat(p, out, v, 0, n + 1);
    struct value_list *l = out->values;
    for (size_t i = 1; i < l->v.n; i++) {
        struct err e = { 0 };
        const struct histogram *prev = l->v.at[i - 1].h;
        if (series_histogram_add(&l->v.at[i].h, p->a, prev, inc, sign, &e) == OK) continue;
        parser_error_str(p, item_pos(&p->item), err_str(&e));
        break;
    }
}

static void item_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    struct seq_value omitted = { .kind = SEQ_OMITTED }, value = { .kind = SEQ_VALUE, .v = v[0].f };
    struct seq_value hist = { .kind = SEQ_HISTOGRAM, .h = v[0].histogram, .hint_set = p->hint_set };
    switch (act) {
    case ACT_ITEM_BLANK: repeat(p, out, omitted, 0, 1); break;
    case ACT_ITEM_BLANK_TIMES: repeat(p, out, omitted, 0, v[2].u); break;
    case ACT_ITEM: repeat(p, out, value, 0, 1); break;
    /* -0.0 leaves -0 as it is */
    case ACT_ITEM_TIMES: repeat(p, out, value, -0.0, v[2].u + 1); break;
    case ACT_ITEM_STEP_TIMES: repeat(p, out, value, v[1].f, v[3].u + 1); break;
    case ACT_ITEM_HIST: repeat(p, out, hist, 0, 1); break;
    case ACT_ITEM_HIST_TIMES: repeat(p, out, hist, 0, v[2].u + 1); break;
    case ACT_ITEM_HIST_ADD:
        repeat_histogram(p, out, v[0].histogram, v[2].histogram, 1, v[4].u);
        break;
    case ACT_ITEM_HIST_SUB:
        repeat_histogram(p, out, v[0].histogram, v[2].histogram, -1, v[4].u);
        break;
    default: assert(!"an item's action");
    }
}

static uint64_t count_of(struct parser *p, const struct item *it)
{
    uint64_t n = 0;
    if (str_u64(it->val, &n)) return MIN(n, UINT64_MAX / 2);
    bool digits = it->val.n > 0;
    for (size_t i = 0; i < it->val.n; i++) digits &= it->val.p[i] >= '0' && it->val.p[i] <= '9';
    str q = parser_quote(p, it->val);
    parser_error(p, item_pos(it),
        "invalid repetition in series values: strconv.ParseUint: parsing %.*s: %s", STR_ARG(q),
        digits ? "value out of range" : "invalid syntax");
    return 0;
}

void parse_series_action(
    struct parser *p, enum grammar_action act, struct sem *out, const struct sem *v)
{
    switch (act) {
    case ACT_RESULT_LABELS: p->series.labels = v[1].labels; break;
    case ACT_SERIES:
        p->series.labels = v[0].labels;
        if (v[1].values) {
            p->series.values = v[1].values->v.at;
            p->series.n = v[1].values->v.n;
        }
        break;
    case ACT_VALUES_EMPTY: out->values = ANEW(p->a, struct value_list); break;
    case ACT_VALUES_MORE:
        if (!out->values) out->values = ANEW(p->a, struct value_list);
        for (size_t i = 0; v[2].values && i < v[2].values->v.n; i++)
            value_push(p, out->values, v[2].values->v.at[i]);
        break;
    case ACT_VALUE_WORD:
        if (!str_eq(v[0].item.val, S("stale")))
            parser_unexpected(p, S("series values"), S("number or \"stale\""));
        out->f = stale_nan();
        break;
    case ACT_COUNT: out->u = count_of(p, &v[0].item); break;
    case ACT_INT_NEGATED: out->i = -(int64_t)v[1].u; break;
    default:
        if (act >= ACT_HIST) hist_action(p, act, out, v);
        else if (act >= ACT_ITEM_BLANK) item_action(p, act, out, v);
        else labels_action(p, act, out, v);
        break;
    }
}
