#include "base/metric.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/test.h"

#include <stdio.h>

static const double bounds[] = { 1, 2, 5 };
static const double quantiles[] = { 0.5, 0.99 };
COUNTER(m_plain, "test_b_total", "A counter.")
GAUGE_VEC(m_labelled, "test_a", "A gauge with labels.", "x", "y")
SUMMARY_VEC(m_passing, "passing_seconds", "Its children come and go.", quantiles, "job")
COUNTER_VEC(m_threads, "threads_total", "Added to by threads.", "parity")
HISTOGRAM(m_histogram, "test_c_seconds", "A histogram.", bounds)
SUMMARY(m_summary, "test_d_seconds", "A summary.", quantiles)

struct seen { char text[4096]; size_t n; };
static void take(void *ctx, const struct metric_point *p)
{
    struct seen *s = ctx;
    if (strncmp(p->family->name, "test_", 5) != 0) return;
    char *at = s->text + s->n;
    size_t room = sizeof(s->text) - s->n;
    int n =
        snprintf(at, room, "%s(%s,%s)=%g/%u;", p->family->name, p->values[0] ? p->values[0] : "",
            p->values[0] ? p->values[1] : "", p->value, (unsigned)p->count);
    if (p->cumulative)
        n += snprintf(at + n, room - (size_t)n, "%u,%u,%u,%u;", (unsigned)p->cumulative[0],
            (unsigned)p->cumulative[1], (unsigned)p->cumulative[2], (unsigned)p->cumulative[3]);
    if (p->quantiles)
        n += snprintf(at + n, room - (size_t)n, "%g,%g;", p->quantiles[0], p->quantiles[1]);
    s->n += (size_t)n;
}

TEST(metric_collects_in_order)
{
    metric_add(&m_plain, 2.5);
    metric_inc(&m_plain);
    metric_set_of(METRIC_WITH(&m_labelled, S("b"), S("1")), 4);
    metric_set_of(METRIC_WITH(&m_labelled, S("a"), S("2")), 3);
    metric_set_of(METRIC_WITH(&m_labelled, S("b"), S("1")), 5);
    metric_observe(&m_histogram, 1);
    metric_observe(&m_histogram, 1.5);
    metric_observe(&m_histogram, 9);
    for (unsigned i = 1; i <= 100; i++) metric_observe(&m_summary, i);
    struct seen s = { .n = 0 };
    metric_each(take, &s);
    EXPECT_STR(str_of(s.text, s.n),
        S("test_a(a,2)=3/0;test_a(b,1)=5/0;test_b_total(,)=3.5/0;test_c_seconds(,)=11.5/"
          "3;1,2,2,3;test_d_seconds(,)=5050/100;50,99;"));
    metric_forget(&m_labelled, (const str[]){ S("b"), S("1") }, 2);
    s.n = 0;
    metric_each(take, &s);
    EXPECT(str_find(str_of(s.text, s.n), S("(b,1)")) == SIZE_MAX);
}

static void *add_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++)
        metric_add_to(METRIC_WITH(&m_threads, i % 2 ? S("odd") : S("even")), 1);
    return NULL;
}

TEST(metric_adds_from_threads)
{
    pthread_t t[4];
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        EXPECT_EQ(pthread_create(&t[i], NULL, add_many, NULL), 0);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    EXPECT(metric_value(METRIC_WITH(&m_threads, S("odd"))) == 40000);
    EXPECT(metric_value(METRIC_WITH(&m_threads, S("even"))) == 40000);
}

/* Children that are made, observed in and forgotten, while others are collected. */
static void count_points(void *ctx, const struct metric_point *p)
{
    if (p->values[0] && p->family == &m_passing) *(unsigned *)ctx += 1;
}

static void *come_and_go(void *arg)
{
    const str *jobs = arg;
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned k = 0; k < 3; k++) {
            epoch_enter();
            metric_observe_in(metric_with(&m_passing, &jobs[k], 1), i);
            epoch_leave();
        }
        for (unsigned k = 3; k-- > 0;) metric_forget(&m_passing, &jobs[k], 1);
    }
    return NULL;
}

TEST(metric_forgets_beside_a_collection)
{
    static const str jobs[2][3] = { { S("a"), S("b"), S("c") }, { S("c"), S("a"), S("d") } };
    pthread_t t[2];
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        EXPECT_EQ(pthread_create(&t[i], NULL, come_and_go, (void *)(uintptr_t)jobs[i]), 0);
    unsigned n = 0;
    for (unsigned i = 0; i < 200; i++) metric_each(count_points, &n);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) pthread_join(t[i], NULL);
    n = 0;
    metric_each(count_points, &n);
    /* each thread forgot what it made, and what the other had made */
    EXPECT_EQ(n, 0);
    metric_forget(&m_passing, jobs[0], 1);
    epoch_drain();
}
