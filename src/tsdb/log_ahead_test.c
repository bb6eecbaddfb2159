/* log_ahead_test.c — with a thread and without one the same comes, in the order of the log. */
#include "tsdb/log_ahead.h"

#include "base/mem.h"
#include "base/prng.h"
#include "base/test.h"
#include "head/tombstones.h"
#include "io/fs_sim.h"
#include "wal/page.h"

#include <stdio.h>

/* the first SOUND of the log decode */
enum { RECORDS = 3000, SEGMENTS = 3, SOUND = 20, GIANT_SERIES = 30000 };

/* ---- the log ---- */

static void put_series(struct buf *rec, struct prng *r, unsigned n)
{
    series_encode_type(rec);
    for (unsigned i = 0; i < n; i++) {
        char text[16];
        struct label l = { METRIC_NAME, str_of(text, (size_t)snprintf(text, sizeof(text), "m%u",
                                                         (unsigned)prng_below(r, 1000))) };
        series_encode(rec, 1 + prng_below(r, 1000), (struct labels){ &l, 1 });
    }
}

static void put_record(struct buf *rec, struct prng *r, unsigned nth)
{
    struct ref_sample s[50];
    struct ref_tombstone t = { prng_below(r, 100), 1, 2 };
    uint64_t n = prng_below(r, ARRAY_LEN(s));
    buf_reset(rec);
    switch (prng_below(r, 8)) {
    case 0: put_series(rec, r, prng_below(r, 200) ? 3 : GIANT_SERIES); break;
    case 1: tombstones_encode(rec, &t, 1); break;
    case 2:
        if (prng_below(r, 10) == 0) buf_u8(rec, 200);
        else deletion_encode(rec, (uint32_t)prng_below(r, 1000));
        break;
    case 3:
        put_series(rec, r, 2);
        rec->n -= prng_below(r, 10) == 0 && nth >= SOUND;      /* does not decode */
        break;
    default:
        for (uint64_t i = 0; i < n; i++)
            s[i] = (struct ref_sample){ 1 + prng_below(r, 100), (int64_t)i, 1, 0 };
        samples_encode(rec, s, n);
    }
}

static struct fs *make_log(struct prng *r)
{
    static const enum compress_kind kinds[] = { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_ZSTD };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct buf rec = { 0 }, packed = { 0 }, file = { 0 };
    struct fs *fs = fs_sim_new(1);
    EXPECT_OK(fs_mkdir(fs, S("wal"), NULL));
    for (unsigned seg = 0; seg < SEGMENTS; seg++) {
        uint64_t off = 0;
        buf_reset(&file);
        for (unsigned i = 0; i < RECORDS / SEGMENTS; i++) {
            put_record(&rec, r, seg * (RECORDS / SEGMENTS) + i);
            enum compress_kind kind = rec.n ? kinds[prng_below(r, 3)] : COMPRESS_NONE;
            buf_reset(&packed);
            EXPECT_OK(compress_pack(&packed, kind, buf_view(&rec), 0, NULL));
            page_put(&file, &off, frag_flag_of(kind), buf_view(&packed), NULL);
        }
        page_pad(&file, &off);
        EXPECT_OK(fs_write_durable(fs, arena_fmt(&a, "wal/%08u", seg), buf_view(&file), NULL));
    }
    buf_fini(&rec);
    buf_fini(&packed);
    buf_fini(&file);
    return fs;
}

/* ---- what comes ---- */

/* One line for each record that was handed out, and one for all that was not. */
static void tell(struct buf *to, const struct ahead_rec *x)
{
    char line[128];
    size_t n = x->type == REC_SERIES       ? x->series->all.n
               : x->type == REC_TOMBSTONES ? x->tombstones->n
                                           : x->stored.n;
    struct ahead_damage none = { 0 }, d = x->damage ? *x->damage : none;
    buf_str(to, str_of(line, (size_t)snprintf(line, sizeof(line),
                                 "%u/%" PRIu64 " %d %zu %u, %u/%" PRIu64 " %d\n", x->seg, x->end,
                                 (int)x->type, n, x->type == REC_TOMBSTONES ? x->deletion : 0,
                                 d.seg, d.off, d.passed_over)));
    if (x->type == REC_SERIES)
        for (size_t i = 0; i < n; i++) buf_str(to, x->series->all.at[i].raw);
    else buf_str(to, x->stored);
}

static void told(struct buf *to, struct fs *fs, const struct log_place *from, bool with_thread,
    size_t stop_after)
{
    struct wal_reader *r = NULL;
    struct wal_reader_opts o = { .fs = fs,
        .dir = S("wal"),
        .backend = IO_BUFFERED,
        .mode = WAL_SALVAGE,
        .last = SEGMENTS - 1 };
    struct ahead_rec x;
    bool got = true;
    size_t bad;
    buf_reset(to);
    EXPECT_OK(wal_reader_open(&r, &o, NULL));
    struct log_ahead *l = log_ahead_new(r, from, false, NULL, with_thread);
    while (got && stop_after--) {
        EXPECT_OK(log_ahead_next(l, &x, &got, NULL));
        if (got) tell(to, &x);
    }
    uint64_t records = log_ahead_end(l);
    if (!got) EXPECT_EQ(records, RECORDS / SEGMENTS * SEGMENTS);
    const struct wal_corruption *c = wal_reader_corruptions(r, &bad);
    if (!got) EXPECT(bad > 0 && c[0].off > 0);
    wal_reader_close(r);
}

