#include "io/line_log.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/test.h"
#include "io/fs.h"
#include "io/thread.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* As logrotate's copytruncate does; an offset of our own would leave a hole. */
TEST(line_log_goes_on_where_the_file_was_cut)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str path = arena_fmt(&a, "%s/lines.log", test_tmpdir());
    struct line_log *l, *other;
    EXPECT_OK(line_log_open(&l, path, NULL));
    EXPECT_OK(line_log_open(&other, path, NULL));
    EXPECT_OK(line_log_write(l, S("first\n"), NULL));
    EXPECT_EQ(truncate(arena_cstr(&a, path), 0), 0);
    EXPECT_OK(line_log_write(l, S("second\n"), NULL));
    EXPECT_OK(line_log_write(other, S("third\n"), NULL));
    EXPECT_OK(line_log_write(l, S("fourth\n"), NULL));
    EXPECT_STR(content(&a), S("second\nthird\nfourth\n"));
    line_log_unref(l);
    line_log_unref(other);
    arena_fini(&a);
}

/* A limit of the file's size stands for a full disk: the write is cut, the next one fails. */
TEST(line_log_ends_what_a_full_disk_left)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str path = arena_fmt(&a, "%s/lines.log", test_tmpdir());
    struct line_log *l;
    struct rlimit was, now;
    struct err e = { 0 };
    EXPECT_OK(line_log_open(&l, path, NULL));
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &was), 0);
    now = (struct rlimit){ 9, was.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
    EXPECT_OK(line_log_write(l, S("first\n"), NULL));
    EXPECT(line_log_write(l, S("second\n"), &e) != OK);
    EXPECT(line_log_write(l, S("third\n"), &e) != OK);
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &was), 0);
    EXPECT_OK(line_log_write(l, S("fourth\n"), NULL));
    EXPECT_OK(line_log_write(l, S("fifth\n"), NULL));
    EXPECT_STR(content(&a), S("first\nsec\nfourth\nfifth\n"));
    line_log_unref(l);
    arena_fini(&a);
}

