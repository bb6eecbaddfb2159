/* swapped_test.c — chunk files of two blocks in each other's place: each chunk is whole, and lies
 * where the index looks for one. What it holds is nothing that was ever written there. */
#include "block/block.h"
#include "block/test_folder.h"

#include "base/log.h"
#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/chunk_encoder.h"
#include "chunk/test_histograms.h"
#include "io/fs_sim.h"

enum { SAMPLES = 1200, FILE_MAX_BYTES = 1 << 24 };
static const int64_t BLOCK_MS = 3600000, STEP_MS = 3000;

static void log_nothing(void *ctx UNUSED, enum log_level level UNUSED, str line UNUSED) {}

/* The samples of each block differ in their times alone. */
static void encode(struct chunk_encoder *w, bool floats, uint8_t enc, int64_t from, struct arena *a)
{
    struct prng r = { 1 };
    struct test_histograms h = test_histograms_of(&r, false);
    struct hist_words words = test_histograms_next(&h, a);
    const struct int_histogram *same = test_histogram_int(a, &words);
    chunk_encoder_begin(w, &(struct chunk_rules){ CHUNKS_JOINED, enc, false, CHUNK_NONE });
    for (int at = 0; at < SAMPLES;) {
        struct sample_batch b = { .kind = floats ? SAMPLE_FLOAT : SAMPLE_HISTOGRAM };
        for (; b.n < SAMPLE_BATCH && at < SAMPLES; b.n++, at++) {
            b.t[b.n] = from + at * STEP_MS;
            b.v[b.n] = at;
            if (!floats) b.ih[b.n] = same;
        }
        chunk_encoder_put(w, &b);
    }
    chunk_encoder_end(w);
}

/* Returns its folder. */
static str block_make(struct fs *fs, bool floats, uint8_t enc, uint64_t number, struct arena *a)
{
    SCOPED(chunk_encoder_fini) struct chunk_encoder w = { 0 };
    int64_t from = (int64_t)number * BLOCK_MS;
    struct block_meta meta = { .id = ulid_of(number, 7, 7), .mint = from, .maxt = from + BLOCK_MS };
    encode(&w, floats, enc, from, a);
    EXPECT(w.chunks.n > 3);
    return test_block_of_one(fs, &meta, &w, a);
}

static void swap_files(struct fs *fs, str x, str y, struct arena *a)
{
    str of_x, of_y;
    EXPECT_OK(fs_read_all(fs, x, a, FILE_MAX_BYTES, &of_x, NULL));
    EXPECT_OK(fs_read_all(fs, y, a, FILE_MAX_BYTES, &of_y, NULL));
    EXPECT_EQ(of_x.n, of_y.n);
    EXPECT_OK(fs_write_durable(fs, x, of_y, NULL));
    EXPECT_OK(fs_write_durable(fs, y, of_x, NULL));
}

/* How many samples a query finds, by batches or by arrays of floats. */
static size_t asked(struct block *b, bool by_floats, size_t *warnings)
{
    static int64_t t[4 * SAMPLES];
    static double v[4 * SAMPLES];
    struct queryable *from = block_queryable(b);
    struct querier *q = NULL;
    struct series_set *set = NULL;
    struct sample_iter *it = NULL;
    struct matcher all = { .type = MATCH_EQ };
    str_list said = { 0 };
    size_t found = 0, n;
    EXPECT_OK(from->ops->querier(from, INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &all, 1 }, NULL, &set, NULL));
    for (struct series *s;;) {
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        EXPECT_OK(s->ops->iterate(s, &it, NULL));
        do {
            struct sample_batch batch = { 0 };
            n = 0;
            if (by_floats) EXPECT_OK(sample_iter_floats(it, t, v, ARRAY_LEN(t), &n, NULL));
            if (!n) {
                EXPECT_OK(sample_iter_fill(it, &batch, NULL));
                n = batch.n;
            }
            found += n;
        } while (n);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_warnings(q, &said);
    *warnings = said.n;
    vec_fini(&said);
    querier_free(q);
    return found;
}

static size_t chunks_of(struct block *b, size_t *warnings)
{
    struct chunk_series_set *set = NULL;
    struct matcher all = { .type = MATCH_EQ };
    str_list said = { 0 };
    size_t n = 0;
    struct matchers ms = { &all, 1 };
    EXPECT_OK(block_chunks_select(b, ms, INT64_MIN, INT64_MAX, &set, NULL));
    for (const struct chunk_series *s;;) {
        EXPECT_OK(set->ops->next(set, &s, NULL));
        if (!s) break;
        n += s->n;
    }
    chunk_series_set_warnings(set, &said);
    *warnings = said.n;
    vec_fini(&said);
    chunk_series_set_free(set);
    return n;
}

static void expect_found(struct fs *fs, str dir, bool whole)
{
    struct block *b = NULL;
    struct block_opts o = { .fs = fs, .backend = IO_BUFFERED };
    size_t warnings;
    EXPECT_OK(block_open(&b, &o, dir, NULL));
    for (int by_floats = 0; by_floats < 2; by_floats++) {
        EXPECT_EQ(asked(b, by_floats, &warnings), whole ? SAMPLES : 0);
        EXPECT_EQ(warnings > 0, !whole);
    }
    EXPECT_EQ(chunks_of(b, &warnings) > 0, whole);
    EXPECT_EQ(warnings > 0, !whole);
    block_unref(b);
}

TEST(chunks_of_another_block_are_not_shown)
{
    static const struct {
        const char *name;
        bool floats;
        uint8_t enc;
    } cases[] = { { "XOR", true, CHUNK_XOR }, { "XOR2", true, CHUNK_XOR2 },
        { "histograms", false, CHUNK_XOR } };
    log_capture(log_nothing, NULL);
    TEST_EACH (c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct fs *fs = fs_sim_new(1);
        str x = block_make(fs, c->floats, c->enc, 1, &a),
            y = block_make(fs, c->floats, c->enc, 2, &a);
        expect_found(fs, x, true);
        swap_files(fs, path_join(&a, x, S("chunks/000001")), path_join(&a, y, S("chunks/000001")),
            &a);
        expect_found(fs, x, false);
        expect_found(fs, y, false);
        fs_free(fs);
    }
    log_capture(NULL, NULL);
}
