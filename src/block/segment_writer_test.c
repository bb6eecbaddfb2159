/* segment_writer_test.c — chunks that lie in records of other segments come out as those that do
 * not, and those that changed meanwhile not at all. */
#include "block/segment_writer.h"

#include "base/crc32c.h"
#include "base/prng.h"
#include "base/test.h"
#include "block/segment_codec.h"
#include "io/fs_sim.h"

enum { CHUNKS = 60, CHUNK_ENC = 1, CHUNK_MAX_BYTES = 400, SEGMENT_MAX = 3000 };

struct chunks {
    struct buf source;                         /* as a segment, with gaps */
    struct chunk_view all[CHUNKS];
};

/* longer: its length takes a byte more than it has to. Such a one is not copied. */
static void record_put(struct buf *b, str data, bool longer)
{
    if (!longer) {
        segment_record_encode(b, CHUNK_ENC, data);
        return;
    }
    buf_uvarint(b, data.n);
    b->p[b->n - 1] |= 0x80;
    buf_u8(b, 0);
    size_t from = b->n;
    buf_u8(b, CHUNK_ENC);
    buf_str(b, data);
    buf_be32(b, crc32c_str(str_from(buf_view(b), from)));
}

static void chunks_make(struct chunks *c, struct prng *r)
{
    size_t at[CHUNKS];
    c->source = (struct buf){ 0 };
    for (size_t i = 0; i < CHUNKS; i++) {
        uint8_t data[CHUNK_MAX_BYTES];
        size_t n = prng_below(r, prng_below(r, 2) ? sizeof(data) : 10);
        for (size_t k = 0; k < n; k++) data[k] = (uint8_t)prng_u64(r);
        if (!prng_below(r, 4)) buf_u8(&c->source, 1);
        at[i] = c->source.n;
        record_put(&c->source, str_of(data, n), !prng_below(r, 6));
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        struct segment_record x;
        EXPECT_OK(segment_record_decode(&x, str_from(buf_view(&c->source), at[i]), NULL));
        c->all[i] = (struct chunk_view){ (int64_t)i, (int64_t)i, x.enc, x.data,
            segment_record_head(&x) };
    }
}

/* In pieces of one series each; the refs and the bytes of all files go to out. */
static void write_all(struct fs *fs, str dir, const struct chunk_view *all, const size_t *pieces,
    struct buf *out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct segment_writer *w;
    uint64_t refs[CHUNKS];
    fs_entries files = { 0 };
    EXPECT_OK(segment_writer_open(&w, fs, dir, SEGMENT_MAX, NULL));
    for (size_t i = 0, k = 0; i < CHUNKS; i += pieces[k++])
        EXPECT_OK(segment_writer_add(w, all + i, MIN(pieces[k], CHUNKS - i), refs + i, NULL));
    EXPECT_OK(segment_writer_finish(w, NULL));
    segment_writer_close(w);
    buf_bytes(out, refs, sizeof(refs));
    EXPECT_OK(fs_list(fs, dir, &a, &files, NULL));
    EXPECT(files.n > 1);
    for (size_t i = 0; i < files.n; i++) {
        str bytes;
        str path = path_join(&a, dir, files.at[i].name);
        EXPECT_OK(fs_read_all(fs, path, &a, 1 << 20, &bytes, NULL));
        buf_lenstr(out, bytes);
    }
    vec_fini(&files);
}

TEST(segment_writer_copies_records)
{
    enum { ROUNDS = 30 };
    struct prng r = { test_seed() };
    size_t copied = 0, encoded = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct fs *fs = fs_sim_new(prng_u64(&r));
        struct chunks c;
        size_t pieces[CHUNKS];
        struct buf got = { 0 }, want = { 0 };
        chunks_make(&c, &r);
        for (size_t i = 0; i < CHUNKS; i++) pieces[i] = 1 + prng_below(&r, 12);
        write_all(fs, S("got"), c.all, pieces, &got);
        for (size_t i = 0; i < CHUNKS; i++) {
            if (c.all[i].head) copied++;
            else encoded++;
            c.all[i].head = 0;
        }
        write_all(fs, S("want"), c.all, pieces, &want);
        EXPECT(str_eq(buf_view(&got), buf_view(&want)));
        buf_fini(&got);
        buf_fini(&want);
        buf_fini(&c.source);
        fs_free(fs);
    }
    EXPECT(copied && encoded);
}

/* A flip of any byte of the records, also of those that say how long they are. */
TEST(segment_writer_copies_nothing_that_changed)
{
    enum { RECORDS = 3, BYTES = 200 };
    struct buf source = { 0 };
    struct chunk_view all[RECORDS];
    uint64_t refs[RECORDS];
    uint8_t data[BYTES] = { 7 };
    struct segment_record x;
    struct fs *fs = fs_sim_new(1);
    struct segment_writer *w;
    for (size_t i = 0; i < RECORDS; i++) record_put(&source, str_of(data, BYTES), false);
    size_t each = source.n / RECORDS;
    for (size_t i = 0; i < RECORDS; i++) {
        EXPECT_OK(segment_record_decode(&x, str_from(buf_view(&source), i * each), NULL));
        all[i] = (struct chunk_view){ 0, 0, x.enc, x.data, segment_record_head(&x) };
    }
    for (size_t at = 0; at <= source.n; at++) {
        struct err e = { 0 };
        bool changed = at < source.n;
        if (changed) source.p[at] ^= 1;
        EXPECT_OK(segment_writer_open(&w, fs, S("d"), 0, NULL));
        EXPECT_EQ(segment_writer_add(w, all, RECORDS, refs, &e), changed ? ERR_IO : OK);
        if (changed)
            EXPECT_STR(err_str(&e), S("a chunk was changed in memory before it was copied"));
        segment_writer_close(w);
        EXPECT_OK(fs_remove_tree(fs, S("d"), NULL));
        if (changed) source.p[at] ^= 1;
    }
    buf_fini(&source);
    fs_free(fs);
}
