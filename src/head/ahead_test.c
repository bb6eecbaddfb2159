/* Series read after they were read ahead give what they give alone. */
#include "chunk/chunk.h"
#include "chunk/xor_lanes.h"
#include "head/ahead.h"
#include "head/test_ooo.h"
#include "storage/querier.h"

enum { SERIES = 40, SAMPLES = 70, STEP = 1000 };

static str name_of(char text[3], int i)
{
    text[0] = 's';
    text[1] = (char)('0' + i / 10);
    text[2] = (char)('0' + i % 10);
    return str_of(text, 3);
}

/* Some series begin late, some have a gap, the last have late samples; all but the newest are in
 * chunk files. */
static void fill(struct rig *r)
{
    char text[3];
    size_t n;
    rig_open(r, 10 * HOUR);
    for (int k = 0; k < SAMPLES; k++)
        for (int i = 0; i < SERIES; i++)
            if (k >= i && (i % 3 || k < 20 || k > 50))
                put(r->head, name_of(text, i), HOUR + k * STEP + i, k * i * .1);
    for (int i = SERIES - 5; i < SERIES; i++)
        put(r->head, name_of(text, i), HOUR, 1);
    do EXPECT_OK(head_write_sealed(r->head, SIZE_MAX, &n, NULL));
    while (n);
}

/* Changes a byte of each nth chunk. How many. */
static size_t damage(struct rig *r, size_t each)
{
    static const str path = S("chunks_head/000001");
    SCOPED(arena_fini) struct arena a = { 0 };
    struct file *f;
    str all;
    size_t at = CHUNK_FILE_HEADER_BYTES, n = 0;
    struct chunk_desc c = { 0 };
    EXPECT_OK(fs_read_all(r->fs, path, &a, 1 << 20, &all, NULL));
    EXPECT_OK(fs_open(&f, r->fs, path, FS_READ | FS_WRITE, NULL));
    for (size_t k = 0; chunk_record_next(all, at, &c, &at, NULL) == CHUNK_STEP_RECORD; k++) {
        if (!each || k % each) continue;
        uint64_t off = (uint64_t)(c.data.p - all.p) + c.data.n / 2, done;
        uint8_t wrong = all.p[off] ^ 4;
        EXPECT_OK(file_pwrite(f, &(str){ &wrong, 1 }, 1, off, &done, NULL));
        n++;
    }
    file_close(f);
    return n;
}

static void read_one(struct series *s, struct sample_iter **it, bool floats, samples *out)
{
    struct sample_batch b = { .n = 0 };
    EXPECT_OK(s->ops->iterate(s, it, NULL));
    for (size_t n = 1; n;) {
        int64_t t[7];
        double v[7];
        n = 0;
        if (floats) EXPECT_OK(sample_iter_floats(*it, t, v, ARRAY_LEN(t), &n, NULL));
        for (size_t i = 0; i < n; i++) vec_push(out, ((struct sample){ t[i], v[i] }));
        if (n) continue;
        EXPECT_OK(sample_iter_fill(*it, &b, NULL));
        for (size_t i = 0; i < b.n; i++) vec_push(out, ((struct sample){ b.t[i], b.v[i] }));
        n = b.n;
    }
}

/* The series go on, some by so much that a chunk is cut. */
static void grow(struct rig *r)
{
    char text[3];
    for (int i = 0; i < SERIES; i += 2)
        for (int k = 0; k < (i % 4 ? 1 : 3 * SAMPLES); k++)
            put(r->head, name_of(text, i), 2 * HOUR + k * STEP + i, i);
}

/* All series, `ahead` at a time; 0: none. grows: between that and the reading. How many damaged
 * chunks were told of. */
static size_t read_while(struct rig *r, int64_t mint, int64_t maxt, size_t ahead, bool floats,
    bool grows, samples *out)
{
    struct matcher m = { .type = MATCH_NE, .name = METRIC_NAME, .value = S("") };
    struct querier *q;
    struct series_set *set;
    struct series *all[SERIES];
    struct sample_iter *it = NULL;
    size_t n = 0;
    str_list words = { 0 };
    EXPECT_OK(head_queryable(r->head)
                  ->ops->querier(head_queryable(r->head), mint, maxt, &q, NULL));
    EXPECT_OK(q->ops->select(q, (struct matchers){ &m, 1 }, NULL, &set, NULL));
    do EXPECT_OK(set->ops->next(set, &all[n], NULL));
    while (all[n] && ++n < SERIES);
    for (size_t i = 0; i < n; i++) {
        if (ahead && i % ahead == 0)
            all[i]->ops->ahead(all + i, MIN(ahead, n - i), mint, maxt, &it);
        if (grows && i == 0) grow(r);
        read_one(all[i], &it, floats, out);
    }
    sample_iter_free(it);
    series_set_free(set);
    querier_warnings(q, &words);
    n = words.n;
    vec_fini(&words);
    querier_free(q);
    return n;
}

