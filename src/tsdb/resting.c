#include "tsdb/resting.h"

#define SECOND_NS INT64_C(1000000000)
#define PAUSE_MIN_NS (60 * SECOND_NS)
#define PAUSE_MAX_NS (4 * 3600 * SECOND_NS)
#define MORE_ROOM 4 /* a disk that was full has some more than before, as part of the blocks */

void resting_fini(struct resting *r) { vec_fini(&r->at); }

static struct resting_block *find(const struct resting *r, ulid id)
{
    for (size_t i = 0; i < r->at.n; i++)
        if (ulid_eq(r->at.at[i].id, id)) return &r->at.at[i];
    return NULL;
}

int64_t resting_put(struct resting *r, const ulid *ids, size_t n, uint64_t bytes, errc why,
    uint64_t free_bytes, int64_t now_ns)
{
    int64_t pause = 0;
    uint64_t room = why == ERR_NO_SPACE ? MAX(bytes, free_bytes + bytes / MORE_ROOM + 1)
                                        : UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct resting_block *b = find(r, ids[i]);
        if (b) pause = MAX(pause, b->pause_ns);
    }
    pause = MIN(MAX(pause * 2, PAUSE_MIN_NS), PAUSE_MAX_NS);
    for (size_t i = 0; i < n; i++) {
        struct resting_block *b = find(r, ids[i]);
        struct resting_block now = { ids[i], pause, now_ns + pause, room };
        if (b) *b = now;
        else vec_push(&r->at, now);
    }
    return pause;
}

bool resting_is(const struct resting *r, ulid id, uint64_t free_bytes, int64_t now_ns)
{
    const struct resting_block *b = find(r, id);
    return b && now_ns < b->until_ns && free_bytes < b->room;
}

static bool is_one_of(ulid id, const ulid *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ulid_eq(all[i], id)) return true;
    return false;
}

void resting_keep(struct resting *r, const ulid *there, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->at.n; i++)
        if (is_one_of(r->at.at[i].id, there, n)) r->at.at[kept++] = r->at.at[i];
    r->at.n = kept;
}
