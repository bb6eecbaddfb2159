/* narrow.c — columns without branches, which compilers make wide. */
#include "chunk/narrow.h"

#include "base/f64.h"

#include <math.h>

static uint8_t bytes_for_signed(int64_t least, int64_t most)
{
    if (least == 0 && most == 0) return 0;
    if (least >= INT16_MIN && most <= INT16_MAX) return 2;
    return least >= INT32_MIN && most <= INT32_MAX ? 4 : 8;
}

/* Differences wrap: times may be any. */
static inline int64_t off_line(const struct narrow *w, const int64_t *t, size_t i)
{
    return (int64_t)((uint64_t)t[i] - (uint64_t)w->t0 - (uint64_t)i * (uint64_t)w->interval);
}

static void times_of(struct narrow *w, const int64_t *t)
{
    int64_t least = 0, most = 0;
    w->t0 = t[0];
    w->interval = w->n > 1 ? (int64_t)(((uint64_t)t[w->n - 1] - (uint64_t)t[0]) /
                                       (uint64_t)(w->n - 1))
                           : 0;
    /* scrapes are apart by whole seconds: a jitter of the last must not bend the line */
    if (w->interval > 900 && w->interval < (int64_t)1 << 50)
        w->interval = (w->interval + 500) / 1000 * 1000;
    for (size_t i = 0; i < w->n; i++) {
        int64_t off = off_line(w, t, i);
        least = MIN(least, off);
        most = MAX(most, off);
    }
    w->time_bytes = bytes_for_signed(least, most);
}

/* Whole numbers whose differences are exact; -0 is none. */
static bool values_whole(const double *v, size_t n, double *least, double *most)
{
    const double limit = 0x1p52;
    bool whole = true;
    *least = *most = v[0];
    for (size_t i = 0; i < n; i++) {
        bool is = fabs(v[i]) <= limit && f64_bits(rint(v[i])) == f64_bits(v[i]) &&
                  f64_bits(v[i]) != f64_bits(-0.0);
        whole &= is;
        *least = v[i] < *least ? v[i] : *least;
        *most = v[i] > *most ? v[i] : *most;
    }
    return whole;
}

static void values_of(struct narrow *w, const double *v)
{
    double most;
    bool same = true;
    for (size_t i = 1; i < w->n; i++) same &= f64_bits(v[i]) == f64_bits(v[0]);
    w->least = v[0];
    w->whole = same;
    w->value_bytes = 0;
    if (same) return;
    w->whole = values_whole(v, w->n, &w->least, &most);
    w->value_bytes = 8;
    if (!w->whole) return;
    if (most - w->least <= INT16_MAX) w->value_bytes = 2;
    else if (most - w->least <= INT32_MAX) w->value_bytes = 4;
    else w->whole = false;
}

void narrow_of(struct narrow *w, const int64_t *t, const double *v, size_t n)
{
    assert(n > 0 && n <= NARROW_SAMPLES_MAX);
    *w = (struct narrow){ .n = (uint16_t)n };
    times_of(w, t);
    values_of(w, v);
}

/* Values first: their columns are the wider ones. */
void narrow_put(const struct narrow *w, uint8_t *out, const int64_t *t, const double *v)
{
    for (size_t i = 0; i < w->n && w->value_bytes; i++, out += w->value_bytes) {
        int16_t two = w->value_bytes == 2 ? (int16_t)(v[i] - w->least) : 0;
        int32_t four = w->value_bytes == 4 ? (int32_t)(v[i] - w->least) : 0;
        if (w->value_bytes == 2) memcpy(out, &two, 2);
        else if (w->value_bytes == 4) memcpy(out, &four, 4);
        else memcpy(out, &v[i], 8);
    }
    for (size_t i = 0; i < w->n && w->time_bytes; i++, out += w->time_bytes) {
        int64_t off = off_line(w, t, i);
        int16_t two = (int16_t)off;
        int32_t four = (int32_t)off;
        if (w->time_bytes == 2) memcpy(out, &two, 2);
        else if (w->time_bytes == 4) memcpy(out, &four, 4);
        else memcpy(out, &off, 8);
    }
}

#define NARROW_VALUES(type)                                                                        \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
        memcpy(&x, in + i * sizeof(x), sizeof(x));                                                 \
        v[i] = least + (double)x;                                                                  \
    }
#define NARROW_TIMES(type)                                                                         \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
        memcpy(&x, in + i * sizeof(x), sizeof(x));                                                 \
        t[i] = (int64_t)(at + (uint64_t)(int64_t)x);                                               \
        at += interval;                                                                            \
    }

__attribute__((always_inline)) static inline void get_loop(
    const struct narrow *w, const uint8_t *in, int64_t *t, double *v)
{
    size_t n = w->n;
    double least = w->least;
    uint64_t at = (uint64_t)w->t0, interval = (uint64_t)w->interval;
    if (w->value_bytes == 0)
        for (size_t i = 0; i < n; i++) v[i] = least;
    else if (w->value_bytes == 2) NARROW_VALUES(int16_t)
    else if (w->value_bytes == 4) NARROW_VALUES(int32_t)
    else memcpy(v, in, n * sizeof(*v));
    in += n * w->value_bytes;
    if (w->time_bytes == 0)
        for (size_t i = 0; i < n; i++, at += interval) t[i] = (int64_t)at;
    else if (w->time_bytes == 2) NARROW_TIMES(int16_t)
    else if (w->time_bytes == 4) NARROW_TIMES(int32_t)
    else NARROW_TIMES(int64_t)
}

static void get_plain(const struct narrow *w, const uint8_t *in, int64_t *t, double *v)
{
    get_loop(w, in, t, v);
}
#if defined(__x86_64__)
__attribute__((target("avx2"))) static void get_avx2(
    const struct narrow *w, const uint8_t *in, int64_t *t, double *v)
{
    get_loop(w, in, t, v);
}
#endif

void narrow_get(const struct narrow *w, const uint8_t *in, int64_t *t, double *v)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        get_avx2(w, in, t, v);
        return;
    }
#endif
    get_plain(w, in, t, v);
}
