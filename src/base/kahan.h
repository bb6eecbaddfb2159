/* kahan.h — sums that carry their rounding errors along.
 *
 * What        Neumaier's variant of Kahan's summation, in the exact form that Prometheus has: the
 *             bits of results depend on it.
 * Invariants  after an overflow the compensation is 0
 * Ownership   values
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_KAHAN_H
#define EPI_BASE_KAHAN_H

#include <math.h>

struct kahan { double s, c; };

static inline void kahan_add(struct kahan *k, double x)
{
    double t = k->s + x;
    if (__builtin_expect(isinf(t), 0)) k->c = 0;
    else if (fabs(k->s) >= fabs(x)) k->c += (k->s - t) + x;
    else k->c += (x - t) + k->s;
    k->s = t;
}

/* The mean as Prometheus takes it: the sum divided at the end, or, once the sum would overflow,
 * updated value by value. */
struct kahan_mean { struct kahan k; double n; int incremental; };

static inline void kahan_mean_start(struct kahan_mean *m, double x)
{
    *m = (struct kahan_mean){ { x, 0 }, 1, 0 };
}

static inline void kahan_mean_add(struct kahan_mean *m, double x)
{
    m->n++;
    if (!m->incremental) {
        struct kahan next = m->k;
        kahan_add(&next, x);
        if (__builtin_expect(!isinf(next.s), 1)) {
            m->k = next;
            return;
        }
        m->incremental = 1;
        m->k.s /= m->n - 1;
        m->k.c /= m->n - 1;
    }
    double q = (m->n - 1) / m->n;
    m->k = (struct kahan){ q * m->k.s, q * m->k.c };
    kahan_add(&m->k, x / m->n);
}

static inline double kahan_mean_result(const struct kahan_mean *m)
{
    return m->incremental ? m->k.s + m->k.c : m->k.s / m->n + m->k.c / m->n;
}

#endif
