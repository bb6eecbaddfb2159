/* damage_test.c — chunk files that change under a head: a damaged chunk is left out and told. */
#include "chunk/chunk.h"
#include "head/head_chunks.h"
#include "head/ooo_commit.h"
#include "head/test_ooo.h"

enum { CHUNK = 16 };

/* One byte of the nth chunk in order, or late, of the only file: the later ones first, and before
 * it was read. How many samples it has. */
static size_t flip(struct rig *r, int nth, bool late)
{
    static const str path = S("chunks_head/000001");
    SCOPED(arena_fini) struct arena a = { 0 };
    struct file *f;
    str all;
    size_t at = CHUNK_FILE_HEADER_BYTES;
    struct chunk_desc c = { 0 };
    EXPECT_OK(fs_read_all(r->fs, path, &a, 1 << 20, &all, NULL));
    for (nth++; nth; nth -= c.ooo == late)
        EXPECT_EQ(chunk_record_next(all, at, &c, &at, NULL), CHUNK_STEP_RECORD);
    uint64_t off = (uint64_t)(c.data.p - all.p) + c.data.n / 2, done;
    uint8_t wrong = all.p[off] ^ 4;
    EXPECT_OK(fs_open(&f, r->fs, path, FS_READ | FS_WRITE, NULL));
    EXPECT_OK(file_pwrite(f, &(str){ &wrong, 1 }, 1, off, &done, NULL));
    file_close(f);
    return chunk_count(c.enc, c.data);
}

/* By batches or as floats: how many samples a query finds; what it is told. */
static size_t ask(struct rig *r, bool floats, size_t *told)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct sample_iter *it = NULL;
    size_t found = 0, n = 0;
    str_list words = { 0 };
    EXPECT_OK(head_queryable(r->head)
                  ->ops->querier(head_queryable(r->head), INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    EXPECT_OK(set->ops->next(set, &s, NULL));
    EXPECT_OK(s->ops->iterate(s, &it, NULL));
    do {
        struct sample_batch b = { .n = 0 };
        int64_t t[7];
        double v[7];
        if (floats && it->ops->floats) EXPECT_OK(it->ops->floats(it, t, v, 7, &n, NULL));
        else EXPECT_OK(sample_iter_fill(it, &b, NULL));
        if (!floats || !it->ops->floats) n = b.n;
        found += n;
    } while (n);
    sample_iter_free(it);
    series_set_free(set);
    querier_warnings(q, &words);
    for (size_t i = 0; i < words.n; i++)
        EXPECT(str_has_prefix(
            words.at[i], S("damaged, and left out: head: chunks_head/000001 at ")));
    *told = words.n;
    vec_fini(&words);
    querier_free(q);
    return found;
}

/* The same out of chunks as they are. */
static size_t ask_chunks(struct rig *r, size_t *told)
{
    struct matcher m = { .type = MATCH_EQ, .name = METRIC_NAME, .value = S("a") };
    struct head_chunks *c;
    const struct chunk_series *s;
    size_t found = 0;
    str_list words = { 0 };
    EXPECT_OK(head_chunks_select(
        &c, r->head, (struct matchers){ &m, 1 }, INT64_MIN, INT64_MAX, NULL));
    struct chunk_series_set *set = head_chunks_series(c);
    EXPECT_OK(set->ops->next(set, &s, NULL));
    for (size_t i = 0; s && i < s->n; i++)
        found += chunk_count(s->chunks[i].enc, s->chunks[i].data);
    chunk_series_set_warnings(set, &words);
    *told = words.n;
    vec_fini(&words);
    chunk_series_set_free(set);
    head_chunks_close(c);
    return found;
}

static void write_all(struct rig *r)
{
    size_t n;
    do EXPECT_OK(head_write_sealed(r->head, SIZE_MAX, &n, NULL));
    while (n);
}

TEST(damaged_head_chunks_are_left_out)
{
    static const struct { const char *name; int damaged[3]; size_t n; } cases[] = {
        { "none", { -1 }, 0 },
        { "the first", { 0, -1 }, 1 },
        { "one in the middle", { 2, -1 }, 1 },
        { "two, and the last", { 3, 1, 0 }, 3 },
    };
    TEST_EACH(c, cases) {
        for (int floats = 0; floats < 2; floats++) {
            struct rig r;
            size_t told;
            rig_open(&r, 0);
            for (int i = 0; i < 4 * CHUNK + 5; i++) put(r.head, S("a"), HOUR + i * 1000, i);
            write_all(&r);
            size_t left = 4 * CHUNK + 5;
            for (size_t i = 0; i < c->n; i++) left -= flip(&r, c->damaged[i], false);
            EXPECT_EQ(ask(&r, floats, &told), left);
            EXPECT_EQ(told, c->n);
            EXPECT_EQ(ask_chunks(&r, &told), left);
            EXPECT_EQ(told, c->n);
            rig_close(&r);
        }
    }
}

TEST(damaged_late_chunks_are_left_out)
{
    struct rig r;
    size_t told;
    rig_open(&r, 10 * HOUR);
    for (int i = 0; i < 2 * CHUNK; i++) put(r.head, S("a"), 10 * HOUR + i * 1000, i);
    for (int i = 0; i < 10; i++) put(r.head, S("a"), 5 * HOUR + i * 1000, i);
    write_all(&r);
    EXPECT_OK(ooo_seal_all(r.head, NULL));
    for (int i = 0; i < 10; i++) put(r.head, S("a"), 5 * HOUR + i * 1000 + 1, i);
    EXPECT_EQ(flip(&r, 0, true), 10);          /* it overlaps the open array */
    size_t lost = flip(&r, 0, false);
    EXPECT_EQ(ask(&r, false, &told), 2 * CHUNK + 10 - lost);
    EXPECT_EQ(told, 2);
    EXPECT_EQ(ask_chunks(&r, &told), 2 * CHUNK + 10 - lost);
    EXPECT_EQ(told, 2);
    rig_close(&r);
}
