/* record.h — the bytes of each record type of the WAL.
 *
 * What        Encoders append to a buf; decoders turn one whole record into arrays. Pure functions.
 * Invariants  (1) Decoding is all or nothing: a record that is cut short or holds trailing bytes
 *             gives ERR_CORRUPT and no element.
 *             (2) What Prometheus 3.14 encodes is encoded to the same bytes. (3) An unknown type is
 *                 not an error: record_type()
 *             gives it, the caller skips it.
 * Ownership   A ref_*s batch is the caller's: zero value to begin with, its arrays grow once and
 *             are used again for the next record, ref_*s_fini frees them. Strings borrow from the
 *             record.
 * Threads     values
 * Errors      ERR_CORRUPT
 * Format      docs/format/wal.md
 */
#ifndef EPI_WAL_RECORD_H
#define EPI_WAL_RECORD_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

enum rec_type {
    REC_NONE,
    REC_SERIES,
    REC_SAMPLES,
    REC_TOMBSTONES,
    REC_EXEMPLARS,
    REC_MMAP_MARKERS,
    REC_METADATA,
    REC_HISTOGRAMS,
    REC_FLOAT_HISTOGRAMS,
    REC_CUSTOM_HISTOGRAMS,
    REC_CUSTOM_FLOAT_HISTOGRAMS,
    REC_SAMPLES_V2,
    REC_HISTOGRAMS_V2,
    REC_FLOAT_HISTOGRAMS_V2,
    REC_TYPES
};
enum { REC_LABELS_MAX = 1 << 16 };             /* pairs of one series: more is damage */

/* REC_NONE: empty, or of no known type */
static inline enum rec_type record_type(str rec)
{
    return rec.n && rec.p[0] < REC_TYPES ? (enum rec_type)rec.p[0] : REC_NONE;
}
/* What a record is of, in whichever of its encodings: one decoder a kind. */
enum rec_kind {
    KIND_NONE,
    KIND_SERIES,
    KIND_SAMPLES,
    KIND_TOMBSTONES,
    KIND_EXEMPLARS,
    KIND_MARKERS,
    KIND_METADATA,
    KIND_HISTOGRAMS
};
enum rec_kind rec_kind_of(enum rec_type t);
static inline enum rec_kind record_kind(str rec) { return rec_kind_of(record_type(rec)); }
/* "series", "samples", "samples_v2", …; "unknown" */
str record_type_name(enum rec_type t);

/* Series (1). raw: the bytes of count and pairs as they lie in the record; equal labels have equal
 * raw bytes. */
struct ref_series { sref ref; struct labels labels; str raw; };
struct ref_seriess { VEC(struct ref_series) all; VEC(struct label) pairs; };
MUST_USE errc series_decode(struct ref_seriess *out, str rec, struct err *e);
void ref_seriess_fini(struct ref_seriess *s);
/* once, then one or more series_encode */
void series_encode_type(struct buf *b);
void series_encode(struct buf *b, sref ref, struct labels l);

/* Samples (2, and 11 with start timestamps). st: 0 = none. */
struct ref_sample { sref ref; int64_t t; double v; int64_t st; };
typedef VEC(struct ref_sample) ref_samples;
/* both types; replaces what out held */
MUST_USE errc samples_decode(ref_samples *out, str rec, struct err *e);
void samples_encode(struct buf *b, const struct ref_sample *at, size_t n);       /* type 2 */
/* The same, sample by sample, into memory of the caller: p has room for SAMPLE_MAX_BYTES, at a
 * record's begin (*s zeroed) for SAMPLES_HEAD_BYTES more. Gives the end. */
enum { SAMPLES_HEAD_BYTES = 17, SAMPLE_MAX_BYTES = 2 * UVARINT_MAX_BYTES + 8 };
struct samples_start { sref ref; int64_t t; bool begun; };
static inline uint8_t *sample_encode_delta(uint8_t *p, uint64_t delta)
{
    uint64_t u = (delta << 1) ^ (0 - (delta >> 63));
    for (; u >= 0x80; u >>= 7) *p++ = (uint8_t)(u | 0x80);
    *p++ = (uint8_t)u;
    return p;
}
uint8_t *samples_begin(struct samples_start *s, uint8_t *p, sref ref, int64_t t);
static inline uint8_t *sample_encode(
    struct samples_start *s, uint8_t *p, sref ref, int64_t t, double v)
{
    if (UNLIKELY(!s->begun)) p = samples_begin(s, p, ref, t);
    p = sample_encode_delta(p, ref - s->ref);
    p = sample_encode_delta(p, (uint64_t)t - (uint64_t)s->t);
    uint64_t bits;
    memcpy(&bits, &v, 8);
    bits = __builtin_bswap64(bits);
    memcpy(p, &bits, 8);
    return p + 8;
}
void samples_encode_v2(struct buf *b, const struct ref_sample *at, size_t n);    /* type 11 */

