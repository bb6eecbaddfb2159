/* block_test.c — blocks that Prometheus wrote: read, written again byte for byte, asked, deleted
 * from. */
#include "block/block.h"
#include "block/block_writer.h"

#include "base/test.h"
#include "base/test_vectors.h"
#include "block/test_folder.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"
#include "io/work.h"

#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 28 };

/* What open_block reads with; a folder of the simulated disk is buffered in any case. */
static enum io_backend reads_by = IO_BUFFERED;

static struct block *open_block(struct fs *fs, str dir)
{
    struct block *b = NULL;
    struct block_opts o = { .fs = fs, .backend = reads_by };
    struct err e = { 0 };
    EXPECT_OK_E(block_open(&b, &o, dir, &e), &e);
    return b;
}

static void expect_same_file(struct fs *fs, str dir_a, str dir_b, str name)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str x, y;
    EXPECT_OK(fs_read_all(fs, path_join(&a, dir_a, name), &a, FILE_MAX_BYTES, &x, NULL));
    EXPECT_OK(fs_read_all(fs, path_join(&a, dir_b, name), &a, FILE_MAX_BYTES, &y, NULL));
    EXPECT_EQ(x.n, y.n);
    EXPECT(str_eq(x, y));
}

/* What a segment of the case may hold: the first one's size is close below it; a single one says
 * nothing. */
static uint64_t segment_limit(struct fs *fs, struct arena *a, str dir)
{
    fs_entries all = { 0 };
    struct fs_stat st;
    str chunks = path_join(a, dir, S("chunks"));
    EXPECT_OK(fs_list(fs, chunks, a, &all, NULL));
    EXPECT_OK(fs_stat(fs, path_join(a, chunks, all.at[0].name), &st, NULL));
    uint64_t n = all.n > 1 ? (st.size_bytes + 4095) / 4096 * 4096 : 0;
    vec_fini(&all);
    return n;
}

/* The block of a case, on a real disk where the backend needs one. */
static struct fs *golden_fs(const char *name, struct arena *a, str *dir)
{
    char path[100];
    snprintf(path, sizeof(path), "blocks/%s", name);
    struct fs *fs = tree_golden(path, 1);
    *dir = test_block_dir(fs, a);
    if (reads_by == IO_BUFFERED) return fs;
    struct fs *real = fs_real_new(str_z(test_tmpdir()));
    EXPECT_OK(fs_remove_tree(real, S("case"), NULL));
    EXPECT_OK(fs_mkdir(real, S("case"), NULL));
    fs_free(real);
    real = fs_real_new(arena_fmt(a, "%s/case", test_tmpdir()));
    tree_copy(real, fs, *dir);
    fs_free(fs);
    return real;
}

static void rewrite(const char *name)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir;
    test_case(name);
    struct fs *fs = golden_fs(name, &a, &dir);
    struct block *b = open_block(fs, dir);
    struct block_meta meta = *block_meta(b);
    struct block_stats stats = { 0 };
    struct err e = { 0 };
    meta.id = ulid_of(7, 7, 7);
    struct block_writer_opts o = {
        .fs = fs, .meta = &meta, .segment_bytes = segment_limit(fs, &a, dir)
    };
    struct chunk_series_set *series = NULL;
    EXPECT_OK_E(block_chunks(b, NULL, 0, &series, &e), &e);
    EXPECT_OK_E(block_write(&o, block_symbols(b), series, &stats, &e), &e);
    str copy = arena_fmt(&a, "%s", ulid_text(meta.id).z);
    expect_same_file(fs, dir, copy, S("index"));
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(fs, path_join(&a, dir, S("chunks")), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        expect_same_file(fs, dir, copy, path_join(&a, S("chunks"), all.at[i].name));
    vec_fini(&all);
    EXPECT(stats.series == meta.stats.series && stats.chunks == meta.stats.chunks &&
           stats.samples == meta.stats.samples);
    block_unref(b);
    block_unref(open_block(fs, copy));
    fs_free(fs);
}

