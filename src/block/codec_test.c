/* codec_test.c — meta.json, tombstones, chunk segments: golden vectors, every prefix, every flipped
 * bit. */
#include "block/meta_codec.h"
#include "block/segment_codec.h"
#include "block/tombstones_codec.h"

#include "base/mem.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/test.h"
#include "base/test_vectors.h"

TEST_SHARED(tombstones_vectors)
{
    struct vectors v;
    json_t *row;
    vectors_open(&v, "golden/vectors/all/tombstones.jsonl");
    while ((row = vectors_next(&v))) {
        struct tombstones t = { 0 }, back = { 0 };
        struct buf b = { 0 };
        uint64_t ref = (uint64_t)json_i64_of(row, "ref");
        json_t *added = json_object_get(row, "added"), *merged = json_object_get(row, "merged");
        for (size_t i = 0; i < json_array_size(added); i++) {
            json_t *x = json_array_get(added, i);
            tombstones_add(&t, ref,
                (struct interval){ json_integer_value(json_array_get(x, 0)),
                    json_integer_value(json_array_get(x, 1)) });
        }
        EXPECT_EQ(tombstones_count(&t), json_array_size(merged));
        str file = json_hex(&v.a, json_object_get(row, "file"));
        block_tombstones_encode(&b, &t);
        EXPECT(str_eq(buf_view(&b), file));
        EXPECT_OK(block_tombstones_decode(&back, file, NULL));
        for (size_t i = 0; i < json_array_size(merged); i++) {
            json_t *x = json_array_get(merged, i);
            const struct interval *got = &tombstones_of(&back, ref)->at[i];
            EXPECT(got->mint == json_integer_value(json_array_get(x, 0)) &&
                   got->maxt == json_integer_value(json_array_get(x, 1)));
        }
        tombstones_fini(&t);
        tombstones_fini(&back);
        buf_fini(&b);
    }
    EXPECT(v.n > 0);
    vectors_close(&v);
}

static errc decode_tombstones(str file)
{
    struct tombstones t = { 0 };
    errc rc = block_tombstones_decode(&t, file, NULL);
    tombstones_fini(&t);
    return rc;
}

TEST(tombstones_damage_is_seen)
{
    struct tombstones t = { 0 };
    struct buf b = { 0 };
    for (uint64_t ref = 1; ref < 9; ref++)
        for (int64_t at = 0; at < 3; at++)
            tombstones_add(&t, 10 - ref, (struct interval){ at * 1000 - 500, at * 1000 });
    EXPECT_EQ(tombstones_count(&t), 24);
    EXPECT(tombstones_of(&t, 1) == NULL && tombstones_of(&t, 2) != NULL);
    block_tombstones_encode(&b, &t);
    EXPECT_OK(decode_tombstones(buf_view(&b)));
    for (size_t n = 0; n < b.n; n++) EXPECT_EQ(decode_tombstones(str_of(b.p, n)), ERR_CORRUPT);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT_EQ(decode_tombstones(buf_view(&b)), ERR_CORRUPT);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    tombstones_fini(&t);
    buf_fini(&b);
}

/* Merged, and read from records in any order, as if each had been added where it belongs. */
TEST(tombstones_of_two_are_merged)
{
    enum { REFS = 40, ADDED = 300 };
    struct prng r = { test_seed() };
    struct tombstones each[2] = { 0 }, want = { 0 }, got = { 0 }, read = { 0 };
    struct buf b = { 0 };
    buf_be32(&b, TOMBSTONES_MAGIC);
    buf_u8(&b, 1);
    for (int i = 0; i < ADDED; i++) {
        uint64_t ref = prng_below(&r, REFS);
        int64_t mint = (int64_t)prng_below(&r, 1000);
        struct interval add = { mint, mint + (int64_t)prng_below(&r, 30) };
        tombstones_add(&each[prng_below(&r, 2)], ref, add);
        tombstones_add(&want, ref, add);
        buf_uvarint(&b, ref);
        buf_varint(&b, add.mint);
        buf_varint(&b, add.maxt);
    }
    buf_be32(&b, crc32c(0, b.p + 5, b.n - 5));
    tombstones_merge(&got, &each[0], &each[1]);
    EXPECT_OK(block_tombstones_decode(&read, buf_view(&b), NULL));
    buf_reset(&b);
    block_tombstones_encode(&b, &want);
    struct tombstones *all[] = { &got, &read };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct buf same = { 0 };
        block_tombstones_encode(&same, all[i]);
        EXPECT(str_eq(buf_view(&same), buf_view(&b)));
        buf_fini(&same);
    }
    tombstones_fini(&each[0]);
    tombstones_fini(&each[1]);
    tombstones_fini(&want);
    tombstones_fini(&got);
    tombstones_fini(&read);
    buf_fini(&b);
}

