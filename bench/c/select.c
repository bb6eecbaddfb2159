/* select.c — finds series of a block, and of a head with the same series, by matchers; and one
 * series among SERIES of a head. Prints a line for each: name, microseconds of CPU a select, series
 * found.
 *
 *     bench_select BLOCK ROUNDS SERIES
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "block/block.h"
#include "head/head.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 5000 };

static void die(const struct err *e)
{
    fprintf(stderr, "select: %s\n", e->msg);
    exit(1);
}

static size_t find(struct queryable *in, struct matchers ms, int64_t mint, int64_t maxt)
{
    struct err e = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct select_hints h = { .start = mint, .end = maxt };
    size_t n = 0, bytes = 0;
    if (in->ops->querier(in, mint, maxt, &q, &e) != OK) die(&e);
    if (q->ops->select(q, ms, &h, &set, &e) != OK) die(&e);
    for (;; n++) {
        if (set->ops->next(set, &s, &e) != OK) die(&e);
        if (!s) break;
        bytes += labels_get(s->labels, S("instance")).n;
    }
    series_set_free(set);
    querier_free(q);
    if (n && !bytes) abort();
    return n;
}

static void measure(const char *name, struct queryable *in, int64_t mint, size_t rounds)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct matcher two[2];
    size_t n = 0;
    int64_t began = clock_cpu_ns();
    for (size_t i = 0; i < rounds; i++) {
        if (matcher_init(&two[0], &a, MATCH_EQ, S("job"), S("x"), &e) != OK) die(&e);
        if (matcher_init(&two[1], &a, MATCH_RE, S("instance"), S("a.*"), &e) != OK) die(&e);
        n = find(in, (struct matchers){ two, 2 }, mint, mint + 7200000);
        matcher_fini(&two[0]);
        matcher_fini(&two[1]);
    }
    printf("%s\t%.1f\t%zu\n", name, (double)(clock_cpu_ns() - began) / (double)rounds / 1e3, n);
}

static struct head *head_of(struct block *b, int64_t t)
{
    struct err e = { 0 };
    struct head *h;
    struct appender *a;
    struct chunk_series_set *set;
    const struct chunk_series *s;
    series_handle handle;
    if (head_open(&h, &(struct head_opts){ 0 }, &e) != OK) die(&e);
    if (block_chunks(b, NULL, 0, &set, &e) != OK) die(&e);
    if (head_appendable(h)->ops->begin(head_appendable(h), &a, &e) != OK) die(&e);
    for (;;) {
        if (set->ops->next(set, &s, &e) != OK) die(&e);
        if (!s) break;
        if (a->ops->series(a, s->labels, &handle, &e) != OK ||
            a->ops->append(a, handle, t, 1, 0, &e) != OK)
            die(&e);
    }
    if (a->ops->commit(a, &e) != OK) die(&e);
    chunk_series_set_free(set);
    return h;
}

static struct labels one_of_many(struct label *l, char (*text)[32], size_t i)
{
    int n = snprintf(text[0], sizeof(text[0]), "metric_%zu", i % 100),
        m = snprintf(text[1], sizeof(text[1]), "%zu", i),
        k = snprintf(text[2], sizeof(text[2]), "host-%zu", i / 100);
    l[0] = (struct label){ METRIC_NAME, str_of(text[0], (size_t)n) };
    l[1] = (struct label){ S("id"), str_of(text[1], (size_t)m) };
    l[2] = (struct label){ S("instance"), str_of(text[2], (size_t)k) };
    return (struct labels){ l, 3 };
}

static void measure_one(size_t series, size_t rounds)
{
    struct err e = { 0 };
    struct head *h;
    struct label l[3];
    char text[3][32];
    struct prng r = { 1 };
    size_t n = 0;
    if (head_open(&h, &(struct head_opts){ 0 }, &e) != OK) die(&e);
    for (size_t from = 0; from < series; from += PAGE) {
        struct appender *a;
        series_handle handle;
        if (head_appendable(h)->ops->begin(head_appendable(h), &a, &e) != OK) die(&e);
        for (size_t i = from; i < from + PAGE && i < series; i++)
            if (a->ops->series(a, one_of_many(l, text, i), &handle, &e) != OK ||
                a->ops->append(a, handle, 1000, 1, 0, &e) != OK)
                die(&e);
        if (a->ops->commit(a, &e) != OK) die(&e);
    }
    SCOPED(arena_fini) struct arena arena = { 0 };
    int64_t began = clock_cpu_ns();
    for (size_t i = 0; i < rounds; i++) {
        struct matcher two[2];
        one_of_many(l, text, prng_below(&r, series));
        if (matcher_init(&two[0], &arena, MATCH_EQ, l[0].name, l[0].value, &e) != OK) die(&e);
        if (matcher_init(&two[1], &arena, MATCH_EQ, l[1].name, l[1].value, &e) != OK) die(&e);
        n += find(head_queryable(h), (struct matchers){ two, 2 }, 0, 2000);
        matcher_fini(&two[0]);
        matcher_fini(&two[1]);
    }
    printf("one\t%.1f\t%zu\n", (double)(clock_cpu_ns() - began) / (double)rounds / 1e3, n / rounds);
    head_close(h);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    struct err e = { 0 };
    struct block *b;
    size_t rounds = strtoul(argv[2], NULL, 10), series = strtoul(argv[3], NULL, 10);
    struct fs *fs = fs_real_new(str_z(argv[1]));
    struct block_opts o = { .fs = fs, .backend = IO_AUTO };
    if (block_open(&b, &o, S(""), &e) != OK) die(&e);
    int64_t t = block_meta(b)->mint;
    struct head *h = head_of(b, t);
    measure("warm", head_queryable(h), t, rounds);
    measure("head", head_queryable(h), t, rounds);
    measure("block", block_queryable(b), t, rounds);
    measure_one(series, rounds);
    head_close(h);
    block_unref(b);
    fs_free(fs);
    return 0;
}
