/* changed_test.c — bytes of a block that change in memory after they were read: nothing that is
 * made of them ends up in a block that is finished. */
#include "block/block.h"
#include "block/block_writer.h"
#include "block/segment_codec.h"
#include "block/test_folder.h"

#include "base/test.h"
#include "chunk/chunk.h"

enum { SAMPLES = 1000 };

/* Shorter than what is pinned at one go: the first window is the last. */
static str block_make(struct fs *fs, struct arena *a)
{
    SCOPED(chunk_encoder_fini) struct chunk_encoder w = { 0 };
    struct block_meta meta = { .id = ulid_of(1, 7, 7), .maxt = SAMPLES };
    chunk_encoder_begin(&w, &(struct chunk_rules){ CHUNKS_JOINED, CHUNK_XOR, false, CHUNK_NONE });
    for (int at = 0; at < SAMPLES;) {
        struct sample_batch b = { .kind = SAMPLE_FLOAT };
        for (; b.n < SAMPLE_BATCH && at < SAMPLES; b.n++, at++) {
            b.t[b.n] = at;
            b.v[b.n] = at * at % 977;
        }
        chunk_encoder_put(&w, &b);
    }
    chunk_encoder_end(&w);
    EXPECT(w.chunks.n > 3);
    return test_block_of_one(fs, &meta, &w, a);
}

struct rig {
    struct arena a;
    struct fs *fs;
    str dir;
    struct block *block;
    struct chunk_series_set *set;
    const struct chunk_series *series;
};

/* listed: as queries do, by the block's own readers. */
static void rig_begin(struct rig *r, enum io_backend backend, bool listed)
{
    struct block_opts o = { .backend = backend };
    struct matcher all = { .type = MATCH_EQ };
    postings_list refs = { 0 };
    *r = (struct rig){ .fs = fs_real_new(str_z(test_tmpdir())) };
    r->dir = block_make(r->fs, &r->a);
    o.fs = r->fs;
    EXPECT_OK(block_open(&r->block, &o, r->dir, NULL));
    if (listed) {
        EXPECT_OK(block_select(r->block, (struct matchers){ &all, 1 }, &refs, NULL));
        block_chunks_list(r->block, &refs, INT64_MIN, INT64_MAX, &r->set);
    } else {
        EXPECT_OK(block_chunks(r->block, NULL, 0, &r->set, NULL));
    }
    EXPECT_OK(r->set->ops->next(r->set, &r->series, NULL));
    EXPECT(r->series && r->series->n > 3 && r->series->chunks[0].head);
}

static void rig_end(struct rig *r)
{
    chunk_series_set_free(r->set);
    block_unref(r->block);
    EXPECT_OK(fs_remove_tree(r->fs, r->dir, NULL));
    fs_free(r->fs);
    arena_fini(&r->a);
}

/* The last byte of the first chunk. Where the file is mapped the memory is changed by the file:
 * true. */
static bool change(struct rig *r)
{
    const struct chunk_view *c = &r->series->chunks[0];
    uint8_t *last = (uint8_t *)(uintptr_t)(c->data.p + c->data.n - 1), was = *last, now = was ^ 1;
    str one = str_of(&now, 1);
    uint64_t done = 0, at = SEGMENT_HEADER_BYTES + c->head + c->data.n - 1;
    struct file *f = NULL;
    EXPECT_OK(fs_open(
        &f, r->fs, path_join(&r->a, r->dir, S("chunks/000001")), FS_READ | FS_WRITE, NULL));
    EXPECT_OK(file_pwrite(f, &one, 1, at, &done, NULL));
    file_close(f);
    bool mapped = *(volatile uint8_t *)last != was;
    if (!mapped) *last = now;
    return mapped;
}

TEST(what_changed_since_it_was_read_is_not_copied)
{
    static const enum io_backend backends[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        struct rig r;
        struct block_meta meta = { .id = ulid_of(2, 7, 7), .maxt = SAMPLES };
        struct block_writer *w = NULL;
        rig_begin(&r, backends[i], false);
        struct block_writer_opts o = { .fs = r.fs, .meta = &meta };
        EXPECT_OK(block_writer_begin(&w, &o, NULL));
        change(&r);
        EXPECT_EQ(block_writer_series(w, r.series, NULL), ERR_IO);
        block_writer_abort(w);
        rig_end(&r);
    }
}

TEST(what_changed_since_it_was_read_ends_the_set)
{
    static const struct {
        const char *name;
        enum io_backend backend;
        bool listed, changed;
    } cases[] = { { "buffered", IO_BUFFERED, false, true }, { "direct", IO_DIRECT, false, true },
        { "direct, whole", IO_DIRECT, false, false },
        { "buffered, listed", IO_BUFFERED, true, true },
        { "direct, listed", IO_DIRECT, true, true } };
    TEST_EACH (c, cases) {
        struct rig r;
        rig_begin(&r, c->backend, c->listed);
        bool found = c->changed && !change(&r);
        EXPECT_EQ(r.set->ops->next(r.set, &r.series, NULL), found ? ERR_IO : OK);
        rig_end(&r);
    }
}
