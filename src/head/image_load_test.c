/* image_load_test.c — what of an image a head takes, and what it refuses. */
#include "head/image_load.h"

#include "base/test.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"
#include "head/head.h"
#include "head/image_codec.h"
#include "head/replay.h"

/* A series' share: closed chunks that ended then, and a chunk of samples at 100, 200 … */
static void frame_of(struct buf *b, sref ref, int64_t closed, unsigned n)
{
    struct image_series s = { .ref = ref };
    int64_t t[16];
    double v[16];
    uint8_t room[512];
    sref prev = 0;
    for (unsigned i = 0; i < n; i++) {
        t[i] = 100 * (i + 1);
        v[i] = i;
    }
    if (closed) vec_push(&s.closed, closed);
    if (n) {
        size_t bytes = xor_encode(room, t, v, n);
        vec_push(&s.chunks, ((struct image_chunk){ CHUNK_XOR, t[n - 1], str_of(room, bytes) }));
    }
    image_series_begin(b);
    image_series_encode(b, &s, &prev);
    image_series_fini(&s);
}

TEST(image_load)
{
    static const struct {
        const char *name;
        sref ref;
        int64_t closed;                        /* as the image has it */
        int64_t on_disk;                       /* max time of the closed chunk that there is */
        int64_t min_valid;
        errc want;
        uint64_t samples, unknown;
    } cases[] = {
        { "all of it", 1, 0, 0, INT64_MIN, OK, 10, 0 },
        { "of no series", 2, 0, 0, INT64_MIN, OK, 0, 1 },
        { "a closed chunk is there", 1, 50, 50, INT64_MIN, OK, 10, 0 },
        { "a closed chunk is missing", 1, 50, 0, INT64_MIN, ERR_CORRUPT, 0, 0 },
        { "another one is there", 1, 50, 60, INT64_MIN, ERR_CORRUPT, 0, 0 },
        { "one is missing that is in a block", 1, 50, 0, 70, OK, 10, 0 },
        { "written down since, in part", 1, 0, 450, INT64_MIN, OK, 6, 0 },
        { "written down since, whole", 1, 0, 1000, INT64_MIN, OK, 0, 0 },
        { "in a block, in part", 1, 0, 0, 301, OK, 7, 0 },
    };
    TEST_EACH(c, cases) {
        struct head *h = NULL;
        struct label l = { S("id"), S("1") };
        struct replay_reset reset;
        struct buf frame = { 0 };
        EXPECT_OK(head_open(&h, &(struct head_opts){ .chunk_range_ms = 0 }, NULL));
        if (c->min_valid != INT64_MIN) head_set_min_valid_time(h, c->min_valid);
        struct head_replay *r = head_replay_begin(h);
        struct head_replay_chunk closed = { 1, 10, c->on_disk, 1ull << 32, 5, CHUNK_XOR, false };
        if (c->on_disk) head_replay_chunk(r, &closed);
        EXPECT_OK(head_replay_series(r, 1, 1, (struct labels){ &l, 1 }, &reset, NULL));
        struct image_load *load = image_load_new(r, 1);
        frame_of(&frame, c->ref, c->closed, 10);
        EXPECT_EQ(image_load_frame(load, buf_view(&frame), NULL), c->want);
        struct image_loaded n = image_load_free(load);
        EXPECT_EQ(n.samples, c->samples);
        EXPECT_EQ(n.unknown, c->unknown);
        if (c->samples) EXPECT_EQ(head_max_time(h), 1000);
        if (c->want == OK) head_replay_finish(r, NULL);
        else head_replay_drop(r);
        head_close(h);
        buf_fini(&frame);
    }
}
