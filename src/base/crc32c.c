/* crc32c.c — long texts are isa-l's, which folds blocks of them; at a few hundred bytes its
 * beginning and its end are most of its time. Short ones go through the processor's own
 * instruction, and so do several at once: a step waits for the one before, three cycles for eight
 * bytes, so it is four texts at a time.
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
enum { TOGETHER = 4, WORD = 8, SHORT_MAX = 256 };

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

static void each_plain(uint32_t *out, const str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = ~state_long(UINT32_MAX, texts[i].p, texts[i].n);
}

static void (*each_best)(uint32_t *out, const str *texts, size_t n) = each_plain;

uint32_t crc32c(uint32_t crc, const void *p, size_t n) { return ~state_best(~crc, p, n); }
void crc32c_each(uint32_t *out, const str *texts, size_t n) { each_best(out, texts, n); }

#if defined(__x86_64__)
#define WIDE __attribute__((target("sse4.2")))

__attribute__((target("avx"))) static uint32_t state_cleared(
    uint32_t state, const uint8_t *at, size_t n)
{
    state = state_plain(state, at, n);
    _mm256_zeroupper();
    return state;
}

WIDE static inline uint64_t state_word(uint64_t state, const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, WORD);
    return _mm_crc32_u64(state, w);
}

WIDE static uint32_t state_wide(uint32_t state, const uint8_t *at, size_t n)
{
    if (n > SHORT_MAX) return state_long(state, at, n);
    uint64_t s = state;
    for (; n >= WORD; n -= WORD, at += WORD) s = state_word(s, at);
    for (; n > 0; n--, at++) s = _mm_crc32_u8((uint32_t)s, *at);
    return (uint32_t)s;
}

WIDE static void each_wide(uint32_t *out, const str *texts, size_t n)
{
    for (; n >= TOGETHER; n -= TOGETHER, texts += TOGETHER, out += TOGETHER) {
        const str *x = texts;
        size_t all = MIN(MIN(x[0].n, x[1].n), MIN(x[2].n, x[3].n)) / WORD * WORD;
        uint64_t s[TOGETHER] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
        for (size_t i = 0; i < all; i += WORD)
            for (size_t k = 0; k < TOGETHER; k++) s[k] = state_word(s[k], x[k].p + i);
        for (size_t k = 0; k < TOGETHER; k++)
            out[k] = ~state_wide((uint32_t)s[k], x[k].p + all, x[k].n - all);
    }
    for (size_t i = 0; i < n; i++) out[i] = ~state_wide(UINT32_MAX, texts[i].p, texts[i].n);
}
#endif

void crc32c_use_plain(bool plain)
{
    state_best = state_long = state_plain;
    each_best = each_plain;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx")) state_best = state_long = state_cleared;
    if (plain || !__builtin_cpu_supports("sse4.2")) return;
    state_best = state_wide;
    each_best = each_wide;
#else
    (void)plain;
#endif
}

__attribute__((constructor)) static void crc32c_choose(void) { crc32c_use_plain(false); }
