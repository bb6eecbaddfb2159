/* http_parts_test.c — a reader of whole lines that stops somewhere, and bodies cut into parts
 * anywhere. */
#include "io/http_parts.h"

#include "base/test.h"

struct reader { struct buf got; size_t stop; struct prng *r; };

/* Takes whole lines, sometimes not all there are; at `stop` bytes it has enough. */
static size_t read_lines(void *ctx, const uint8_t *p, size_t n)
{
    struct reader *r = ctx;
    if (r->got.n >= r->stop) return HTTP_PART_END;
    size_t used = 0;
    for (size_t i = 0; i < n && r->got.n + used < r->stop; i++)
        if (p[i] == '\n' && prng_below(r->r, 50)) used = i + 1;
    buf_bytes(&r->got, p, used);
    return used;
}

TEST(http_parts_keeps_every_byte_once)
{
    struct prng r = { test_seed() };
    for (unsigned round = 0; round < 400; round++) {
        struct buf body = { 0 }, kept = { 0 };
        for (size_t n = prng_below(&r, 60000), line = 1; body.n < n; line++)
            buf_u8(
                &body, prng_below(&r, 1 + prng_below(&r, 300)) ? (uint8_t)('a' + line % 26) : '\n');
        struct reader reader = { .stop = prng_below(&r, 2) ? SIZE_MAX : prng_below(&r, 60000),
            .r = &r };
        struct http_parts f = { .show = read_lines, .ctx = &reader };
        for (size_t at = 0; at < body.n;) {
            size_t part = 1 + prng_below(&r, 1 + prng_below(&r, 20000)), n = MIN(part, body.n - at),
                   used = 0;
            bool was_over = f.over;
            if (!was_over) used = http_parts_follow(&f, body.p + at, n);
            EXPECT(used == n || (used < n && f.over));
            if (f.over && !was_over) buf_str(&kept, buf_view(&f.rest));
            buf_bytes(&kept, body.p + at + used, n - used);
            at += n;
        }
        if (!f.over) buf_str(&kept, buf_view(&f.rest));
        EXPECT_EQ(f.taken, reader.got.n);
        buf_str(&reader.got, buf_view(&kept));
        EXPECT_STR(buf_view(&reader.got), buf_view(&body));
        buf_fini(&body);
        buf_fini(&kept);
        buf_fini(&reader.got);
        buf_fini(&f.rest);
    }
}
