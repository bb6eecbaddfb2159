/* xor_fuzz.c — any bytes as an XOR chunk: decoding ends in OK or ERR_CORRUPT, the same in both
 * builds of the loops, and what decodes is encoded and decoded to itself. */
#include "chunk/chunk.h"
#include "chunk/xor_lanes.h"

enum { ROOM = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Sixteen of them side by side. */
static void lanes_as_alone(str chunk, const int64_t *t, const double *v, size_t n)
{
    static int64_t lt[XOR_LANES][ROOM];
    static double lv[XOR_LANES][ROOM];
    struct xor_lane lanes[XOR_LANES];
    for (size_t i = 0; i < XOR_LANES; i++) {
        lanes[i] = (struct xor_lane){ .t = lt[i], .v = lv[i] };
        xor_iter_init(&lanes[i].it, chunk);
    }
    xor_lanes_decode(lanes, XOR_LANES);
    for (size_t i = 0; i < XOR_LANES; i++) {
        assert(!lanes[i].it.bad && lanes[i].it.i == n);
        assert(memcmp(lt[i], t, n * sizeof(*t)) == 0 && memcmp(lv[i], v, n * sizeof(*v)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static int64_t t[ROOM], t2[ROOM];
    static double v[ROOM], v2[ROOM];
    static uint8_t bytes[XOR_ROOM(ROOM)];
    size_t got, again;
    errc rc = chunk_check(CHUNK_XOR, str_of(p, n), NULL);
    xor_use_plain(true);
    errc plain = xor_decode(str_of(p, n), t2, v2, ROOM, &again, NULL);
    xor_use_plain(false);
    errc best = xor_decode(str_of(p, n), t, v, ROOM, &got, NULL);
    assert(best == plain);
    if (best != OK) return 0;
    assert(rc == OK && again == got);
    assert(memcmp(t, t2, got * sizeof(*t)) == 0 && memcmp(v, v2, got * sizeof(*v)) == 0);
    lanes_as_alone(str_of(p, n), t, v, got);
    size_t len = xor_encode(bytes, t, v, got);
    errc rc2 = xor_decode(str_of(bytes, len), t2, v2, ROOM, &again, NULL);
    assert(rc2 == OK && again == got);
    assert(memcmp(t, t2, got * sizeof(*t)) == 0 && memcmp(v, v2, got * sizeof(*v)) == 0);
    return 0;
}
