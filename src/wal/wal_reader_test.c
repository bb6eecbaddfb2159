/* wal_reader_test.c — golden logs: the same records, the same error offsets; and what salvage makes
 * of them. */
#include "wal/wal_reader.h"

#include "base/digest.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"
#include "wal/record.h"

#include <stdio.h>

/* golden cases whose logs are read */
static const struct { const char *name, *log;
} cases[] = {
    { "all_types_none", "wal" },
    { "all_types_snappy", "wal" },
    { "all_types_zstd", "wal" },
    { "st_v2", "wal" },
    { "clean", "wal" },
    { "big_records", "wal" },
    { "odd_records", "wal" },
    { "checkpoint_direct", "wal" },
    { "wbl", "wbl" },
    { "wbl_snappy", "wbl" },
    { "bad_none", "wal" },
    { "bad_empty_last", "wal" },
    { "bad_empty_middle", "wal" },
    { "bad_flip_crc_last", "wal" },
    { "bad_flip_data_last", "wal" },
    { "bad_flip_len_last", "wal" },
    { "bad_flip_seg1", "wal" },
    { "bad_flip_type_last", "wal" },
    { "bad_foreign_files", "wal" },
    { "bad_garbage_tail", "wal" },
    { "bad_record_content", "wal" },
    { "bad_short_middle", "wal" },
    { "bad_torn_at_record", "wal" },
    { "bad_torn_header", "wal" },
    { "bad_torn_middle", "wal" },
    { "bad_torn_record", "wal" },
    { "bad_torn_zeros", "wal" },
    { "bad_type_middle", "wal" },
    { "bad_zero_extended", "wal" },
    { "bad_zero_tail", "wal" },
    { "bad_wbl_and_wal", "wal" },
    { "bad_wbl_and_wal", "wbl" },
    { "bad_wbl_flip", "wbl" },
    { "bad_wbl_torn", "wbl" },
};

static void digest8(char out[17], str s)
{
    uint8_t d[32];
    digest_sha256(d, s);
    for (int i = 0; i < 8; i++) snprintf(out + 2 * i, 3, "%02x", d[i]);
}

static struct wal_reader *open_one(struct fs *fs, const char *log, enum wal_mode mode,
    uint32_t first, uint32_t last, enum io_backend backend)
{
    struct wal_reader *r = NULL;
    struct err e = { 0 };
    struct wal_reader_opts o = {
        .fs = fs, .dir = str_z(log), .backend = backend, .mode = mode, .first = first, .last = last
    };
    EXPECT_OK_E(wal_reader_open(&r, &o, &e), &e);
    return r;
}

/* One line of wal.jsonl: a record that the strict reader must give next, or its error. */
static void expect_line(struct wal_reader *r, const json_t *j)
{
    struct wal_rec rec = { 0 };
    struct err e = { 0 };
    bool got = false;
    str kind = json_str_of(j, "k");
    if (str_eq(kind, S("rec"))) {
        char digest[17];
        EXPECT_OK_E(wal_reader_next(r, &rec, &got, &e), &e);
        EXPECT(got);
        EXPECT_EQ(rec.seg, json_i64_of(j, "seg"));
        EXPECT_EQ(rec.end, json_i64_of(j, "end"));
        EXPECT_EQ(rec.bytes.n, json_i64_of(j, "len"));
        digest8(digest, rec.bytes);
        EXPECT_STR(str_z(digest), json_str_of(j, "sha256_8"));
    } else if (str_eq(kind, S("error"))) {
        EXPECT_EQ(wal_reader_next(r, &rec, &got, &e), ERR_CORRUPT);
        str want = json_str_of(j, "err"), head = S("corruption in segment DIR/");
        EXPECT(str_has_prefix(want, head));
        size_t dir = str_find(err_str(&e), S("/"));
        str mine = str_from(err_str(&e), dir + 1);
        want = str_from(want, head.n);
        if (str_find(want, S("magic number")) != SIZE_MAX) {   /* the words of a library */
            size_t to = str_find(want, S(":"));
            mine = str_slice(mine, 0, to);
            want = str_slice(want, 0, to);
        }
        EXPECT_STR(mine, want);
        EXPECT_EQ(wal_reader_next(r, &rec, &got, &e), ERR_CORRUPT);      /* and stays so */
    }
}

static size_t golden(enum io_backend backend)
{
    size_t lines = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[256];
        struct vectors v;
        struct wal_reader *r = NULL;
        test_case(cases[i].name);
        snprintf(path, sizeof(path), "%s/golden/wal/%s/data", test_shared(), cases[i].name);
        struct fs *fs = fs_real_new(str_z(path));
        snprintf(
            path, sizeof(path), "golden/wal/%s/expected/%s.jsonl", cases[i].name, cases[i].log);
        vectors_open(&v, path);
        for (json_t *j; (j = vectors_next(&v)) != NULL; lines++) {
            if (str_eq(json_str_of(j, "k"), S("segment"))) {
                uint32_t seg = (uint32_t)json_i64_of(j, "seg");
                if (r) {
                    struct wal_rec rec;
                    bool got = true;
                    errc rc = wal_reader_next(r, &rec, &got, NULL);
                    EXPECT(rc == ERR_CORRUPT || !got);
                }
                wal_reader_close(r);
                r = open_one(fs, cases[i].log, WAL_STRICT, seg, seg, backend);
            } else {
                expect_line(r, j);
            }
        }
        wal_reader_close(r);
        vectors_close(&v);
        fs_free(fs);
    }
    return lines;
}

TEST_SHARED(reader_golden_mmap) { EXPECT(golden(IO_MMAP) > 2000); }
TEST_SHARED(reader_golden_buffered) { EXPECT(golden(IO_BUFFERED) > 2000); }
TEST_SHARED(reader_golden_direct) { EXPECT(golden(IO_DIRECT) > 2000); }

