/* page_fuzz.c — any bytes as the pages of a segment: fragments are walked to an end, and what is
 * put into pages is read back. */
#include "wal/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint8_t room[FRAG_HEADER_BYTES + FRAG_MAX_BYTES];

static void walk(str file)
{
    struct frag f;
    size_t next;
    for (size_t at = 0; at < file.n; at = next) {
        enum frag_step step = frag_next(file, at, room, &f, &next, NULL);
        if (step == FRAG_STEP_END) return;
        assert(next > at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    walk(str_of(p, n));
    struct buf b;
    struct frag f;
    uint64_t off = 0;
    size_t got = 0, next = 0;
    buf_init(&b, NULL, 0);
    page_put(&b, &off, FRAG_SNAPPY, str_of(p, n), NULL);
    for (size_t at = 0; at < b.n; at = next) {
        enum frag_step step = frag_next(buf_view(&b), at, room, &f, &next, NULL);
        assert(step == FRAG_STEP_OK);
        if (f.type == FRAG_PAD) continue;
        assert(memcmp(f.data.p, p + got, f.data.n) == 0);
        got += f.data.n;
    }
    assert(got == n && off == b.n);
    buf_fini(&b);
    return 0;
}
