/* lab_test.c — a small laboratory runs, and says the same in all its forms. */
#include "iobench/report.h"

#include "base/test.h"
#include "base/test_vectors.h"
#include "io/test_tree.h"

#include <stdio.h>

static size_t told;
static void tell(void *ctx, str what, uint64_t done, uint64_t total)
{
    (void)ctx;
    EXPECT(what.n && done < total);
    told++;
}

static const char *const charts[] = { "getpid, a system call", "page fault",
    "4 KiB of a cached file, the call alone",
    "map 64 MiB and touch all of it, a 4 KiB page", "random 4 KiB, cached, 1 thread",
    "random 4 KiB, 32 in flight, cold, 1 thread",
    "sparse, 4 KiB in 64, less memory than data, 1 thread",
    "4 KiB, less memory than data, the call alone", "query, one series, cold" };

TEST_SHARED(lab_measures_and_reports)
{
    struct progress p = { tell, NULL };
    struct fs *golden = tree_golden("blocks/floats", 1), *real = fs_real_new(str_z(test_tmpdir()));
    tree_copy(real, golden, STR_EMPTY);
    struct lab_opts o = { .dir = str_z(test_tmpdir()),
        .file_bytes = 16 << 20,
        .memory_limit = (uint64_t)512 << 20,   /* sanitizers keep what was freed */
        .slice_ns = 2000000,
        .progress = &p };
    struct lab l;
    struct err e = { 0 };
    EXPECT_OK_E(lab_run(&l, &o, &e), &e);
    EXPECT_EQ(l.steps_done, l.steps);
    EXPECT_EQ(told, l.steps);
    EXPECT(l.blocks_bytes > 0);
    EXPECT(!fs_exists(real, S(LAB_FILE)) && !fs_exists(real, S(LAB_HOLE)));
    SCOPED(buf_fini) struct buf table = { 0 };
    SCOPED(buf_fini) struct buf json = { 0 };
    SCOPED(buf_fini) struct buf page = { 0 };
    report_table(&table, &l, 0);
    report_json(&json, &l);
    report_html(&page, &l);
    for (size_t i = 0; i < ARRAY_LEN(charts); i++) {
        EXPECT(str_find(buf_view(&table), str_z(charts[i])) != SIZE_MAX);
        EXPECT(str_find(buf_view(&json), str_z(charts[i])) != SIZE_MAX);
        EXPECT(str_find(buf_view(&page), str_z(charts[i])) != SIZE_MAX);
    }
    for (size_t i = 0; i < l.rows.n; i++) EXPECT(l.rows.at[i].value > 0);
    char most[LAB_WHAT_MAX];
    snprintf(most, sizeof(most), "sparse, 4 KiB in 64, cold, %u threads", l.threads);
    EXPECT(l.threads > 1 && lab_find(&l, most, "direct"));
    EXPECT_EQ(str_find(buf_view(&table), S("was not cached")), SIZE_MAX);
    json_t *j = json_loadb((const char *)json.p, json.n, 0, NULL);
    EXPECT(j);
    EXPECT_EQ(json_array_size(json_object_get(j, "rows")), l.rows.n);
    EXPECT_EQ(json_array_size(json_object_get(json_object_get(j, "recommendation"), "reasons")), 4);
    json_decref(j);
    /* one page that asks for nothing else */
    EXPECT_EQ(str_find(buf_view(&page), S("http")), SIZE_MAX);
    EXPECT_EQ(str_find(buf_view(&page), S("<script")), SIZE_MAX);
    lab_fini(&l);
    fs_free(golden);
    fs_free(real);
}
