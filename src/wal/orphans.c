/* orphans.c — see orphans.h
 *
 * The first pass gives each record a number, notes with which record a ref was first named, and
 * which segments hold something of a ref that was not. Those alone are written anew, by the way of
 * a repair: the segment is copied aside, then replaced.
 */
#include "wal/orphans.h"

#include "base/compress.h"
#include "base/map.h"
#include "wal/page.h"
#include "wal/record.h"
#include "wal/repair.h"
#include "wal/wal_reader.h"

/* before: the number of the last record ahead of the segment */
struct marked { size_t part; uint32_t seg; uint64_t before; };

struct orphans {
    /* hash of a ref -> number of the record that named it first */
    struct map named;
    uint64_t at;                               /* number of the record under way */
    VEC(struct marked) marked;
    struct record_room room;
    struct buf record, packed;
};

static void reader_closep(struct wal_reader **r) { wal_reader_close(*r); }

static void orphans_fini(struct orphans *o)
{
    map_fini(&o->named);
    vec_fini(&o->marked);
    record_room_fini(&o->room);
    buf_fini(&o->record);
    buf_fini(&o->packed);
}

static uint64_t hash_ref(sref ref) { return hash_bytes(&ref, sizeof(ref)); }

static bool known(const struct orphans *o, sref ref)
{
    uintptr_t by = (uintptr_t)map_find(&o->named, hash_ref(ref), NULL, NULL);
    return by && by <= o->at;
}

static errc name_series(struct orphans *o, str rec, struct err *e)
{
    TRY(series_decode(&o->room.series, rec, e));
    for (size_t i = 0; i < o->room.series.all.n; i++) {
        uint64_t hash = hash_ref(o->room.series.all.at[i].ref);
        if (!map_find(&o->named, hash, NULL, NULL))
            map_put(&o->named, hash, (void *)(uintptr_t)o->at);
    }
    return OK;
}

/* Takes out of a batch what is_orphan(item) says, in order; gives how many. */
#define SIFT(batch, item, is_orphan) \
    ({ \
        size_t sift_n = 0, sift_all = (batch)->n; \
        for (size_t sift_i = 0; sift_i < sift_all; sift_i++) { \
            const __typeof__((batch)->at[0]) *item = &(batch)->at[sift_i]; \
            if (!(is_orphan)) (batch)->at[sift_n++] = *item; \
        } \
        (batch)->n = sift_n; \
        sift_all - sift_n; \
    })

/* Histograms of the first kind count from the ref and the time with which the record begins. */
static void put_histograms(struct orphans *o, str rec)
{
    enum rec_type type = record_type(rec);
    cursor c = cur_of(str_from(rec, 1));
    const struct ref_histogram *at = o->room.histograms.all.at;
    if (type >= REC_HISTOGRAMS_V2) {
        histograms_encode_v2(&o->record, type, at, o->room.histograms.all.n);
        return;
    }
    sref ref0 = cur_be64(&c);
    int64_t t0 = (int64_t)cur_be64(&c);
    histograms_encode(&o->record, type, ref0, t0, at, o->room.histograms.all.n);
}

static void put_metadata(struct orphans *o)
{
    const ref_metadatas *all = &o->room.metadatas;
    buf_u8(&o->record, REC_METADATA);
    for (size_t i = 0; i < all->n; i++) buf_str(&o->record, all->at[i].raw);
}

/* Sifts a record; *gone items were orphans, *left are in o->record (which is only the record's if
 * both are more than none). */
