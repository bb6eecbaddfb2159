/* label_replace and label_join: they change what a row is called and leave its values alone. */
#include "base/utf8.h"
#include "promql/eval.h"

struct relabelling {
    struct sink base;
    struct eval *ev;
    str dst, src, text;                    /* text: the replacement, or the separator */
    const struct regex *re;                /* NULL: join */
    struct exprs sources;                  /* of join: string arguments */
    struct rows rows;
};

/* A value of more is one of a query that doubles it again and again. */
enum { VALUE_BYTES_MAX = (1 << 24) - 1 };

static errc relabel(struct relabelling *c, struct row *r, const struct buf *b)
{
    struct labels_builder lb;
    if (!buf_ok(b))
        return eval_fail(c->ev->q, "the value of label \"%.*s\" would be longer than %d bytes",
            STR_ARG(c->dst), VALUE_BYTES_MAX);
    labels_builder_init(&lb, c->ev->q->arena);
    labels_builder_from(&lb, r->labels);
    labels_builder_set(&lb, c->dst, arena_str(c->ev->q->arena, buf_view(b)));
    r->labels = labels_builder_done(&lb);
    if (str_eq(c->dst, METRIC_NAME)) r->drop_name = false;
    return OK;
}

static errc replace_row(struct sink *base, struct row *r)
{
    struct relabelling *c = CONTAINER_OF(base, struct relabelling, base);
    SCOPED(buf_fini) struct buf b = { .limit = VALUE_BYTES_MAX };
    if (regex_expand(c->re, labels_get(r->labels, c->src), c->text, &b)) TRY(relabel(c, r, &b));
    rows_copy(&c->rows, r);
    return OK;
}

static errc join_row(struct sink *base, struct row *r)
{
    struct relabelling *c = CONTAINER_OF(base, struct relabelling, base);
    SCOPED(buf_fini) struct buf b = { .limit = VALUE_BYTES_MAX };
    for (size_t i = 0; i < c->sources.n; i++) {
        if (i) buf_str(&b, c->text);
        buf_str(&b, labels_get(r->labels, c->sources.at[i]->string));
    }
    TRY(relabel(c, r, &b));
    rows_copy(&c->rows, r);
    return OK;
}

static void relabelling_fini(struct relabelling *c) { rows_fini(&c->rows); }

static errc relabelling_run(struct relabelling *c, struct expr *x, struct sink *out)
{
    rows_init(&c->rows, c->ev->q->arena, c->ev->g.n);
    TRY(eval_expr(c->ev, x->call.args.at[0], &c->base));
    TRY(rows_join_equal(c->ev, &c->rows));
    return rows_push(c->ev, &c->rows, out);
}

static str string_arg(const struct expr *x, size_t i) { return x->call.args.at[i]->string; }

static void regex_freep(struct regex **r) { regex_free(*r); }

errc eval_label_replace(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(regex_freep) struct regex *re = NULL;
    SCOPED(relabelling_fini) struct relabelling c = { .base = { replace_row }, .ev = ev };
    c.dst = string_arg(x, 1);
    c.text = string_arg(x, 2);
    c.src = string_arg(x, 3);
    str pattern = string_arg(x, 4);
    if (regex_new(&re, pattern, NULL) != OK)
        return eval_fail(
            ev->q, "invalid regular expression in label_replace(): %.*s", STR_ARG(pattern));
    if (!label_name_valid_utf8(c.dst))
        return eval_fail(
            ev->q, "invalid destination label name in label_replace(): %.*s", STR_ARG(c.dst));
    c.re = re;
    return relabelling_run(&c, x, out);
}

errc eval_label_join(struct eval *ev, struct expr *x, struct sink *out)
{
    SCOPED(relabelling_fini) struct relabelling c = { .base = { join_row }, .ev = ev };
    c.dst = string_arg(x, 1);
    c.text = string_arg(x, 2);
    c.sources = (struct exprs){ x->call.args.at + 3, x->call.args.n - 3 };
    for (size_t i = 0; i < c.sources.n; i++)
        if (!label_name_valid_utf8(c.sources.at[i]->string))
            return eval_fail(ev->q, "invalid source label name in label_join(): %.*s",
                STR_ARG(c.sources.at[i]->string));
    if (!label_name_valid_utf8(c.dst))
        return eval_fail(
            ev->q, "invalid destination label name in label_join(): %.*s", STR_ARG(c.dst));
    return relabelling_run(&c, x, out);
}
