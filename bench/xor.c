/* xor.c — how fast XOR chunks are decoded and encoded: M samples/s per pattern, one core.
 *
 * Chunks of 120 samples, 2000 different ones a pattern (about what a query walks through). A
 * machine is seldom quiet: they are measured a hundred at a time, in many rounds over all patterns,
 * and of each hundred its best time counts.
 *
 *     bench_xor                 measures
 *     bench_xor --chunks FILE   writes the chunks, for other decoders to be measured on: patterns
 *     (u32 count, u32 length of the name, name,
 *                               then u32 length and bytes of each chunk), all little-endian; prints
 *                               ns a sample and a digest of the samples, a line a pattern
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "chunk/xor_lanes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 120, CHUNKS = 2000, GROUP = 100, GROUPS = CHUNKS / GROUP, ROUNDS = 150 };

enum shape { CONSTANT, BY_ONE, BY_HUNDRED, IDLE, DECIMALS, LARGE };
static const struct {
    const char *name;
    enum shape shape;
    int64_t jitter;
    double goal_decode, goal_encode;
} patterns[] = {
    { "constant, regular", CONSTANT, 0, 0, 0 },
    { "constant, 3 ms jitter", CONSTANT, 3, 0, 0 },
    { "counter by 1, regular", BY_ONE, 0, 200, 80 },
    { "counter by 0..100, regular", BY_HUNDRED, 0, 140, 60 },
    { "counter by 0..100, jitter", BY_HUNDRED, 3, 0, 0 },
    { "counter idle two thirds, jitter", IDLE, 3, 0, 0 },
    { "gauge of 3 decimals, jitter", DECIMALS, 3, 0, 0 },
    { "large random steps, jitter", LARGE, 10, 80, 40 },
};

enum { PATTERNS = ARRAY_LEN(patterns) };

static struct pattern {
    int64_t t[CHUNKS][SAMPLES];
    double v[CHUNKS][SAMPLES];
    uint8_t room[CHUNKS][XOR_ROOM(SAMPLES)];
    size_t size[CHUNKS];
    int64_t encode_ns[GROUPS], decode_ns[GROUPS], lanes_ns[GROUPS];
} all[PATTERNS];

static void make(struct pattern *p, enum shape shape, int64_t jitter)
{
    struct prng r = { 42 };
    for (size_t c = 0; c < CHUNKS; c++) {
        int64_t t = 1700000000000 + (int64_t)prng_below(&r, 15000);
        double v = (double)prng_below(&r, 1000000);
        for (size_t i = 0; i < SAMPLES; i++) {
            p->t[c][i] =
                t + (jitter ? (int64_t)prng_below(&r, 2 * (uint64_t)jitter + 1) - jitter : 0);
            p->v[c][i] = v;
            t += 15000;
            if (shape == BY_ONE) v += 1;
            if (shape == BY_HUNDRED) v += (double)prng_below(&r, 101);
            if (shape == IDLE && prng_below(&r, 3) == 0) v += (double)prng_below(&r, 100);
            if (shape == DECIMALS) v = (double)prng_below(&r, 100000) / 1000;
            if (shape == LARGE) v += (double)prng_below(&r, 1u << 30);
        }
    }
    for (size_t g = 0; g < GROUPS; g++)
        p->encode_ns[g] = p->decode_ns[g] = p->lanes_ns[g] = INT64_MAX;
}

/* A hundred chunks, as many side by side as there are lanes. All have others behind them. */
static void decode_lanes(struct pattern *p, size_t g)
{
    static int64_t t[XOR_LANES_CHUNKS][SAMPLES];
    static double v[XOR_LANES_CHUNKS][SAMPLES];
    for (size_t c = g * GROUP; c < (g + 1) * GROUP;) {
        struct xor_lane lanes[XOR_LANES_CHUNKS];
        size_t n = MIN((size_t)XOR_LANES_CHUNKS, (g + 1) * GROUP - c);
        for (size_t i = 0; i < n; i++, c++) {
            size_t behind = XOR_ROOM(SAMPLES) - p->size[c];
            lanes[i] = (struct xor_lane){ .behind = behind, .t = t[i], .v = v[i] };
            xor_iter_init(&lanes[i].it, str_of(p->room[c], p->size[c]));
        }
        xor_lanes_decode(lanes, n);
        for (size_t i = 0; i < n; i++)
            if (lanes[i].it.bad || lanes[i].it.i != SAMPLES) abort();
    }
}

