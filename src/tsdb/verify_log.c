#include "tsdb/verify_log.h"

#include "base/map.h"
#include "head/snapshot_codec.h"
#include "io/numbered.h"
#include "wal/record.h"
#include "wal/wal_reader.h"

/* What is being read. check: a record of it. */
struct log_walk {
    struct verified *out;
    const struct verify_opts *o;
    struct arena arena;
    struct map known;                          /* refs that a record before names */
    uint64_t unknown;                          /* items of refs that none does */
    bool late;                                 /* it is the log of late samples */
    uint64_t unread;                           /* damaged records that nobody reads in such a log */
    struct record_room room;
    snapshot_tombstones deleted;
    errc (*check)(struct log_walk *w, str rec, struct err *e);
};

static void walk_fini(struct log_walk *w)
{
    map_fini(&w->known);
    record_room_fini(&w->room);
    vec_fini(&w->deleted);
    arena_fini(&w->arena);
}

static uint64_t hash_ref(sref ref) { return hash_bytes(&ref, sizeof(ref)); }

static bool is_known(const struct log_walk *w, sref ref)
{
    return map_find(&w->known, hash_ref(ref), NULL, NULL) != NULL;
}

static void name_ref(struct log_walk *w, sref ref)
{
    if (!is_known(w, ref)) map_put(&w->known, hash_ref(ref), w);
}

#define COUNT_UNKNOWN(w, list) \
    do { \
        for (size_t count_i = 0; count_i < (list)->n; count_i++) \
            (w)->unknown += !is_known((w), (list)->at[count_i].ref); \
    } while (0)

static errc check_refs(struct log_walk *w, str rec, struct err *e)
{
    switch (record_kind(rec)) {
    case KIND_SERIES:
        TRY(series_decode(&w->room.series, rec, e));
        for (size_t i = 0; i < w->room.series.all.n; i++) name_ref(w, w->room.series.all.at[i].ref);
        return OK;
    case KIND_SAMPLES:
        TRY(samples_decode(&w->room.samples, rec, e));
        COUNT_UNKNOWN(w, &w->room.samples);
        return OK;
    case KIND_EXEMPLARS:
        TRY(exemplars_decode(&w->room.exemplars, rec, e));
        COUNT_UNKNOWN(w, &w->room.exemplars.all);
        return OK;
    case KIND_METADATA:
        TRY(metadata_decode(&w->room.metadatas, rec, e));
        COUNT_UNKNOWN(w, &w->room.metadatas);
        return OK;
    case KIND_HISTOGRAMS:
        TRY(histograms_decode(&w->room.histograms, rec, e));
        COUNT_UNKNOWN(w, &w->room.histograms.all);
        return OK;
    case KIND_TOMBSTONES:
    case KIND_MARKERS:
    case KIND_NONE: return OK;
    }
    return OK;
}

/* Does a start read a record of this type in such a log? */
static bool is_read(const struct log_walk *w, enum rec_type t)
{
    switch (t) {
    case REC_SERIES:
    case REC_TOMBSTONES:
    case REC_EXEMPLARS:
    case REC_METADATA: return !w->late;
    case REC_MMAP_MARKERS: return w->late;
    default: return true;
    }
}

/* An empty record of a known type is one that says nothing. */
static errc check_log_record(struct log_walk *w, str rec, struct err *e)
{
    if (!is_read(w, record_type(rec))) {
        w->unread += record_check(rec, NULL) != OK;
        return OK;
    }
    TRY(record_check(rec, e));
    return rec.n ? check_refs(w, rec, e) : OK;
}

static errc check_snapshot_record(struct log_walk *w, str rec, struct err *e)
{
    struct snapshot_series s;
    struct arena_mark mark = arena_mark(&w->arena);
    errc rc = OK;
    w->deleted.n = 0;
    switch (rec.n ? rec.p[0] : 0) {
    case SNAPSHOT_SERIES: rc = snapshot_series_decode(&s, rec, &w->arena, e); break;
    case SNAPSHOT_TOMBSTONES: rc = snapshot_tombstones_decode(&w->deleted, rec, e); break;
    case SNAPSHOT_EXEMPLARS: break;            /* the log's record under another type */
    default: rc = err_set(e, ERR_CORRUPT, "a record of no known type");
    }
    arena_reset(&w->arena, mark);
    return rc;
}

/* Segments. */

static errc read_segment(struct log_walk *w, struct wal_reader *r, struct err *e)
{
    for (;;) {
        struct wal_rec rec;
        struct err why = { 0 };
        bool got;
        TRY(wal_reader_next(r, &rec, &got, e));
        if (!got) return OK;
        w->out->records++;
        errc rc = w->check(w, rec.bytes, &why);
        if (rc != OK) TRY(wal_reader_reject(r, &why, e));
    }
}

static void closep(struct wal_reader **r) { wal_reader_close(*r); }

