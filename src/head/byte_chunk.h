/* byte_chunk.h — chunks that are held as the bytes they will be written as.
 *
 * What        Histograms of all kinds, and floats where start timestamps or XOR2 are asked for:
 *             rarer than plain floats, so they need no shape of their own in memory.
 * Invariants  (1) Chunks are cut where Prometheus cuts them and hold its bytes after every sample.
 *             (2) A slot with SLOT_BYTES has its open chunk here; it has no run and no cells.
 * Ownership   the slot's while open, then the sealed chunk's. What appending needs goes when the
 *             chunk is sealed.
 * Threads     slot locked; store.bytes under LOCK_LEAF, taken inside
 * Errors      none
 * Format      chunk/histogram, chunk/xor2
 */
#ifndef EPI_HEAD_BYTE_CHUNK_H
#define EPI_HEAD_BYTE_CHUNK_H

#include "chunk/chunk.h"
#include "chunk/cut.h"
#include "chunk/histogram.h"
#include "head/open_chunk.h"

struct xor2_app;
struct byte_chunk {
    struct cut_state cut;                      /* n and bytes of it are those of the chunk */
    struct hist_app *hist;                     /* while it is open: one of the two */
    struct xor2_app *xor2;
    uint8_t *bytes;                            /* of a sealed one; room of xor2 */
    size_t charged;                            /* on the account */
    uint8_t enc;
    bool estimated;                            /* of histograms: cut.next_at was, see chunk/cut */
};

static inline struct byte_chunk *byte_chunk_at(const struct store *s, uint32_t i)
{
    return slab_at(&s->bytes, i);
}
str byte_chunk_view(const struct byte_chunk *b);
void byte_chunk_free(struct store *s, uint32_t i);
void byte_chunk_seal(struct store *s, uint32_t i);             /* no sample will follow */

/* The open chunk of a slot, if it is held as bytes; NULL: it is not, or there is none. */
static inline struct byte_chunk *byte_chunk_of(const struct store *s, const struct slot *slot)
{
    return slot->n && slot_flags(slot) & SLOT_BYTES ? byte_chunk_at(s, slot->first_cell) : NULL;
}

/* Appending. slot_i: the slot's index. REQUIRES: t > the slot's last t */
void byte_append_histogram(struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t,
    int64_t st, const struct hist_words *h);
/* A float, whatever the slot's open chunk is: as bytes where store.float_enc asks for it. A stale
 * marker behind a histogram becomes one of its kind. */
void byte_append_float(
    struct open_ctx *c, uint32_t slot_i, struct slot *slot, int64_t t, int64_t st, double v);

/* An open chunk as it was left when the head was written down: the next sample begins another one.
 * ERR_CORRUPT: it is none. REQUIRES: the slot has none; its newest sample is told by the caller. */
struct byte_restored { uint8_t enc; str data; int64_t mint, maxt; size_t n; };
MUST_USE errc byte_chunk_restore(
    struct store *s, struct slot *slot, const struct byte_restored *x, struct err *e);

/* May a float go straight to open_append? */
static inline bool slot_takes_plain(const struct store *s, const struct slot *slot)
{
    return !(slot_flags(slot) & (SLOT_BYTES | SLOT_LAST_ANY_HIST)) &&
           atomic_load_explicit(&s->float_enc, memory_order_relaxed) == CHUNK_XOR;
}

/* Is the newest sample in the open chunk the same histogram as this one? */
bool byte_last_is(const struct store *s, const struct slot *slot, const struct hist_words *h);

/* The newest sample is of this kind from here on. buckets: of a histogram. */
enum { LAST_IS_FLOAT = 0 };
void slot_set_last(struct store *s, struct slot *slot, uint8_t hist_flag, uint16_t buckets);

#endif