TEST_SHARED(segment_vectors)
{
    struct vectors v;
    json_t *row;
    vectors_open(&v, "golden/vectors/all/chunk_files.jsonl");
    while ((row = vectors_next(&v))) {
        json_t *chunks = json_object_get(row, "chunks"), *refs = json_object_get(row, "refs");
        str file = json_hex(&v.a, json_object_get(row, "segment_file"));
        struct buf b = { 0 };
        segment_header_encode(&b);
        EXPECT_OK(segment_header_check(file, NULL));
        for (size_t i = 0; i < json_array_size(chunks); i++) {
            json_t *c = json_array_get(chunks, i);
            str data = json_hex(&v.a, json_object_get(c, "data"));
            struct segment_record got = { 0 };
            uint64_t bytes = 0;
            EXPECT_EQ(json_integer_value(json_array_get(refs, i)), b.n);
            str rest = str_from(file, b.n);
            EXPECT_OK(segment_record_decode(&got, rest, NULL));
            EXPECT_OK(segment_record_bytes(rest, &bytes, NULL));
            EXPECT(got.enc == json_i64_of(c, "enc") && str_eq(got.data, data) && got.used == bytes);
            EXPECT_EQ(segment_record_head(&got), got.data.p - rest.p);
            segment_record_encode(&b, got.enc, data);
        }
        EXPECT(str_eq(buf_view(&b), file));
        buf_fini(&b);
    }
    vectors_close(&v);
}

TEST(segment_damage_is_seen)
{
    struct buf b = { 0 };
    uint8_t data[300];
    struct segment_record got;
    memset(data, 7, sizeof(data));
    segment_record_encode(&b, 1, str_of(data, sizeof(data)));
    for (size_t n = 0; n < b.n; n++)
        EXPECT_EQ(segment_record_decode(&got, str_of(b.p, n), NULL), ERR_CORRUPT);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT_EQ(segment_record_decode(&got, buf_view(&b), NULL), ERR_CORRUPT);
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    EXPECT_OK(segment_record_decode(&got, buf_view(&b), NULL));
    EXPECT_EQ(got.used, b.n);
    for (size_t n = 0; n < SEGMENT_HEADER_BYTES; n++)
        EXPECT_EQ(segment_header_check(str_of("\x85\xbd\x40\xdd\x01\0\0\0", n), NULL), ERR_CORRUPT);
    EXPECT_EQ(segment_header_check(S("\x85\xbd\x40\xdd\x02\0\0\0"), NULL), ERR_CORRUPT);
    str long_length = S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                        "xxxx");
    EXPECT_EQ(segment_record_decode(&got, long_length, NULL), ERR_CORRUPT);
    buf_fini(&b);
}

TEST_SHARED(meta_vectors)
{
    struct vectors v;
    json_t *row;
    vectors_open(&v, "golden/vectors/all/meta_json.jsonl");
    while ((row = vectors_next(&v))) {
        str text = json_str_of(row, "text");
        struct block_meta m, back;
        struct buf b = { 0 }, again = { 0 };
        struct err e = { 0 };
        EXPECT_OK_E(meta_decode(&m, text, &v.a, &e), &e);
        EXPECT_EQ(ulid_time_ms(m.id) > 0, true);
        meta_encode(&b, &m);
        if (text.n > 1 && text.p[1] == '\n' && !m.more.n) EXPECT_STR(buf_view(&b), text);
        EXPECT_OK_E(meta_decode(&back, buf_view(&b), &v.a, &e), &e);
        meta_encode(&again, &back);
        EXPECT_STR(buf_view(&again), buf_view(&b));
        EXPECT(back.mint == m.mint && back.maxt == m.maxt && back.level == m.level &&
               back.hints == m.hints && back.n_sources == m.n_sources);
        for (size_t n = 0; n < text.n; n++) {
            bool white = true;                 /* what is cut off is white space only */
            for (size_t i = n; i < text.n; i++) white = white && strchr("\n\t }", text.p[i]);
            if (!white) EXPECT_EQ(meta_decode(&back, str_of(text.p, n), &v.a, NULL), ERR_CORRUPT);
        }
        buf_fini(&b);
        buf_fini(&again);
    }
    vectors_close(&v);
}