static errc sift(struct orphans *o, str rec, size_t *gone, size_t *left, struct err *e)
{
    enum rec_type type = record_type(rec);
    buf_reset(&o->record);
    *gone = 0;
    *left = 1;
    switch (record_kind(rec)) {
    case KIND_SERIES:
    case KIND_NONE: return OK;
    case KIND_SAMPLES:
        TRY(samples_decode(&o->room.samples, rec, e));
        *gone = SIFT(&o->room.samples, x, !known(o, x->ref));
        *left = o->room.samples.n;
        if (type == REC_SAMPLES) samples_encode(&o->record, o->room.samples.at, o->room.samples.n);
        else samples_encode_v2(&o->record, o->room.samples.at, o->room.samples.n);
        return OK;
    case KIND_TOMBSTONES:
        TRY(tombstones_decode(&o->room.tombstones, rec, e));
        *gone = SIFT(&o->room.tombstones, x,
            !(x->mint == INT64_MIN && x->maxt == INT64_MAX) && !known(o, x->ref));
        *left = o->room.tombstones.n;
        tombstones_encode(&o->record, o->room.tombstones.at, o->room.tombstones.n);
        return OK;
    case KIND_EXEMPLARS:
        TRY(exemplars_decode(&o->room.exemplars, rec, e));
        *gone = SIFT(&o->room.exemplars.all, x, !known(o, x->ref));
        *left = o->room.exemplars.all.n;
        exemplars_encode(&o->record, o->room.exemplars.all.at, o->room.exemplars.all.n);
        return OK;
    case KIND_MARKERS:
        TRY(markers_decode(&o->room.markers, rec, e));
        *gone = SIFT(&o->room.markers, x, !known(o, x->ref));
        *left = o->room.markers.n;
        markers_encode(&o->record, o->room.markers.at, o->room.markers.n);
        return OK;
    case KIND_METADATA:
        TRY(metadata_decode(&o->room.metadatas, rec, e));
        *gone = SIFT(&o->room.metadatas, x, !known(o, x->ref));
        *left = o->room.metadatas.n;
        put_metadata(o);
        return OK;
    case KIND_HISTOGRAMS:
        TRY(histograms_decode(&o->room.histograms, rec, e));
        *gone = SIFT(&o->room.histograms.all, x, !known(o, x->ref));
        *left = o->room.histograms.all.n;
        if (*gone && *left) put_histograms(o, rec);
        return OK;
    }
    return OK;
}

/* ---- first pass ---- */

static errc look_at(struct orphans *o, size_t part, uint32_t seg, uint64_t before, str rec,
    struct wal_orphans *out, struct err *e)
{
    size_t gone, left;
    if (record_type(rec) == REC_SERIES) return name_series(o, rec, e);
    TRY(sift(o, rec, &gone, &left, e));
    if (!gone) return OK;
    out->items += gone;
    const struct marked *last = o->marked.n ? &vec_last(&o->marked) : NULL;
    if (!last || last->part != part || last->seg != seg)
        vec_push(&o->marked, ((struct marked){ part, seg, before }));
    return OK;
}

static errc look(struct orphans *o, struct fs *fs, enum io_backend backend,
    const struct wal_part *p, size_t part, struct wal_orphans *out, struct err *e)
{
    SCOPED(reader_closep) struct wal_reader *r = NULL;
    struct wal_reader_opts opts = { .fs = fs,
        .dir = p->dir,
        .backend = backend,
        .mode = WAL_SALVAGE,
        .first = p->first,
        .last = p->last };
    struct wal_rec rec;
    uint32_t seg = UINT32_MAX;
    uint64_t before = 0;
    TRY(wal_reader_open(&r, &opts, e));
    for (bool got = true;;) {
        TRY(wal_reader_next(r, &rec, &got, e));
        if (!got && wal_reader_unread(r))      /* it may have the series */
            return err_set(e, ERR_IO, "some of it cannot be read");
        if (!got) return OK;
        if (rec.seg != seg) before = o->at;
        seg = rec.seg;
        o->at++;
        errc rc = look_at(o, part, rec.seg, before, rec.bytes, out, e);
        /* what does not decode is the repair's */
        if (rc != OK && rc != ERR_CORRUPT) return rc;
    }
}

/* ---- second pass ---- */

/* repair.h: what is written of a record. */
static errc anew(void *ctx, const struct wal_rec *rec, str *stored, bool *keep, struct err *e)
{
    struct orphans *o = ctx;
    size_t gone, left;
    o->at++;
    TRY(sift(o, rec->bytes, &gone, &left, e));
    *keep = left > 0 || !gone;
    if (!gone || !left) return OK;
    buf_reset(&o->packed);
    TRY(compress_pack(&o->packed, frag_compress_of(rec->flags), buf_view(&o->record), 0, e));
    *stored = buf_view(&o->packed);
    return OK;
}

errc wal_orphans_drop(struct fs *fs, enum io_backend backend, const struct wal_part *parts,
    size_t n, struct wal_orphans *out, struct err *e)
{
    SCOPED(orphans_fini) struct orphans o = { 0 };
    struct wal_orphans done = { 0 };
    *out = done;
    buf_init(&o.record, NULL, 0);
    buf_init(&o.packed, NULL, 0);
    for (size_t i = 0; i < n; i++)
        TRY_IN(e, look(&o, fs, backend, &parts[i], i, &done, e), "%.*s", STR_ARG(parts[i].dir));
    for (size_t i = 0; i < o.marked.n; i++) {
        const struct marked *m = &o.marked.at[i];
        o.at = m->before;
        TRY_IN(e, wal_rewrite_segment(fs, parts[m->part].dir, backend, m->seg, anew, &o, e),
            "%.*s: segment %" PRIu32, STR_ARG(parts[m->part].dir), m->seg);
        done.segments++;
    }
    *out = done;
    return OK;
}
