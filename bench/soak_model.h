/* soak_model.h — what the soak writes and what has to be found: arithmetic alone.
 *
 * What        Which samples there are at a time, worked out from nothing but the number of pages
 *             that were acknowledged and the deletions: 2,000 slots on 20 targets, a page of each
 *             every 15 seconds; a slot's series lives 20 hours, so that a twentieth of them is
 *             replaced each hour, and ends in a stale marker; in 4 minutes of 64 a series' samples
 *             come late, by 4 to 49 minutes; each hour something is deleted.
 * Invariants  pure: the engine is not asked
 * Ownership   values
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_BENCH_SOAK_MODEL_H
#define EPI_BENCH_SOAK_MODEL_H

#include "model/sample.h"

enum {
    STEP_MS = 15000,
    STEPS_HOUR = 3600000 / STEP_MS,
    STEPS_DAY = 24 * STEPS_HOUR,
    TARGETS = 20,
    LIFE_HOURS = 20, /* of a series */
    LATE_STEPS = 16, /* so many follow one another */
    LATE_MIN_STEPS = 16,
    LATE_MAX_STEPS = 196,
    LATE_OF = 64,
    GROUPS = 50,                /* of slots: a deletion takes one */
    DELETE_AT = STEPS_HOUR / 2, /* the step of each hour, but the first */
};
#define T0 1700006400000ll /* midnight */
#define MINUTE_MS 60000ll
#define HOUR_MS (60 * MINUTE_MS)

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned slot_target(unsigned slot) { return slot % TARGETS; }
static inline unsigned slot_group(unsigned slot) { return slot / TARGETS % GROUPS; }

static inline int64_t sample_time(unsigned slot, int64_t step)
{
    return T0 + step * STEP_MS + slot_target(slot) * 137;
}

/* A page is one commit; the page of a target in a step has this number. */
static inline int64_t page_number(unsigned slot, int64_t step)
{
    return step * TARGETS + slot_target(slot);
}

/* The series of a slot: when each begins. The one before gets its stale marker in that step. */
static inline int64_t gen_first(unsigned slot, int64_t gen)
{
    int64_t at = (int64_t)(mix(slot, 1) % LIFE_HOURS);
    if (gen == 0) return 0;
    return ((at ? at - LIFE_HOURS : 0) + gen * LIFE_HOURS) * STEPS_HOUR;
}

static inline int64_t gen_at(unsigned slot, int64_t step)
{
    int64_t at = (int64_t)(mix(slot, 1) % LIFE_HOURS), hour = step / STEPS_HOUR;
    return (hour - at + LIFE_HOURS) / LIFE_HOURS - (at == 0);
}

/* how many steps a sample comes late */
static inline int64_t late_by(unsigned slot, int64_t step)
{
    uint64_t h = mix(slot + 0x10000u, (uint64_t)(step / LATE_STEPS));
    if (h % LATE_OF) return 0;
    return LATE_MIN_STEPS + (int64_t)((h >> 16) % (LATE_MAX_STEPS - LATE_MIN_STEPS));
}

static inline double value_at(unsigned slot, int64_t gen, int64_t step)
{
    uint64_t h = mix(slot + 0x20000u, (uint64_t)step);
    if (gen_at(slot, step) != gen) return stale_nan();
    switch (slot % 3) {
    case 0: return (double)(step * (int64_t)(slot % 7 + 1));
    case 1: return (double)(h % 100000) / 1000;
    default: return (double)(h >> 11) * 0x1p-53;
    }
}

/* Deletion n, of the hour n: of a group of slots, an hour of the head or four of the blocks. */
struct soak_delete {
    unsigned group;
    int64_t mint, maxt;
};
static inline struct soak_delete delete_of(int64_t n)
{
    int64_t now = T0 + n * HOUR_MS + DELETE_AT * STEP_MS;
    struct soak_delete d = { (unsigned)(mix((uint64_t)n, 2) % GROUPS), now - 110 * MINUTE_MS,
        now - 55 * MINUTE_MS };
    if (n % 2) d.mint = now - 40 * HOUR_MS, d.maxt = now - 36 * HOUR_MS;
    return d;
}

#endif
