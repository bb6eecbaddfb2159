#include "bucket/index_header.h"

#include "base/compress.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "block/index_codec.h"
#include "block/index_reader.h"
#include "bucket/bucket_config.h"
#include "bucket/sparse_header_codec.h"
#include "io/fs_sim.h"
#include "io/test_tree.h"

enum { BYTES_MAX = 1 << 26 };

/* The worked example: an index of two series, and what Thanos' gateway makes of it. */
static const uint8_t example[170] =
    "\xba\xaa\xd7\x92\x01\x02\x00\x00\x00\x00\x00\x00\x00\xc0\x00\x00"
    "\x00\x1a\x00\x00\x00\x08\x00\x01\x31\x01\x32\x08\x5f\x5f\x6e\x61"
    "\x6d\x65\x5f\x5f\x01\x61\x01\x62\x01\x6d\x01\x78\x5a\x20\xac\x7f"
    "\x00\x00\x00\x2a\x00\x00\x00\x05\x02\x00\x00\x68\x02\x08\x5f\x5f"
    "\x6e\x61\x6d\x65\x5f\x5f\x01\x6d\x7c\x02\x01\x61\x01\x31\x90\x01"
    "\x02\x01\x61\x01\x32\xa0\x01\x02\x01\x62\x01\x78\xb0\x01\xf8\xa6"
    "\xed\xc1\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00"
    "\x00\x27\x00\x00\x00\x00\x00\x00\x00\x65\x00\x00\x00\x00\x00\x00"
    "\x00\xc0\x00\x00\x00\x00\x00\x00\x00\x65\x00\x00\x00\x00\x00\x00"
    "\x00\xc0\x63\xb7\xa9\xff\x00\x00\x00\x00\x00\x00\x00\x0e\x00\x00"
    "\x00\x00\x00\x00\x00\x30\xf9\xbe\x39\x9e";

/* The index that it was made of: what lies between the tables is of no matter. */
static str example_index(struct arena *a)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    index_header_encode(&b);
    buf_bytes(&b, example + 14, 0x30 - 14);
    while (b.n < 0xc0)
        buf_u8(&b, 0xee);
    buf_bytes(&b, example + 0x30, sizeof(example) - 0x30 - 20);
    return arena_str(a, buf_view(&b));
}

struct rig {
    struct arena a;
    struct fs *fs;
    struct bucket *b;
};

static void rig_begin(struct rig *r, str directory)
{
    struct bucket_config c = { .kind = BUCKET_FILESYSTEM, .directory = directory };
    *r = (struct rig){ .fs = fs_real_new(str_z(test_tmpdir())) };
    EXPECT_OK(bucket_open(&r->b, &c, NULL));
}

static void rig_end(struct rig *r)
{
    bucket_close(r->b);
    fs_free(r->fs);
    arena_fini(&r->a);
}

