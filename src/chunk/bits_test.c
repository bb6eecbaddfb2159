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

/* Rows of varbit integers, small ones for the most part, at each place in a byte and cut anywhere:
 * what is taken at once is what is taken one by one. */
static void check_added(str bytes, unsigned from, size_t n)
{
    uint64_t got[64] = { 7 }, want[64] = { 7 };
    struct bit_reader r = bit_reader_of(bytes), one = r;
    r.bit = one.bit = MIN((uint64_t)from, r.end);
    bits_add_varbits(&r, got, n);
    for (size_t i = 0; i < n; i++) want[i] += (uint64_t)bits_take_varbit(&one);
    EXPECT_EQ(r.bad, one.bad);
    EXPECT_EQ(r.bit, one.bit);
    if (!r.bad) EXPECT_EQ(memcmp(got, want, sizeof(got)), 0);
}

TEST(bits_rows_of_varbits)
{
    static const int64_t sizes[] = { 0, 1, 5, 40, 300, 70000, INT64_C(1) << 40, INT64_MAX };
    struct prng r = { test_seed() };
    static uint8_t bytes[64 * 10 + BITS_SLACK];
    for (int round = 0; round < 4000; round++) {
        unsigned from = (unsigned)prng_below(&r, 8);
        size_t n = prng_below(&r, 65), most = prng_below(&r, ARRAY_LEN(sizes));
        bool rare = prng_below(&r, 2);
        memset(bytes, 0xff, sizeof(bytes));
        struct bits b = bits_resume(bytes, from);
        for (size_t i = 0; i < n; i++) {
            int64_t size = rare && prng_below(&r, 4) ? 0 : sizes[prng_below(&r, most + 1)];
            int64_t v = size ? (int64_t)(prng_u64(&r) % (uint64_t)size) + 1 : 0;
            bits_put_varbit(&b, prng_below(&r, 2) ? v : -v);
        }
        size_t whole = (size_t)((bits_count(&b, bytes) + 7) / 8);
        check_added(str_of(bytes, whole), from, n);
        check_added(str_of(bytes, sizeof(bytes)), from, n);
        str part = mem_str(str_of(bytes, prng_below(&r, whole + 1)));
        check_added(part, from, n);
        mem_free((void *)part.p);
    }
}

/* Each pattern of bits, followed by each of a few others: the table says what the codes say. */
TEST(bits_varbits_by_their_first_bits)
{
    for (uint32_t x = 0; x < 1u << 16; x++) {
        uint8_t bytes[24] = { (uint8_t)(x >> 8), (uint8_t)x, (uint8_t)(x * 37), 0x5b };
        for (size_t n = 1; n <= 13; n += 4) check_added(str_of(bytes, sizeof(bytes)), x % 3, n);
    }
}
