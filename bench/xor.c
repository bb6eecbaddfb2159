/* xor.c — how fast XOR chunks are decoded and encoded: M samples/s per pattern, one core.
 *
 * Chunks of 120 samples, 2000 different ones a pattern (about what a query walks through); the best of several rounds counts.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "chunk/xor.h"

#include <stdio.h>

enum { SAMPLES = 120, CHUNKS = 2000, ROUNDS = 15 };

static int64_t t_in[CHUNKS][SAMPLES], t_out[SAMPLES];
static double v_in[CHUNKS][SAMPLES], v_out[SAMPLES];
static uint8_t room[CHUNKS][XOR_ROOM(SAMPLES)];
static size_t size[CHUNKS];

enum shape { CONSTANT, BY_ONE, BY_HUNDRED, IDLE, DECIMALS, LARGE };
static const struct { const char *name; enum shape shape; int64_t jitter; double goal_decode, goal_encode; } patterns[] = {
    { "constant, regular", CONSTANT, 0, 0, 0 },
    { "constant, 3 ms jitter", CONSTANT, 3, 0, 0 },
    { "counter by 1, regular", BY_ONE, 0, 200, 80 },
    { "counter by 0..100, regular", BY_HUNDRED, 0, 140, 60 },
    { "counter by 0..100, jitter", BY_HUNDRED, 3, 0, 0 },
    { "counter idle two thirds, jitter", IDLE, 3, 0, 0 },
    { "gauge of 3 decimals, jitter", DECIMALS, 3, 0, 0 },
    { "large random steps, jitter", LARGE, 10, 80, 40 },
};

static void make(enum shape shape, int64_t jitter)
{
    struct prng r = { 42 };
    for (size_t c = 0; c < CHUNKS; c++) {
        int64_t t = 1700000000000 + (int64_t)prng_below(&r, 15000);
        double v = (double)prng_below(&r, 1000000);
        for (size_t i = 0; i < SAMPLES; i++) {
            t_in[c][i] = t + (jitter ? (int64_t)prng_below(&r, 2 * (uint64_t)jitter + 1) - jitter : 0);
            v_in[c][i] = v;
            t += 15000;
            if (shape == BY_ONE) v += 1;
            if (shape == BY_HUNDRED) v += (double)prng_below(&r, 101);
            if (shape == IDLE && prng_below(&r, 3) == 0) v += (double)prng_below(&r, 100);
            if (shape == DECIMALS) v = (double)prng_below(&r, 100000) / 1000;
            if (shape == LARGE) v += (double)prng_below(&r, 1u << 30);
        }
    }
}

int main(void)
{
    printf("%-34s %10s %10s %10s\n", "pattern", "bytes", "decode", "encode");
    int missed = 0;
    for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
        make(patterns[p].shape, patterns[p].jitter);
        int64_t enc = INT64_MAX, dec = INT64_MAX;
        size_t total = 0, n = 0;
        for (int k = 0; k < ROUNDS; k++) {
            int64_t t0 = clock_cpu_ns();
            for (size_t c = 0; c < CHUNKS; c++) size[c] = xor_encode(room[c], t_in[c], v_in[c], SAMPLES);
            int64_t t1 = clock_cpu_ns();
            for (size_t c = 0; c < CHUNKS; c++)
                if (xor_decode(str_of(room[c], size[c]), t_out, v_out, SAMPLES, &n, NULL) != OK || n != SAMPLES) return 1;
            int64_t t2 = clock_cpu_ns();
            enc = MIN(enc, t1 - t0);
            dec = MIN(dec, t2 - t1);
        }
        for (size_t c = 0; c < CHUNKS; c++) total += size[c];
        double all = (double)CHUNKS * SAMPLES, mdec = all * 1e3 / (double)dec, menc = all * 1e3 / (double)enc;
        printf("%-34s %10.2f %8.0f M %8.0f M", patterns[p].name, (double)total / all, mdec, menc);
        if (patterns[p].goal_decode > 0) printf("   goal %.0f M, %.0f M", patterns[p].goal_decode, patterns[p].goal_encode);
        printf("\n");
        missed += mdec < patterns[p].goal_decode || menc < patterns[p].goal_encode;
    }
    printf("%d goals missed\n", missed);
    return 0;
}