TEST_SHARED(blocks_written_again_are_the_same_bytes)
{
    static const char *const cases[] = {
        "floats",
        "floats_gaps",
        "negative_time",
        "hist_int",
        "hist_int_gauge",
        "hist_float",
        "hist_float_gauge",
        "hist_nhcb",
        "hist_nhcb_float",
        "mixed",
        "utf8_labels",
        "many_values",
        "multi_segment",
        "overlapping",
        "compacted",
        "xor2_st",
        "xor2_nost",
        "tombstones",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) rewrite(cases[i]);
    /* on a real disk not all of them: its syncs take their time */
    for (reads_by = IO_MMAP; reads_by < IO_BACKENDS; reads_by++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i += 4)
            if (reads_by != IO_BUFFERED) rewrite(cases[i]);
    reads_by = IO_BUFFERED;
}

static size_t count_series(struct block *b, const struct matcher *ms, size_t n, uint64_t *samples)
{
    struct queryable *s = block_queryable(b);
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    SCOPED(sample_iter_freep) struct sample_iter *it = NULL;
    struct err e = { 0 };
    size_t found = 0;
    *samples = 0;
    EXPECT_OK(s->ops->querier(s, INT64_MIN, INT64_MAX, &q, NULL));
    EXPECT_OK_E(q->ops->select(q, (struct matchers){ ms, n }, NULL, &set, &e), &e);
    for (struct series *x;; found++) {
        EXPECT_OK_E(set->ops->next(set, &x, &e), &e);
        if (!x) return found;
        EXPECT(matchers_match((struct matchers){ ms, n }, x->labels));
        EXPECT_OK(x->ops->iterate(x, &it, NULL));
        int64_t last = INT64_MIN;
        for (struct sample_batch batch = { .n = 1 }; batch.n; *samples += batch.n) {
            EXPECT_OK_E(sample_iter_fill(it, &batch, &e), &e);
            for (size_t i = 0; i < batch.n; i++) {
                EXPECT(batch.t[i] > last);
                last = batch.t[i];
            }
        }
    }
}

static void expect_answers(void)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir;
    struct fs *fs = golden_fs("many_values", &a, &dir);
    struct block *b = open_block(fs, dir);
    struct matcher all = { .type = MATCH_EQ };
    uint64_t samples, some;
    size_t n = count_series(b, &all, 1, &samples), part = 0;
    EXPECT_EQ(n, block_meta(b)->stats.series);
    EXPECT_EQ(samples, block_meta(b)->stats.samples);
    SCOPED(querier_freep) struct querier *q = NULL;
    EXPECT_OK(block_queryable(b)->ops->querier(block_queryable(b), INT64_MIN, INT64_MAX, &q, NULL));
    str_list names = { 0 }, values = { 0 }, cut = { 0 };
    bool truncated = false;
    EXPECT_OK(q->ops->label_names(q, (struct matchers){ 0 }, 0, &names, &truncated, NULL));
    EXPECT(names.n > 1 && !truncated);
    for (size_t i = 0; i < names.n; i += TEST_STRIDE) {
        EXPECT_OK(q->ops->label_values(
            q, names.at[i], (struct matchers){ 0 }, 0, &values, &truncated, NULL));
        EXPECT(values.n > 0);
        for (size_t k = 1; k < values.n; k++) EXPECT(str_cmp(values.at[k - 1], values.at[k]) < 0);
        struct matcher first = {
            .type = MATCH_EQ, .name = names.at[i], .value = values.at[values.n / 2]
        };
        struct matcher others = {
            .type = MATCH_NE, .name = names.at[i], .value = values.at[values.n / 2]
        };
        part = count_series(b, &first, 1, &some);
        EXPECT(part > 0);
        EXPECT_EQ(part + count_series(b, &others, 1, &some), n);
        EXPECT_OK(q->ops->label_values(
            q, names.at[i], (struct matchers){ &first, 1 }, 0, &cut, &truncated, NULL));
        EXPECT(cut.n == 1 && str_eq(cut.at[0], first.value));
        EXPECT_OK(q->ops->label_values(
            q, names.at[i], (struct matchers){ 0 }, 1, &cut, &truncated, NULL));
        EXPECT(cut.n == 1 && truncated == (values.n > 1));
    }
    vec_fini(&names);
    vec_fini(&values);
    vec_fini(&cut);
    block_unref(b);
    querier_free(STEAL(q));                    /* it holds the block */
    fs_free(fs);
}