/* Tombstones (3): closed intervals; [INT64_MIN, INT64_MAX] means that the series was deleted. */
struct ref_tombstone { sref ref; int64_t mint, maxt; };
typedef VEC(struct ref_tombstone) ref_tombstones;
MUST_USE errc tombstones_decode(ref_tombstones *out, str rec, struct err *e);
void tombstones_encode(struct buf *b, const struct ref_tombstone *at, size_t n);

/* The number of a deletion (0xe1, of ours alone). In wal/: the one that the tombstones right
 * behind it are; in wbl/: the newest when the samples behind it were put. */
enum { REC_DELETION = 0xe1 };
void deletion_encode(struct buf *b, uint32_t number);
/* false: it is another record, or makes no sense */
bool deletion_decode(str rec, uint32_t *number);

/* Exemplars (4). */
struct ref_exemplar { sref ref; int64_t t; double v; struct labels labels; };
struct ref_exemplars { VEC(struct ref_exemplar) all; VEC(struct label) pairs; };
MUST_USE errc exemplars_decode(struct ref_exemplars *out, str rec, struct err *e);
void ref_exemplars_fini(struct ref_exemplars *x);
void exemplars_encode(struct buf *b, const struct ref_exemplar *at, size_t n);

/* Markers of chunks written to chunks_head (5; write-behind log only). */
struct ref_marker { sref ref; uint64_t chunk; };
typedef VEC(struct ref_marker) ref_markers;
MUST_USE errc markers_decode(ref_markers *out, str rec, struct err *e);
void markers_encode(struct buf *b, const struct ref_marker *at, size_t n);

/* Metadata (6): fields other than UNIT and HELP are skipped. The type byte is kept if it is of no
 * known type (read as unknown). */
/* raw: all its bytes, when decoded */
struct ref_metadata { sref ref; uint8_t type_byte; struct metadata meta; str raw; };
typedef VEC(struct ref_metadata) ref_metadatas;
MUST_USE errc metadata_decode(ref_metadatas *out, str rec, struct err *e);
void metadata_encode(struct buf *b, const struct ref_metadata *at, size_t n);

/* Histograms (7 … 10, 12, 13) as they are logged: integer buckets are deltas, float buckets
 * absolute. */
struct rec_histogram {
    bool is_float;
    /* 0 unknown, 1 reset, 2 not reset, 3 gauge; kept as read */
    uint8_t hint;
    int64_t schema;
    double zero_threshold, sum;
    union { uint64_t i; double f; } zero_count, count;
    const struct span *pos_spans, *neg_spans;
    size_t n_pos_spans, n_neg_spans;
    const int64_t *pos, *neg;                  /* deltas; is_float: the bits of absolute counts */
    size_t n_pos, n_neg;
    const double *custom;
    size_t n_custom;
};
/* raw: the bytes of H or F */
struct ref_histogram { sref ref; int64_t t, st; struct rec_histogram h; str raw; };
struct ref_histograms { VEC(struct ref_histogram) all; struct arena a; };
MUST_USE errc histograms_decode(struct ref_histograms *out, str rec, struct err *e);
void ref_histograms_fini(struct ref_histograms *h);
/* Types 7, 8, 9, 10 use deltas to (ref0, t0), which are those of the first histogram of the commit,
 * of whatever schema. v2: st too. */
void histograms_encode(struct buf *b, enum rec_type type, sref ref0, int64_t t0,
    const struct ref_histogram *at, size_t n);
void histograms_encode_v2(
    struct buf *b, enum rec_type type, const struct ref_histogram *at, size_t n);
/* One by itself; its arrays lie in the arena. */
void rec_histogram_encode(struct buf *b, const struct rec_histogram *h);
MUST_USE errc rec_histogram_decode(
    struct rec_histogram *out, str bytes, bool is_float, struct arena *a, struct err *e);

/* Room for what the decoders make, kept from one record to the next. The zero value is fine. */
struct record_room {
    struct ref_seriess series;
    ref_samples samples;
    ref_tombstones tombstones;
    struct ref_exemplars exemplars;
    ref_markers markers;
    ref_metadatas metadatas;
    struct ref_histograms histograms;
};
void record_room_fini(struct record_room *r);

/* Does it decode? OK for unknown types and for the empty record of a known type. Takes no memory
 * that lasts. */
MUST_USE errc record_check(str rec, struct err *e);

#endif