TEST(line_log_to_a_pipe_and_a_full_device)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str path = arena_fmt(&a, "%s/pipe", test_tmpdir());
    struct line_log *l = NULL;
    struct err e = { 0 };
    EXPECT_EQ(mkfifo(arena_cstr(&a, path), 0600), 0);
    EXPECT(line_log_open(&l, path, &e) != OK);
    int reader = open(arena_cstr(&a, path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT(reader >= 0);
    EXPECT_OK(line_log_open(&l, path, NULL));
    EXPECT_OK(line_log_write(l, S("a line\n"), NULL));
    char got[16];
    EXPECT_EQ(read(reader, got, sizeof(got)), 7);
    close(reader);
    line_log_unref(l);
    EXPECT_OK(line_log_open(&l, S("/dev/full"), NULL));
    EXPECT_EQ(line_log_write(l, S("a line\n"), &e), ERR_NO_SPACE);
    EXPECT_STR(err_str(&e), S("write /dev/full: no space left on device"));
    line_log_unref(l);
    arena_fini(&a);
}

/* A pipe that is full. */
struct full_pipe {
    struct line_log *l;
    int reader;
    _Atomic bool done;
    _Atomic unsigned lost;
};

static void full_pipe_init(struct full_pipe *p, struct arena *a)
{
    static const uint8_t zeros[4096];
    str path = arena_fmt(a, "%s/pipe", test_tmpdir());
    EXPECT_EQ(mkfifo(arena_cstr(a, path), 0600), 0);
    p->reader = open(arena_cstr(a, path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT(p->reader >= 0);
    int fd = open(arena_cstr(a, path), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    while (write(fd, zeros, sizeof(zeros)) > 0) continue;
    close(fd);
    EXPECT_OK(line_log_open(&p->l, path, NULL));
}

static void full_pipe_fini(struct full_pipe *p)
{
    line_log_unref(p->l);
    close(p->reader);
}

static void full_pipe_drain(const struct full_pipe *p)
{
    char got[4096];
    while (read(p->reader, got, sizeof(got)) > 0) continue;
}

static void loses_lines(void *ctx)
{
    struct full_pipe *p = ctx;
    struct err e = { 0 };
    for (int i = 0; i < 2; i++) p->lost += line_log_write(p->l, S("a line\n"), &e) != OK;
}

/* All of them together wait for the second of one; and once there is room again, lines go on. */
TEST(line_log_to_a_pipe_that_nobody_reads)
{
    enum { CROWD = 8, LIMIT_MS = 5000 };
    struct arena a;
    struct full_pipe p = { 0 };
    struct thread *t[CROWD];
    char got[16];
    arena_init(&a, NULL, 0);
    full_pipe_init(&p, &a);
    int64_t since = clock_real_mono_ns();
    for (int i = 0; i < CROWD; i++) t[i] = thread_start("writer", loses_lines, &p);
    for (int i = 0; i < CROWD; i++) thread_join(t[i]);
    EXPECT((clock_real_mono_ns() - since) / 1000000 < LIMIT_MS);
    EXPECT_EQ(p.lost, 2 * CROWD);
    full_pipe_drain(&p);
    EXPECT_OK(line_log_write(p.l, S("a line\n"), NULL));
    EXPECT_EQ(read(p.reader, got, sizeof(got)), 7);
    full_pipe_fini(&p);
    arena_fini(&a);
}

static void reads_slowly(void *ctx)
{
    struct full_pipe *p = ctx;
    char got[4096];
    while (!p->done) {
        (void)!read(p->reader, got, sizeof(got));
        clock_sleep_ns(INT64_C(50) * 1000000);
    }
}

static void reads_all(void *ctx)
{
    struct full_pipe *p = ctx;
    while (!p->done) {
        full_pipe_drain(p);
        clock_sleep_ns(INT64_C(20) * 1000000);
    }
}

/* What a reader takes now and then does not begin the second anew; and the line of which a part is
 * there ends before the next one. */
TEST(line_log_to_a_pipe_that_is_read_slowly)
{
    enum { LONG = 1 << 20, LIMIT_MS = 5000 };
    struct arena a;
    struct full_pipe p = { 0 };
    struct err e = { 0 };
    char got[16];
    arena_init(&a, NULL, 0);
    full_pipe_init(&p, &a);
    uint8_t *line = arena_alloc(&a, LONG);
    memset(line, 'x', LONG);
    struct thread *t = thread_start("reader", reads_slowly, &p);
    int64_t since = clock_real_mono_ns();
    EXPECT(line_log_write(p.l, str_of(line, LONG), &e) != OK);
    EXPECT((clock_real_mono_ns() - since) / 1000000 < LIMIT_MS);
    p.done = true;
    thread_join(t);
    full_pipe_drain(&p);
    EXPECT_OK(line_log_write(p.l, S("a line\n"), NULL));
    EXPECT_EQ(read(p.reader, got, sizeof(got)), 8);
    EXPECT(!memcmp(got, "\na line\n", 8));
    full_pipe_fini(&p);
    arena_fini(&a);
}

/* Nobody waits for a pipe that rests; but a line longer than the pipe, which only goes through by
 * waiting, does once its reader was back for a while. */
TEST(line_log_to_a_pipe_whose_reader_comes_back)
{
    enum { LONG = 128 << 10, LIMIT_S = 30, QUICK_MS = 900 };
    struct arena a;
    struct full_pipe p = { 0 };
    struct err e = { 0 };
    arena_init(&a, NULL, 0);
    full_pipe_init(&p, &a);
    uint8_t *line = arena_alloc(&a, LONG);
    memset(line, 'x', LONG);
    line[LONG - 1] = '\n';
    EXPECT(line_log_write(p.l, S("a line\n"), &e) != OK);
    struct thread *t = thread_start("reader", reads_all, &p);
    int64_t since = clock_real_mono_ns(), longest = 0;
    errc rc = ERR_IO;
    while (rc != OK && clock_real_mono_ns() - since < INT64_C(1000000000) * LIMIT_S) {
        int64_t began = clock_real_mono_ns();
        rc = line_log_write(p.l, str_of(line, LONG), &e);
        if (rc != OK) longest = MAX(longest, clock_real_mono_ns() - began);
        clock_sleep_ns(INT64_C(20) * 1000000);
    }
    EXPECT_OK(rc);
    EXPECT(longest < INT64_C(1000000) * QUICK_MS);
    p.done = true;
    thread_join(t);
    full_pipe_fini(&p);
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
    EXPECT(str_find(err_str(&e), S("/none/x.log: no such file or directory")) != SIZE_MAX);
    arena_fini(&a);
}
