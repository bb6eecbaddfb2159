/* orphans_test.c — logs that Prometheus wrote: what belongs to a series stays to the last bit, what
 * belongs to none goes. */
#include "wal/orphans.h"

#include "base/log.h"
#include "base/map.h"
#include "base/test.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"
#include "wal/record.h"
#include "wal/wal_reader.h"

/* What a log says: `sum` is over all that belongs to a series, in any order. */
struct said { struct map named; uint64_t items, sum, orphans; };

static uint64_t hash_ref(sref ref) { return hash_bytes(&ref, sizeof(ref)); }

static void item(struct said *s, sref ref, uint64_t a, uint64_t b, str rest)
{
    uint64_t words[] = { ref, a, b, hash_str(rest) };
    if (!map_find(&s->named, hash_ref(ref), NULL, NULL)) {
        s->orphans++;
        return;
    }
    s->items++;
    s->sum += hash_bytes(words, sizeof(words));
}

static void say_series(struct said *s, str rec)
{
    struct ref_seriess all = { 0 };
    EXPECT_OK(series_decode(&all, rec, NULL));
    for (size_t i = 0; i < all.all.n; i++) {
        uint64_t hash = hash_ref(all.all.at[i].ref);
        if (!map_find(&s->named, hash, NULL, NULL)) map_put(&s->named, hash, s);
        item(s, all.all.at[i].ref, 0, 0, all.all.at[i].raw);
    }
    ref_seriess_fini(&all);
}

static void say_samples(struct said *s, str rec)
{
    ref_samples all = { 0 };
    EXPECT_OK(samples_decode(&all, rec, NULL));
    for (size_t i = 0; i < all.n; i++)
        item(s, all.at[i].ref, (uint64_t)all.at[i].t, f64_bits(all.at[i].v),
            str_of(&all.at[i].st, 8));
    vec_fini(&all);
}

static void say_histograms(struct said *s, str rec)
{
    struct ref_histograms all = { 0 };
    EXPECT_OK(histograms_decode(&all, rec, NULL));
    for (size_t i = 0; i < all.all.n; i++) {
        const struct ref_histogram *h = &all.all.at[i];
        item(s, h->ref, (uint64_t)h->t, (uint64_t)h->st, h->raw);
    }
    ref_histograms_fini(&all);
}

static void say_rest(struct said *s, str rec)
{
    ref_tombstones tombstones = { 0 };
    struct ref_exemplars exemplars = { 0 };
    ref_metadatas metadatas = { 0 };
    ref_markers markers = { 0 };
    if (record_type(rec) == REC_TOMBSTONES) EXPECT_OK(tombstones_decode(&tombstones, rec, NULL));
    if (record_type(rec) == REC_EXEMPLARS) EXPECT_OK(exemplars_decode(&exemplars, rec, NULL));
    if (record_type(rec) == REC_METADATA) EXPECT_OK(metadata_decode(&metadatas, rec, NULL));
    if (record_type(rec) == REC_MMAP_MARKERS) EXPECT_OK(markers_decode(&markers, rec, NULL));
    for (size_t i = 0; i < tombstones.n; i++)
        item(s, tombstones.at[i].ref, (uint64_t)tombstones.at[i].mint,
            (uint64_t)tombstones.at[i].maxt, STR_EMPTY);
    for (size_t i = 0; i < exemplars.all.n; i++) {
        const struct ref_exemplar *x = &exemplars.all.at[i];
        item(s, x->ref, (uint64_t)x->t, f64_bits(x->v),
            x->labels.n ? x->labels.at[0].value : STR_EMPTY);
    }
    for (size_t i = 0; i < metadatas.n; i++)
        item(s, metadatas.at[i].ref, metadatas.at[i].type_byte, 0, metadatas.at[i].raw);
    for (size_t i = 0; i < markers.n; i++)
        item(s, markers.at[i].ref, markers.at[i].chunk, 0, STR_EMPTY);
    vec_fini(&tombstones);
    ref_exemplars_fini(&exemplars);
    vec_fini(&metadatas);
    vec_fini(&markers);
}

static void say_log(struct said *s, struct fs *fs, const struct wal_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wal_reader *r = NULL;
        struct wal_rec rec;
        struct wal_reader_opts o = {
            .fs = fs,
            .dir = parts[i].dir,
            .backend = IO_BUFFERED,
            .mode = WAL_STRICT,
            .first = parts[i].first,
            .last = parts[i].last,
        };
        EXPECT_OK(wal_reader_open(&r, &o, NULL));
        for (bool got = true;;) {
            struct err e = { 0 };
            EXPECT_OK_E(wal_reader_next(r, &rec, &got, &e), &e);
            if (!got) break;
            enum rec_type type = record_type(rec.bytes);
            if (type == REC_SERIES) say_series(s, rec.bytes);
            else if (type == REC_SAMPLES || type == REC_SAMPLES_V2) say_samples(s, rec.bytes);
            else if (type >= REC_HISTOGRAMS && type < REC_TYPES) say_histograms(s, rec.bytes);
            else say_rest(s, rec.bytes);
        }
        wal_reader_close(r);
    }
}

static void log_nothing(void *ctx, enum log_level level, str line)
{
    (void)ctx, (void)level, (void)line;
}

static const struct row {
    const char *name;
    struct wal_part parts[2];
    size_t n;
    bool orphans;
} rows[] = {
    { "wal/all_types_none", { { S("wal"), 0, 99 } }, 1, false },
    { "wal/all_types_snappy", { { S("wal"), 0, 99 } }, 1, false },
    { "wal/odd_records", { { S("wal"), 0, 99 } }, 1, true },
    { "wal/bad_missing_first", { { S("wal"), 1, 99 } }, 1, true },
    /* its first segment is left out of the reading */
    { "wal/all_types_zstd", { { S("wal"), 1, 99 } }, 1, true },
    { "wal/st_v2", { { S("wal"), 1, 99 } }, 1, true },
    { "wal/wbl", { { S("wal"), 0, 99 }, { S("wbl"), 0, 99 } }, 2, false },
    /* and here the whole log */
    { "wal/wbl_snappy", { { S("wbl"), 0, 99 } }, 1, true },
};

TEST_SHARED(orphans_golden)
{
    log_capture(log_nothing, NULL);
    TEST_EACH(row, rows) {
        struct said before = { 0 }, after = { 0 };
        struct wal_orphans gone;
        struct err e = { 0 };
        struct fs *fs = tree_golden(row->name, 1);
        say_log(&before, fs, row->parts, row->n);
        EXPECT_EQ(before.orphans > 0, row->orphans);
        EXPECT_OK_E(wal_orphans_drop(fs, IO_BUFFERED, row->parts, row->n, &gone, &e), &e);
        EXPECT_EQ(gone.items, before.orphans);
        EXPECT_EQ(gone.segments > 0, row->orphans);
        /* what was written anew is durable */
        fs_sim_crash(fs, SIM_LOSE_ALL);
        say_log(&after, fs, row->parts, row->n);
        EXPECT_EQ(after.orphans, 0);
        EXPECT(before.items > 0 || row->orphans);
        EXPECT(after.items == before.items && after.sum == before.sum);
        EXPECT_OK(wal_orphans_drop(fs, IO_BUFFERED, row->parts, row->n, &gone, NULL));
        EXPECT(gone.items == 0 && gone.segments == 0);
        map_fini(&before.named);
        map_fini(&after.named);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}
