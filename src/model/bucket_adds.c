#include "model/bucket_adds.h"

#include "base/kahan.h"

#include <stdint.h>
#include <string.h>

enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t masks __attribute__((vector_size(8 * LANES)));

static inline lanes lanes_load(const double *p)
{
    lanes v;
    memcpy(&v, p, sizeof(v));
    return v;
}
static inline void lanes_store(double *p, lanes v) { memcpy(p, &v, sizeof(v)); }
static inline lanes lanes_choose(masks which, lanes yes, lanes no)
{
    return (lanes)(((masks)yes & which) | ((masks)no & ~which));
}
static inline lanes lanes_abs(lanes v) { return (lanes)((masks)v & INT64_MAX); }

/* kahan_add() of each lane that is on. */
static inline void lanes_add(lanes *s, lanes *c, lanes x, masks on)
{
    lanes t = *s + x;
    lanes lost = lanes_choose(lanes_abs(*s) >= lanes_abs(x), (*s - t) + x, (x - t) + *s);
    lanes sum = (lanes)((masks)(*c + lost) & (lanes_abs(t) != (lanes){ 0 } + INFINITY));
    *s = lanes_choose(on, t, *s);
    *c = lanes_choose(on, sum, *c);
}

static inline void count_add(double *at, double *c, double v, double vc)
{
    struct kahan sum = { *at, *c };
    kahan_add(&sum, v);
    if (vc != 0) kahan_add(&sum, vc);
    *at = sum.s;
    *c = sum.c;
}

static void adds_plain(double *at, const double *v, size_t n, double sign)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(at + i, lanes_load(at + i) + sign * lanes_load(v + i));
    for (; i < n; i++) at[i] += sign * v[i];
}

void bucket_adds(
    double *at, double *c, const double *v, const double *vc, size_t n, double sign)
{
    size_t i = 0;
    if (!c) {
        adds_plain(at, v, n, sign);
        return;
    }
    for (; i + LANES <= n; i += LANES) {
        lanes s = lanes_load(at + i), lost = lanes_load(c + i);
        lanes_add(&s, &lost, sign * lanes_load(v + i), (masks){ 0 } - 1);
        if (vc) {
            lanes x = sign * lanes_load(vc + i);
            lanes_add(&s, &lost, x, x != (lanes){ 0 });
        }
        lanes_store(at + i, s);
        lanes_store(c + i, lost);
    }
    for (; i < n; i++) count_add(&at[i], &c[i], sign * v[i], vc ? sign * vc[i] : 0);
}