typedef VEC(uint64_t) digests;
static void read_all(
    digests *out, const char *name, enum wal_mode mode, size_t *corruptions, bool *torn)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/golden/wal/%s/data", test_shared(), name);
    struct fs *fs = fs_real_new(str_z(path));
    struct wal_reader *r = open_one(fs, "wal", mode, 0, 9, IO_MMAP);
    struct wal_rec rec;
    struct err e = { 0 };
    out->n = 0;
    for (bool got = true; wal_reader_next(r, &rec, &got, &e) == OK && got;) {
        if (record_check(rec.bytes, &e) == OK) vec_push(out, hash_str(rec.bytes));
        else EXPECT_OK(wal_reader_reject(r, &e, NULL));
    }
    wal_reader_corruptions(r, corruptions);
    *torn = wal_reader_torn(r);
    wal_reader_close(r);
    fs_free(fs);
}

/* What is salvaged: the strict records are its beginning (up to the first error), all of it is in
 * the undamaged twin, in order. lost: how many of the twin's records are missing. */
TEST_SHARED(reader_salvage)
{
    static const struct { const char *name; size_t lost, corruptions; bool torn;
    } all[] = {
        { "bad_none", 0, 0, false },
        { "bad_flip_crc_last", 1, 1, false },
        { "bad_flip_data_last", 1, 1, false },
        { "bad_flip_seg1", 1, 1, false },
        { "bad_flip_type_last", 1, 1, false },
        { "bad_type_middle", 1, 1, false },
        { "bad_torn_record", 1, 1, true },
        { "bad_record_content", 1, 1, false },
        { "bad_garbage_tail", 0, 1, true },
        { "bad_zero_extended", 0, 0, false },
        { "bad_foreign_files", 0, 0, false },
        { "bad_flip_len_last", SIZE_MAX, 1, true },
        { "bad_missing_middle", SIZE_MAX, 1, false },
        { "bad_torn_middle", SIZE_MAX, 1, false },
        { "bad_empty_middle", SIZE_MAX, 0, false },
        { "bad_zero_tail", SIZE_MAX, 1, true },
        { "bad_torn_header", SIZE_MAX, 1, true },
    };
    digests twin = { 0 }, got = { 0 };
    size_t corruptions;
    bool torn;
    read_all(&twin, "bad_none", WAL_SALVAGE, &corruptions, &torn);
    TEST_EACH(c, all) {
        read_all(&got, c->name, WAL_SALVAGE, &corruptions, &torn);
        EXPECT_EQ(torn, c->torn);
        EXPECT_EQ(corruptions, c->corruptions);
        if (c->lost != SIZE_MAX) EXPECT_EQ(got.n + c->lost, twin.n);
        size_t at = 0;
        for (size_t i = 0; i < got.n; i++) {
            while (at < twin.n && twin.at[at] != got.at[i]) at++;
            EXPECT(at++ < twin.n);
        }
    }
    vec_fini(&twin);
    vec_fini(&got);
}

/* Handed out as stored and unpacked after, the records are those that the reader unpacks; where a
 * type is told beforehand it is the right one. */
TEST_SHARED(reader_stored)
{
    static const struct { const char *name;
    } all[] = {
        { "all_types_none" },
        { "all_types_snappy" },
        { "all_types_zstd" },
        { "bad_flip_seg1" },
        { "bad_torn_middle" },
        { "big_records" },
    };
    TEST_EACH(c, all) {
        char path[256];
        snprintf(path, sizeof(path), "%s/golden/wal/%s/data", test_shared(), c->name);
        struct fs *fs = fs_real_new(str_z(path));
        struct wal_reader *whole = open_one(fs, "wal", WAL_SALVAGE, 0, 9, IO_MMAP),
                          *stored = open_one(fs, "wal", WAL_SALVAGE, 0, 9, IO_MMAP);
        struct buf room = { 0 };
        size_t n = 0, damage_whole, damage_stored;
        for (bool got = true; got; n += got) {
            struct wal_rec want, is;
            uint8_t type;
            str bytes = STR_EMPTY;
            bool more = false;
            EXPECT_OK(wal_reader_next(whole, &want, &got, NULL));
            EXPECT_OK(wal_reader_next_stored(stored, &is, &more, NULL));
            EXPECT_EQ(got, more);
            if (!got) break;
            EXPECT(is.bytes.n == 0 && is.seg == want.seg && is.begin == want.begin &&
                   is.end == want.end && str_eq(is.stored, want.stored));
            EXPECT_OK(wal_rec_unpack(&room, is.flags, is.stored, &bytes, NULL));
            EXPECT(str_eq(bytes, want.bytes));
            if (wal_rec_peek(is.flags, is.stored, &type)) EXPECT_EQ(type, want.bytes.p[0]);
            else EXPECT(!bytes.n || strstr(c->name, "zstd"));
        }
        EXPECT(n > 1);
        wal_reader_corruptions(whole, &damage_whole);
        wal_reader_corruptions(stored, &damage_stored);
        EXPECT_EQ(damage_stored, damage_whole);
        EXPECT_OK(wal_reader_reject_at(stored, 1, 99, &(struct err){ .msg = "why", .n = 3 }, NULL));
        const struct wal_corruption *bad = wal_reader_corruptions(stored, &damage_stored);
        EXPECT_EQ(damage_stored, damage_whole + 1);
        EXPECT(bad[damage_whole].seg == 1 && bad[damage_whole].off == 99);
        wal_reader_close(whole);
        wal_reader_close(stored);
        buf_fini(&room);
        fs_free(fs);
    }
}