static void measure(struct pattern *p)
{
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    for (size_t g = 0; g < GROUPS; g++) {
        size_t n = 0;
        int64_t t0 = clock_cpu_ns();
        for (size_t c = g * GROUP; c < (g + 1) * GROUP; c++)
            p->size[c] = xor_encode(p->room[c], p->t[c], p->v[c], SAMPLES);
        int64_t t1 = clock_cpu_ns();
        for (size_t c = g * GROUP; c < (g + 1) * GROUP; c++)
            if (xor_decode(str_of(p->room[c], p->size[c]), t, v, SAMPLES, &n, NULL) != OK ||
                n != SAMPLES)
                abort();
        int64_t t2 = clock_cpu_ns();
        decode_lanes(p, g);
        int64_t t3 = clock_cpu_ns();
        p->lanes_ns[g] = MIN(p->lanes_ns[g], t3 - t2);
        p->encode_ns[g] = MIN(p->encode_ns[g], t1 - t0);
        p->decode_ns[g] = MIN(p->decode_ns[g], t2 - t1);
    }
}

static double msamples(const int64_t *ns)
{
    int64_t sum = 0;
    for (size_t g = 0; g < GROUPS; g++) sum += ns[g];
    return (double)CHUNKS * SAMPLES * 1e3 / (double)sum;
}

static int report(void)
{
    int missed = 0;
    printf("%-34s %10s %10s %10s %10s\n", "pattern", "bytes", "decode", "in lanes", "encode");
    for (size_t i = 0; i < PATTERNS; i++) {
        size_t total = 0;
        for (size_t c = 0; c < CHUNKS; c++) total += all[i].size[c];
        double decode = msamples(all[i].decode_ns), encode = msamples(all[i].encode_ns);
        printf("%-34s %10.2f %8.0f M %8.0f M %8.0f M", patterns[i].name,
            (double)total / CHUNKS / SAMPLES, decode, msamples(all[i].lanes_ns), encode);
        if (patterns[i].goal_decode > 0)
            printf("   goal %.0f M, %.0f M", patterns[i].goal_decode, patterns[i].goal_encode);
        printf("\n");
        missed += decode < patterns[i].goal_decode || encode < patterns[i].goal_encode;
    }
    printf("%d goals missed\n", missed);
    return 0;
}

static void write_u32(FILE *f, size_t n)
{
    uint8_t b[4] = { (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24) };
    fwrite(b, 1, sizeof(b), f);
}

/* FNV-1a over t and v as eight little-endian bytes each, of the decoded samples. */
static uint64_t digest_of(struct pattern *p)
{
    static int64_t t[SAMPLES];
    static double v[SAMPLES];
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t c = 0; c < CHUNKS; c++) {
        size_t n = 0;
        if (xor_decode(str_of(p->room[c], p->size[c]), t, v, SAMPLES, &n, NULL) != OK) abort();
        for (size_t i = 0; i < n; i++) {
            uint64_t words[2] = { (uint64_t)t[i], f64_bits(v[i]) };
            for (unsigned k = 0; k < 128; k += 8)
                h = (h ^ (words[k / 64] >> k % 64 & 0xff)) * 0x100000001b3u;
        }
    }
    return h;
}

static int write_chunks(const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) { perror(path); return 1; }
    for (size_t i = 0; i < PATTERNS; i++) {
        str name = str_z(patterns[i].name);
        write_u32(f, CHUNKS);
        write_u32(f, name.n);
        fwrite(name.p, 1, name.n, f);
        for (size_t c = 0; c < CHUNKS; c++) {
            write_u32(f, all[i].size[c]);
            fwrite(all[i].room[c], 1, all[i].size[c], f);
        }
        printf("%s\t%.3f\t%016" PRIx64 "\n", patterns[i].name, 1e3 / msamples(all[i].decode_ns),
            digest_of(&all[i]));
    }
    if (fclose(f) != 0) { perror(path); return 1; }
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < PATTERNS; i++) make(&all[i], patterns[i].shape, patterns[i].jitter);
    for (int k = 0; k < ROUNDS; k++)
        for (size_t i = 0; i < PATTERNS; i++) measure(&all[i]);
    if (argc == 3 && strcmp(argv[1], "--chunks") == 0) return write_chunks(argv[2]);
    if (argc == 1) return report();
    fprintf(stderr, "usage: bench_xor [--chunks FILE]\n");
    return 2;
}
