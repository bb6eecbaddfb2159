/* header_samples_test.c — an index opened with samples answers as one that was walked; samples that
 * are another's are refused. */
#include "bucket/header_samples.h"

#include "base/compress.h"
#include "base/intern.h"
#include "base/test.h"
#include "bucket/index_header.h"
#include "bucket/sparse_header_codec.h"
#include "bucket/bucket_config.h"
#include "io/test_tree.h"

struct rig {
    struct arena a;
    struct fs *blocks, *data;
    struct bucket *b;
    ulid id;
    str index; /* in blocks */
    str sparse;
};

/* A recorded block in a bucket, and the samples that building its header left. */
static void rig_begin(struct rig *r, const char *name)
{
    fs_entries all = { 0 };
    struct header_built what;
    struct err e = { 0 };
    str bytes;
    *r = (struct rig){ .blocks = tree_golden(name, 1), .data = fs_real_new(str_z(test_tmpdir())) };
    struct bucket_config c = { .kind = BUCKET_FILESYSTEM,
        .directory = arena_fmt(&r->a, "%s/%s-store", test_tmpdir(), name) };
    EXPECT_OK(bucket_open(&r->b, &c, NULL));
    EXPECT_OK(fs_list(r->blocks, STR_EMPTY, &r->a, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        if (ulid_parse(all.at[i].name, &r->id)) break;
    vec_fini(&all);
    r->index = arena_fmt(&r->a, "%s/index", ulid_text(r->id).z);
    EXPECT_OK(fs_read_all(r->blocks, r->index, &r->a, 1 << 26, &bytes, NULL));
    EXPECT_OK(bucket_put_bytes(r->b, r->index, bytes, NULL));
    EXPECT_OK_E(index_header_build(r->b, r->id, 0, r->data, S("h"), &what, NULL, &e), &e);
    EXPECT_OK(fs_read_all(
        r->data, S("h/" SPARSE_HEADER_FILE), &r->a, 1 << 26, &r->sparse, NULL));
}

static void rig_end(struct rig *r)
{
    bucket_close(r->b);
    fs_free(r->blocks);
    fs_free(r->data);
    arena_fini(&r->a);
}

struct seen { struct buf b; };
static bool see(void *ctx, str value, uint64_t offset)
{
    buf_fmt(&((struct seen *)ctx)->b, "%.*s@%" PRIu64 " ", STR_ARG(value), offset);
    return true;
}

/* Names, values, offsets, symbols, as a text. */
static void index_text(struct index_reader *x, struct buf *out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct seen s = { 0 };
    str_list names = { 0 };
    postings_list all = { 0 };
    str one;
    index_reader_names(x, &names);
    for (size_t i = 0; i < names.n; i++) {
        buf_reset(&s.b);
        EXPECT_OK(index_reader_values(x, names.at[i], STR_EMPTY, see, &s, NULL));
        buf_fmt(out, "%.*s: %.*s\n", STR_ARG(names.at[i]), STR_ARG(buf_view(&s.b)));
        buf_reset(&s.b);
        EXPECT_OK(index_reader_values(x, names.at[i], S("m"), see, &s, NULL));
        buf_fmt(out, "from m: %.*s\n", STR_ARG(buf_view(&s.b)));
    }
    for (uint32_t i = 0; index_reader_symbol(x, i, &a, &one, NULL) == OK; i++)
        buf_fmt(out, "%.*s\n", STR_ARG(one));
    EXPECT_OK(index_reader_postings(x, STR_EMPTY, STR_EMPTY, &all, NULL));
    buf_fmt(out, "%zu\n", all.n);
    vec_fini(&all);
    vec_fini(&names);
    buf_fini(&s.b);
}

static errc open_with(struct rig *r, str sparse, struct index_reader **out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct index_samples s;
    TRY(header_samples_decode(&s, sparse, &a, NULL));
    return index_reader_open_sampled(out, r->blocks, r->index, IO_BUFFERED, &s, NULL);
}

TEST_SHARED(header_samples_same)
{
    static const char *const blocks[] = { "blocks/floats", "blocks/utf8_labels",
        "blocks/many_series" };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        SCOPED(buf_fini) struct buf got = { 0 }, want = { 0 };
        struct rig r;
        struct index_reader *x = NULL, *y = NULL;
        rig_begin(&r, blocks[i]);
        size_t before = intern_count();
        EXPECT_OK(index_reader_open(&x, r.blocks, r.index, IO_BUFFERED, NULL));
        size_t names = intern_count() - before;
        EXPECT_OK(open_with(&r, r.sparse, &y));
        EXPECT_EQ(intern_count() - before, names); /* once, for both */
        index_text(x, &want);
        index_text(y, &got);
        EXPECT_STR(buf_view(&got), buf_view(&want));
        index_reader_close(x);
        index_reader_close(y);
        EXPECT_EQ(intern_count(), before);
        rig_end(&r);
    }
}

/* Each byte of the message changed: refused, or opened as it is. Never an answer that differs. */
TEST_SHARED(header_samples_damaged)
{
    SCOPED(buf_fini) struct buf plain = { 0 }, want = { 0 };
    struct rig r;
    struct index_reader *x = NULL;
    size_t refused = 0;
    rig_begin(&r, "blocks/floats");
    EXPECT_OK(open_with(&r, r.sparse, &x));
    index_text(x, &want);
    index_reader_close(x);
    EXPECT_OK(compress_unpack(&plain, COMPRESS_GZIP, r.sparse, 1 << 20, NULL));
    size_t step = 1 + plain.n / 500;
    for (size_t i = 0; i < plain.n; i += step) {
        SCOPED(buf_fini) struct buf packed = { 0 }, got = { 0 };
        uint8_t was = plain.p[i];
        plain.p[i] ^= (uint8_t)(1 << i % 8);
        EXPECT_OK(compress_pack(&packed, COMPRESS_GZIP, buf_view(&plain), 0, NULL));
        plain.p[i] = was;
        x = NULL;
        errc rc = open_with(&r, buf_view(&packed), &x);
        EXPECT(rc == OK || rc == ERR_CORRUPT);
        refused += rc != OK;
        if (rc == OK) index_text(x, &got);
        if (rc == OK) EXPECT_STR(buf_view(&got), buf_view(&want));
        index_reader_close(x);
    }
    EXPECT(refused > 10);
    for (size_t n = 0; n < r.sparse.n; n += 1 + r.sparse.n / 40) {
        x = NULL;
        EXPECT_EQ(open_with(&r, str_slice(r.sparse, 0, n), &x), ERR_CORRUPT);
    }
    rig_end(&r);
}

/* Those of another block. */
TEST_SHARED(header_samples_swapped)
{
    struct rig r, other;
    struct index_reader *x = NULL;
    rig_begin(&r, "blocks/floats");
    rig_begin(&other, "blocks/many_series");
    EXPECT_EQ(open_with(&r, other.sparse, &x), ERR_CORRUPT);
    EXPECT_EQ(open_with(&other, r.sparse, &x), ERR_CORRUPT);
    rig_end(&r);
    rig_end(&other);
}

/* The bucket's is taken, and kept beside the header. */
TEST_SHARED(header_samples_remote)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct rig r;
    struct index_samples s;
    str dir, kept;
    rig_begin(&r, "blocks/floats");
    dir = str_z(ulid_text(r.id).z);
    str name = arena_fmt(&a, "%.*s/" SPARSE_HEADER_FILE, STR_ARG(dir));
    EXPECT_EQ(header_samples_remote(&s, r.b, r.data, dir, &a, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(header_samples_local(&s, r.data, dir, &a, NULL), ERR_NOT_FOUND);
    EXPECT_OK(fs_mkdir(r.data, dir, NULL));
    EXPECT_OK(bucket_put_bytes(r.b, name, S("no gzip at all"), NULL));
    EXPECT_EQ(header_samples_remote(&s, r.b, r.data, dir, &a, NULL), ERR_CORRUPT);
    EXPECT(!fs_exists(r.data, name));
    EXPECT_OK(bucket_put_bytes(r.b, name, r.sparse, NULL));
    EXPECT_OK(header_samples_remote(&s, r.b, r.data, dir, &a, NULL));
    EXPECT_OK(fs_read_all(r.data, name, &a, 1 << 26, &kept, NULL));
    EXPECT_STR(kept, r.sparse);
    EXPECT_OK(header_samples_local(&s, r.data, dir, &a, NULL));
    EXPECT(s.n_entries > 0 && s.n_symbol_places > 0);
    rig_end(&r);
}
