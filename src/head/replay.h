/* replay.h — a head rebuilt from its chunk files and its log.
 *
 * What        Three parts work on a log at once. The router takes its series and tombstone records,
 *             in their order. Decoders take the records that name series, any number beside each
 *             other, and make runs of them: refs resolved to slots, without what the closed chunks
 *             cover, sorted by part (a few hundred slots). Runs are collected in the order of the
 *             log and applied part by part: what a part's samples touch stays in the cache.
 * Invariants  (1) Every series record replaces the series' closed chunks by those of the record's
 *             ref and drops its open chunk. (2) A sample at or before the newest closed chunk, or
 *             at or before the newest sample, is dropped. (3) A ref that was seen is never given
 *             again. (4) The marks say where in the log a record stands: a ref resolves to what the
 *             series records before it said, whatever the router has read since.
 * Ownership   head_replay_begin allocates, head_replay_finish or head_replay_drop frees. A decoder
 *             and its runs belong to who decodes, until head_replay_collect.
 * Threads     router: one thread, also beside decoders, but see head_replay_moves_*. A decoder: one
 *             thread. head_replay_apply: any, beside each other with different parts; no router, no
 *             decoder beside it, nor beside head_replay_collect. The head takes no appender before
 *             finish; queriers are fine.
 * Errors      ERR_BAD_INPUT: labels that are no series (that record is to be skipped)
 * Format      none
 */
#ifndef EPI_HEAD_REPLAY_H
#define EPI_HEAD_REPLAY_H

#include "model/labels.h"
#include "model/sample.h"

struct head;
struct head_replay;
struct replay_decoder;
struct replay_run;
struct ref_sample;                                             /* wal/record.h */
struct ref_histogram;
struct ref_exemplar;
struct ref_metadata;

/* ascending with the records of the log, from 1 */
typedef uint64_t replay_mark;

struct head_replay_chunk {
    sref ref;
    int64_t mint, maxt;
    uint64_t disk_ref;
    uint16_t samples;
    uint8_t encoding;
    bool ooo;
};

/* What a record did to a series that has samples already: goes to the decoder, between the records
 * before and after it. slot 0: nothing. */
struct replay_reset { uint32_t slot, first_chunk; };

enum replay_kind {
    REPLAY_SERIES,
    REPLAY_SAMPLES,
    REPLAY_EXEMPLARS,
    REPLAY_HISTOGRAMS,
    REPLAY_METADATA,
    REPLAY_TOMBSTONES,
    REPLAY_KINDS
};
struct head_replay_stats {
    uint64_t series, duplicates, samples, dropped_old, chunks;
    /* named a ref that no series record had given; SERIES: so many refs */
    uint64_t unknown[REPLAY_KINDS];
    /* of the log of late samples: taken; named an unknown ref: samples, markers, runs of one ref */
    uint64_t late_samples, late_unknown, late_histograms, late_markers, late_series;
};

struct head_replay *head_replay_begin(struct head *h);

/* A chunk of the chunk files, in the order of the files; before the first record. encoding: as
 * stored, without the OOO bit. One that does not follow the chunk before it of its ref is left out
 * (the opening of the files refuses it before). */
/* before it: room for so many, of so many series */
void head_replay_reserve(struct head_replay *r, size_t chunks, size_t series);
void head_replay_chunk(struct head_replay *r, const struct head_replay_chunk *c);

/* The log of late samples, when all of the log is applied: in its order, one thread. A marker
 * counts where its chunk is there. What comes after head_replay_late_after came after that deletion
 * and those before it. Errors: of writing chunks. */
struct ref_marker;
void head_replay_late_after(struct head_replay *r, uint32_t number);
MUST_USE errc head_replay_late(
    struct head_replay *r, const struct ref_sample *s, size_t n, struct err *e);
struct ooo_sample;                                             /* head/ooo.h */
MUST_USE errc head_replay_late_histogram(
    struct head_replay *r, sref ref, const struct ooo_sample *s, struct err *e);
