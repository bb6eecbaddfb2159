#include "io/line_log.h"

#include "base/arena.h"
#include "base/test.h"
#include "io/fs.h"
#include "io/thread.h"

enum { WRITERS = 4, LINES = 200 };

static void writer_run(void *ctx)
{
    for (int i = 0; i < LINES; i++) EXPECT_OK(line_log_write(ctx, S("a line\n"), NULL));
}

static str content(struct arena *a)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    str s = STR_EMPTY;
    EXPECT_OK(fs_read_all(fs, S("lines.log"), a, 1 << 20, &s, NULL));
    fs_free(fs);
    return s;
}

TEST(line_log_puts_lines_at_the_end)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str path = arena_fmt(&a, "%s/lines.log", test_tmpdir());
    struct line_log *l;
    EXPECT_OK(line_log_open(&l, path, NULL));
    EXPECT_OK(line_log_write(l, S("first\n"), NULL));
    struct line_log *again = line_log_ref(l);
    line_log_unref(l);
    EXPECT_OK(line_log_write(again, S("second\n"), NULL));
    line_log_unref(again);
    EXPECT_OK(line_log_open(&l, path, NULL));
    EXPECT_OK(line_log_write(l, S("third\n"), NULL));
    EXPECT_STR(content(&a), S("first\nsecond\nthird\n"));
    struct thread *t[WRITERS];
    for (int i = 0; i < WRITERS; i++) t[i] = thread_start("writer", writer_run, l);
    for (int i = 0; i < WRITERS; i++) thread_join(t[i]);
    line_log_unref(l);
    str text = str_from(content(&a), strlen("first\nsecond\nthird\n")), line;
    size_t n = 0;
    for (; str_cut(text, '\n', &line, &text); n++) EXPECT_STR(line, S("a line"));
    EXPECT_EQ(n, WRITERS * LINES);
    line_log_unref(NULL);
    arena_fini(&a);
}

TEST(line_log_without_a_folder)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    struct line_log *l;
    struct err e = { 0 };
    EXPECT(line_log_open(&l, arena_fmt(&a, "%s/none/x.log", test_tmpdir()), &e) != OK);
    EXPECT(l == NULL);
    EXPECT(str_find(err_str(&e), S("no such file or directory")) != SIZE_MAX);
    arena_fini(&a);
}
