/* head_append.c — ns of CPU a float sample from append to publication, the log left out: series
 * touched in the order of their slots, as a scrape does, and in a random order, as remote write
 * may; one appender per PAGE samples.
 *
 *     bench_head_append [SERIES] [SCRAPES]
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "head/head.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 5000 };

static void die(const struct err *e)
{
    fprintf(stderr, "%s\n", e->msg);
    exit(1);
}

struct load {
    struct head *head;
    series_handle *handles;
    double *v;
    int64_t *t;
    uint8_t *results;
    size_t series;
};

static void make_series(struct load *l)
{
    struct err e = { 0 };
    struct appender *a;
    if (head_appendable(l->head)->ops->begin(head_appendable(l->head), &a, &e) != OK) die(&e);
    for (size_t i = 0; i < l->series; i++) {
        char name[32], id[32];
        int n = snprintf(name, sizeof(name), "metric_%zu", i / 100),
            m = snprintf(id, sizeof(id), "%zu", i);
        struct label two[] = { { METRIC_NAME, str_of(name, (size_t)n) },
            { S("id"), str_of(id, (size_t)m) } };
        if (a->ops->series(a, (struct labels){ two, 2 }, &l->handles[i], &e) != OK) die(&e);
    }
    a->ops->rollback(a);
}

static double scrape(struct load *l, int64_t t)
{
    struct err e = { 0 };
    int64_t t0 = clock_cpu_ns();
    for (size_t from = 0; from < l->series; from += PAGE) {
        size_t n = l->series - from < PAGE ? l->series - from : PAGE;
        struct appender *a;
        for (size_t i = 0; i < n; i++) l->t[i] = t;
        if (head_appendable(l->head)->ops->begin(head_appendable(l->head), &a, &e) != OK) die(&e);
        if (a->ops->append_batch(a, l->handles + from, l->t, l->v + from, n, l->results, &e) != OK)
            die(&e);
        if (a->ops->commit(a, &e) != OK) die(&e);
    }
    return (double)(clock_cpu_ns() - t0) / (double)l->series;
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    struct prng r = { 1 };
    struct load l = { .series = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000 };
    int scrapes = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 40;
    l.handles = mem_alloc_array(l.series, sizeof(*l.handles));
    l.v = mem_zalloc(l.series * sizeof(*l.v));
    l.t = mem_alloc_array(PAGE, sizeof(*l.t));
    l.results = mem_alloc_array(PAGE, 1);
    for (int random = 0; random < 2; random++) {
        if (head_open(&l.head, &(struct head_opts){ 0 }, &e) != OK) die(&e);
        make_series(&l);
        for (size_t i = l.series; random && i-- > 1;) {
            size_t k = prng_below(&r, i + 1);
            series_handle h = l.handles[i];
            l.handles[i] = l.handles[k];
            l.handles[k] = h;
        }
        double best = 1e9, sum = 0;
        for (int s = 0; s < scrapes; s++) {
            for (size_t i = 0; i < l.series; i++)
                if (i % 3) l.v[i] += (double)prng_below(&r, 101);
            double ns = scrape(&l, 1700000000000 + s * 15000);
            best = ns < best ? ns : best;
            sum += ns;
        }
        printf("%-14s %8.1f ns a sample, best scrape %6.1f\n",
            random ? "random order" : "scrape order", sum / scrapes, best);
        head_close(l.head);
    }
    return 0;
}
