/* page_file_test.c — slots come back as they were written, within their share of the disk. */
#include "bucket/page_file.h"

#include "base/test.h"
#include "io/fs_sim.h"

enum { PAGE = 64 };

static bool put_one(struct page_file *f, uint32_t slot, str page)
{
    return page_file_put(f, slot, &page, 1);
}

TEST(slots_have_what_was_put)
{
    struct fs *disk = fs_sim_new(test_seed());
    struct page_file *f;
    struct err e = { 0 };
    uint8_t one[PAGE], two[PAGE / 2], got[PAGE];
    memset(one, 1, sizeof(one));
    memset(two, 2, sizeof(two));
    EXPECT_OK_E(page_file_open(&f, disk, S("pages"), PAGE, 3 * PAGE + 1, &e), &e);
    for (uint32_t i = 1; i <= 3; i++) EXPECT_EQ(page_file_take(f), i);
    EXPECT_EQ(page_file_take(f), 0);
    str row[] = { str_of(one, PAGE), str_of(two, sizeof(two)) };
    EXPECT(page_file_put(f, 2, row, 2));
    EXPECT(page_file_get(f, 2, got, PAGE) && memcmp(got, one, PAGE) == 0);
    EXPECT(page_file_get(f, 3, got, sizeof(two)) && memcmp(got, two, sizeof(two)) == 0);
    EXPECT(!page_file_get(f, 3, got, PAGE)); /* there is no more */
    page_file_give(f, 2);
    EXPECT_EQ(page_file_take(f), 2);
    page_file_close(f);
    EXPECT(!fs_exists(disk, S("pages")));
    fs_free(disk);
}

/* What a process left that was killed is overwritten. */
TEST(a_full_disk_is_left_alone)
{
    struct fs *disk = fs_sim_new(test_seed());
    struct page_file *f;
    struct err e = { 0 };
    uint8_t one[PAGE] = { 1 };
    EXPECT_OK_E(fs_write_cache(disk, S("pages"), S("of another process"), &e), &e);
    fs_sim_capacity(disk, fs_sim_used(disk) + 64 * PAGE);
    EXPECT_OK_E(page_file_open(&f, disk, S("pages"), PAGE, 1000 * PAGE, &e), &e);
    uint32_t n = 0;
    while (page_file_take(f)) n++;
    EXPECT(n >= 15 && n <= 17); /* a quarter of what is free */
    EXPECT(put_one(f, 1, str_of(one, PAGE)));
    EXPECT(!page_file_rests(f));
    fs_sim_capacity(disk, fs_sim_used(disk));
    EXPECT(!put_one(f, 16, str_of(one, PAGE)));
    EXPECT(page_file_rests(f));
    page_file_close(f);
    fs_free(disk);
}

TEST(a_folder_in_its_place_is_an_error)
{
    struct fs *disk = fs_sim_new(test_seed());
    struct page_file *f;
    struct err e = { 0 };
    EXPECT_OK_E(fs_mkdir(disk, S("pages"), &e), &e);
    EXPECT(page_file_open(&f, disk, S("pages"), PAGE, PAGE, &e) != OK);
    fs_free(disk);
}
