#include "bucket/test_ask.h"

#include "base/buf.h"
#include "base/vec.h"

static errc samples_of(struct series *s, struct buf *out, struct err *e)
{
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    TRY(s->ops->iterate(s, &it, e));
    for (struct sample_batch b;;) {
        TRY(sample_iter_fill(it, &b, e));
        if (!b.n) return OK;
        for (size_t i = 0; i < b.n; i++) buf_fmt(out, " %" PRId64 "=%g", b.t[i], b.v[i]);
    }
}

static errc series_of(struct querier *q, struct matchers ms, int64_t mint, int64_t maxt,
    struct buf *out, struct err *e)
{
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct select_hints h = { .start = mint, .end = maxt, .sorted = true };
    struct series *one;
    TRY(q->ops->select(q, ms, &h, &set, e));
    for (;;) {
        TRY(set->ops->next(set, &one, e));
        if (!one) return OK;
        buf_labels(out, one->labels);
        TRY(samples_of(one, out, e));
        buf_u8(out, '\n');
    }
}

errc test_ask(struct test_answer *out, struct queryable *from, int64_t mint, int64_t maxt,
    struct arena *a, struct err *e)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(buf_fini) struct buf text = { 0 };
    struct matcher m;
    str_list words = { 0 };
    *out = (struct test_answer){ 0 };
    TRY(matcher_init(&m, a, MATCH_EQ, METRIC_NAME, S("m"), e));
    errc rc = from->ops->querier(from, mint, maxt, &q, e);
    if (rc == OK) {
        rc = series_of(q, (struct matchers){ &m, 1 }, mint, maxt, &text, e);
        querier_warnings(q, &words);
    }
    str *copies = arena_array(a, words.n + 1, sizeof(*copies));
    for (size_t i = 0; i < words.n; i++) copies[i] = arena_str(a, words.at[i]);
    *out = (struct test_answer){ arena_str(a, buf_view(&text)), copies, words.n };
    vec_fini(&words);
    matcher_fini(&m);
    return rc;
}
