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

bool cut_histogram(struct cut_state *s, bool *estimated, int64_t t, int64_t chunk_range_ms)
{
    enum { TARGET_BYTES = 1024, SAMPLES_MIN = 10 };
    if (s->n == 0) {
        s->mint = t;
        s->next_at = cut_align(t, chunk_range_ms);
    }
    int64_t range_end = *estimated ? cut_align(s->mint, chunk_range_ms) : s->next_at;
    if (!*estimated && s->bytes >= TARGET_BYTES / 4) {
        double full = (double)TARGET_BYTES / (double)s->bytes;
        s->next_at = cut_end(s->mint, s->maxt, s->next_at, full);
        *estimated = true;
    }
    bool over = t >= s->next_at || s->bytes >= 2 * TARGET_BYTES;
    if (!over || (s->n < SAMPLES_MIN && t < range_end)) return false;
    *estimated = false;
    return true;
}