void head_replay_markers(struct head_replay *r, const struct ref_marker *m, size_t n);

/* A memory snapshot, when all chunks are told and before the first record: a series, its open chunk
 * (where the chunk files do not reach into it: who writes a chunk down does so after the snapshot),
 * its exemplars. What was deleted goes to the head itself. ERR_CORRUPT: a series or ref twice; the
 * head is then to be thrown away. */
struct restored_chunk {
    uint8_t enc;
    str data;
    size_t n;
    int64_t mint, maxt;
    /* the newest sample: a float's bits; a histogram's buckets, SLOT_LAST_…; is it a marker? */
    uint64_t last_v;
    uint16_t buckets;
    uint8_t hist_flag;
    bool stale;
};
MUST_USE errc head_replay_restore(struct head_replay *r, sref ref, struct labels labels,
    const struct restored_chunk *open, struct err *e);
bool head_replay_restore_exemplar(struct head_replay *r, const struct ref_exemplar *x);
struct head *head_replay_head(const struct head_replay *r);
/* The slot that a ref has now; 0: none. Any thread, no router beside it. */
uint32_t head_replay_slot(struct head_replay *r, sref ref);
/* A head image gave so many samples (head/image_load). */
void head_replay_loaded(struct head_replay *r, uint64_t samples);

/* Of all times: the series ended, it is no deletion. */
static inline bool tombstone_is_end(int64_t mint, int64_t maxt)
{
    return mint == INT64_MIN && maxt == INT64_MAX;
}

/* The router. A ref of any record is reserved, as is that of any chunk. What moves a ref from one
 * series to another waits until all records before it are decoded. */
bool head_replay_moves_series(struct head_replay *r, sref ref, struct labels labels);
bool head_replay_moves_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt);
MUST_USE errc head_replay_series(struct head_replay *r, replay_mark mark, sref ref,
    struct labels labels, struct replay_reset *out, struct err *e);
/* The log is damaged here, all before it is applied: deletions behind this place hide what lies
 * behind it, for somebody who reads no further shows the rest. Only the first place counts. */
void head_replay_damage(struct head_replay *r);
/* What is left to hide of a deletion behind the damage; maybe nothing: mint > maxt. */
struct interval;
struct interval head_replay_behind_damage(struct head_replay *r, sref ref, struct interval x);

/* number: of the deletion; DELETION_UNKNOWN */
void head_replay_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt,
    uint32_t number, struct replay_reset *out);

/* A decoder, for some records in the order of the log. */
struct replay_decoder *head_replay_decoder(struct head_replay *r);
void replay_decode_samples(
    struct replay_decoder *d, replay_mark mark, const struct ref_sample *s, size_t n);
void replay_decode_reset(struct replay_decoder *d, const struct replay_reset *x);
void replay_decode_histograms(
    struct replay_decoder *d, replay_mark mark, const struct ref_histogram *h, size_t n);
void replay_decode_exemplars(
    struct replay_decoder *d, replay_mark mark, const struct ref_exemplar *x, size_t n);
void replay_decode_metadata(
    struct replay_decoder *d, replay_mark mark, const struct ref_metadata *m, size_t n);
/* and the decoder is done */
struct replay_run *head_replay_decoded(struct head_replay *r, struct replay_decoder *d);

/* The runs of a decoder, in the order of the log; then they wait to be applied. */
void head_replay_collect(struct head_replay *r, struct replay_run *more);
size_t head_replay_waiting_bytes(const struct head_replay *r);
size_t head_replay_parts(const struct head_replay *r);
/* each part once, then head_replay_applied */
void head_replay_apply(struct head_replay *r, size_t part);
void head_replay_applied(struct head_replay *r);

/* Nothing more comes; the head may only be closed. NULL is fine. */
void head_replay_drop(struct head_replay *r);

/* When all is applied: series without samples go, the head takes appenders. */
void head_replay_finish(struct head_replay *r, struct head_replay_stats *stats);

#endif
