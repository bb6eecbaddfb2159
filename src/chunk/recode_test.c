/* recode_test.c — a part of a chunk is what appending that part gives. */
#include "chunk/recode.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"

enum { SAMPLES = 60 };

static double counts_at[3];
static int64_t deltas_at[3];
static struct span span = { 1, 3 };

static struct hist_words words_at(int i, bool is_float)
{
    static struct int_histogram whole;
    static struct histogram floats;
    for (int k = 0; k < 3; k++) {
        counts_at[k] = i + k;
        deltas_at[k] = k ? 1 : i;
    }
    whole = (struct int_histogram){
        .count = (uint64_t)(3 * i + 3), .sum = i, .pos = { &span, 1, deltas_at, 3 }
    };
    floats = (struct histogram){ .count = 3 * i + 3, .sum = i, .pos = { &span, 1, counts_at, 3 } };
    return is_float ? hist_words_of_float(&floats) : hist_words_of_int(&whole);
}

static bool is_kept(int64_t t, int64_t mint, int64_t maxt, const intervals *deleted)
{
    return t >= mint && t <= maxt && !(deleted && intervals_have(deleted, t));
}

/* A chunk of those of SAMPLES samples at 1000, 2000, … that are kept. */
static void make(struct buf *out, uint8_t enc, int64_t mint, int64_t maxt, const intervals *deleted)
{
    struct hist_app hist, fresh;
    struct xor_app xor ;
    struct xor2_app xor2;
    uint8_t *room = mem_alloc(XOR2_ROOM(SAMPLES));
    bool is_float = enc == CHUNK_FLOAT_HISTOGRAM || enc == CHUNK_FLOAT_HISTOGRAM_ST;
    hist_app_init(&hist, chunk_enc_is_float(enc) ? CHUNK_HISTOGRAM : enc, NULL);
    if (enc == CHUNK_XOR) xor_app_init(&xor, room, XOR2_ROOM(SAMPLES));
    else xor2_app_init(&xor2, room, XOR2_ROOM(SAMPLES));
    for (int i = 0; i < SAMPLES; i++) {
        int64_t t = 1000 * (i + 1), st = t - 500;
        if (!is_kept(t, mint, maxt, deleted)) continue;
        struct hist_words w = words_at(i, is_float);
        if (enc == CHUNK_XOR) EXPECT(xor_append(&xor, t, i));
        else if (enc == CHUNK_XOR2) EXPECT(xor2_append(&xor2, t, i, st));
        else EXPECT(hist_append(&hist, &fresh, t, st, &w) == HIST_SAME);
    }
    buf_str(out, enc == CHUNK_XOR    ? xor_app_bytes(&xor)
                 : enc == CHUNK_XOR2 ? xor2_app_bytes(&xor2)
                                     : hist_app_bytes(&hist));
    hist_app_fini(&hist);
    mem_free(room);
}

TEST(chunk_recode)
{
    static const struct {
        const char *name;
        int64_t mint, maxt, from, to;
        size_t n;
    } cases[] = {
        { "all", 0, 100000, 1, 0, SAMPLES },
        { "the end", 31000, 100000, 1, 0, 30 },
        { "the beginning", 0, 30999, 1, 0, 30 },
        { "one", 5000, 5000, 1, 0, 1 },
        { "none", 5001, 5999, 1, 0, 0 },
        { "a hole", 0, 100000, 10000, 19000, SAMPLES - 10 },
        { "a hole at the beginning", 2000, 100000, 0, 19000, SAMPLES - 19 },
    };
    TEST_EACH(c, cases) {
        for (uint8_t enc = CHUNK_XOR; enc < CHUNK_ENCODINGS; enc++) {
            struct buf whole = { 0 }, want = { 0 }, got = { 0 };
            intervals deleted = { 0 };
            struct recoded r;
            intervals_add(&deleted, (struct interval){ c->from, c->to });
            make(&whole, enc, INT64_MIN, INT64_MAX, NULL);
            make(&want, enc, c->mint, c->maxt, &deleted);
            EXPECT_OK(
                chunk_recode(&r, &got, enc, buf_view(&whole), c->mint, c->maxt, &deleted, NULL));
            EXPECT_EQ(r.n, c->n);
            EXPECT_EQ(r.bytes, got.n);
            if (c->n) EXPECT_STR(buf_view(&got), buf_view(&want));
            int64_t first = 0, last = 0;
            for (int64_t t = 1000; t <= SAMPLES * 1000; t += 1000)
                if (is_kept(t, c->mint, c->maxt, &deleted)) last = t, first = first ? first : t;
            EXPECT(r.mint == first && r.maxt == last);
            buf_fini(&whole);
            buf_fini(&want);
            buf_fini(&got);
            vec_fini(&deleted);
        }
    }
}

TEST(chunk_recode_of_damage)
{
    for (uint8_t enc = CHUNK_XOR; enc < CHUNK_ENCODINGS; enc++) {
        struct buf whole = { 0 }, got = { 0 };
        struct recoded r;
        make(&whole, enc, INT64_MIN, INT64_MAX, NULL);
        for (size_t n = 0; n + 1 < whole.n; n++)
            EXPECT_EQ(
                chunk_recode(&r, &got, enc, str_of(whole.p, n), INT64_MIN, INT64_MAX, NULL, NULL),
                ERR_CORRUPT);
        buf_fini(&whole);
        buf_fini(&got);
    }
}
