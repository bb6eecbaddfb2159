/* blocks.c — makes blocks to measure with: COUNT of them, of two hours each, with SERIES series of
 * ten labels and a sample every 15 s. A third of the series are counters, a third gauges that move
 * by tenths or by bits, a third rests most of the time. Made anew they are the same but for their
 * ULIDs.
 *
 *     bench_blocks DIR SERIES COUNT
 */
#include "base/mem.h"
#include "base/prng.h"
#include "block/block_writer.h"
#include "chunk/chunk.h"
#include "chunk/xor.h"

#include <stdio.h>
#include <stdlib.h>

enum { LABELS = 10, PER_CHUNK = 120, CHUNKS = 4, STEP_MS = 15000, PAGE = 5000 };
#define START_MS ((int64_t)1700006400000)
#define BLOCK_MS ((int64_t)2 * 3600 * 1000)

struct made { struct label l[LABELS]; struct prng r; double v; int64_t offset; uint8_t kind; };

static void die(const struct err *e)
{
    fprintf(stderr, "blocks: %s\n", e->msg);
    exit(1);
}

/* Series i of a page: 50 metrics of 100 series each, as an exporter of requests has them. The job
 * of every series is x; one instance in 26 begins with an a. */
static void labels_make(struct made *m, struct arena *a, size_t i)
{
    size_t page = i / PAGE, metric = i % PAGE / 100, k = i % 100;
    char zone = (char)('a' + page % 3);
    str text[LABELS] = {
        arena_fmt(a, "http_request_something_%zu_total", metric),
        arena_fmt(a, "production-%zu", page % 4),
        arena_fmt(a, "%zu", 200 + k % 5),
        arena_fmt(a, "/api/v1/resource/%zu", k / 5),
        arena_fmt(a, "%c%zu.example:9100", (char)('a' + i % 26), i / 50),
        S("x"),
        arena_fmt(a, "%zu.5", metric % 12),
        k % 2 ? S("GET") : S("POST"),
        arena_fmt(a, "service-%zu-%zx-%zu", page % 20, page * 2654435761u % 65536, i % PAGE / 500),
        arena_fmt(a, "europe-west%zu-%c", page % 3, zone),
    };
    static const str names[LABELS] = { METRIC_NAME, S("cluster"), S("code"), S("handler"),
        S("instance"), S("job"), S("le"), S("method"), S("pod"), S("zone") };
    for (size_t j = 0; j < LABELS; j++) m->l[j] = (struct label){ names[j], text[j] };
    m->r.state = i;
    m->v = (double)prng_below(&m->r, 100000);
    m->offset = (int64_t)(i / 50 * 7919 % STEP_MS);
    m->kind = (uint8_t)(i % 6);
}

static double move(struct made *m)
{
    switch (m->kind) {
    case 0: return m->v += (double)prng_below(&m->r, 101);
    case 1: return m->v += (double)prng_below(&m->r, 8) * 1024;
    case 2: return m->v += ((double)prng_below(&m->r, 2001) - 1000) / 8;
    case 3: return prng_below(&m->r, 6) ? (m->v += prng_unit(&m->r) - 0.5) : m->v;
    default: return prng_below(&m->r, 40) ? m->v : (m->v += 1);
    }
}

static int made_cmp(const void *a, const void *b)
{
    const struct made *x = a, *y = b;
    return labels_cmp((struct labels){ x->l, LABELS }, (struct labels){ y->l, LABELS });
}

static int text_cmp(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void symbols_write(struct block_writer *w, const struct made *all, size_t n)
{
    struct err e = { 0 };
    str *texts = mem_alloc_array(2 * LABELS * n + 1, sizeof(*texts));
    size_t k = 0;
    texts[k++] = STR_EMPTY;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < LABELS; j++) {
            if (!i) texts[k++] = all[i].l[j].name;
            if (!i || !str_eq(all[i - 1].l[j].value, all[i].l[j].value))
                texts[k++] = all[i].l[j].value;
        }
    qsort(texts, k, sizeof(*texts), text_cmp);
    for (size_t i = 0; i < k; i++)
        if (!i || !str_eq(texts[i - 1], texts[i]))
            if (block_writer_symbol(w, texts[i], &e) != OK) die(&e);
    mem_free(texts);
}

static void series_write(struct block_writer *w, struct made *m, int64_t from)
{
    static uint8_t room[CHUNKS][XOR_ROOM(PER_CHUNK)];
    struct chunk_view views[CHUNKS];
    struct err e = { 0 };
    int64_t t = from + m->offset;
    for (size_t c = 0; c < CHUNKS; c++) {
        struct xor_app x;
        int64_t mint = t;
        xor_app_init(&x, room[c], sizeof(room[c]));
        for (size_t i = 0; i < PER_CHUNK; i++, t += STEP_MS)
            if (!xor_append(&x, t, move(m))) abort();
        views[c] = (struct chunk_view){ mint, t - STEP_MS, CHUNK_XOR, xor_app_bytes(&x) };
    }
    struct chunk_series s = { { m->l, LABELS }, views, CHUNKS, NULL };
    if (block_writer_series(w, &s, &e) != OK) die(&e);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    size_t n = strtoul(argv[2], NULL, 10), blocks = strtoul(argv[3], NULL, 10);
    struct made *all = mem_zalloc(n * sizeof(*all));
    struct arena a = { 0 };
    struct err e = { 0 };
    struct fs *fs = fs_real_new(str_z(argv[1]));
    for (size_t i = 0; i < n; i++) labels_make(&all[i], &a, i);
    qsort(all, n, sizeof(*all), made_cmp);
    for (size_t b = 0; b < blocks; b++) {
        int64_t from = START_MS + (int64_t)b * BLOCK_MS;
        ulid id = ulid_new();
        struct block_meta meta = { .id = id, .mint = from, .maxt = from + BLOCK_MS, .level = 1,
            .sources = &id, .n_sources = 1 };
        struct block_writer_opts o = { .fs = fs, .meta = &meta };
        struct block_writer *w;
        struct block_stats stats;
        if (block_writer_begin(&w, &o, &e) != OK) die(&e);
        symbols_write(w, all, n);
        for (size_t i = 0; i < n; i++) series_write(w, &all[i], from);
        if (block_writer_finish(w, &stats, &e) != OK) die(&e);
        printf("%s\n", ulid_text(id).z);
    }
    fs_free(fs);
    arena_fini(&a);
    mem_free(all);
    return 0;
}
