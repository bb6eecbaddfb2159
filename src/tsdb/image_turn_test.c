/* image_turn_test.c — images are written when enough was logged, and not too often. */
#include "tsdb/image_turn.h"

#include "base/clock.h"
#include "base/test.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "tsdb/test_small.h"
#include "wal/wal.h"

static const struct image_file_written none;

static void log_bytes(struct wal *w, size_t n)
{
    uint8_t rec[1000] = { 99 };
    for (; n >= sizeof(rec); n -= sizeof(rec)) {
        str one = str_of(rec, sizeof(rec));
        EXPECT_OK(wal_log(w, &one, 1, NULL));
    }
}

TEST(image_turn)
{
    static const struct {
        const char *name;
        uint64_t every, first, then;           /* logged before each turn */
        bool written[2];
    } cases[] = {
        { "too little", 20000, 5000, 5000, { false, false } },
        { "enough together", 20000, 15000, 10000, { false, true } },
        { "enough at once, then too little", 20000, 25000, 10000, { true, false } },
        { "enough twice", 20000, 25000, 25000, { true, true } },
        { "never", UINT64_MAX, 25000, 25000, { false, false } },
    };
    hush(true);
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(1);
        struct wal *w = NULL;
        struct head *h = NULL;
        struct wal_opts wo = { .fs = fs, .dir = S("wal"), .no_thread = true };
        struct image_turn t;
        EXPECT_OK(wal_open(&w, &wo, NULL));
        EXPECT_OK(head_open(&h, &(struct head_opts){ .wal = w }, NULL));
        struct image_file_of of = { .fs = fs, .head = h, .wal = w };
        image_turn_init(&t, &of, c->every, &none);
        for (int i = 0; i < 2; i++) {
            log_bytes(w, i ? c->then : c->first);
            t.not_before_ns = 0;
            image_turn_take(&t);
            EXPECT_EQ(fs_exists(fs, S("head.image")), c->written[i]);
            EXPECT_OK(image_file_remove(fs, NULL));
        }
        head_close(h);
        wal_close(w);
        fs_free(fs);
    }
    hush(false);
}

/* Soon after one comes none; one that failed comes again a minute later. */
TEST(image_turn_rests)
{
    hush(true);
    struct fs *fs = fs_sim_new(1);
    struct wal *w = NULL;
    struct head *h = NULL;
    struct wal_opts wo = { .fs = fs, .dir = S("wal"), .no_thread = true };
    struct image_turn t;
    EXPECT_OK(wal_open(&w, &wo, NULL));
    EXPECT_OK(head_open(&h, &(struct head_opts){ .wal = w }, NULL));
    image_turn_init(&t, &(struct image_file_of){ .fs = fs, .head = h, .wal = w }, 1000, &none);
    log_bytes(w, 10000);
    fs_sim_fail_nth(fs, SIM_OP(STALL_RENAME), 1, ERR_IO);
    int64_t before = clock_mono_ns();
    image_turn_take(&t);
    EXPECT(!fs_exists(fs, S("head.image")) && !fs_exists(fs, S("head.image.tmp")));
    EXPECT(t.not_before_ns >= before + 60000000000ll);
    image_turn_take(&t);
    EXPECT(!fs_exists(fs, S("head.image")));
    t.not_before_ns = 0;
    image_turn_take(&t);
    EXPECT(fs_exists(fs, S("head.image")));
    EXPECT(t.not_before_ns > before);
    head_close(h);
    wal_close(w);
    fs_free(fs);
    hush(false);
}

/* A server that was started again stands at the begin of a segment; its image names the end of the
 * one before, and nothing was logged since. */
TEST(image_turn_after_a_restart)
{
    hush(true);
    struct fs *fs = fs_sim_new(1);
    struct wal *w = NULL;
    struct head *h = NULL;
    struct wal_opts wo = { .fs = fs, .dir = S("wal"), .no_thread = true };
    struct image_turn t;
    struct image_file_written last = none;
    for (int start = 0; start < 3; start++) {
        EXPECT_OK(wal_open(&w, &wo, NULL));
        EXPECT_OK(head_open(&h, &(struct head_opts){ .wal = w }, NULL));
        image_turn_init(
            &t, &(struct image_file_of){ .fs = fs, .head = h, .wal = w }, 40000, &last);
        if (!start) log_bytes(w, 100000);
        for (int turn = 0; turn < 3; turn++) {
            t.not_before_ns = 0;
            image_turn_take(&t);
            EXPECT_EQ(image_file_exists(fs), !start && !turn);
            EXPECT_OK(image_file_remove(fs, NULL));
        }
        last = t.last;
        EXPECT_EQ(last.place.segment, 0);
        head_close(h);
        wal_close(w);
    }
    fs_free(fs);
    hush(false);
}