/* newest: a server may be in the middle of writing its end */
static errc walk_segment(
    struct log_walk *w, str dir, uint32_t seg, bool newest, struct err *e)
{
    SCOPED(closep) struct wal_reader *r = NULL;
    struct wal_reader_opts ro = { .fs = w->o->fs, .dir = dir, .backend = w->o->backend,
        .mode = WAL_SALVAGE, .first = seg, .last = seg };
    str path = wal_segment_path(&w->arena, dir, seg);
    struct fs_stat st;
    size_t n;
    TRY(wal_reader_open(&r, &ro, e));
    TRY(read_segment(w, r, e));
    const struct wal_corruption *bad = wal_reader_corruptions(r, &n);
    errc there = fs_stat(w->o->fs, path, &st, NULL);
    w->out->segments++;
    if (there == OK) w->out->bytes += st.size_bytes;
    if (w->out->live && there != OK) return OK;                /* it was deleted meanwhile */
    for (size_t i = 0; i < n; i++)
        if (!(w->out->live && newest && bad[i].tail))
            findings_add_at(&w->out->findings, path, bad[i].off, "%s", bad[i].why);
    return OK;
}

static errc walk_segments(struct log_walk *w, str dir, const uint32_t *at, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(&w->arena);
        progress_tell(w->o->progress, dir, i, n);
        for (uint32_t gap = i ? at[i - 1] + 1 : at[i]; gap < at[i]; gap++)
            findings_add(
                &w->out->findings, wal_segment_path(&w->arena, dir, gap), "there is none");
        TRY(walk_segment(w, dir, at[i], i + 1 == n, e));
        arena_reset(&w->arena, mark);
    }
    progress_tell(w->o->progress, dir, n, n);
    return OK;
}

void verify_unread(struct verified *out, str path, const struct err *why)
{
    findings_add(&out->findings, path, "cannot be read: %s", why->msg);
}

bool verify_is_folder(struct verified *out, const struct verify_opts *o, str dir)
{
    bool there = fs_exists(o->fs, dir), is = there && fs_is_dir(o->fs, dir);
    if (there && !is) findings_add(&out->findings, dir, "a file with the name of a folder");
    return is;
}

errc verify_names(
    struct verified *out, const struct verify_opts *o, str dir, int width, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(o->fs, dir, &a, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        uint32_t number;
        str name = all.at[i].name, path = path_join(&a, dir, name);
        if (!numbered_parse(name, &number)) continue;
        if (all.at[i].is_dir)
            findings_add(&out->findings, path, "a folder with the name of a file");
        else if (!str_eq(name, arena_fmt(&a, "%0*" PRIu32, width, number)))
            findings_add(&out->findings, path, "a number that is not written as in a file's name");
    }
    vec_fini(&all);
    return rc;
}

static errc walk_log(struct log_walk *w, str dir, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    TRY(wal_dir_list(&d, w->o->fs, dir, e));
    TRY(verify_names(w->out, w->o, dir, WAL_SEGMENT_DIGITS, e));
    return walk_segments(w, dir, d.segments.at, d.segments.n, e);
}

/* The log begins with the segment behind its checkpoint, or with segment 0. */
static errc walk_wal(struct log_walk *w, str dir, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    TRY(wal_dir_list(&d, w->o->fs, dir, e));
    uint32_t begin = d.has_checkpoint ? d.checkpoint + 1 : 0;
    if (d.has_checkpoint) {
        str path = arena_fmt(&w->arena, "%.*s/checkpoint.%08" PRIu32, STR_ARG(dir), d.checkpoint);
        struct err why = { 0 };
        errc rc = walk_log(w, path, &why);
        bool gone = w->out->live && !fs_exists(w->o->fs, path);
        if (rc != OK && !gone) verify_unread(w->out, path, &why);
    }
    bool gap = d.segments.n && d.segments.at[0] > begin && !w->out->live;
    if (gap)
        findings_add(&w->out->findings, wal_segment_path(&w->arena, dir, begin), "there is none");
    return walk_log(w, dir, e);
}

void verify_logs(struct verified *out, const struct verify_opts *o)
{
    struct log_walk w = { .out = out, .o = o, .check = check_log_record };
    struct err why[2] = { 0 };
    if (verify_is_folder(out, o, S("wal")) && walk_wal(&w, S("wal"), &why[0]) != OK)
        verify_unread(out, S("wal"), &why[0]);
    w.late = true;
    if (verify_is_folder(out, o, S("wbl")) && walk_log(&w, S("wbl"), &why[1]) != OK)
        verify_unread(out, S("wbl"), &why[1]);
    if (w.unknown)
        findings_add(&out->notes, S("wal"),
            "%" PRIu64 " records' items are of series that no record before them names", w.unknown);
    if (w.unread)
        findings_add(&out->notes, S("wal"),
            "%" PRIu64 " damaged records of types that nobody reads in their log", w.unread);
    walk_fini(&w);
}

errc verify_memory_snapshot(
    struct verified *out, const struct verify_opts *o, str dir, struct err *e)
{
    struct log_walk w = { .out = out, .o = o, .check = check_snapshot_record };
    errc rc = walk_log(&w, dir, e);
    walk_fini(&w);
    return rc;
}
