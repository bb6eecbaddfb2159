/* index_test.c — index files: written as Prometheus writes them, read back, and damaged. */
#include "base/strs.h"
#include "block/index_reader.h"
#include "block/index_writer.h"

#include "base/test.h"
#include "base/test_vectors.h"
#include "io/fs_sim.h"

static void put_file(struct fs *fs, str path, str bytes)
{
    struct file *f = NULL;
    uint64_t done;
    EXPECT_OK(fs_open(&f, fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, NULL));
    if (bytes.n) EXPECT_OK(file_pwrite(f, &bytes, 1, 0, &done, NULL));
    file_close(f);
}

/* Everything that can be asked of an index. The first failure ends it. */
static errc read_all(struct index_reader *r, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(index_series_fini) struct index_series s = { 0 };
    postings_list all = { 0 };
    errc rc = index_reader_postings(r, STR_EMPTY, STR_EMPTY, &all, e);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        rc = index_reader_series(r, all.at[i], false, &s, e);
        for (size_t k = 0; rc == OK && k < s.labels.n; k++) {
            str name, value;
            postings_list list = { 0 };
            rc = index_reader_symbol(r, s.labels.at[k].name, &a, &name, e);
            if (rc == OK) rc = index_reader_symbol(r, s.labels.at[k].value, &a, &value, e);
            if (rc == OK) rc = index_reader_postings(r, name, value, &list, e);
            vec_fini(&list);
        }
    }
    vec_fini(&all);
    return rc;
}

static errc open_and_read(struct fs *fs, str bytes, struct err *e)
{
    struct index_reader *r = NULL;
    put_file(fs, S("index"), bytes);
    errc rc = index_reader_open(&r, fs, S("index"), IO_BUFFERED, e);
    if (rc == OK) rc = read_all(r, e);
    index_reader_close(r);
    return rc;
}

static struct labels labels_of(struct arena *a, const json_t *pairs)
{
    struct labels_builder lb;
    labels_builder_init(&lb, a);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *p = json_array_get(pairs, i);
        labels_builder_set(&lb, str_z(json_string_value(json_array_get(p, 0))),
            str_z(json_string_value(json_array_get(p, 1))));
    }
    return labels_builder_done(&lb);
}

static void write_vector(
    struct fs *fs, struct arena *a, const json_t *series, size_t postings_bytes)
{
    struct index_writer *w = NULL;
    struct index_writer_opts o = {
        .fs = fs, .path = S("index"), .postings_bytes_max = postings_bytes
    };
    str_list symbols = { 0 };
    struct err e = { 0 };
    EXPECT_OK_E(index_writer_open(&w, &o, &e), &e);
    vec_push(&symbols, STR_EMPTY);
    for (size_t i = 0; i < json_array_size(series); i++) {
        struct labels l = labels_of(a, json_object_get(json_array_get(series, i), "labels"));
        for (size_t k = 0; k < l.n; k++) {
            vec_push(&symbols, l.at[k].name);
            vec_push(&symbols, l.at[k].value);
        }
    }
    symbols.n = strs_sort_unique(symbols.at, symbols.n);
    for (size_t i = 0; i < symbols.n; i++)
        EXPECT_OK_E(index_writer_symbol(w, symbols.at[i], &e), &e);
    for (size_t i = 0; i < json_array_size(series); i++) {
        const json_t *row = json_array_get(series, i), *chunks = json_object_get(row, "chunks");
        struct index_chunk c[64];
        for (size_t k = 0; k < json_array_size(chunks); k++) {
            const json_t *x = json_array_get(chunks, k);
            c[k] = (struct index_chunk){ json_integer_value(json_array_get(x, 0)),
                json_integer_value(json_array_get(x, 1)),
                (uint64_t)json_integer_value(json_array_get(x, 2)) };
        }
        EXPECT_OK_E(index_writer_series(w, labels_of(a, json_object_get(row, "labels")), c,
                        json_array_size(chunks), &e),
            &e);
    }
    EXPECT_OK_E(index_writer_finish(w, &e), &e);
    index_writer_close(w);
    vec_fini(&symbols);
}

