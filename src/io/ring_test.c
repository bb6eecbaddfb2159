#include "io/ring.h"

#include "io/fs_impl.h"

#include "base/test.h"

struct asked {
    struct ring_read read;
    _Atomic bool there;
    size_t n;
    int errnum;
    uint8_t first;
};

static void asked_done(struct ring_read *r, str bytes, int errnum)
{
    struct asked *a = CONTAINER_OF(r, struct asked, read);
    a->n = bytes.n;
    a->errnum = errnum;
    a->first = bytes.n ? bytes.p[0] : 0;
    atomic_store_explicit(&a->there, true, memory_order_release);
}

static bool all_there(void *ctx)
{
    struct asked **at = ctx;
    for (; *at; at++)
        if (!atomic_load_explicit(&(*at)->there, memory_order_acquire)) return false;
    return true;
}

static struct file *make(struct fs *fs, size_t blocks)
{
    struct file *f = NULL;
    EXPECT_OK(fs_open(&f, fs, S("f"), FS_WRITE | FS_CREATE, NULL));
    for (size_t i = 0; i < blocks; i++) {
        uint8_t block[RING_ALIGN];
        memset(block, (int)i, sizeof(block));
        EXPECT_OK(file_pwrite(f, &(str){ block, sizeof(block) }, 1, i * sizeof(block), NULL, NULL));
    }
    file_close(f);
    return fs_open(&f, fs, S("f"), FS_READ | FS_DIRECT, NULL) == OK ? f : NULL;
}

TEST(ring_reads_more_than_it_has_slots_for)
{
    enum { N = 3 * RING_SLOTS, BLOCKS = 50 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct file *f = make(fs, BLOCKS);
    if (f && ring_ready(NULL) == OK) {
        struct asked *all = mem_alloc_array(N, sizeof(*all)), *list[N + 1] = { 0 };
        struct ring_read *reads[N];
        for (size_t i = 0; i < N; i++) {
            all[i] = (struct asked){ .read = { .fd = file_fd(f),
                                         .n = RING_ALIGN * 2,
                                         .off = i % BLOCKS * RING_ALIGN,
                                         .done = asked_done } };
            list[i] = &all[i];
            reads[i] = &all[i].read;
        }
        all[7].read.off = BLOCKS * RING_ALIGN; /* behind the end: nothing */
        all[8].read.fd = -1;
        ring_submit(reads, N);
        ring_await(all_there, list);
        for (size_t i = 0; i < N; i++) {
            size_t last = i % BLOCKS == BLOCKS - 1;
            size_t want = i == 7 || i == 8 ? 0 : last ? RING_ALIGN : 2 * RING_ALIGN;
            EXPECT_EQ(all[i].n, want);
            EXPECT_EQ(all[i].errnum != 0, i == 8);
            if (want) EXPECT_EQ(all[i].first, i % BLOCKS);
        }
        EXPECT_EQ(ring_stats().in_flight, 0);
        mem_free(all);
    }
    file_close(f);
    fs_free(fs);
}
