/* ooo.h — the out-of-order samples of the series that have any.
 *
 * What        Beside the slots: per series an open array of up to 32 samples sorted by time, and
 *             references to the closed chunks that full arrays became.
 *
 *                 slot with SLOT_OOO ──> ooo ──> open: {t, v} {t, v} …      the log of late samples
 *                                         └────> closed: {mint, maxt, reference} …      chunks_head
 *
 * Invariants  (1) A slot has an entry if and only if it bears SLOT_OOO; a series without late
 *             samples costs nothing here. (2) Times of an array ascend strictly: a time that is
 *             there already is refused, whatever its value. (3) Closed chunks stand in the order of
 *             writing; they overlap each other and what is in order. (4) Deletions with numbers up
 *             to `after` came before the samples of a chunk or array, and hide none of them.
 * Ownership   ooo_table_init/ooo_table_fini; an entry is the table's; account "out_of_order"
 * Threads     ooo_of … ooo_drop: the slot is locked. Arrays: values. The open array and new closed
 *             chunks are written by who holds the head's baton for late samples only.
 * Errors      none
 * Format      in memory only; the chunks are chunk/xor's, see docs/format/chunks_head.md
 */
#ifndef EPI_HEAD_OOO_H
#define EPI_HEAD_OOO_H

#include "chunk/chunk.h"
#include "chunk/chunk_encoder.h"
#include "head/chunk_disk.h"
#include "head/reclaim.h"
#include "head/store.h"
#include "head/tombstones.h"

/* Samples of an open array: the next one makes a chunk of them. */
enum { OOO_CAP = 32 };

/* A sample but its time. Histograms of an entry are copies, which never change. */
struct ooo_value {
    int64_t st;                                /* start timestamp; 0: none */
    enum sample_kind kind;
    union { double v; const struct int_histogram *ih; const struct histogram *h; };
};
struct ooo_sample { int64_t t; struct ooo_value x; };
struct ooo_array { uint32_t n, after; struct ooo_sample at[OOO_CAP]; };

struct ooo_chunk {
    int64_t mint, maxt;
    uint64_t disk_ref;
    uint16_t n;
    uint8_t enc;
    uint32_t after;
};
struct ooo {
    VEC(struct ooo_chunk) closed;
    struct ooo_sample *open;                   /* ascending */
    uint8_t n, cap;
    uint32_t after;                            /* of the open array */
    size_t charged;                            /* bytes on the account */
};

enum { OOO_PAGE_BITS = 14, OOO_PAGES = 1 << (32 - OOO_PAGE_BITS) };
struct ooo_table {
    struct mtx mu;                             /* LOCK_LEAF: making pages */
    struct ooo **_Atomic *_Atomic pages;       /* slot -> entry; NULL until there is one */
    size_t n_pages;                            /* GUARDED_BY(mu): of them may be made */
    struct reclaim *reclaim;                   /* const: histograms that queries may still read */
};

void ooo_table_init(struct ooo_table *t, struct reclaim *rc);
void ooo_table_fini(struct ooo_table *t);

/* NULL: the series has none. */
struct ooo *ooo_of(const struct ooo_table *t, const struct slot *s, uint32_t slot);
struct ooo *ooo_make(struct ooo_table *t, struct slot *s, uint32_t slot);
/* and all it holds */
void ooo_drop(struct ooo_table *t, struct slot *s, uint32_t slot);

static inline int64_t ooo_open_mint(const struct ooo *o) { return o->open[0].t; }
static inline int64_t ooo_open_maxt(const struct ooo *o) { return o->open[o->n - 1].t; }
void ooo_read_open(const struct ooo *o, struct ooo_array *out);
void ooo_set_open(struct ooo *o, const struct ooo_array *a);                   /* n 0: none */
void ooo_add_closed(struct ooo *o, const struct ooo_chunk *c);
/* Those with references up to this one; how many. */
size_t ooo_drop_closed(struct ooo *o, uint64_t last_ref);

/* Lowers *mint and raises *maxt to what it spans. */
void ooo_span(const struct ooo *o, int64_t *mint, int64_t *maxt);

/* Has it something in [mint, maxt]? */
bool ooo_overlaps(const struct ooo *o, int64_t mint, int64_t maxt);
/* … that is not deleted as a whole? */
bool ooo_shows(
    const struct ooo *o, int64_t mint, int64_t maxt, const head_deletions *deleted);

/* A sample of that time comes after deletion `now`. True: it can be told from what the array has
 * only in an array of its own, for something of its time was deleted since that was begun. */
MUST_USE bool ooo_is_behind(
    struct ooo_array *a, int64_t t, const head_deletions *deleted, uint32_t now);

/* False: a sample of that time is there. REQUIRES: a->n < OOO_CAP */
MUST_USE bool ooo_insert(struct ooo_array *a, int64_t t, const struct ooo_value *x);

static inline struct ooo_value ooo_float(double v) { return (struct ooo_value){ .v = v }; }
/* With a histogram of its own, on the heap; a float as it is. */
struct ooo_value ooo_value_copy(const struct ooo_value *x);
void ooo_value_free(const struct ooo_value *x);                /* of a copy */
/* When no query can read them any more. */
void ooo_array_retire(struct ooo_table *t, const struct ooo_array *a);

/* The chunks of an array, into the encoder: of floats one. REQUIRES: a->n > 0 */
void ooo_encode(const struct store *st, const struct ooo_array *a, struct chunk_encoder *w);
/* How many samples the chunk has, for its reference. */
static inline uint16_t ooo_chunk_samples(const struct chunk_encoder *w, size_t i)
{
    return (uint16_t)chunk_count(w->chunks.at[i].enc, encoded_chunk_data(w, i));
}
bool ooo_is_plain(const struct store *st, const struct ooo_array *a);  /* floats, as XOR */

#endif
