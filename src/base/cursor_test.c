/* cursor_test.c — reading and writing, mirrored: what buf writes cursor reads, and no prefix of it
 * is read past its end. */
#include "base/cursor.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/test.h"

enum kind { U8, BE16, BE32, BE64, LE32, LE64, UVARINT, VARINT, LENSTR, KINDS };
struct item { enum kind kind; uint64_t v; };

static void write_item(struct buf *b, struct item x)
{
    switch (x.kind) {
    case U8: buf_u8(b, (uint8_t)x.v); break;
    case BE16: buf_be16(b, (uint16_t)x.v); break;
    case BE32: buf_be32(b, (uint32_t)x.v); break;
    case BE64: buf_be64(b, x.v); break;
    case LE32: buf_le32(b, (uint32_t)x.v); break;
    case LE64: buf_le64(b, x.v); break;
    case UVARINT: buf_uvarint(b, x.v); break;
    case VARINT: buf_varint(b, (int64_t)x.v); break;
    case LENSTR: buf_lenstr(b, str_of(&x.v, x.v % 9)); break;
    case KINDS: break;
    }
}

/* Reads the same; true if it is what was written. */
static bool read_item(cursor *c, struct item x)
{
    switch (x.kind) {
    case U8: return cur_u8(c) == (uint8_t)x.v;
    case BE16: return cur_be16(c) == (uint16_t)x.v;
    case BE32: return cur_be32(c) == (uint32_t)x.v;
    case BE64: return cur_be64(c) == x.v;
    case LE32: return cur_le32(c) == (uint32_t)x.v;
    case LE64: return cur_le64(c) == x.v;
    case UVARINT: return (x.v % 3 ? cur_uvarint(c) : cur_uvarint_of_4(c)) == x.v;
    case VARINT: return cur_varint(c) == (int64_t)x.v;
    case LENSTR: return str_eq(cur_lenstr(c), str_of(&x.v, x.v % 9));
    case KINDS: break;
    }
    return false;
}

TEST(cursor_mirrors_buf_and_stops_at_the_end)
{
    enum { ROUNDS = 300, ITEMS = 20 };
    struct prng r = { test_seed() };
    for (size_t round = 0; round < ROUNDS; round++) {
        struct item items[ITEMS];
        struct buf b = { 0 };
        for (size_t i = 0; i < ITEMS; i++) {
            items[i] = (struct item){ (enum kind)prng_below(&r, KINDS),
                prng_u64(&r) >> prng_below(&r, 64) };
            write_item(&b, items[i]);
        }
        cursor c = cur_of(buf_view(&b));
        for (size_t i = 0; i < ITEMS; i++) EXPECT(read_item(&c, items[i]));
        EXPECT(cur_done(&c));
        /* in a block of its own, so that a sanitizer sees a step too far */
        for (size_t n = 0; n < b.n; n++) {
            str part = mem_str(str_slice(buf_view(&b), 0, n));
            c = cur_of(part);
            for (size_t i = 0; i < ITEMS; i++) (void)read_item(&c, items[i]);
            EXPECT(!cur_ok(&c) && cur_left(&c) == 0);
            EXPECT(cur_be64(&c) == 0 && cur_uvarint(&c) == 0 && cur_lenstr(&c).n == 0);
            mem_free((void *)(uintptr_t)part.p);
        }
        buf_fini(&b);
    }
}

TEST(cursor_varints)
{
    static const struct { const char *name; str bytes; bool ok; uint64_t want; } cases[] = {
        { "zero", S("\0"), true, 0 },
        { "two bytes", S("\x80\x01"), true, 128 },
        { "zeros behind", S("\x81\x00"), true, 1 },
        { "largest", S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, UINT64_MAX },
        { "tenth byte above one", S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), false, 0 },
        { "eleven bytes", S("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), false, 0 },
        { "cut", S("\xff"), false, 0 },
    };
    TEST_EACH(x, cases) {
        cursor c = cur_of(x->bytes);
        EXPECT(cur_uvarint(&c) == x->want);
        EXPECT_EQ(cur_ok(&c), x->ok);
        cursor of_4 = cur_of(x->bytes);
        EXPECT(cur_uvarint_of_4(&of_4) == x->want);
        EXPECT(of_4.p == c.p && of_4.bad == c.bad);
    }
}

TEST(cursor_lengths_that_lie)
{
    cursor c = cur_of(S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc"));
    EXPECT_EQ(cur_lenstr(&c).n, 0);
    EXPECT(!cur_ok(&c));
    c = cur_of(STR_EMPTY);
    EXPECT(cur_done(&c) && cur_rest(&c).n == 0);
    EXPECT_EQ(cur_u8(&c), 0);
    EXPECT(!cur_ok(&c));
}

ACCOUNT(buf_account, "test_buf")

TEST(buf_limit_is_sticky)
{
    struct buf b;
    buf_init(&b, &buf_account, 100);
    for (int i = 0; i < 12; i++) buf_be64(&b, 1);
    EXPECT(buf_ok(&b) && b.n == 96);
    buf_be64(&b, 1);
    EXPECT(!buf_ok(&b));
    /* would fit, but what follows a gap is worth nothing */
    buf_u8(&b, 1);
    buf_fmt(&b, "%d", 5);
    EXPECT(!buf_ok(&b) && b.n == 96);
    EXPECT_EQ(account_bytes(&buf_account), b.cap);
    buf_reset(&b);
    buf_fmt(&b, "%s=%d", "x", -5);
    buf_u64_text(&b, UINT64_MAX);
    buf_i64_text(&b, INT64_MIN);
    EXPECT_STR(buf_view(&b), S("x=-518446744073709551615-9223372036854775808"));
    buf_fini(&b);
    EXPECT_EQ(account_bytes(&buf_account), 0);
}
