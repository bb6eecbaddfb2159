/* head_memory.c — what a series costs: bytes by account and as RssAnon, over a fill of SERIES
 * series with ten labels by scrapes of pages of PAGE series; two thirds of the values move. Beside
 * it the CPU time of the appends (log left out) and of the recoding.
 *
 *     bench_head_memory [counter|decimal|float|mixed] [SERIES] [SAMPLES]
 */
#include "base/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "head/chunk_disk.h"
#include "head/head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 5000, LABELS = 10, STEP_MS = 15000 };
enum shape { COUNTER_SHAPE, DECIMAL_SHAPE, FLOAT_SHAPE, MIXED_SHAPE };

static const char *const shape_names[] = { "counter", "decimal", "float", "mixed" };

static int64_t rss_anon(void)
{
    char line[256];
    int64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return 0;
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "RssAnon: %" SCNd64, &kib) == 1) break;
    fclose(f);
    return kib * 1024;
}

/* Series i of a page: 50 metrics of 100 series each, as an exporter of requests has them. */
static struct labels labels_of(struct label *l, char (*text)[64], size_t page, size_t i)
{
    static const char *const names[LABELS] = { "__name__", "code", "cluster", "handler", "instance",
        "job", "le", "method", "pod", "zone" };
    size_t m = i / 100, k = i % 100;
    snprintf(text[0], 64, "http_request_something_%zu_total", m);
    snprintf(text[1], 64, "%zu", 200 + k % 5);
    snprintf(text[2], 64, "production-%zu", page % 4);
    snprintf(text[3], 64, "/api/v1/resource/%zu", k / 5);
    snprintf(text[4], 64, "10.0.%zu.%zu:9100", page / 250, page % 250);
    snprintf(text[5], 64, "service-%zu", page % 20);
    snprintf(text[6], 64, "%zu.5", m % 12);
    snprintf(text[7], 64, "%s", k % 2 ? "GET" : "POST");
    snprintf(text[8], 64, "service-%zu-%zx-%zu", page % 20, page * 2654435761u % 65536, i / 500);
    snprintf(text[9], 64, "europe-west%zu-%c", page % 3, (char)('a' + page % 3));
    static const size_t order[LABELS] = { 0, 2, 1, 3, 4, 5, 6, 7, 8, 9 };      /* sorted by name */
    for (size_t j = 0; j < LABELS; j++)
        l[j] = (struct label){ str_z(names[order[j]]), str_z(text[order[j]]) };
    return (struct labels){ l, LABELS };
}

static double move(struct prng *r, enum shape s, size_t i, double v)
{
    if (s == MIXED_SHAPE) s = (enum shape)(i / 3 % 3);
    switch (s) {
    case COUNTER_SHAPE: return v + (double)prng_below(r, 101);
    case DECIMAL_SHAPE: return (double)prng_below(r, 100000) / 1000;
    default: return v + prng_unit(r) - 0.5;
    }
}

static void print_accounts(size_t series)
{
    for (struct account *a = account_first(); a; a = a->next)
        if (account_bytes(a) > (int64_t)series)
            printf("    %-20s %8.1f\n", a->name, (double)account_bytes(a) / (double)series);
}

static void die(const struct err *e)
{
    fprintf(stderr, "%s\n", e->msg);
    exit(1);
}

static void write_sealed(struct head *h, size_t max)
{
    struct err e = { 0 };
    size_t n;
    if (head_write_sealed(h, max, &n, &e) != OK) die(&e);
}

static struct head *open_head(struct fs *fs, struct chunk_disk **disk)
{
    struct err e = { 0 };
    struct chunk_disk_opened what;
    struct head *h;
    if (chunk_disk_open(disk, &(struct chunk_disk_opts){ .fs = fs, .dir = S("chunks_head") }, NULL,
            NULL, &what, &e) != OK)
        die(&e);
    if (head_open(&h, &(struct head_opts){ .disk = *disk }, &e) != OK) die(&e);
    return h;
}

