#include "write.h"

#include "base/f64.h"

static str text_at(const json_t *v) { return str_of(json_string_value(v), json_string_length(v)); }

static int64_t number_of(const json_t *q, const char *key)
{
    return json_integer_value(json_object_get(q, key));
}

static double float_at(const json_t *v) { return f64_of_bits((uint64_t)json_integer_value(v)); }
static double float_of(const json_t *q, const char *key)
{
    return float_at(json_object_get(q, key));
}

static struct labels labels_of(const json_t *pairs, struct arena *a)
{
    size_t n = json_array_size(pairs);
    struct label *at = arena_array(a, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(pairs, i);
        at[i].name = text_at(json_array_get(pair, 0));
        at[i].value = text_at(json_array_get(pair, 1));
    }
    return (struct labels){ at, n };
}

static double *floats_of(const json_t *all, struct arena *a, size_t *n)
{
    *n = json_array_size(all);
    if (!*n) return NULL;
    double *at = arena_array(a, *n, sizeof(*at));
    for (size_t i = 0; i < *n; i++) at[i] = float_at(json_array_get(all, i));
    return at;
}

static struct histogram_side side_of(const json_t *spans, const json_t *buckets, struct arena *a)
{
    struct histogram_side s = { .n_spans = json_array_size(spans) };
    s.at = floats_of(buckets, a, &s.n);
    s.spans = arena_array(a, s.n_spans, sizeof(*s.spans));
    for (size_t i = 0; i < s.n_spans; i++) {
        const json_t *pair = json_array_get(spans, i);
        s.spans[i] = (struct span){ (int32_t)json_integer_value(json_array_get(pair, 0)),
            (uint32_t)json_integer_value(json_array_get(pair, 1)) };
    }
    return s;
}

static struct histogram histogram_of(const json_t *q, struct arena *a)
{
    struct histogram h = { .hint = (enum reset_hint)number_of(q, "crh"),
        .schema = (int32_t)number_of(q, "schema"),
        .zero_threshold = float_of(q, "zt"),
        .zero_count = float_of(q, "zc"),
        .count = float_of(q, "count"),
        .sum = float_of(q, "sum") };
    h.pos = side_of(json_object_get(q, "ps"), json_object_get(q, "pb"), a);
    h.neg = side_of(json_object_get(q, "ns"), json_object_get(q, "nb"), a);
    h.custom = floats_of(json_object_get(q, "cv"), a, &h.n_custom);
    return h;
}

static struct int_histogram_side whole_side(const struct histogram_side *s, struct arena *a)
{
    struct int_histogram_side w = { s->spans, s->n_spans, NULL, s->n };
    int64_t last = 0;
    w.deltas = arena_array(a, s->n, sizeof(*w.deltas));
    for (size_t i = 0; i < s->n; i++) {
        w.deltas[i] = (int64_t)s->at[i] - last;
        last = (int64_t)s->at[i];
    }
    return w;
}

static struct int_histogram whole_of(const struct histogram *h, struct arena *a)
{
    return (struct int_histogram){ .hint = h->hint,
        .schema = h->schema,
        .zero_count = (uint64_t)h->zero_count,
        .count = (uint64_t)h->count,
        .zero_threshold = h->zero_threshold,
        .sum = h->sum,
        .pos = whole_side(&h->pos, a),
        .neg = whole_side(&h->neg, a),
        .custom = h->custom,
        .n_custom = h->n_custom };
}

static errc append_one(struct appender *app, const json_t *x, struct arena *a, struct err *e)
{
    series_handle s;
    int64_t t = number_of(x, "t"), st = number_of(x, "st");
    const json_t *q = json_object_get(x, "h");
    TRY(app->ops->series(app, labels_of(json_object_get(x, "labels"), a), &s, e));
    if (!q) return app->ops->append(app, s, t, float_of(x, "v"), st, e);
    struct histogram h = histogram_of(q, a);
    if (!json_is_true(json_object_get(q, "whole")))
        return app->ops->histogram(app, s, t, st, NULL, &h, e);
    struct int_histogram whole = whole_of(&h, a);
    return app->ops->histogram(app, s, t, st, &whole, NULL, e);
}

static errc append_all(struct db *db, const json_t *all, struct arena *a, struct err *e)
{
    struct appendable *to = db_appendable(db);
    struct appender *app;
    TRY(to->ops->begin(to, &app, e));
    for (size_t i = 0; i < json_array_size(all); i++) {
        errc rc = append_one(app, json_array_get(all, i), a, e);
        if (rc == OK) continue;
        app->ops->rollback(app);
        return err_in(e, rc, "sample %zu", i);
    }
    return app->ops->commit(app, e);
}

static errc delete_some(
    struct db *db, const json_t *q, const struct parse_opts *parse, struct arena *a, struct err *e)
{
    struct expr *tree;
    struct parse_errors errors;
    TRY(promql_parse(&tree, text_at(json_object_get(q, "delete")), parse, a, &errors, e));
    assert(tree->kind == EXPR_VECTOR);
    errc rc = db_delete(db, tree->vector.matchers, number_of(q, "start"), number_of(q, "end"), e);
    promql_tree_fini(tree);
    return rc;
}

bool write_asked(const json_t *q)
{
    return json_object_get(q, "append") || json_object_get(q, "delete") ||
           json_object_get(q, "clean") || json_object_get(q, "compact");
}

errc write_do(struct db *db, const json_t *q, const struct parse_opts *parse, struct err *e)
{
    struct arena a = { 0 };
    errc rc;
    if (json_object_get(q, "append")) rc = append_all(db, json_object_get(q, "append"), &a, e);
    else if (json_object_get(q, "delete")) rc = delete_some(db, q, parse, &a, e);
    else rc = json_object_get(q, "clean") ? db_clean_tombstones(db, e) : db_compact(db, e);
    arena_fini(&a);
    return rc;
}