TEST_SHARED(block_answers)
{
    for (reads_by = IO_MMAP; reads_by < IO_BACKENDS; reads_by++) expect_answers();
    reads_by = IO_BUFFERED;
}

TEST_SHARED(block_forgets_what_is_deleted)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = tree_golden("blocks/floats", 1);
    str dir = test_block_dir(fs, &a);
    struct block *b = open_block(fs, dir);
    struct matcher all = { .type = MATCH_EQ };
    const struct block_meta *m = block_meta(b);
    uint64_t before, after, touched = 0;
    size_t n = count_series(b, &all, 1, &before);
    int64_t middle = m->mint + (m->maxt - m->mint) / 2;
    EXPECT_OK(block_delete(b, (struct matchers){ &all, 1 }, INT64_MIN, middle, &touched, NULL));
    EXPECT_EQ(touched, n);
    size_t left = count_series(b, &all, 1, &after);
    EXPECT(left <= n && after > 0 && after < before);
    block_unref(b);
    b = open_block(fs, dir);
    EXPECT_EQ(block_tombstones(b), n);
    EXPECT_EQ(block_meta_now(b).stats.tombstones, n);
    EXPECT_EQ(count_series(b, &all, 1, &before), left);
    EXPECT_EQ(before, after);
    EXPECT_OK(block_delete(b, (struct matchers){ &all, 1 }, INT64_MIN, INT64_MAX, &touched, NULL));
    EXPECT_EQ(count_series(b, &all, 1, &after), 0);
    block_unref(b);
    fs_free(fs);
}

static struct fs *fault_disk;
static void write_under_faults(void)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str dir = test_block_dir(fault_disk, &a);
    struct block *b = open_block(fault_disk, dir);
    struct block_meta meta = *block_meta(b);
    meta.id = ulid_of(9, 9, 9);
    str copy = arena_fmt(&a, "%s", ulid_text(meta.id).z);
    for (uint64_t nth = 1;; nth++) {
        struct block_writer_opts o = { .fs = fault_disk, .meta = &meta };
        struct block_stats stats;
        struct chunk_series_set *series = NULL;
        EXPECT_OK(block_chunks(b, NULL, 0, &series, NULL));
        fs_sim_fail_nth(fault_disk, SIM_OPS_CHANGE, nth, nth % 2 ? ERR_IO : ERR_NO_SPACE);
        errc rc = block_write(&o, block_symbols(b), series, &stats, NULL);
        fs_sim_fail_nth(fault_disk, 0, 0, OK);
        if (rc == OK) break;
        EXPECT(rc == ERR_IO || rc == ERR_NO_SPACE);
        /* only the last step failed: whole, perhaps not durable */
        if (fs_exists(fault_disk, copy)) {
            block_unref(open_block(fault_disk, copy));
            EXPECT_OK(fs_remove_tree(fault_disk, copy, NULL));
        }
        EXPECT(nth < 1000);
    }
    block_unref(b);
}

TEST_SHARED(block_write_fails_clean)
{
    fault_disk = tree_golden("blocks/floats", 1);
    write_under_faults();
    fs_free(fault_disk);
}

/* Asks for all there is; after the first series somebody takes the folder away. */
struct thief { struct fs *fs; str dir; bool empties; };

