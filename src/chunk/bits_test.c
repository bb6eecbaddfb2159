/* bits_test.c — single codes against Prometheus' bits, and against the end of the bytes. */
#include "chunk/bits.h"

#include "base/mem.h"
#include "base/test.h"
#include "base/test_vectors.h"

static uint8_t room[64];

static str written(const struct bits *b)
{
    return str_of(room, (size_t)((bits_count(b, room) + 7) / 8));
}

TEST_SHARED(bits_varbit_vectors)
{
    struct vectors v;
    vectors_open(&v, "golden/vectors/all/varbit.jsonl");
    for (json_t *j; (j = vectors_next(&v)) != NULL;) {
        int64_t i = json_i64_of(j, "i");
        uint64_t u = (uint64_t)i;
        struct bits b = bits_resume(room, 0);
        bits_put_varbit(&b, i);
        EXPECT_EQ(bits_count(&b, room), json_i64_of(j, "bits"));
        EXPECT_STR(written(&b), json_hex(&v.a, json_object_get(j, "varbit_int")));
        struct bit_reader r = bit_reader_of(written(&b));
        EXPECT_EQ(bits_take_varbit(&r), i);
        EXPECT(!r.bad && r.bit == bits_count(&b, room));
        b = bits_resume(room, 0);
        bits_put_uvarbit(&b, u);
        EXPECT_EQ(bits_count(&b, room), json_i64_of(j, "ubits"));
        EXPECT_STR(written(&b), json_hex(&v.a, json_object_get(j, "varbit_uint")));
        r = bit_reader_of(written(&b));
        EXPECT_EQ(bits_take_uvarbit(&r), u);
        EXPECT(!r.bad && r.bit == bits_count(&b, room));
    }
    EXPECT(v.n > 400);
    vectors_close(&v);
}

/* A row of fields of all kinds, resumed after each, read back; each prefix fails where it ends. */
enum { FIELDS = 40 };
struct field { unsigned kind, width; uint64_t v; };

static void put_field(struct bits *b, const struct field *f, struct xor_window *w, uint64_t *last)
{
    if (f->kind == 0) bits_put_long(b, f->v, f->width);
    if (f->kind == 1) bits_put_varbit(b, (int64_t)f->v);
    if (f->kind == 2) bits_put_uvarbit(b, f->v);
    if (f->kind == 3) bits_put_varint(b, (int64_t)f->v);
    if (f->kind == 4) bits_put_xor(b, f->v ^ *last, w);
    if (f->kind == 4) *last = f->v;
}

static uint64_t take_field(struct bit_reader *r, const struct field *f, struct xor_window *w,
                           uint64_t *last)
{
    if (f->kind == 0) return bits_take(r, f->width);
    if (f->kind == 1) return (uint64_t)bits_take_varbit(r);
    if (f->kind == 2) return bits_take_uvarbit(r);
    if (f->kind == 3) return (uint64_t)bits_take_varint(r);
    bits_take_xor(r, last, w);
    return *last;
}

static size_t read_fields(str bytes, const struct field *all)
{
    struct bit_reader r = bit_reader_of(bytes);
    struct xor_window w = { 0 };
    uint64_t last = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        uint64_t v = take_field(&r, &all[i], &w, &last);
        if (r.bad) return i;
        EXPECT_EQ(v, all[i].v);
    }
    return FIELDS;
}

TEST(bits_rows_of_fields)
{
    struct prng r = { test_seed() };
    static uint8_t bytes[FIELDS * 10 + BITS_SLACK];
    struct field all[FIELDS];
    for (int round = 0; round < 500; round++) {
        uint64_t n = 0, last = 0, ends[FIELDS];
        struct xor_window w = { BITS_NO_WINDOW, 0 };
        memset(bytes, 0xa5, sizeof(bytes));
        for (size_t i = 0; i < FIELDS; i++) {
            all[i] = (struct field){ (unsigned)prng_below(&r, 5), 1 + (unsigned)prng_below(&r, 64),
                                     prng_u64(&r) >> prng_below(&r, 64) };
            if (prng_below(&r, 4) == 0) all[i].v = 0 - all[i].v;
            if (all[i].kind == 0) all[i].v = prng_u64(&r) >> (64 - all[i].width);
            if (all[i].kind == 4 && prng_below(&r, 2)) all[i].v = last ^ prng_below(&r, 256) << 30;
            struct bits b = bits_resume(bytes, n);
            put_field(&b, &all[i], &w, &last);
            n = ends[i] = bits_count(&b, bytes);
        }
        size_t size = (size_t)((n + 7) / 8);
        if (n % 8) EXPECT_EQ((uint8_t)(bytes[size - 1] << n % 8), 0);
        for (size_t cut = 0; cut <= size; cut++) {
            str part = mem_str(str_of(bytes, cut));            /* exact, for the sanitizer */
            size_t got = read_fields(part, all), want = 0;
            while (want < FIELDS && ends[want] <= 8 * cut) want++;
            EXPECT_EQ(got, want);
            mem_free((void *)part.p);
        }
    }
}