TEST(log_ahead_gives_the_same_with_a_thread)
{
    struct buf alone = { 0 }, beside = { 0 };
    for (uint64_t i = 0; i < 6; i++) {
        struct prng r = { test_seed() + i };
        struct fs *fs = make_log(&r);
        const struct log_place places[] = { { 0 }, { .seg = 1, .off = 5000 }, { .all = true } };
        for (size_t k = 0; k <= ARRAY_LEN(places); k++) {
            const struct log_place *from = k ? &places[k - 1] : NULL;
            size_t stop = i % 2 ? SIZE_MAX : 1 + prng_below(&r, RECORDS);
            told(&alone, fs, from, false, stop);
            told(&beside, fs, from, true, stop);
            EXPECT(alone.n > 0 && str_eq(buf_view(&alone), buf_view(&beside)));
        }
        fs_free(fs);
    }
    buf_fini(&alone);
    buf_fini(&beside);
}

/* Samples before a place are passed over, and nothing else is. */
TEST(log_ahead_passes_over_samples)
{
    struct prng r = { test_seed() };
    struct fs *fs = make_log(&r);
    const struct log_place place = { .seg = 1, .off = 100000 };
    struct wal_reader *reader = NULL;
    struct wal_reader_opts o = { .fs = fs, .dir = S("wal"), .backend = IO_BUFFERED,
        .mode = WAL_SALVAGE, .last = SEGMENTS - 1 };
    size_t before = 0, samples = 0;
    bool got = true;
    EXPECT_OK(wal_reader_open(&reader, &o, NULL));
    struct log_ahead *l = log_ahead_new(reader, &place, false, NULL, true);
    while (got) {
        struct ahead_rec x = { 0 };
        EXPECT_OK(log_ahead_next(l, &x, &got, NULL));
        if (got && log_is_before(&place, x.seg, x.end)) {
            before++;
            EXPECT(x.type != REC_SAMPLES);
        } else {
            samples += got && x.type == REC_SAMPLES;
        }
    }
    EXPECT(before > 0 && samples > 0);
    log_ahead_end(l);
    wal_reader_close(reader);
    fs_free(fs);
}

/* What ends the reader comes behind what it gave. */
TEST(log_ahead_tells_errors)
{
    for (int with_thread = 0; with_thread < 2; with_thread++) {
        struct prng r = { test_seed() };
        struct fs *fs = make_log(&r);
        struct wal_reader *reader = NULL;
        struct wal_reader_opts o = { .fs = fs, .dir = S("wal"), .backend = IO_BUFFERED,
            .mode = WAL_STRICT, .last = SEGMENTS - 1 };
        struct err e = { 0 };
        bool got = true;
        errc rc = OK;
        EXPECT_OK(wal_reader_open(&reader, &o, NULL));
        struct log_ahead *l = log_ahead_new(reader, NULL, false, NULL, with_thread);
        while (rc == OK && got) {
            struct ahead_rec x;
            rc = log_ahead_next(l, &x, &got, &e);
        }
        EXPECT_EQ(rc, ERR_CORRUPT);
        EXPECT(e.n > 0);
        log_ahead_end(l);
        wal_reader_close(reader);
        fs_free(fs);
    }
}

/* A number is that of the tombstones right behind it; what does not decode is damage to all behind
 * it. */
TEST(log_ahead_tells_deletions_and_damage)
{
    for (int with_thread = 0; with_thread < 2; with_thread++) {
        struct prng r = { test_seed() };
        struct fs *fs = make_log(&r);
        struct wal_reader *reader = NULL;
        struct wal_reader_opts o = { .fs = fs, .dir = S("wal"), .backend = IO_BUFFERED,
            .mode = WAL_SALVAGE, .last = SEGMENTS - 1 };
        struct ahead_rec x;
        uint64_t damaged = 0, numbered = 0, others = 0, sound = 0;
        uint32_t number = DELETION_UNKNOWN;
        bool got = true;
        EXPECT_OK(wal_reader_open(&reader, &o, NULL));
        struct log_ahead *l = log_ahead_new(reader, NULL, false, NULL, with_thread);
        while (got) {
            EXPECT_OK(log_ahead_next(l, &x, &got, NULL));
            if (!got) break;
            EXPECT(!damaged || x.damage);
            if (x.type == REC_TOMBSTONES) {
                numbered += x.deletion != DELETION_UNKNOWN;
                others += x.deletion == DELETION_UNKNOWN;
                /* one between may have been refused: the number was that one's */
                bool refused = x.damage && x.deletion == DELETION_UNKNOWN;
                EXPECT(x.deletion == number || number == DELETION_UNKNOWN || refused);
            }
            if (x.type != REC_NONE || !deletion_decode(x.stored, &number))
                number = DELETION_UNKNOWN;
            damaged += x.damage != NULL;
            sound += !x.damage;
        }
        EXPECT(damaged > 0 && sound > 0 && numbered > 0 && others > 0);
        log_ahead_end(l);
        wal_reader_close(reader);
        fs_free(fs);
    }
}
