/* cut.c — see cut.h */
#include "chunk/cut.h"

int64_t cut_align(int64_t t, int64_t w)
{
    assert(w > 0);
    return (int64_t)((uint64_t)(t / w * w) + (uint64_t)w);
}

int64_t cut_end(int64_t start, int64_t cur, int64_t max, double ratio)
{
    int64_t span = (int64_t)((uint64_t)max - (uint64_t)start),
            stood = (int64_t)((uint64_t)cur - (uint64_t)start + 1);
    double n = (double)span / ((double)stood * ratio);
    if (n <= 1) return max;
    return (int64_t)((double)start + (double)span / __builtin_floor(n));
}

bool cut_float(struct cut_state *s, int64_t t, int64_t chunk_range_ms, size_t samples)
{
    if (s->bytes > CUT_BYTES) return true;
    if (s->n == 0) {
        s->mint = t;
        s->next_at = cut_align(t, chunk_range_ms);
    }
    if (s->n == samples / 4) s->next_at = cut_end(s->mint, s->maxt, s->next_at, 4);
    return t >= s->next_at || s->n >= 2 * samples;
}
