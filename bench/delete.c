/* delete.c — what deleting one series costs while nothing is deleted yet, and while every series of
 * SERIES has tombstones: from matchers to the log, in the head.
 *
 * Goal: no more than twice as much.
 *
 *     bench_delete [SERIES]
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "head/head.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 2000, TURNS = 5, GOAL = 2 };

static void die(const struct err *e)
{
    fprintf(stderr, "delete: %s\n", e->msg);
    exit(1);
}

static void fill(struct head *h, size_t series)
{
    struct err e = { 0 };
    struct appender *a;
    if (head_appendable(h)->ops->begin(head_appendable(h), &a, &e) != OK) die(&e);
    for (size_t i = 0; i < series; i++) {
        char id[32];
        int n = snprintf(id, sizeof(id), "%zu", i);
        struct label two[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, (size_t)n) } };
        series_handle handle;
        if (a->ops->series(a, (struct labels){ two, 2 }, &handle, &e) != OK) die(&e);
        if (a->ops->append(a, handle, 1000, 1, 0, &e) != OK) die(&e);
        if (a->ops->append(a, handle, 900000, 1, 0, &e) != OK) die(&e);
    }
    if (a->ops->commit(a, &e) != OK) die(&e);
}

static void delete_where(struct head *h, str name, str value, int64_t mint, int64_t maxt)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct matcher m;
    if (matcher_init(&m, &a, MATCH_EQ, name, value, &e) != OK) die(&e);
    if (head_delete(h, (struct matchers){ &m, 1 }, mint, maxt, &e) != OK) die(&e);
    matcher_fini(&m);
}

/* Microseconds of a deletion; the best of some turns. */
static double measure(struct head *h, size_t series)
{
    struct prng r = { 1 };
    double best = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        int64_t began = clock_cpu_ns();
        for (int i = 0; i < ROUNDS; i++) {
            char id[32];
            int n = snprintf(id, sizeof(id), "%zu", (size_t)prng_below(&r, series));
            delete_where(h, S("id"), str_of(id, (size_t)n), 900000, 900000);
        }
        double us = (double)(clock_cpu_ns() - began) / ROUNDS / 1e3;
        best = turn ? MIN(best, us) : us;
    }
    return best;
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
    struct err e = { 0 };
    struct head *h;
    if (head_open(&h, &(struct head_opts){ 0 }, &e) != OK) die(&e);
    fill(h, series);
    double before = measure(h, series);
    int64_t began = clock_cpu_ns();
    delete_where(h, METRIC_NAME, S("m"), 1000, 1000);
    double all = (double)(clock_cpu_ns() - began) / 1e3, after = measure(h, series);
    printf("one of %zu: %.2f us, %.2f us when each has tombstones; all of them: %.2f us each\n",
        series, before, after, all / (double)series);
    bool good = after <= GOAL * before;
    printf("ratio %.1f, goal %d: %s\n", after / before, GOAL, good ? "met" : "not met");
    head_close(h);
    return 0;
}