TEST_SHARED(index_vectors)
{
    struct vectors v;
    json_t *row;
    struct fs *fs = fs_sim_new(1);
    vectors_open(&v, "golden/vectors/all/index.jsonl");
    while ((row = vectors_next(&v))) {
        str want = json_hex(&v.a, json_object_get(row, "file")), got;
        struct err e = { 0 };
        EXPECT_OK_E(open_and_read(fs, want, &e), &e);
        /* 0: all is kept; 1: one name at a time; 200: what was kept at first is dropped */
        static const size_t bounds[] = { 0, 1, 200 };
        for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
            write_vector(fs, &v.a, json_object_get(row, "series"), bounds[i]);
            EXPECT_OK(fs_read_all(fs, S("index"), &v.a, 1 << 20, &got, NULL));
            EXPECT(str_eq(got, want));
        }
    }
    EXPECT(v.n > 0);
    vectors_close(&v);
    fs_free(fs);
}

TEST_SHARED(index_damage_is_seen)
{
    struct vectors v;
    struct fs *fs = fs_sim_new(1);
    struct arena a = { 0 };
    vectors_open(&v, "golden/vectors/all/index.jsonl");
    (void)vectors_next(&v);
    json_t *row = vectors_next(&v);
    str good = arena_str(&a, json_hex(&v.a, json_object_get(row, "file")));
    for (size_t n = 0; n < good.n; n++)
        EXPECT_EQ(open_and_read(fs, str_of(good.p, n), NULL), ERR_CORRUPT);
    uint8_t *bytes = (uint8_t *)(uintptr_t)good.p;
    size_t unseen = 0;
    for (size_t bit = 0; bit < good.n * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        errc rc = open_and_read(fs, good, NULL);
        EXPECT(rc == OK || rc == ERR_CORRUPT);
        unseen += rc == OK;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* padding, and a version that reads alike */
    EXPECT(unseen <= 8 * (INDEX_SERIES_ALIGN + INDEX_SERIES_ALIGN + INDEX_POSTINGS_ALIGN) + 2);
    vectors_close(&v);
    arena_fini(&a);
    fs_free(fs);
}

static errc write_two(struct fs *fs, struct labels first, struct labels second,
    const struct index_chunk *c, size_t n, struct err *e)
{
    struct index_writer *w = NULL;
    struct index_writer_opts o = { .fs = fs, .path = S("index") };
    static const str symbols[] = { S("a"), S("b"), S("x"), S("y") };
    EXPECT_OK(index_writer_open(&w, &o, NULL));
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        EXPECT_OK(index_writer_symbol(w, symbols[i], NULL));
    errc rc = index_writer_series(w, first, c, n, e);
    if (rc == OK) rc = index_writer_series(w, second, NULL, 0, e);
    index_writer_close(w);
    return rc;
}

TEST(index_writer_refuses)
{
    struct fs *fs = fs_sim_new(1);
    struct label ax[] = { { S("a"), S("x") } }, ay[] = { { S("a"), S("y") } },
                 axby[] = { { S("a"), S("x") }, { S("b"), S("y") } }, az[] = { { S("a"), S("z") } };
    struct labels x = { ax, 1 }, y = { ay, 1 }, xy = { axby, 2 }, z = { az, 1 };
    struct index_chunk good[] = { { 1, 5, 8 }, { 6, 9, 20 } },
                       overlap[] = { { 1, 5, 8 }, { 5, 9, 20 } },
                       back[] = { { 1, 5, 20 }, { 6, 9, 8 } };
    EXPECT_OK(write_two(fs, x, y, good, 2, NULL));
    EXPECT_OK(write_two(fs, x, xy, NULL, 0, NULL));
    EXPECT_EQ(write_two(fs, y, x, NULL, 0, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(write_two(fs, xy, x, NULL, 0, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(write_two(fs, x, x, NULL, 0, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(write_two(fs, x, z, NULL, 0, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(write_two(fs, x, y, overlap, 2, NULL), ERR_BAD_INPUT);
    EXPECT_EQ(write_two(fs, x, y, back, 2, NULL), ERR_BAD_INPUT);
    fs_free(fs);
}
