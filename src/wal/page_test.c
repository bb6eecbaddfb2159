/* page_test.c — pages as Prometheus writes them, and what frag_next makes of damage. */
#include "wal/page.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"

#include <stdio.h>

enum { FILES = 4 };
static uint8_t room[FRAG_HEADER_BYTES + FRAG_MAX_BYTES];

struct log { struct buf file[FILES]; uint64_t off; size_t cur; };

static void expect_files(const struct log *l, const json_t *want)
{
    char line[64];
    EXPECT_EQ(json_array_size(want), l->cur + 1);
    for (size_t i = 0; i <= l->cur; i++) {
        snprintf(line, sizeof(line), "%08zu %zu %08x", i, l->file[i].n,
            crc32c_str(buf_view(&l->file[i])));
        EXPECT_STR(str_z(line), str_z(json_string_value(json_array_get(want, i))));
    }
}

/* The fragments of one file, as the reader finds them, against the list. */
static size_t expect_frags(str file, size_t number, const json_t *frags, size_t at_frag)
{
    struct frag f;
    for (size_t at = 0, next; at < file.n; at = next) {
        EXPECT_EQ(frag_next(file, at, room, &f, &next, NULL), FRAG_STEP_OK);
        const json_t *want = json_array_get(frags, at_frag++);
        char name[16];
        snprintf(name, sizeof(name), "%08zu", number);
        EXPECT_STR(str_z(name), json_str_of(want, "file"));
        EXPECT_EQ(at, json_i64_of(want, "off"));
        if (f.type == FRAG_PAD) {
            EXPECT_EQ(next - at, json_i64_of(want, "len"));
        } else {
            EXPECT_EQ(f.header, json_i64_of(want, "hdr"));
            EXPECT_EQ(f.data.n, json_i64_of(want, "len"));
        }
    }
    return at_frag;
}

TEST_SHARED(page_vectors)
{
    struct vectors v;
    vectors_open(&v, "golden/vectors/all/wal_pages.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        struct log l = { 0 };
        uint64_t segment_bytes = (uint64_t)json_i64_of(j, "segment_size");
        const json_t *lens = json_object_get(j, "lens"), *steps = json_object_get(j, "steps");
        for (size_t n = 0; n < json_array_size(lens); n++) {
            size_t len = (size_t)json_integer_value(json_array_get(lens, n));
            uint8_t *rec = arena_alloc(&v.a, len);
            for (size_t k = 0; k < len; k++) rec[k] = (uint8_t)(n + k);
            if (page_needs_segment(l.off, segment_bytes, len)) {
                page_pad(&l.file[l.cur++], &l.off);
                l.off = 0;
            }
            page_put(&l.file[l.cur], &l.off, 0, str_of(rec, len), NULL);
            expect_files(&l, json_array_get(steps, n));
        }
        page_pad(&l.file[l.cur], &l.off);
        expect_files(&l, json_object_get(j, "closed"));
        size_t at = 0;
        for (size_t i = 0; i <= l.cur; i++)
            at = expect_frags(buf_view(&l.file[i]), i, json_object_get(j, "frags"), at);
        EXPECT_EQ(at, json_array_size(json_object_get(j, "frags")));
        for (size_t i = 0; i < FILES; i++) buf_fini(&l.file[i]);
    }
    EXPECT_EQ(v.n, 14);
    vectors_close(&v);
}

TEST(frag_damage)
{
    static const struct {
        const char *name;
        str part;
        size_t at;
        enum frag_step want;
        const char *words;
        size_t next;
    } cases[] = {
        { "nothing", STR_EMPTY, 0, FRAG_STEP_END, "", 0 },
        { "a short page is padded", { (const uint8_t *)"\0\0\0", 3 }, 0, FRAG_STEP_OK, "",
            PAGE_BYTES },
        { "padding that is none", { (const uint8_t *)"\0\0\1", 3 }, 0, FRAG_STEP_BAD,
            "unexpected non-zero byte in padded page", PAGE_BYTES },
        { "too long", { (const uint8_t *)"\1\x7f\xff\0\0\0\0", 7 }, 0, FRAG_STEP_BAD,
            "invalid record size 32767", 7 },
        { "empty record", { (const uint8_t *)"\1\0\0\0\0\0\0", 7 }, 0, FRAG_STEP_OK, "", 7 },
        { "cut header, length 0", { (const uint8_t *)"\1\0\0\7", 4 }, 0, FRAG_STEP_BAD,
            "unexpected checksum 0, expected 7000000", 7 },
    };
    TEST_EACH(c, cases) {
        struct frag f;
        struct err e = { 0 };
        size_t next = 0;
        EXPECT_EQ(frag_next(c->part, c->at, room, &f, &next, &e), c->want);
        EXPECT_EQ(next, c->next);
        if (c->want == FRAG_STEP_BAD) EXPECT_STR(err_str(&e), str_z(c->words));
    }
}

TEST(frag_runs_over_the_end)
{
    uint8_t *page = mem_zalloc(PAGE_BYTES);
    struct frag f;
    struct err e = { 0 };
    size_t next = 0, at = PAGE_BYTES - 10;
    memcpy(page + at, "\1\0\4abcd", 7);
    EXPECT_EQ(frag_next(str_of(page, PAGE_BYTES), at, room, &f, &next, &e), FRAG_STEP_BAD);
    EXPECT_STR(err_str(&e), S("unexpected EOF"));
    EXPECT_EQ(next, PAGE_BYTES);
    /* a header and no byte more */
    EXPECT_EQ(
        frag_next(str_of(page, PAGE_BYTES), PAGE_BYTES - 7, room, &f, &next, &e), FRAG_STEP_END);
    page[PAGE_BYTES - 2] = 1;
    EXPECT_EQ(
        frag_next(str_of(page, PAGE_BYTES), PAGE_BYTES - 2, room, &f, &next, &e), FRAG_STEP_BAD);
    EXPECT_STR(err_str(&e), S("read remaining header: unexpected EOF"));
    mem_free(page);
}