static size_t read_all(
    struct rig *r, int64_t mint, int64_t maxt, size_t ahead, bool floats, samples *out)
{
    return read_while(r, mint, maxt, ahead, floats, false, out);
}

TEST(series_that_go_on_after_they_were_read_ahead_are_as_they_were)
{
    struct rig r;
    samples want = { 0 }, got = { 0 };
    fill(&r);
    read_all(&r, INT64_MIN, INT64_MAX, 0, true, &want);
    read_while(&r, INT64_MIN, INT64_MAX, SERIES_AHEAD, true, true, &got);
    EXPECT_EQ(got.n, want.n);
    for (size_t i = 0; i < got.n; i++)
        EXPECT(got.at[i].t == want.at[i].t && got.at[i].v == want.at[i].v);
    vec_fini(&want);
    vec_fini(&got);
    rig_close(&r);
}

TEST(series_read_ahead_are_as_if_read_alone)
{
    static const struct { const char *name; size_t damaged; int64_t mint, maxt; } cases[] = {
        { "all", 0, INT64_MIN, INT64_MAX },
        { "a part", 0, HOUR + 30 * STEP, HOUR + 45 * STEP },
        { "one sample each", 0, HOUR + 40 * STEP, HOUR + 41 * STEP - 1 },
        { "nothing", 0, 2 * HOUR, 3 * HOUR },
        { "all, damaged", 5, INT64_MIN, INT64_MAX },
        { "a part, damaged", 2, HOUR + 30 * STEP, HOUR + 45 * STEP },
    };
    TEST_EACH(c, cases) {
        struct rig r;
        samples want = { 0 };
        fill(&r);
        EXPECT_EQ(damage(&r, c->damaged) > 0, c->damaged > 0);
        size_t told = read_all(&r, c->mint, c->maxt, 0, false, &want);
        for (size_t ahead = 1; ahead <= SERIES_AHEAD; ahead += 5)
            for (int floats = 0; floats < 2; floats++) {
                samples got = { 0 };
                EXPECT_EQ(read_all(&r, c->mint, c->maxt, ahead, floats, &got), told);
                EXPECT_EQ(got.n, want.n);
                for (size_t i = 0; i < got.n; i++)
                    EXPECT(got.at[i].t == want.at[i].t && got.at[i].v == want.at[i].v);
                vec_fini(&got);
            }
        vec_fini(&want);
        rig_close(&r);
    }
}

/* That they are decoded ahead at all: what is wanted is there, but for what is damaged. */
TEST(chunks_wanted_are_there)
{
    struct rig r;
    struct ahead a;
    size_t n = 0, found = 0, at = CHUNK_FILE_HEADER_BYTES;
    SCOPED(arena_fini) struct arena room = { 0 };
    struct chunk_desc c = { 0 };
    str all;
    uint64_t refs[AHEAD_CHUNKS];
    fill(&r);
    ahead_init(&a);
    EXPECT_OK(fs_read_all(r.fs, S("chunks_head/000001"), &room, 1 << 20, &all, NULL));
    for (size_t here = at; n < AHEAD_CHUNKS; here = at) {
        EXPECT_EQ(chunk_record_next(all, at, &c, &at, NULL), CHUNK_STEP_RECORD);
        refs[n] = 1ull << 32 | here;
        ahead_want(&a, &(struct closed_chunk){ .disk_ref = refs[n++], .n = 16, .enc = c.enc });
    }
    EXPECT(damage(&r, AHEAD_CHUNKS) > 0);
    ahead_read(&a, r.disk);
    for (size_t i = 0; i < n; i++) {
        const int64_t *t;
        const double *v;
        found += ahead_get(&a, refs[i], &t, &v) > 0;
    }
    EXPECT_EQ(found, xor_lanes_quick() ? AHEAD_CHUNKS - 1 : 0);
    ahead_fini(&a);
    rig_close(&r);
}
