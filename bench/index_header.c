/* index_header.c — what a store-gateway pays for the index of a large block, and for many blocks.
 *
 * A block of SERIES series of ten labels (one of them with a value of its own for each fifth
 * series, so that both tables are long) lies in a bucket that is a folder:
 *   - its index-header is built: bytes read beyond the tables, against the block's bytes
 *     (goal: 2 %)
 *   - it is opened from the local disk by the first query, in fresh gateways; the middle of TURNS
 *     (goal: 50 ms)
 *   - bytes that stay in memory while it is open, against the index's (goal: 1 %)
 *   - a bucket of BLOCKS blocks: from the start until queries are answered, with an empty data
 *     folder and with what the first run left there (goal: 2 s, none of them opened)
 *
 *     bench_index_header [SERIES [BLOCKS]]
 */
#include "base/clock.h"
#include "base/mem.h"
#include "block/block_writer.h"
#include "bucket/bucket_config.h"
#include "bucket/gateway.h"
#include "bucket/index_header.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"

#include <stdio.h>
#include <stdlib.h>

enum { LABELS = 10, INSTANCES = 2000, SAMPLES = 120, STEP_MS = 15000, TURNS = 9 };
#define START_MS ((int64_t)1700006400000)
#define FOLDER "build/bench_index_header"
static int missed;

static void must(errc rc, const struct err *e)
{
    if (rc == OK) return;
    fprintf(stderr, "index_header: %s\n", e->msg);
    exit(1);
}

static void goal(const char *what, double v, const char *unit, double most)
{
    printf("%-52s %10.3f %-3s goal %6.2f   %s\n", what, v, unit, most,
        v <= most ? "met" : "not met");
    missed += v > most;
}

/* ---- blocks */

/* The labels of series i, in the order of i. */
static struct labels labels_of(size_t i, struct label l[LABELS], struct arena *a)
{
    static const str names[LABELS] = { METRIC_NAME, S("cluster"), S("container"), S("id"),
        S("instance"), S("job"), S("namespace"), S("node"), S("pod"), S("zone") };
    size_t metric = i / INSTANCES, k = i % INSTANCES;
    const str values[LABELS] = { arena_fmt(a, "service_requests_of_kind_%05zu_total", metric),
        S("production"), S("main"), arena_fmt(a, "/kubepods/%016zx", i / 5),
        arena_fmt(a, "host-%05zu.example:9100", k), arena_fmt(a, "job-%02zu", metric % 40),
        arena_fmt(a, "team-%03zu", k % 100), arena_fmt(a, "node-%04zu", k / 4),
        arena_fmt(a, "service-%03zu-%05zu", k % 100, k), arena_fmt(a, "zone-%zu", k % 3) };
    for (size_t j = 0; j < LABELS; j++) l[j] = (struct label){ names[j], values[j] };
    return (struct labels){ l, LABELS };
}

static int text_cmp(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void symbols_write(struct block_writer *w, size_t n)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str_list all = { 0 };
    struct label l[LABELS];
    struct err e = { 0 };
    vec_push(&all, STR_EMPTY);
    for (size_t i = 0; i < n; i++) {
        if (i > INSTANCES && i % 5 && i % INSTANCES) continue; /* nothing new */
        labels_of(i, l, &a);
        for (size_t j = 0; j < LABELS; j++) {
            vec_push(&all, l[j].name);
            vec_push(&all, l[j].value);
        }
    }
    qsort(all.at, all.n, sizeof(*all.at), text_cmp);
    for (size_t i = 0; i < all.n; i++)
        if (!i || !str_eq(all.at[i - 1], all.at[i]))
            must(block_writer_symbol(w, all.at[i], &e), &e);
    vec_fini(&all);
}

static ulid block_make(struct fs *fs, size_t series, int64_t from)
{
    static uint8_t room[XOR_ROOM(SAMPLES)];
    struct err e = { 0 };
    struct block_writer *w;
    struct block_stats stats;
    struct xor_app x;
    ulid id = ulid_new();
    struct block_meta meta = { .id = id, .mint = from, .maxt = from + SAMPLES * STEP_MS,
        .level = 1, .sources = &id, .n_sources = 1 };
    xor_app_init(&x, room, sizeof(room));
    for (int i = 0; i < SAMPLES; i++)
        if (!xor_append(&x, from + (int64_t)i * STEP_MS, i / 8)) abort();
    struct chunk_view chunk = { from, meta.maxt - STEP_MS, CHUNK_XOR, xor_app_bytes(&x) };
    struct block_writer_opts o = { .fs = fs, .meta = &meta };
    must(block_writer_begin(&w, &o, &e), &e);
    symbols_write(w, series);
    for (size_t i = 0; i < series; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct label l[LABELS];
        struct chunk_series s = { labels_of(i, l, &a), &chunk, 1, NULL };
        must(block_writer_series(w, &s, &e), &e);
    }
    must(block_writer_finish(w, &stats, &e), &e);
    return id;
}

