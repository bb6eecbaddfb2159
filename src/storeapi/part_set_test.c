#include "storeapi/part_set.h"

#include "base/test.h"
#include "chunk/aggr.h"
#include "storeapi/test_store.h"

#include <stdlib.h>

static str_list names(struct arena *a, const char *text)
{
    str_list all = { 0 };
    for (str rest = str_z(text), one; rest.n;) {
        str_cut(rest, ',', &one, &rest);
        avec_push(a, &all, one);
    }
    return all;
}

struct ask { const char *external, *without; bool skip_chunks; size_t resort_bytes; };

/* All label sets as one text, each checked against the one before. */
static errc collect(struct buf *out, struct test_part *p, const struct ask *k, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
    struct test_call call;
    struct outer o;
    struct labels last = { 0 };
    struct resort resort = { .bytes_max = k->resort_bytes };
    struct store_part part = { .queryable = &p->labels, .chunks = &p->chunks };
    test_call_init(&call);
    outer_init(&o, test_labels(&a, k->external), names(&a, k->without), &a);
    struct part_select by = { .part = &part, .outer = &o, .maxt = 10,
        .skip_chunks = k->skip_chunks, .resort = &resort, .call = &call.base };
    TRY(part_set_open(&set, &by, e));
    for (bool first = true;; first = false) {
        const struct chunk_series *s = NULL;
        TRY(set->ops->next(set, &s, e));
        if (!s) break;
        EXPECT(first || labels_cmp(last, s->labels) <= 0);
        EXPECT_EQ(s->n, !k->skip_chunks);
        if (s->n) EXPECT_STR(s->chunks[0].data, S("chunk"));
        last = labels_copy(&a, s->labels);
        test_labels_text(out, s->labels);
    }
    test_call_fini(&call);
    return OK;
}

