/* sort, sort_desc, sort_by_label, sort_by_label_desc: they order the rows of an instant query. The
 * matrix of a range query is ordered by labels in the end, so there they only warn. */
#include "promql/eval.h"
#include "promql/gosort.h"

#include <math.h>

struct sorting_rows {
    struct sink base;
    struct eval *ev;
    struct rows rows;
    struct step_counts in, made;
    bool by_value, descending;
    struct exprs labels;
    struct watch watch;
};

static errc sort_row(struct sink *base, struct row *r)
{
    struct sorting_rows *s = CONTAINER_OF(base, struct sorting_rows, base);
    size_t n = s->ev->g.n, before = s->rows.all.n;
    step_counts_add(&s->in, r);
    struct row *kept = rows_copy(&s->rows, r);
    if (!s->by_value || !r->hist) return OK;
    row_drop_histograms(s->ev->q->arena, kept, n);
    if (bits_next(kept->present, 0, n) == n) s->rows.all.n = before;
    return OK;
}

/* Natural order: runs of digits compare as numbers. "Less", as the order that Prometheus uses has
 * it: not quite a strict one. */

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static str natural_chunk(str *s)
{
    size_t n = 0;
    bool digits = s->n && is_digit(s->p[0]);
    while (n < s->n && is_digit(s->p[n]) == digits) n++;
    str chunk = str_slice(*s, 0, n);
    *s = str_from(*s, n);
    return chunk;
}

static bool natural_less(str a, str b)
{
    while (a.n) {
        if (!b.n) return false;
        str ca = natural_chunk(&a), cb = natural_chunk(&b);
        int64_t na, nb;
        bool numbers =
            is_digit(ca.p[0]) && is_digit(cb.p[0]) && str_i64(ca, &na) && str_i64(cb, &nb);
        if (numbers ? na != nb : !str_eq(ca, cb)) return numbers ? na < nb : str_cmp(ca, cb) < 0;
        if (!a.n) return true;
        if (!b.n) return false;
    }
    return false;
}

static int row_cmp_by_labels(const struct sorting_rows *s, const struct row *a, const struct row *b)
{
    for (size_t i = 0; i < s->labels.n; i++) {
        str va = labels_get(a->labels, s->labels.at[i]->string),
            vb = labels_get(b->labels, s->labels.at[i]->string);
        if (str_eq(va, vb)) continue;
        int c = natural_less(va, vb) ? -1 : 1;
        return s->descending ? -c : c;
    }
    int c = labels_cmp(a->labels, b->labels);
    return s->descending ? -c : c;
}

static bool sort_less(void *ctx, size_t i, size_t j)
{
    struct sorting_rows *s = ctx;
    const struct row *a = &s->rows.all.at[i], *b = &s->rows.all.at[j];
    if (watch_ends(&s->watch)) return false;
    if (!s->by_value) return row_cmp_by_labels(s, a, b) < 0;
    double x = b->v[0], y = a->v[0];       /* reversed: the order of a heap, read backwards */
    return isnan(x) || (s->descending ? x < y : x > y);
}

static void sort_swap(void *ctx, size_t i, size_t j)
{
    struct sorting_rows *s = ctx;
    struct row t = s->rows.all.at[i];
    s->rows.all.at[i] = s->rows.all.at[j];
    s->rows.all.at[j] = t;
}

static void sorting_rows_fini(struct sorting_rows *s) { rows_fini(&s->rows); }

errc eval_sort(struct eval *ev, struct expr *x, struct sink *out)
{
    static const struct gosort_ops ops = { sort_less, sort_swap };
    str name = str_z(x->call.func->name);
    SCOPED(sorting_rows_fini)
    struct sorting_rows s = { .base = { sort_row }, .ev = ev, .watch = { ev->q } };
    rows_init(&s.rows, ev->q->arena, ev->g.n);
    step_counts_init(&s.in, ev->q->arena, ev->g.n);
    step_counts_init(&s.made, ev->q->arena, ev->g.n);
    s.by_value = !str_has_prefix(name, S("sort_by_label"));
    s.descending = str_has_suffix(name, S("_desc"));
    s.labels = (struct exprs){ x->call.args.at + 1, x->call.args.n - 1 };
    int64_t before = ev->q->samples;
    TRY(eval_expr(ev, x->call.args.at[0], &s.base));
    if (grid_is_instant(&ev->g)) gosort(&ops, &s, s.rows.all.n);
    else anno_sort_in_range(&ev->q->annotations, x->pos);
    TRY(s.watch.rc);
    for (size_t i = 0; i < s.rows.all.n; i++) step_counts_add_made(&s.made, &s.rows.all.at[i]);
    const struct step_counts *in[] = { &s.in };
    TRY(samples_node_end(ev, before, in, 1, &s.made));
    return rows_push(ev, &s.rows, out);
}
