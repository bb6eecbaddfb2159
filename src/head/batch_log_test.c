/* batch_log_test.c — which records a commit makes, in which order. */
#include "head/batch_log.h"

#include "base/buf.h"
#include "base/test.h"
#include "head/store.h"
#include "io/fs_sim.h"
#include "wal/record.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

static struct span span = { 0, 1 };
static const double bound = 1;

static void put_histogram(struct batch *b, uint32_t slot, bool is_float, bool custom, size_t floats)
{
    int64_t one = 1;
    double one_f = 1;
    struct batch_histogram at = { slot, 1, 10, 4, { NULL } };
    struct int_histogram h = { .count = 1, .pos = { &span, 1, &one, 1 } };
    struct histogram f = { .count = 1, .pos = { &span, 1, &one_f, 1 } };
    h.schema = f.schema = custom ? HISTOGRAM_CUSTOM_SCHEMA : 0;
    h.custom = f.custom = custom ? &bound : NULL;
    h.n_custom = f.n_custom = custom;
    if (is_float) batch_put_floats(b, &at, &f, floats);
    else batch_put_whole(b, &at, &h, floats);
}

/* The records' types and how many things are in each: "samples:2 exemplars:1 ". */
static str logged(struct arena *a, struct fs *fs)
{
    struct wal_reader_opts o = { .fs = fs,
        .dir = S("wal"),
        .backend = IO_BUFFERED,
        .mode = WAL_STRICT,
        .last = UINT32_MAX - 1 };
    struct wal_reader *r = NULL;
    struct wal_rec rec;
    struct buf text = { 0 };
    ref_samples samples = { 0 };
    struct ref_histograms hists = { 0 };
    EXPECT_OK(wal_reader_open(&r, &o, NULL));
    for (bool got = true;;) {
        EXPECT_OK(wal_reader_next(r, &rec, &got, NULL));
        if (!got) break;
        enum rec_type type = record_type(rec.bytes);
        size_t n = 1;
        if (samples_decode(&samples, rec.bytes, NULL) == OK) n = samples.n;
        else if (histograms_decode(&hists, rec.bytes, NULL) == OK) n = hists.all.n;
        buf_fmt(&text, "%.*s:%zu ", STR_ARG(record_type_name(type)), n);
    }
    wal_reader_close(r);
    vec_fini(&samples);
    ref_histograms_fini(&hists);
    str out = arena_str(a, buf_view(&text));
    buf_fini(&text);
    return out;
}

TEST(batch_log_records)
{
    static const struct {
        const char *name;
        bool with_st;
        str want;
    } cases[] = {
        { "as always", false,
            S("metadata:1 samples:2 histogram_samples:1 custom_buckets_histogram_samples:1 "
              "float_histogram_samples:1 exemplars:1 samples:1 "
              "custom_buckets_float_histogram_samples:1 ") },
        { "with start timestamps", true,
            S("metadata:1 samples_v2:2 histogram_samples_v2:2 float_histogram_samples_v2:1 "
              "exemplars:1 samples_v2:1 float_histogram_samples_v2:1 ") },
    };
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(1);
        struct wal *w = NULL;
        struct store s;
        struct batch b;
        struct arena a = { 0 };
        struct pending floats[] = { { 1, 1, 10, 1 }, { 2, 1, 10, 2 }, { 1, 1, 20, 3 } };
        struct wal_opts o = {
            .fs = fs, .dir = S("wal"), .fsync_interval_ms = 1000, .no_thread = true
        };
        EXPECT_OK(wal_open(&w, &o, NULL));
        store_init(&s, 7200000, 120);
        slab_reach(&s.cold, 8);
        for (uint32_t i = 1; i < 8; i++) store_cold(&s, i)->ref = i;
        batch_init(&b, NULL);
        put_histogram(&b, 3, false, false, 2);
        put_histogram(&b, 4, false, true, 2);
        put_histogram(&b, 5, true, false, 2);
        batch_put_exemplar(&b, 1, 1, &(struct exemplar){ { NULL, 0 }, 2, 10, true });
        batch_put_metadata(&b, 1, 1, &(struct metadata){ .type = TYPE_GAUGE });
        batch_split(&b, 2);
        put_histogram(&b, 3, true, true, 3);
        struct wal_batch *to = wal_batch_new(w);
        batch_log(&s, &b, floats, ARRAY_LEN(floats), c->with_st, to);
        EXPECT_OK(wal_commit(w, to, NULL));
        EXPECT_OK(wal_close_synced(w, NULL));
        EXPECT_STR(logged(&a, fs), c->want);
        batch_fini(&b);
        store_fini(&s);
        arena_fini(&a);
        fs_free(fs);
    }
}
