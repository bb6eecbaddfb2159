/* replay_item.h — what a log holds beside plain floats, on its way into the head.
 *
 * What        Samples that do not fit the 16 bytes in which a replay carries plain floats:
 *             histograms, and floats with start timestamps. And exemplars and metadata, which are
 *             no samples.
 * Invariants  applied one by one, in the order of the log
 * Ownership   all of it lies in the arena of its run
 * Threads     replay_item_apply: slot locked; replay_other_apply: one thread
 * Errors      replay_item_histogram: NULL: the log has something that is no histogram
 * Format      none
 */
#ifndef EPI_HEAD_REPLAY_ITEM_H
#define EPI_HEAD_REPLAY_ITEM_H

#include "head/byte_chunk.h"
#include "model/exemplar.h"
#include "model/metadata.h"

struct head;
struct ref_histogram;

struct replay_item {
    int64_t t, st;
    enum sample_kind kind;
    union { double v; const struct int_histogram *whole; const struct histogram *floats; };
};
struct replay_item *replay_item_float(struct arena *a, int64_t t, int64_t st, double v);
struct replay_item *replay_item_histogram(struct arena *a, const struct ref_histogram *r);
/* REQUIRES: t > the slot's last t */
void replay_item_apply(
    struct open_ctx *c, uint32_t slot_i, struct slot *slot, const struct replay_item *x);

struct replay_other {
    struct replay_other *next;
    uint32_t slot;
    bool is_exemplar;
    union { struct exemplar exemplar; struct metadata metadata; };
};
struct replay_other *replay_other_exemplar(
    struct arena *a, uint32_t slot, const struct exemplar *x);
struct replay_other *replay_other_metadata(
    struct arena *a, uint32_t slot, const struct metadata *m);
void replay_other_apply(struct head *h, const struct replay_other *x);

#endif