TEST(meta_keeps_what_it_does_not_know)
{
    static const str text =
        S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"future\":{\"x\":[1,2.5]},\"minTime\":1,"
          "\"maxTime\":2,\"version\":1,"
          "\"stats\":{\"numSeries\":3,\"numWhales\":4},\"compaction\":{\"level\":2,\"hints\":["
          "\"zzz\",\"from-stale-series\",\"aaa\"],\"why\":null},\"also\":\"\\u00e9\"}");
    struct arena a = { 0 };
    struct block_meta m;
    struct buf b = { 0 };
    EXPECT_OK(meta_decode(&m, text, &a, NULL));
    EXPECT_STR(m.more, S("\"future\": {\"x\": [1, 2.5]},\"also\": \"\xc3\xa9\""));
    meta_encode(&b, &m);
    EXPECT(str_find(buf_view(&b), S("\"numWhales\": 4")) != SIZE_MAX);
    EXPECT(str_find(buf_view(&b), S("\"why\": null")) != SIZE_MAX);
    EXPECT(str_find(buf_view(&b), S("\"aaa\",\n\t\t\t\"from-stale-series\",\n\t\t\t\"zzz\"")) !=
           SIZE_MAX);
    buf_fini(&b);
    arena_fini(&a);
}

/* Go passes over numbers of members that it does not know, whatever they are. */
TEST(meta_of_numbers_that_nothing_holds)
{
    static const struct { const char *name; str number; } cases[] = {
        { "an integer", S("123456789012345678901234567890") },
        { "a negative one", S("-9223372036854775809") },
        { "a real", S("1e999") },
        { "one that is held", S("9223372036854775807") },
    };
    SCOPED(arena_fini) struct arena a = { 0 };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf text = { 0 }, again = { 0 };
        struct block_meta m;
        buf_fmt(&text, "{\"version\":1,\"maxTime\":8"
                        ",\"x\":[\"a\\\"1e999\",\"\\u0001b\",{\"y\":%.*s},1]}",
            STR_ARG(c->number));
        EXPECT_OK(meta_decode(&m, buf_view(&text), &a, NULL));
        EXPECT_EQ(m.maxt, 8);
        meta_encode(&again, &m);
        EXPECT(str_find(buf_view(&again), c->number) != SIZE_MAX);
        EXPECT(str_find(buf_view(&again), S("u0001\\\"")) == SIZE_MAX);
        EXPECT(str_find(buf_view(&again), S("\"\\u0001b\"")) != SIZE_MAX);
        EXPECT_OK(meta_decode(&m, buf_view(&again), &a, NULL));
        buf_reset(&text);
        buf_fmt(&text, "{\"version\":1,\"x\":1e,\"y\":%.*s}", STR_ARG(c->number));
        EXPECT_EQ(meta_decode(&m, buf_view(&text), &a, NULL), ERR_CORRUPT);
        if (c->number.n < 19) continue;
        buf_reset(&text);
        buf_fmt(&text, "{\"version\":1,\"maxTime\":%.*s0}", STR_ARG(c->number));
        EXPECT_EQ(meta_decode(&m, buf_view(&text), &a, NULL), ERR_CORRUPT);
    }
}