TEST(index_header_example)
{
    struct rig r;
    struct err e = { 0 };
    struct header_built what;
    ulid id = ulid_of(1, 1, 1);
    str got;
    struct arena mine = { 0 };
    rig_begin(&r, arena_fmt(&mine, "%s/store", test_tmpdir()));
    str object = arena_fmt(&r.a, "%s/index", ulid_text(id).z);
    EXPECT_OK(bucket_put_bytes(r.b, object, example_index(&r.a), NULL));
    EXPECT_OK_E(index_header_build(r.b, id, 0, r.fs, S("h"), &what, NULL, &e), &e);
    EXPECT_OK(fs_read_all(r.fs, S("h/index-header"), &r.a, BYTES_MAX, &got, NULL));
    EXPECT_STR(got, str_of(example, sizeof(example)));
    EXPECT(!fs_exists(r.fs, S("h.tmp")));
    EXPECT_EQ(what.header_bytes, sizeof(example));
    struct index_header *h = NULL;
    struct postings_range at;
    EXPECT_OK_E(index_header_open(&h, r.fs, S("h"), IO_BUFFERED, &e), &e);
    EXPECT_OK(index_header_postings(h, S("a"), S("1"), &at, NULL));
    EXPECT(at.start == 0x94 && at.end == 0x9c);
    EXPECT_OK(index_header_postings(h, S("b"), S("x"), &at, NULL));
    EXPECT(at.start == 0xb4 && at.end == 0xbc);
    EXPECT_OK(index_header_postings(h, STR_EMPTY, STR_EMPTY, &at, NULL));
    EXPECT(at.start == 0x6c && at.end == 0x78);
    EXPECT_EQ(index_header_postings(h, S("a"), S("3"), &at, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(index_header_postings(h, S("c"), S("1"), &at, NULL), ERR_NOT_FOUND);
    EXPECT_OK(index_header_symbol(h, 3, &r.a, &got, NULL));
    EXPECT_STR(got, S("__name__"));
    EXPECT_EQ(index_header_symbol(h, 8, &r.a, &got, NULL), ERR_CORRUPT);
    index_header_close(h);
    arena_fini(&mine);
    rig_end(&r);
}

/* Every prefix and every flipped bit of it is refused. */
TEST(index_header_damaged)
{
    struct fs *fs = fs_sim_new(1);
    EXPECT_OK(fs_mkdir(fs, S("d"), NULL));
    for (size_t i = 0; i < sizeof(example) * 9; i++) {
        uint8_t bytes[sizeof(example)];
        struct index_header *h = NULL;
        memcpy(bytes, example, sizeof(bytes));
        size_t n = i < sizeof(example) ? i : sizeof(example), bit = i - sizeof(example);
        if (i >= sizeof(example)) bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT_OK(fs_write_durable(fs, S("d/index-header"), str_of(bytes, n), NULL));
        errc rc = index_header_open(&h, fs, S("d"), IO_BUFFERED, NULL);
        /* the end of the postings and the TOC of the index have no checksum here */
        size_t byte = bit / 8;
        bool unseen =
            i >= sizeof(example) && ((byte >= 6 && byte < 14) || (byte >= 0x62 && byte < 0x96));
        if (!unseen) EXPECT(rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
        index_header_close(h);
    }
    fs_free(fs);
}

struct both {
    struct index_header *h;
    str name;
    size_t n;
};
static bool same_value(void *ctx, str value, uint64_t offset)
{
    struct both *b = ctx;
    struct postings_range at;
    EXPECT_OK(index_header_postings(b->h, b->name, value, &at, NULL));
    EXPECT_EQ(at.start, offset + 4);
    b->n++;
    return true;
}
struct values {
    size_t n;
    str last;
    struct arena *a;
};
static bool see_value(void *ctx, str value, struct postings_range at)
{
    struct values *v = ctx;
    EXPECT(at.end > at.start && (!v->n || str_cmp(v->last, value) < 0));
    v->last = arena_str(v->a, value);
    v->n++;
    return true;
}

/* Opened with its own samples, as a file, it answers the same. */
static void same_as_sparse(struct index_header *h, struct fs *fs, const str_list *names)
{
    SCOPED(buf_fini) struct buf file = { 0 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct index_header *s = NULL;
    struct postings_range x, y;
    str p, q;
    EXPECT_OK_E(index_header_sparse(h, &file, &e), &e);
    EXPECT_OK_E(index_header_open_sparse(&s, fs, S("g"), buf_view(&file), IO_BUFFERED, &e), &e);
    for (size_t i = 0; i < names->n; i++) {
        struct values v = { .a = &a }, w = { .a = &a };
        EXPECT_OK(index_header_values(h, names->at[i], STR_EMPTY, see_value, &v, NULL));
        EXPECT_OK(index_header_values(s, names->at[i], STR_EMPTY, see_value, &w, NULL));
        EXPECT_EQ(v.n, w.n);
        EXPECT_OK(index_header_postings(h, names->at[i], v.last, &x, NULL));
        EXPECT_OK(index_header_postings(s, names->at[i], v.last, &y, NULL));
        EXPECT(x.start == y.start && x.end == y.end);
    }
    EXPECT_OK(index_header_postings(h, STR_EMPTY, STR_EMPTY, &x, NULL));
    EXPECT_OK(index_header_postings(s, STR_EMPTY, STR_EMPTY, &y, NULL));
    EXPECT(x.start == y.start && x.end == y.end);
    for (uint32_t i = 0; index_header_symbol(h, i, &a, &p, NULL) == OK; i++) {
        EXPECT_OK(index_header_symbol(s, i, &a, &q, NULL));
        EXPECT_STR(q, p);
    }
    index_header_close(s);
    struct index_header *none = NULL;
    for (size_t n = 0; n < file.n; n += 1 + file.n / 50)
        EXPECT(index_header_open_sparse(&none, fs, S("g"), str_slice(buf_view(&file), 0, n),
                   IO_BUFFERED, NULL) == ERR_CORRUPT);
}

/* The same header whatever was said of the index's size; what is seen along is the index. */
static void same_whatever_size(struct rig *r, ulid id, str bytes)
{
    const str files[] = { S("index-header"), S("sparse-index-header") };
    const uint64_t sizes[] = { 0, bytes.n, bytes.n - 1, bytes.n + 1, 1, UINT64_MAX };
    str first[ARRAY_LEN(files)] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct header_built what;
        struct index_seen seen = { 0 };
        struct err e = { 0 };
        EXPECT_OK_E(index_header_build(r->b, id, sizes[i], r->fs, S("g"), &what, &seen, &e), &e);
        EXPECT_EQ(what.index_bytes, bytes.n);
        EXPECT_STR(buf_view(&seen.begin.bytes),
            str_slice(bytes, seen.begin.at, seen.begin.at + seen.begin.bytes.n));
        EXPECT_STR(buf_view(&seen.end.bytes), str_from(bytes, seen.end.at));
        EXPECT(seen.begin.at % INDEX_SEEN_ALIGN == 0 && seen.end.at % INDEX_SEEN_ALIGN == 0);
        index_seen_fini(&seen);
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            str path = arena_fmt(&r->a, "g/%.*s", STR_ARG(files[k])), now;
            EXPECT_OK(fs_read_all(r->fs, path, &r->a, BYTES_MAX, &now, NULL));
            if (i) EXPECT_STR(now, first[k]);
            else first[k] = now;
        }
    }
}

/* All names, values, lists and symbols of recorded blocks, against the reader of whole indexes. */
static void same_as_index(const char *name)
{
    struct rig r;
    struct err e = { 0 };
    struct arena mine = { 0 };
    struct fs *golden = tree_golden(name, 1);
    fs_entries all = { 0 };
    ulid id = { 0 };
    str bytes, got;
    EXPECT_OK(fs_list(golden, STR_EMPTY, &mine, &all, NULL));
    for (size_t i = 0; i < all.n; i++)
        if (ulid_parse(all.at[i].name, &id)) break;
    vec_fini(&all);
    rig_begin(&r, arena_fmt(&mine, "%s/%s", test_tmpdir(), name));
    str object = arena_fmt(&r.a, "%s/index", ulid_text(id).z);
    EXPECT_OK(fs_read_all(golden, object, &r.a, BYTES_MAX, &bytes, NULL));
    EXPECT_OK(bucket_put_bytes(r.b, object, bytes, NULL));
    struct header_built what;
    EXPECT_OK_E(index_header_build(r.b, id, 0, r.fs, S("g"), &what, NULL, &e), &e);
    EXPECT(what.index_bytes == bytes.n);
    EXPECT(what.read_bytes <=
           what.header_bytes + 64 + MAX(bytes.n / 4, (size_t)4096) + 2 * INDEX_SEEN_ALIGN);
    same_whatever_size(&r, id, bytes);
    struct index_header *h = NULL;
    struct index_reader *x = NULL;
    EXPECT_OK_E(index_header_open(&h, r.fs, S("g"), IO_AUTO, &e), &e);
    EXPECT_OK_E(index_reader_open(&x, golden, object, IO_BUFFERED, &e), &e);
    str_list names = { 0 }, want = { 0 };
    index_header_names(h, &names);
    index_reader_names(x, &want);
    EXPECT_EQ(names.n, want.n);
    for (size_t i = 0; i < names.n; i++) {
        struct both b = { h, names.at[i], 0 };
        struct values v = { .a = &r.a };
        EXPECT_STR(names.at[i], want.at[i]);
        EXPECT_OK(index_reader_values(x, names.at[i], STR_EMPTY, same_value, &b, NULL));
        EXPECT_OK(index_header_values(h, names.at[i], STR_EMPTY, see_value, &v, NULL));
        EXPECT_EQ(v.n, b.n);
        if (v.n < 2) continue;
        str last = v.last;
        v.n = 0;
        EXPECT_OK(index_header_values(h, names.at[i], last, see_value, &v, NULL));
        EXPECT_EQ(v.n, 1);
    }
    for (uint32_t i = 0; index_reader_symbol(x, i, &r.a, &bytes, NULL) == OK; i++) {
        EXPECT_OK(index_header_symbol(h, i, &r.a, &got, NULL));
        EXPECT_STR(got, bytes);
    }
    same_as_sparse(h, r.fs, &names);
    vec_fini(&names);
    vec_fini(&want);
    index_header_close(h);
    index_reader_close(x);
    rig_end(&r);
    fs_free(golden);
    arena_fini(&mine);
}

TEST_SHARED(index_header_blocks)
{
    same_as_index("blocks/floats");
    same_as_index("blocks/utf8_labels");
    same_as_index("blocks/many_series");
}

/* An index that cannot be one leaves no header. */
TEST(index_header_refused)
{
    struct rig r;
    struct err e = { 0 };
    struct arena mine = { 0 };
    struct header_built what;
    ulid id = ulid_of(2, 2, 2);
    rig_begin(&r, arena_fmt(&mine, "%s/refused", test_tmpdir()));
    str object = arena_fmt(&r.a, "%s/index", ulid_text(id).z), index = example_index(&r.a);
    EXPECT_EQ(index_header_build(r.b, id, 0, r.fs, S("r"), &what, NULL, &e), ERR_NOT_FOUND);
    for (size_t n = 0; n < index.n; n += 7) {
        EXPECT_OK(bucket_put_bytes(r.b, object, str_slice(index, 0, n), NULL));
        EXPECT_EQ(index_header_build(r.b, id, 0, r.fs, S("r"), &what, NULL, &e), ERR_CORRUPT);
    }
    ((uint8_t *)(uintptr_t)index.p)[0x10] ^= 1; /* a symbol */
    EXPECT_OK(bucket_put_bytes(r.b, object, index, NULL));
    EXPECT_EQ(index_header_build(r.b, id, 0, r.fs, S("r"), &what, NULL, &e), ERR_CORRUPT);
    EXPECT(!fs_exists(r.fs, S("r")) && !fs_exists(r.fs, S("r.tmp")));
    arena_fini(&mine);
    rig_end(&r);
}

/* A message as Mimir writes it, by hand: names in any order, places packed; at its end a field that
 * is cut. */
static const char by_hand[] = "\x0a\5\x0a\1\x08\x10\x08"     /* symbols: [8], 8 of them */
                              "\x12\x30"                         /* the table */
                              "\x0a\x0c\x0a\1b\x12\7\x0a\5\x0a\1x\x10\x20"
                              "\x0a\x15\x0a\1a\x12\x10\x0a\5\x0a\1"
                              "1\x10\x14\x0a\5\x0a\1"
                              "2\x10\x1a"
                              "\x10\7\x0a\5\x0a\0\x12\1\x18\x10\x20";

TEST(sparse_header_by_hand)
{
    const uint8_t *message = (const uint8_t *)by_hand;
    enum { BYTES = sizeof(by_hand) - 1, CUT_BYTES = 9 };
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf file = { 0 };
    struct sparse_header s = { 0 };
    EXPECT_OK(compress_pack(&file, COMPRESS_GZIP, str_of(message, BYTES), 0, NULL));
    EXPECT_EQ(sparse_header_decode(&s, buf_view(&file), &a, NULL), ERR_CORRUPT);
    uint8_t whole[BYTES];
    memcpy(whole, message, sizeof(whole));
    size_t n = sizeof(whole) - CUT_BYTES;
    memcpy(whole + n, (const uint8_t[]){ 0x10, 32 }, 2);
    whole[8] = (uint8_t)(n + 2 - 9);
    buf_reset(&file);
    EXPECT_OK(compress_pack(&file, COMPRESS_GZIP, str_of(whole, n + 2), 0, NULL));
    EXPECT_OK(sparse_header_decode(&s, buf_view(&file), &a, NULL));
    EXPECT(s.names.n == 2 && s.places.n == 3 && s.sampling == 32 && s.n_symbols == 8);
    EXPECT_STR(s.names.at[0].name, S("a"));
    EXPECT(s.names.at[0].n == 2 && s.places.at[1] == 26 && s.places.at[2] == 32);
    sparse_header_fini(&s);
}
