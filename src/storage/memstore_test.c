#include "storage/memstore.h"

#include "base/test.h"

static struct labels one_label(const char *value)
{
    static struct label room[8];
    static size_t n;
    struct label *l = &room[n++ % ARRAY_LEN(room)];
    *l = (struct label){ S("a"), str_z(value) };
    return (struct labels){ l, 1 };
}

/* "a=1 b=2 …": the series that a selector finds and how many samples each has. */
static str select_text(struct memstore *m, struct arena *a, int64_t mint, int64_t maxt, bool sorted)
{
    struct queryable *q = memstore_queryable(m);
    struct querier *qr;
    struct series_set *set;
    struct select_hints h = { .start = mint, .end = maxt, .sorted = sorted };
    str text = STR_EMPTY;
    struct sample_iter *it = NULL;
    EXPECT_OK(q->ops->querier(q, mint, maxt, &qr, NULL));
    EXPECT_OK(qr->ops->select(qr, (struct matchers){ 0 }, &h, &set, NULL));
    for (struct series *s;;) {
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        struct sample_batch b;
        size_t n = 0;
        do {
            EXPECT_OK(sample_iter_fill(it, &b, NULL));
            n += b.n;
        } while (b.n);
        text =
            arena_fmt(a, "%.*s%.*s=%zu ", STR_ARG(text), STR_ARG(labels_get(s->labels, S("a"))), n);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_free(qr);
    return str_trim(text);
}

TEST(memstore_order_and_interval)
{
    struct memstore *m = memstore_new();
    struct arena a;
    arena_init(&a, NULL, 0);
    for (int64_t t = 0; t < 300; t++) EXPECT_OK(memstore_add(m, one_label("z"), t, 1, NULL));
    EXPECT_OK(memstore_add(m, one_label("b"), 50, 1, NULL));
    EXPECT_STR(select_text(m, &a, 0, 1000, false), S("z=300 b=1"));
    EXPECT_STR(select_text(m, &a, 0, 1000, true), S("b=1 z=300"));
    EXPECT_STR(select_text(m, &a, 10, 19, false), S("z=10"));
    EXPECT_STR(select_text(m, &a, 1000, 2000, false), S(""));
    memstore_clear(m);
    EXPECT_STR(select_text(m, &a, 0, 1000, false), S(""));
    arena_fini(&a);
    memstore_free(m);
}

TEST(memstore_refuses)
{
    struct memstore *m = memstore_new();
    EXPECT_OK(memstore_add(m, one_label("x"), 10, 1, NULL));
    /* the same sample again is fine */
    EXPECT_OK(memstore_add(m, one_label("x"), 10, 1, NULL));
    EXPECT_EQ(memstore_add(m, one_label("x"), 10, 2, NULL), ERR_DUPLICATE);
    EXPECT_EQ(memstore_add(m, one_label("x"), 9, 1, NULL), ERR_OUT_OF_ORDER);
    EXPECT_EQ(memstore_add(m, (struct labels){ 0 }, 11, 1, NULL), ERR_BAD_INPUT);
    memstore_free(m);
}

TEST(memstore_commit_is_whole)
{
    struct memstore *m = memstore_new();
    struct appendable *to = memstore_appendable(m);
    struct appender *ap;
    struct arena a;
    series_handle h;
    arena_init(&a, NULL, 0);
    EXPECT_OK(to->ops->begin(to, &ap, NULL));
    EXPECT_OK(ap->ops->series(ap, one_label("x"), &h, NULL));
    EXPECT_OK(ap->ops->append(ap, h, 1, 1, 0, NULL));
    EXPECT_STR(select_text(m, &a, 0, 10, false), S(""));
    EXPECT_OK(ap->ops->append(ap, h, 2, 1, 0, NULL));
    EXPECT_OK(ap->ops->commit(ap, NULL));
    EXPECT_STR(select_text(m, &a, 0, 10, false), S("x=2"));
    EXPECT_OK(to->ops->begin(to, &ap, NULL));
    EXPECT_OK(ap->ops->append(ap, h, 3, 1, 0, NULL));
    ap->ops->rollback(ap);
    EXPECT_STR(select_text(m, &a, 0, 10, false), S("x=2"));
    /* what was rolled back is free again */
    EXPECT_OK(memstore_add(m, one_label("x"), 3, 7, NULL));
    arena_fini(&a);
    memstore_free(m);
}
