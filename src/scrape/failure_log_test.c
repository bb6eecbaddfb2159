#include "scrape/failure_log.h"

#include "base/arena.h"
#include "base/test.h"
#include "io/fs.h"

static str content(struct arena *a)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    str s = STR_EMPTY;
    EXPECT_OK(fs_read_all(fs, S("failures.log"), a, 1 << 20, &s, NULL));
    fs_free(fs);
    return s;
}

TEST(failure_log_appends_lines)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str path = arena_fmt(&a, "%s/failures.log", test_tmpdir());
    struct line_log *f = failure_log_open(path);
    EXPECT(f != NULL);
    failure_log_write(f, S("job"), S("http://x:1/metrics"), S("a \"quoted\" reason"));
    line_log_unref(f);
    f = failure_log_open(path);                                /* goes on at the end */
    failure_log_write(f, S("job"), S("http://y:1/metrics"), S("second"));
    failure_log_write(NULL, S("job"), S("x"), S("nowhere"));
    line_log_unref(f);
    str text = content(&a), first, second;
    EXPECT(str_cut(text, '\n', &first, &second));
    EXPECT(str_has_suffix(
        first, S("\"msg\":\"a \\\"quoted\\\" "
                 "reason\",\"job_name\":\"job\",\"target\":\"http://x:1/metrics\"}")));
    EXPECT(str_has_suffix(
        second, S("\"msg\":\"second\",\"job_name\":\"job\",\"target\":\"http://y:1/metrics\"}\n")));
    arena_fini(&a);
}

TEST(failure_log_bad_path)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    EXPECT(failure_log_open(arena_fmt(&a, "%s/no/such/folder/x.log", test_tmpdir())) == NULL);
    arena_fini(&a);
}