int main(int argc, char **argv)
{
    enum shape shape = MIXED_SHAPE;
    for (unsigned i = 0; argc > 1 && i < ARRAY_LEN(shape_names); i++)
        if (strcmp(argv[1], shape_names[i]) == 0) shape = (enum shape)i;
    size_t series = argc > 2 ? strtoul(argv[2], NULL, 10) : 500000,
           samples = argc > 3 ? strtoul(argv[3], NULL, 10) : 240;
    size_t pages = (series + PAGE - 1) / PAGE;
    struct err e = { 0 };
    struct prng r = { 1 };
    char dir[] = "/tmp/head_memory.XXXXXX";
    if (!mkdtemp(dir)) return 1;
    struct fs *fs = fs_real_new(str_z(dir));
    struct chunk_disk *disk;
    struct head *h = open_head(fs, &disk);

    double *v = mem_zalloc(series * sizeof(*v));
    series_handle *handles = mem_zalloc(series * sizeof(*handles));
    int64_t *t = mem_alloc_array(PAGE, sizeof(*t));
    uint8_t *results = mem_alloc_array(PAGE, 1);
    for (size_t i = 0; i < series; i++) v[i] = (double)prng_below(&r, 1000);
    memset(handles, 0, series * sizeof(*handles));
    int64_t before = rss_anon(), cpu_append = 0, cpu_create = 0, cpu_write = 0, peak = 0;
    double sum = 0, worst = 0;
    size_t readings = 0;
    for (size_t k = 0; k < samples; k++) {
        for (size_t p = 0; p < pages; p++) {
            size_t from = p * PAGE, n = series - from < PAGE ? series - from : PAGE;
            for (size_t i = 0; i < n; i++) {
                if (k && (from + i) % 3) v[from + i] = move(&r, shape, from + i, v[from + i]);
                t[i] = 1700000000000 + (int64_t)k * STEP_MS + (int64_t)(p * 137 % STEP_MS);
            }
            struct appender *a;
            int64_t t0 = clock_cpu_ns();
            if (head_appendable(h)->ops->begin(head_appendable(h), &a, &e) != OK) die(&e);
            for (size_t i = 0; k == 0 && i < n; i++) {
                struct label l[LABELS];
                char text[LABELS][64];
                if (a->ops->series(a, labels_of(l, text, p, i), &handles[from + i], &e) != OK)
                    die(&e);
            }
            if (a->ops->append_batch(a, handles + from, t, v + from, n, results, &e) != OK) die(&e);
            if (a->ops->commit(a, &e) != OK) die(&e);
            *(k ? &cpu_append : &cpu_create) += clock_cpu_ns() - t0;
            t0 = clock_cpu_ns();
            /* each second of a scrape interval of 15 */
            if (p % ((pages + 14) / 15) == 0) write_sealed(h, SIZE_MAX);
            cpu_write += clock_cpu_ns() - t0;
        }
        int64_t rss = rss_anon() - before;
        if (rss > peak) peak = rss;
        if (k + 1 != 150 && k + 1 != 180 && k + 1 != 210 && k + 1 != samples - 1) continue;
        double each = (double)rss / (double)series;
        printf("%4zu samples: RssAnon %7.1f B a series, accounts %7.1f\n", k + 1, each,
            (double)account_sum() / (double)series);
        sum += each;
        worst = each > worst ? each : worst;
        readings++;
    }
    print_accounts(series);
    double total = (double)series * (double)(samples - 1);
    printf("%s: mean %.1f, worst %.1f, peak %.1f B a series\n", shape_names[shape],
        sum / (double)(readings ? readings : 1), worst, (double)peak / (double)series);
    printf("append %.1f ns, recode and write %.1f ns a sample; create %.0f ns a series\n",
        (double)cpu_append / total, (double)cpu_write / total, (double)cpu_create / (double)series);
    head_close(h), chunk_disk_close(disk);
    if (fs_remove_tree(fs, S("chunks_head"), &e) != OK) fprintf(stderr, "%s\n", e.msg);
    fs_free(fs);
    return 0;
}