static uint64_t size_of(struct fs *fs, ulid id, const char *rel)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct fs_stat st;
    must(fs_stat(fs, arena_fmt(&a, "%s/%s", ulid_text(id).z, rel), &st, &e), &e);
    return st.size_bytes;
}

/* ---- gateways */

struct place { struct bucket *bucket; struct fs *blocks, *data; };

static void place_open(struct place *p, const char *blocks, const char *data)
{
    struct bucket_config c = { .kind = BUCKET_FILESYSTEM, .directory = str_z(blocks) };
    struct err e = { 0 };
    p->blocks = fs_real_new(str_z(blocks));
    p->data = fs_real_new(str_z(data));
    must(fs_mkdir(p->blocks, STR_EMPTY, &e), &e);
    must(bucket_open(&p->bucket, &c, &e), &e);
}

static void place_close(struct place *p)
{
    bucket_close(p->bucket);
    fs_free(p->blocks);
    fs_free(p->data);
}

/* Seconds from the start until queries are answered. */
static double ready_s(const struct place *p, struct gateway **out)
{
    struct err e = { 0 };
    struct gateway_opts o = { .bucket = p->bucket, .fs = p->data, .backend = IO_BUFFERED };
    int64_t began = clock_mono_ns();
    must(gateway_open(out, &o, &e), &e);
    while (!gateway_ready(*out)) clock_sleep_ns(200000);
    return (double)(clock_mono_ns() - began) / 1e9;
}

/* Milliseconds of a first question, for which the block is opened. */
static double opened_ms(struct gateway *g)
{
    struct queryable *from = gateway_queryable(g);
    struct querier *q;
    str_list names = { 0 };
    bool truncated;
    struct err e = { 0 };
    int64_t began = clock_mono_ns();
    must(from->ops->querier(from, START_MS, START_MS + 1, &q, &e), &e);
    must(q->ops->label_names(q, (struct matchers){ 0 }, 0, &names, &truncated, &e), &e);
    double ms = (double)(clock_mono_ns() - began) / 1e6;
    if (names.n != LABELS) abort();
    querier_free(q);
    vec_fini(&names);
    return ms;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void one_block(size_t series)
{
    struct place p;
    struct header_built built;
    struct err e = { 0 };
    double ms[TURNS], kept = 0;
    place_open(&p, FOLDER "/one", FOLDER "/one-data");
    ulid id = block_make(p.blocks, series, START_MS);
    uint64_t index = size_of(p.blocks, id, "index"),
             block = index + size_of(p.blocks, id, "chunks/000001");
    must(fs_mkdir(p.data, STR_EMPTY, &e), &e);
    must(index_header_build(p.bucket, id, 0, p.data, str_z(ulid_text(id).z), &built, NULL, &e), &e);
    printf("%zu series: index %.1f MiB, block %.1f MiB, index-header %.1f MiB\n", series,
        (double)index / 1048576, (double)block / 1048576, (double)built.header_bytes / 1048576);
    uint64_t needed = built.header_bytes - 34; /* all but the header's own head and TOC */
    goal("built: bytes read beyond the tables, of the block",
        100.0 * (double)(built.read_bytes - MIN(needed, built.read_bytes)) / (double)block, "%", 2);
    for (int i = 0; i < TURNS; i++) {
        struct gateway *g;
        int64_t before = account_sum();
        ready_s(&p, &g);
        ms[i] = opened_ms(g);
        kept = (double)(account_sum() - before);
        gateway_close(g);
    }
    qsort(ms, TURNS, sizeof(*ms), by_value);
    printf("opened: fastest %.1f, slowest %.1f ms\n", ms[0], ms[TURNS - 1]);
    goal("opened from the local disk, the middle", ms[TURNS / 2], "ms", 50);
    goal("in memory while open, of the index", 100 * kept / (double)index, "%", 1);
    place_close(&p);
}

static void many_blocks(size_t blocks)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct place p;
    struct gateway_info info;
    place_open(&p, FOLDER "/many", FOLDER "/many-data");
    for (size_t i = 0; i < blocks; i++)
        block_make(p.blocks, 5, START_MS + (int64_t)i * SAMPLES * STEP_MS);
    static const char *const what[] = { "start to ready, an empty data folder",
        "start to ready, the second time" };
    for (size_t i = 0; i < ARRAY_LEN(what); i++) {
        struct gateway *g;
        double s = ready_s(&p, &g);
        gateway_info(g, &a, &info);
        printf("%zu blocks of the bucket, %zu of them opened\n", info.blocks, info.loaded);
        goal(what[i], s, "s", 2);
        missed += info.blocks != blocks || info.loaded;
        gateway_close(g);
    }
    place_close(&p);
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t blocks = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    struct err e = { 0 };
    struct fs *fs = fs_real_new(S("build"));
    must(fs_remove_tree(fs, S("bench_index_header"), &e), &e);
    must(fs_mkdir(fs, S("bench_index_header"), &e), &e);
    one_block(series);
    many_blocks(blocks);
    must(fs_remove_tree(fs, S("bench_index_header"), &e), &e);
    fs_free(fs);
    printf("%d goals missed\n", missed);
    return 0;
}
