/* isolation.h — a query sees a batch whole or not at all.
 *
 * What        A commit takes an id before it applies its samples and gives it back after; a query
 *             remembers the newest id and those that were open when it began. A slot knows the id
 *             and the number of samples of its newest batch; older batches that somebody may not
 *             see yet hang behind it. Of those, neighbours that everybody sees or nobody does are
 *             one: the chain is as long as there are queries, not as batches came beside them.
 * Invariants  (1) Ids ascend from 1. (2) Only the newest samples of a series can be hidden: an
 *             earlier one behind a hidden one is hidden, too. (3) What is below the low watermark
 *             is seen by every query that is open or comes.
 * Ownership   isolation_init/isolation_fini; a reader lies in its querier
 * Threads     any. Lock: LOCK_HEAD_COMMIT. isolation_note, isolation_hidden: slot locked.
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_ISOLATION_H
#define EPI_HEAD_ISOLATION_H

#include "head/store.h"
#include "storage/changes.h"

/* commits that apply at the same moment: as many as there are writing threads */
enum { ISOLATION_OPEN_MAX = 1024 };

/* A commit, and who looked when it began. */
enum { ISOLATION_SIGHTS = 32 };
struct isolation_batch {
    uint64_t id;
    uint64_t low;                              /* the low watermark */
    uint64_t done;                             /* below it all commits have ended */
    /* the readers: each sees all below low and nothing behind max_id; what many see is widened */
    unsigned n;
    struct isolation_sight { uint64_t low, max_id; } sights[ISOLATION_SIGHTS];
};

struct isolation_reader {
    struct isolation_reader *prev, *next;
    /* sees id <= max_id that is not in open; everything below low */
    uint64_t max_id, low;
    unsigned n_open;
    uint64_t *open;                            /* ascending */
};
struct isolation {
    struct mtx mu;                             /* LOCK_HEAD_COMMIT: all but low */
    struct cond room;
    uint64_t last_id;
    uint64_t open[ISOLATION_OPEN_MAX];         /* ascending */
    unsigned n_open;
    struct isolation_reader readers;           /* a ring, anchored here */
    _Atomic uint64_t low;                      /* the low watermark; release */
};

void isolation_init(struct isolation *i);
void isolation_fini(struct isolation *i);
void isolation_begin(struct isolation *i, struct isolation_batch *b);
/* its samples are seen from here on */
void isolation_end(struct isolation *i, uint64_t id);
/* The same; they are of [mint, maxt], which is noted. changes may be NULL. */
void isolation_show(
    struct isolation *i, uint64_t id, struct changes *changes, int64_t mint, int64_t maxt);
void isolation_enter(struct isolation *i, struct isolation_reader *r);
void isolation_leave(struct isolation *i, struct isolation_reader *r);
uint64_t isolation_high(struct isolation *i);                  /* the newest id given out */
static inline uint64_t isolation_low(const struct isolation *i)
{
    return atomic_load_explicit(&i->low, memory_order_acquire);
}

/* A sample of the batch was appended to the slot. */
/* its second, or the one before may be hidden */
void isolation_note_among(struct store *s, struct slot *slot, const struct isolation_batch *b);
static inline bool isolation_id_before(uint32_t a, uint64_t b)
{
    return (int32_t)(a - (uint32_t)b) < 0;
}
static inline void isolation_note(
    struct store *s, struct slot *slot, const struct isolation_batch *b)
{
    uint32_t id = (uint32_t)b->id, last = slot->append_id;
    bool seen = !last || (last != id && isolation_id_before(last, b->low));
    if (UNLIKELY(!seen || slot->older_ids || !id)) {
        isolation_note_among(s, slot, b);
        return;
    }
    slot->append_id = id;
    slot->batch_n = 1;
}
/* everything is seen: the slot begins anew */
void isolation_forget(struct store *s, struct slot *slot);
/* likewise, if it is below the low watermark */
void isolation_forget_seen(struct store *s, struct slot *slot, uint64_t low);
/* How many of the newest samples r must not see. */
uint64_t isolation_hidden(
    const struct store *s, const struct slot *slot, const struct isolation_reader *r);

#endif
