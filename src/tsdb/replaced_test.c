/* replaced_test.c — which blocks were replaced, as a file tells. */
#include "tsdb/replaced.h"

#include "base/test.h"
#include "io/fs_sim.h"

static void note(struct fs *fs, struct block_meta *m, unsigned level, const ulid *sources, size_t n)
{
    const struct block_meta *one = m;
    *m = (struct block_meta){
        .id = ulid_new(), .level = level, .sources = sources, .n_sources = n
    };
    EXPECT_OK(replaced_note(fs, &one, 1, NULL));
}

TEST(replaced_blocks_are_read_again)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    const ulid sources[] = { ulid_new(), ulid_new(), ulid_new() };
    struct block_meta x, y;
    replaced_list all = { 0 };
    EXPECT_OK(replaced_note(fs, NULL, 0, NULL));
    EXPECT(!fs_exists(fs, REPLACED_FILE));
    EXPECT_OK(replaced_read(&all, fs, REPLACED_FILE, &a, NULL));
    EXPECT_EQ(all.n, 0);
    note(fs, &x, 3, sources, ARRAY_LEN(sources));
    note(fs, &y, 1, NULL, 0);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    EXPECT_OK(replaced_read(&all, fs, REPLACED_FILE, &a, NULL));
    EXPECT_EQ(all.n, 2);
    EXPECT(ulid_eq(all.at[0].id, x.id) && ulid_eq(all.at[1].id, y.id));
    EXPECT_EQ(all.at[0].level, 3);
    EXPECT_EQ(all.at[0].n_sources, ARRAY_LEN(sources));
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        EXPECT(ulid_eq(all.at[0].sources[i], sources[i]));
    EXPECT_EQ(all.at[1].n_sources, 0);
    struct block_meta part = { .level = 2, .sources = sources + 1, .n_sources = 2 };
    EXPECT(replaced_by(&all.at[0], &part));
    EXPECT(!replaced_by(&part, &all.at[0]) && !replaced_by(&all.at[0], &all.at[1]));
    vec_fini(&all);
    fs_free(fs);
}

TEST(replaced_lines_without_sense_are_left_out)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    static const char *const lines[] = { "", "x", "01M842GFD6TK773BG0P362PMJE",
        "01M842GFD6TK773BG0P362PMJE 4294967296", "01M842GFD6TK773BG0P362PMJE 1 ?",
        "01M842GFD6TK773BG0P362PMJE 1 01M842GFD6TK773BG0P362PMJE 01M842GFD6TK773BG0P362PMJ",
        "01M842GFD6TK773BG0P362PMJE 1 01M842GFD6TK773BG0P362PMJE" };
    struct fs *fs = fs_sim_new(test_seed());
    replaced_list all = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) buf_fmt(&text, "%s\n", lines[i]);
    EXPECT_OK(fs_write_durable(fs, REPLACED_FILE, buf_view(&text), NULL));
    EXPECT_OK(replaced_read(&all, fs, REPLACED_FILE, &a, NULL));
    EXPECT_EQ(all.n, 1);
    vec_fini(&all);
    fs_free(fs);
}

TEST(replaced_notes_begin_a_line)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    struct block_meta m;
    replaced_list all = { 0 };
    EXPECT_OK(
        fs_write_durable(fs, REPLACED_FILE, S("01M842GFD6TK773BG0P362PMJE 1"), NULL));
    note(fs, &m, 2, NULL, 0);
    EXPECT_OK(replaced_read(&all, fs, REPLACED_FILE, &a, NULL));
    EXPECT_EQ(all.n, 2);
    EXPECT(ulid_eq(all.at[1].id, m.id));
    vec_fini(&all);
    fs_free(fs);
}

/* The oldest go when the file is large. */
TEST(replaced_keeps_the_newest)
{
    enum { SOURCES = 1000, NOTES = 50 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    struct block_meta m;
    ulid sources[SOURCES];
    replaced_list all = { 0 };
    for (size_t i = 0; i < SOURCES; i++) sources[i] = ulid_new();
    for (unsigned i = 0; i < NOTES; i++) note(fs, &m, 2, sources, SOURCES);
    EXPECT_OK(replaced_read(&all, fs, REPLACED_FILE, &a, NULL));
    EXPECT(all.n > NOTES / 2 && all.n < NOTES);
    EXPECT(ulid_eq(vec_last(&all).id, m.id));
    vec_fini(&all);
    fs_free(fs);
}