TEST(part_set_order)
{
    static const char *const prefixes[] = { "a=1", "a=1,b=1", "a=1,b=1,d=1", "a=1,b=1,y=1",
        "a=1,b=2", "a=1,z=1", "a=2" };
    static const struct { const char *name; struct ask ask; const char *want; } cases[] = {
        { "as they are", { "", "", false, 1 },
            "{a=1}{a=1,b=1}{a=1,b=1,d=1}{a=1,b=1,y=1}{a=1,b=2}{a=1,z=1}{a=2}" },
        { "behind some", { "c=e", "", false, 1 },
            "{a=1,b=1,c=e}{a=1,b=1,c=e,d=1}{a=1,b=1,c=e,y=1}{a=1,b=2,c=e}{a=1,c=e}{a=1,c=e,z=1}"
            "{a=2,c=e}" },
        { "behind more", { "x=e", "", false, 1 },
            "{a=1,b=1,d=1,x=e}{a=1,b=1,x=e}{a=1,b=1,x=e,y=1}{a=1,b=2,x=e}{a=1,x=e}{a=1,x=e,z=1}"
            "{a=2,x=e}" },
        { "two of them", { "c=e,zz=f", "", false, 1 },
            "{a=1,b=1,c=e,d=1,zz=f}{a=1,b=1,c=e,y=1,zz=f}{a=1,b=1,c=e,zz=f}{a=1,b=2,c=e,zz=f}"
            "{a=1,c=e,z=1,zz=f}{a=1,c=e,zz=f}{a=2,c=e,zz=f}" },
        { "labels alone", { "x=e", "", true, 1 },
            "{a=1,b=1,d=1,x=e}{a=1,b=1,x=e}{a=1,b=1,x=e,y=1}{a=1,b=2,x=e}{a=1,x=e}{a=1,x=e,z=1}"
            "{a=2,x=e}" },
        { "a replica that no series has", { "r=0", "r", false, 1 },
            "{a=1}{a=1,b=1}{a=1,b=1,d=1}{a=1,b=1,y=1}{a=1,b=2}{a=1,z=1}{a=2}" },
        { "without a label", { "", "b", false, 1 << 20 },
            "{a=1}{a=1}{a=1}{a=1,d=1}{a=1,y=1}{a=1,z=1}{a=2}" },
        { "an external one wins", { "b=x", "", false, 1 << 20 },
            "{a=1,b=x}{a=1,b=x}{a=1,b=x}{a=1,b=x,d=1}{a=1,b=x,y=1}{a=1,b=x,z=1}{a=2,b=x}" },
        { "the first label goes", { "", "a", true, 1 << 20 },
            "{}{}{b=1}{b=1,d=1}{b=1,y=1}{b=2}{z=1}" },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf text = { 0 };
        struct test_part p;
        struct err e = { 0 };
        test_part_init(&p, prefixes, ARRAY_LEN(prefixes));
        EXPECT_OK_E(collect(&text, &p, &c->ask, &e), &e);
        EXPECT_STR(buf_view(&text), str_z(c->want));
        test_part_fini(&p);
    }
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

/* Random sets of few labels, so that many are the beginning of others: the order is always right,
 * and nothing is lost. */
TEST(part_set_order_model)
{
    enum { SERIES = 60, ROUNDS = 200 };
    static const char *const externals[] = { "c=e", "e=e", "b=x,f=y", "h=z", "" };
    struct prng rng = { test_seed() };

    for (int round = 0; round < ROUNDS; round++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf text = { 0 };
        const char *series[SERIES];
        struct labels all[SERIES];
        struct test_part p;
        struct err e = { 0 };
        size_t n = 0, seen = 0;
        for (int i = 0; i < SERIES; i++) {
            struct buf b = { 0 };
            for (char name = 'a'; name <= 'g'; name += 2)
                if (prng_below(&rng, 2))
                    buf_fmt(&b, "%s%c=%d", b.n ? "," : "", name, (int)prng_below(&rng, 2));
            if (b.n) all[n++] = test_labels(&a, arena_cstr(&a, buf_view(&b)));
            buf_fini(&b);
        }
        qsort(all, n, sizeof(all[0]), by_labels);
        for (size_t i = 0; i < n; i++) {
            struct buf b = { 0 };
            if (i && labels_eq(all[i], all[i - 1])) continue;
            test_labels_text(&b, all[i]);
            series[seen++] = arena_cstr(&a, str_slice(buf_view(&b), 1, b.n - 1));
            buf_fini(&b);
        }
        test_part_init(&p, series, seen);
        const char *external = externals[prng_below(&rng, ARRAY_LEN(externals))];
        struct ask ask = { external, "", false, 1 << 20 };
        EXPECT_OK_E(collect(&text, &p, &ask, &e), &e);
        size_t found = 0;
        for (size_t i = 0; i < text.n; i++) found += text.p[i] == '{';
        EXPECT_EQ(found, seen);
        test_part_fini(&p);
    }
}

TEST(part_set_limits)
{
    static const char *const series[] = { "a=1,b=1", "a=2,b=1" };
    SCOPED(buf_fini) struct buf text = { 0 };
    struct test_part p;
    struct err e = { 0 };
    test_part_init(&p, series, 2);
    EXPECT_EQ(collect(&text, &p, &(struct ask){ "", "b", false, 100 }, &e), ERR_LIMIT);
    p.fail = ERR_IO;
    EXPECT_EQ(collect(&text, &p, &(struct ask){ "", "", false, 100 }, &e), ERR_IO);
    test_part_fini(&p);
}

/* A chunk of aggregates goes as it is, if it has those that are wanted. */
TEST(part_set_aggregates)
{
    static const char *const one[] = { "a=1" };
    static const struct { const char *name; str data; unsigned wanted; errc rc; str error; }
        cases[] = {
            { "count and sum", { (const uint8_t *)"\2\1\0\0\2\1\0\0\0\0\0", 11 },
                1u << AGGR_COUNT | 1u << AGGR_SUM, OK, S("") },
            { "none is wanted", { (const uint8_t *)"\0\0\0\0\0", 5 }, 0, OK, S("") },
            { "no min", { (const uint8_t *)"\2\1\0\0\2\1\0\0\0\0\0", 11 }, 1u << AGGR_MIN,
                ERR_UNSUPPORTED, S("aggregate min does not exist") },
            { "damaged", { (const uint8_t *)"\2\1\0\0\2\1", 6 }, 0, ERR_CORRUPT,
                S("chunk of aggregates: it has another length") },
        };
    TEST_EACH(c, cases) {
        SCOPED(chunk_series_set_freep) struct chunk_series_set *set = NULL;
        SCOPED(arena_fini) struct arena a = { 0 };
        struct test_part p;
        struct outer o;
        struct resort resort = { .bytes_max = 1 };
        struct test_call call;
        struct err e = { 0 };
        const struct chunk_series *s = NULL;
        test_part_init(&p, one, ARRAY_LEN(one));
        p.view = (struct chunk_view){ 1, 2, CHUNK_AGGR, c->data, 0 };
        test_call_init(&call);
        outer_init(&o, (struct labels){ 0 }, (str_list){ 0 }, &a);
        struct store_part part = { .queryable = &p.labels, .chunks = &p.chunks };
        struct part_select by = { .part = &part, .outer = &o, .maxt = 10, .resort = &resort,
            .call = &call.base, .aggregates = c->wanted };
        EXPECT_OK_E(part_set_open(&set, &by, &e), &e);
        EXPECT_EQ(set->ops->next(set, &s, &e), c->rc);
        if (c->rc != OK) EXPECT_STR(err_str(&e), c->error);
        if (c->rc == OK) EXPECT(s && s->n == 1 && str_eq(s->chunks[0].data, c->data));
        test_call_fini(&call);
        test_part_fini(&p);
    }
}
