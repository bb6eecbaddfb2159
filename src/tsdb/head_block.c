#include "tsdb/head_block.h"

#include "base/log.h"
#include "base/metric.h"
#include "block/block_writer.h"
#include "head/head_chunks.h"
#include "head/mend.h"
#include "head/ooo_compact.h"
#include "wal/wal_reader.h"

enum { TRIES = 4 };

COUNTER(m_mended, "epimetheus_head_damaged_chunks_mended_total",
    "Damaged chunks of the head's files of which the log had all samples.")
COUNTER(m_lost, "epimetheus_head_damaged_samples_lost_total",
    "Samples of damaged chunks of the head's files that the log did not have.")

static errc tell_record(
    struct head_mend *m, bool late, struct record_room *room, str rec, struct err *e)
{
    switch (record_kind(rec)) {
    case KIND_SAMPLES:
        TRY(samples_decode(&room->samples, rec, e));
        head_mend_samples(m, late, room->samples.at, room->samples.n);
        return OK;
    case KIND_HISTOGRAMS:
        TRY(histograms_decode(&room->histograms, rec, e));
        head_mend_histograms(m, late, room->histograms.all.at, room->histograms.all.n);
        return OK;
    case KIND_MARKERS:
        TRY(markers_decode(&room->markers, rec, e));
        head_mend_markers(m, room->markers.at, room->markers.n);
        return OK;
    default: return OK;
    }
}

/* A damaged record is passed over: a start notes it. */
static errc tell_segments(const struct head_block_of *of, struct head_mend *m, str dir,
    uint32_t first, uint32_t last, struct err *e)
{
    struct wal_reader_opts o = { .fs = of->fs,
        .dir = dir,
        .backend = of->backend,
        .mode = WAL_SALVAGE,
        .first = first,
        .last = last };
    struct wal_reader *r = NULL;
    struct record_room room = { 0 };
    bool got = true;
    TRY(wal_reader_open(&r, &o, e));
    errc rc = OK;
    while (rc == OK && got) {
        struct wal_rec rec;
        rc = wal_reader_next(r, &rec, &got, e);
        if (rc == OK && got) (void)(tell_record(m, of->last_ref, &room, rec.bytes, NULL) == OK);
    }
    wal_reader_close(r);
    record_room_fini(&room);
    return rc;
}

static errc tell_checkpoint(
    const struct head_block_of *of, struct head_mend *m, uint32_t number, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    str dir = arena_fmt(&a, "wal/checkpoint.%08u", number);
    TRY(wal_dir_list(&d, of->fs, dir, e));
    if (!d.segments.n) return OK;
    return tell_segments(of, m, dir, d.segments.at[0], vec_last(&d.segments), e);
}

/* All that the log has, up to what was just written: a chunk gets to the disk after its log. */
static errc tell_log(const struct head_block_of *of, struct head_mend *m, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    str dir = of->last_ref ? S("wbl") : S("wal");
    TRY(wal_dir_list(&d, of->fs, dir, e));
    if (d.has_checkpoint) TRY(tell_checkpoint(of, m, d.checkpoint, e));
    size_t i = 0;
    while (d.has_checkpoint && i < d.segments.n && d.segments.at[i] <= d.checkpoint) i++;
    if (i < d.segments.n)
        TRY(tell_segments(of, m, dir, d.segments.at[i], vec_last(&d.segments), e));
    head_mend_end(m);
    return OK;
}

static errc open_view(const struct head_block_of *of, struct head_chunks **out, struct err *e)
{
    if (of->last_ref)
        return head_chunks_open_ooo(out, of->head, of->mint, of->maxt, of->last_ref, e);
    if (of->only)
        return head_chunks_open_some(out, of->head, of->only, of->n_only, of->mint, of->maxt, e);
    return head_chunks_open(out, of->head, of->mint, of->maxt, e);
}

static errc write_once(const struct head_block_of *of, struct head_mend *m,
    const struct block_writer_opts *wo, struct block_stats *stats, struct err *e)
{
    struct head_chunks *hc = NULL;
    TRY(open_view(of, &hc, e));
    head_chunks_mend(hc, m);
    errc rc = block_write(wo, head_chunks_symbols(hc), head_chunks_series(hc), stats, e);
    head_chunks_close(hc);
    return rc;
}

static void report(const struct head_mend *m)
{
    struct head_mend_counts c = head_mend_counts(m);
    uint64_t lost = c.samples > c.found ? c.samples - c.found : 0;
    if (!c.chunks) return;
    metric_add(&m_lost, (double)lost);
    if (!lost) metric_add(&m_mended, (double)c.chunks);
    if (lost)
        LOG(ERROR, "damaged chunks of the head are left out of a block", kv_u64("chunks", c.chunks),
            kv_u64("samples", c.samples), kv_u64("lost", lost));
    else
        LOG(WARN, "damaged chunks of the head were made again of the log",
            kv_u64("chunks", c.chunks), kv_u64("samples", c.found));
}

errc head_block_write(const struct head_block_of *of, const struct block_writer_opts *wo,
    struct block_stats *stats, struct err *e)
{
    struct head_mend *m = head_mend_new();
    errc rc = write_once(of, m, wo, stats, e);
    for (int i = 1; i < TRIES && rc == ERR_CORRUPT && head_mend_wanted(m); i++) {
        rc = tell_log(of, m, e);
        if (rc == OK) rc = write_once(of, m, wo, stats, e);
    }
    if (rc == OK) report(m);
    head_mend_free(m);
    return rc;
}

int64_t head_range_begin(int64_t t, int64_t range_ms)
{
    return t - t % range_ms - (t % range_ms < 0 ? range_ms : 0);
}

/* The block is of the aligned range, whatever it holds of it; as in Prometheus its parent is all
 * zeros. */
errc head_part_write(const struct head_block_of *part, const struct head_part *p,
    ulid_list *made, struct err *e)
{
    ulid id = ulid_new();
    struct block_desc parent = { 0 };
    struct block_meta meta = { .id = id,
        .mint = part->mint,
        .maxt = part->mint + p->range_ms,
        .level = 1,
        .sources = &id,
        .n_sources = 1,
        .parents = &parent,
        .n_parents = 1,
        .hints = p->hint };
    struct block_writer_opts wo = {
        .fs = part->fs, .parent = p->parent, .meta = &meta, .segment_bytes = p->segment_bytes
    };
    struct block_stats stats = { 0 };
    errc rc = head_block_write(part, &wo, &stats, e);
    if (rc != OK || !stats.samples) return rc;
    vec_push(made, id);
    LOG(INFO, "block written from a part of the head", kv_z("of", p->of),
        kv_z("block", ulid_text(id).z), kv_i64("mint", meta.mint), kv_i64("maxt", meta.maxt),
        kv_u64("series", stats.series), kv_u64("samples", stats.samples));
    return OK;
}

errc head_late_write(const struct head_block_of *all, const struct ooo_span *span,
    const struct head_part *p, ulid_list *made, struct err *e)
{
    struct head_block_of part = *all;
    part.last_ref = span->last_ref;
    if (span->mint > span->maxt) return OK;
    for (int64_t t = head_range_begin(span->mint, p->range_ms); t <= span->maxt; t += p->range_ms) {
        part.mint = t;
        part.maxt = t + p->range_ms - 1;
        TRY(head_part_write(&part, p, made, e));
    }
    return OK;
}
