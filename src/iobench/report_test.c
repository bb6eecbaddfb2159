/* report_test.c — what is recommended follows from the figures. */
#include "iobench/report.h"

#include "base/test.h"

static void add_read(struct lab *l, const char *what, const char *how, double value, double cpu_us)
{
    lab_add(l, LAB_READS, what, how, "reads/s", value);
    lab_last(l)->cpu_us = cpu_us;
}

TEST(lab_recommends_by_figures)
{
    static const struct {
        const char *name;
        bool remote;
        uint64_t blocks, memory;
        double direct, fault_p50;
        const char *want;
    } cases[] = {
        { "it fits", false, 1000, 4000, 3, 100,
            "index=mmap,chunks=mmap,head=mmap,header=buffered" },
        { "more than memory", false, 3000, 4000, 3, 100,
            "index=mmap,chunks=direct,head=mmap,header=buffered" },
        { "direct is no faster", false, 3000, 4000, 1.1, 100,
            "index=mmap,chunks=mmap,head=mmap,header=buffered" },
        { "a slow disk", false, 1000, 4000, 1, 30000,
            "index=buffered,chunks=buffered,head=buffered,header=buffered" },
        { "far away", true, 3000, 4000, 3, 100,
            "index=buffered,chunks=buffered,head=buffered,header=buffered" },
    };
    TEST_EACH (c, cases) {
        SCOPED(buf_fini) struct buf flag = { 0 };
        struct lab_advice advice[LAB_ADVICE_MAX];
        struct lab l = {
            .remote = c->remote, .blocks_bytes = c->blocks, .memory_bytes = c->memory
        };
        add_read(&l, "random 4 KiB, 32 in flight, cold, 1 thread", "mmap", 1000, 10);
        add_read(&l, "random 4 KiB, 32 in flight, cold, 1 thread", "direct", 1000 * c->direct, 3);
        add_read(&l, "random 4 KiB, cached, 1 thread", "mmap", 1e6, 1);
        add_read(&l, "random 4 KiB, cached, 1 thread", "buffered", 1e6, 1.2);
        lab_add(&l, LAB_COSTS, "page fault, major", "mapped file, cold", "us", 80);
        lab_last(&l)->p50_us = c->fault_p50;
        EXPECT(lab_direct_ratio(&l) == c->direct);
        EXPECT(lab_cached_ratio(&l) == 1.2);
        report_flag(&flag, advice, lab_advise(&l, advice));
        EXPECT_STR(buf_view(&flag), str_z(c->want));
        lab_fini(&l);
    }
}

/* Every line of it fits the terminal. */
TEST(report_fits_a_narrow_terminal)
{
    enum { COLUMNS = 40 };
    SCOPED(buf_fini) struct buf table = { 0 };
    struct lab l = { .kernel = "Linux 6.1", .cores = 2, .file_system = "ext4", .limited_by = "it" };
    add_read(&l, "random 4 KiB, 32 in flight, less memory than data, 16 threads", "mmap", 12345678,
        1234.5);
    lab_last(&l)->p50_us = 1234.5;
    lab_last(&l)->p99_us = 123456.7;
    lab_add(&l, LAB_MAPS, "map it", "MAP_PRIVATE file, copy on write", "ns", 123456);
    lab_note(&l, "%s", "words that are more than one line of so few columns can hold");
    report_table(&table, &l, COLUMNS);
    for (str rest = buf_view(&table), line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        EXPECT(line.n < COLUMNS);
    }
    lab_fini(&l);
}
