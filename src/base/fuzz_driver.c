/* The seeded driver of fuzz targets: runs a target where no fuzzer is linked, so that every build
 * and every compiler runs them.
 *
 * It takes libFuzzer's arguments, as far as they mean something here: -max_total_time=SECONDS,
 * -seed=N, -runs=N, and files and folders of seeds; the rest is ignored. Every seed runs as it is,
 * then mutations of seeds (and of nothing) until the time is over: bits flipped, bytes of interest,
 * cuts, repeats, and splices of two seeds. The same seed number gives the same inputs in the same
 * order.
 */
#include "base/clock.h"
#include "base/prng.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEEDS_MAX = 4096, INPUT_MAX = 1 << 16, RANDOM_MAX = 256, STEPS_MAX = 8 };

struct input { uint8_t *data; size_t size; };

static struct input seeds[SEEDS_MAX];
static size_t seed_count;
static uint8_t room[INPUT_MAX];
static uint64_t executed;

static void seed_add(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t n = fread(room, 1, sizeof(room), f);
    fclose(f);
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy || seed_count == SEEDS_MAX) {
        free(copy);
        return;
    }
    memcpy(copy, room, n);
    seeds[seed_count++] = (struct input){ copy, n };
}

static void seeds_add(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        seed_add(path);
        return;
    }
    for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
        char name[4096];
        if (d->d_name[0] == '.') continue;
        int n = snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
        if (n > 0 && (size_t)n < sizeof(name)) seed_add(name);
    }
    closedir(dir);
}

/* The target sees a block of exactly its size, so that a sanitizer notices one byte too far. */
static void execute(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) abort();
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    executed++;
}

static size_t below(struct prng *r, size_t n) { return (size_t)prng_below(r, n); }

static size_t mutate_once(struct prng *r, size_t n)
{
    static const uint8_t interest[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{', '}', '\\', ' ',
        '0' };
    size_t at = below(r, n), len = below(r, n - at) + (n > at), to;
    switch (below(r, 6)) {
    case 0:
        if (n) room[at] ^= (uint8_t)(1u << below(r, 8));
        return n;
    case 1:
        if (n) room[at] = interest[below(r, sizeof(interest))];
        return n;
    case 2:
        if (n) room[at] = (uint8_t)prng_u64(r);
        return n;
    case 3:
        return at;
    case 4:
        memmove(room + at, room + at + len, n - at - len);
        return n - len;
    default:
        to = below(r, n + 1);
        if (len > INPUT_MAX - n) return n;
        memmove(room + to + len, room + to, n - to);
        memmove(room + to, room + at, len);
        return n + len;
    }
}

static size_t splice(struct prng *r, size_t n)
{
    const struct input *other = &seeds[below(r, seed_count)];
    size_t keep = below(r, n + 1), from = below(r, other->size + 1), take = other->size - from;
    if (take > INPUT_MAX - keep) take = INPUT_MAX - keep;
    memcpy(room + keep, other->data + from, take);
    return keep + take;
}

static size_t mutation(struct prng *r)
{
    size_t n;
    if (seed_count && below(r, 16)) {
        const struct input *in = &seeds[below(r, seed_count)];
        n = in->size;
        memcpy(room, in->data, n);
        if (below(r, 4) == 0) n = splice(r, n);
    } else {
        n = below(r, RANDOM_MAX);
        for (size_t i = 0; i < n; i++) room[i] = (uint8_t)prng_u64(r);
    }
    for (size_t steps = 1 + below(r, STEPS_MAX); steps; steps--) n = mutate_once(r, n);
    return n;
}

static bool number_arg(const char *arg, const char *name, uint64_t *out)
{
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0) return false;
    *out = strtoull(arg + n, NULL, 10);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t seconds = 1, seed = 1, runs = UINT64_MAX;
    for (int i = 1; i < argc; i++) {
        if (number_arg(argv[i], "-max_total_time=", &seconds) ||
            number_arg(argv[i], "-seed=", &seed) || number_arg(argv[i], "-runs=", &runs) ||
            argv[i][0] == '-')
            continue;
        seeds_add(argv[i]);
    }
    struct prng r = { seed };
    execute(room, 0);
    for (size_t i = 0; i < seed_count; i++) execute(seeds[i].data, seeds[i].size);
    int64_t end = clock_mono_ns() + (int64_t)seconds * 1000000000;
    while (executed < runs && clock_mono_ns() < end) execute(room, mutation(&r));
    for (size_t i = 0; i < seed_count; i++) free(seeds[i].data);
    fprintf(stderr, "executed %" PRIu64 " inputs\n", executed);
    return 0;
}