/* A block of late samples names a parent that never was, and goes on doing so. */
TEST(meta_of_a_parent_of_zeros)
{
    static const str zeros = S("\"00000000000000000000000000\"");
    SCOPED(buf_fini) struct buf text = { 0 }, again = { 0 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_desc none = { 0 };
    struct block_meta m = { .maxt = 8, .level = 1, .parents = &none, .n_parents = 1 };
    meta_encode(&text, &m);
    EXPECT(str_find(buf_view(&text), zeros) != SIZE_MAX);
    EXPECT_OK(meta_decode(&m, buf_view(&text), &a, NULL));
    EXPECT_EQ(m.n_parents, 1);
    meta_encode(&again, &m);
    EXPECT_STR(buf_view(&again), buf_view(&text));
}

/* What the samples do not depend on is no reason to leave a block out. */
TEST(meta_of_a_relative_that_has_no_name)
{
    static const str text =
        S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1,\"maxTime\":7,\"maxTime\":8,"
          "\"compaction\":{\"sources\":[\"01M809V03WVRW#PSC5BX4W545M\","
          "\"01M809V03WVRWWPSC5BX4W545M\"],\"parents\":[{\"ulid\":\"01M809V03WVRW#PSC5BX4W545M\","
          "\"minTime\":1,\"maxTime\":2}]}}");
    struct arena a = { 0 };
    struct block_meta m;
    EXPECT_OK(meta_decode(&m, text, &a, NULL));
    EXPECT_EQ(m.n_sources, 1);
    EXPECT(ulid_eq(m.sources[0], m.id));
    EXPECT_EQ(m.n_parents, 0);
    EXPECT_EQ(m.maxt, 8);
    arena_fini(&a);
}

/* Flipped bits that Go's reader does not mind: that block is served. */
TEST(meta_as_go_reads_it)
{
    static const struct { const char *name; str text;
    } cases[] = {
        { "no id", S("{\"version\":1,\"maxTime\":8}") },
        { "id is null", S("{\"version\":1,\"maxTime\":8,\"ulid\":null}") },
        { "a wrong character",
            S("{\"ulid\":\"01M809V03WVRW#PSC5BX4W545M\",\"version\":1,\"maxTime\":8}") },
        { "lower case",
            S("{\"ulid\":\"01m809V03WVRWWPSC5BX4W545M\",\"version\":1,\"maxTime\":8}") },
        { "names in any case",
            S("{\"vErsion\":1,\"MAXTIME\":8,\"Stats\":{\"NumSeries\":0}}") },
        { "no UTF-8", S("{\"version\":1,\"maxTime\":8,\"ul\xe9"
                       "d\":\"\xff\"}") },
        { "a text with a zero", S("{\"version\":1,\"maxTime\":8,\"x\":\"\\u0000\"}") },
        { "a level below zero",
            S("{\"version\":1,\"maxTime\":8,\"compaction\":{\"level\":-1}}") },
        { "no relatives", S("{\"version\":1,\"maxTime\":8,\"compaction\":{\"sources\":[null],"
                           "\"parents\":[{\"minTime\":1}]}}") },
    };
    struct arena a = { 0 };
    TEST_EACH(c, cases)
    {
        struct block_meta m;
        struct buf b = { 0 };
        EXPECT_OK(meta_decode(&m, c->text, &a, NULL));
        EXPECT(ulid_is_zero(m.id));
        EXPECT_EQ(m.maxt, 8);
        EXPECT_EQ(m.level + m.n_sources + m.n_parents, 0);
        meta_encode(&b, &m);                   /* and what was unknown can be read again */
        EXPECT_OK(meta_decode(&m, buf_view(&b), &a, NULL));
        EXPECT_EQ(m.maxt, 8);
        buf_fini(&b);
    }
    arena_fini(&a);
}

TEST(meta_bad)
{
    static const struct { const char *name; str text;
    } cases[] = {
        { "a list", S("[]") },
        { "id is a number", S("{\"version\":1,\"ulid\":1}") },
        { "no version", S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\"}") },
        { "version", S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":3}") },
        { "time is a text",
            S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1,\"minTime\":\"1\"}") },
        { "negative count", S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1,\"stats\":{"
                              "\"numSeries\":-1}}") },
        { "sources", S("{\"ulid\":\"01M809V03WVRWWPSC5BX4W545M\",\"version\":1,\"compaction\":{"
                       "\"sources\":[1]}}") },
    };
    struct arena a = { 0 };
    struct block_meta m;
    TEST_EACH(c, cases) EXPECT_EQ(meta_decode(&m, c->text, &a, NULL), ERR_CORRUPT);
    arena_fini(&a);
}