static void empty_files(struct fs *fs, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(fs, dir, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str path = path_join(&a, dir, all.at[i].name);
        struct file *f = NULL;
        if (all.at[i].is_dir) {
            empty_files(fs, path);
            continue;
        }
        EXPECT_OK(fs_open(&f, fs, path, FS_WRITE, NULL));
        EXPECT_OK(file_truncate(f, 0, NULL));
        file_close(f);
    }
    vec_fini(&all);
}

static errc count_one(struct series *s, struct sample_iter **it, size_t *samples)
{
    struct sample_batch b = { .n = 1 };
    TRY(s->ops->iterate(s, it, NULL));
    while (b.n) {
        TRY(sample_iter_fill(*it, &b, NULL));
        *samples += b.n;
    }
    return OK;
}

static errc count_all(struct block *b, const struct thief *thief, size_t *samples)
{
    SCOPED(querier_freep) struct querier *q = NULL;
    SCOPED(series_set_freep) struct series_set *set = NULL;
    struct sample_iter *it = NULL;
    struct series *s;
    struct queryable *in = block_queryable(b);
    *samples = 0;
    TRY(in->ops->querier(in, INT64_MIN, INT64_MAX, &q, NULL));
    TRY(q->ops->select(q, (struct matchers){ 0 }, NULL, &set, NULL));
    errc rc = set->ops->next(set, &s, NULL);
    for (size_t n = 0; rc == OK && s; n++) {
        rc = count_one(s, &it, samples);
        if (n == 0 && thief && thief->empties) empty_files(thief->fs, thief->dir);
        if (n == 0 && thief) EXPECT_OK(fs_remove_tree(thief->fs, thief->dir, NULL));
        if (rc == OK) rc = set->ops->next(set, &s, NULL);
    }
    sample_iter_free(it);
    return rc;
}

/* Tests run again by other backends (tools/unit): they do so. */
TEST_SHARED(blocks_are_read_by_the_backend_of_the_run)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *golden = tree_golden("blocks/floats", 1);
    str dir = test_block_dir(golden, &a);
    struct block_opts o = { .fs = golden, .backend = IO_BUFFERED };
    struct block *b = NULL;
    size_t n = 0;
    enum io_backend runs = IO_BUFFERED;
    const char *word = getenv("EPI_TEST_IO");
    if (word && *word) EXPECT(io_backend_parse(str_z(word), &runs));
    struct io_work was = io_work;
    EXPECT_OK(block_open(&b, &o, dir, NULL));
    EXPECT_OK(count_all(b, NULL, &n));
    EXPECT(n > 0);
    EXPECT(io_work.by[runs].pins > was.by[runs].pins);
    EXPECT_EQ(io_work.by[runs].pins - was.by[runs].pins, io_work.pins - was.pins);
    block_unref(b);
    fs_free(golden);
}

/* Files that are only unlinked are read to their end; where bytes are gone, the query says so. */
TEST_SHARED(block_that_vanishes_under_a_query)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const enum io_backend backends[] = { IO_MMAP, IO_BUFFERED, IO_DIRECT };
    struct fs *golden = tree_golden("blocks/floats", 1), *real = fs_real_new(str_z(test_tmpdir()));
    str dir = test_block_dir(golden, &a);
    for (size_t i = 0; i < 2 * ARRAY_LEN(backends); i++) {
        struct thief thief = { real, dir, i % 2 };
        struct block_opts o = { .fs = real, .backend = backends[i / 2] };
        struct block *b = NULL;
        size_t whole = 0, left = 0;
        tree_copy(real, golden, dir);
        EXPECT_OK(block_open(&b, &o, dir, NULL));
        EXPECT_OK(count_all(b, NULL, &whole));
        errc rc = count_all(b, &thief, &left);
        if (!thief.empties) EXPECT(rc == OK && left == whole);
        else if (o.backend == IO_MMAP) EXPECT_EQ(rc, ERR_IO);
        else EXPECT(rc != OK || left == whole);           /* what its cache held is right */
        block_unref(b);
        EXPECT(block_open(&b, &o, dir, NULL) != OK);
    }
    fs_free(golden);
    fs_free(real);
}
