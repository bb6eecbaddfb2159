/* crc32c.c — long texts are isa-l's, which folds blocks of them; below a few hundred bytes its
 * beginning and its end are most of its time, and the processor's own instruction is sooner done.
 * Texts one after the other overlap by themselves: what a step waits for, the next text does not.
 *
 * isa-l's code for AVX-512 leaves the upper halves of the vector registers as they are. Every SSE
 * instruction after that, which is all that the compiler makes of our code, then waits for what its
 * register held before: merging blocks took a third longer. So they are cleared behind it.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CRC32C_STEP = 1 << 30 };            /* the library counts in int */
enum { WORD = 8, SHORT_MAX = 256 };

/* States, not sums: of what came before, inverted. */

static uint32_t state_plain(uint32_t state, const uint8_t *at, size_t n)
{
    while (n > 0) {
        size_t step = MIN(n, (size_t)CRC32C_STEP);
        /* reads only, though it takes no const */
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)step, state);
        at += step;
        n -= step;
    }
    return state;
}

static uint32_t (*state_long)(uint32_t state, const uint8_t *at, size_t n) = state_plain;
static uint32_t (*state_best)(uint32_t state, const uint8_t *at, size_t n) = state_plain;

uint32_t crc32c(uint32_t crc, const void *p, size_t n) { return ~state_best(~crc, p, n); }

#if defined(__x86_64__)
#define WIDE __attribute__((target("sse4.2")))

__attribute__((target("avx"))) static uint32_t state_cleared(
    uint32_t state, const uint8_t *at, size_t n)
{
    state = state_plain(state, at, n);
    _mm256_zeroupper();
    return state;
}

WIDE static inline uint64_t word_at(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, WORD);
    return w;
}

/* The bytes that are no whole word come first, behind zeros, which change nothing where the state
 * is 0: for that, the state is put into the text, whose first four bytes it meets. So there is no
 * branch for them. */
WIDE static uint32_t state_wide(uint32_t state, const uint8_t *at, size_t n)
{
    const uint8_t *end = at + n;
    if (n > SHORT_MAX) return state_long(state, at, n);
    if (n < WORD) {
        while (at < end) state = _mm_crc32_u8(state, *at++);
        return state;
    }
    unsigned odd = 8 * (unsigned)(n % WORD);
    uint64_t first = (word_at(at) ^ state) << 1 << (63 - odd);
    at += n % WORD;
    uint64_t s = _mm_crc32_u64(_mm_crc32_u64(0, first), word_at(at) ^ (uint64_t)state >> odd);
    for (at += WORD; at < end; at += WORD) s = _mm_crc32_u64(s, word_at(at));
    return (uint32_t)s;
}
#endif

void crc32c_use_plain(bool plain)
{
    state_best = state_long = state_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx")) state_best = state_long = state_cleared;
    if (!plain && __builtin_cpu_supports("sse4.2")) state_best = state_wide;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void crc32c_choose(void) { crc32c_use_plain(false); }
