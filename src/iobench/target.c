#include "iobench/target.h"

#include "io/fs_impl.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

errc target_open(struct target *t, str path, struct err *e)
{
    if (!path.n) return OK;
    t->fs = fs_real_of(path, &t->name);
    t->is_new = !fs_exists(t->fs, t->name);
    return fs_open(&t->f, t->fs, t->name, FS_WRITE | FS_CREATE, e);
}

/* A pipe or a terminal, where nothing has a place. */
static bool is_stream(int fd)
{
    return fd >= 0 && (lseek(fd, 0, SEEK_CUR) < 0 || isatty(fd));
}

bool target_is_stdout(const struct target *t)
{
    struct stat ours, out;
    return t->f && fstat(file_fd(t->f), &ours) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
           ours.st_dev == out.st_dev && ours.st_ino == out.st_ino;
}

static errc stream_write(const struct target *t, str text, struct err *e)
{
    while (text.n) {
        ssize_t n = write(file_fd(t->f), text.p, text.n);
        if (n > 0) text = str_from(text, (size_t)n);
        else if (errno != EINTR)
            return err_set(e, ERR_IO, "write %.*s: %s", STR_ARG(t->name), strerror(errno));
    }
    return OK;
}

errc target_write(struct target *t, str text, struct err *e)
{
    uint64_t done, was;
    if (is_stream(file_fd(t->f))) return stream_write(t, text, e);
    TRY(file_size(t->f, &was, e));
    TRY(file_pwrite(t->f, &text, 1, 0, &done, e));
    return was > text.n ? file_truncate(t->f, text.n, e) : OK;
}

void target_close(struct target *t, bool failed)
{
    uint64_t bytes = 0;
    if (t->f && t->is_new && failed && file_size(t->f, &bytes, NULL) == OK && !bytes) {
        errc rc = fs_unlink(t->fs, t->name, NULL);
        (void)rc; /* it is empty */
    }
    file_close(t->f);
    fs_free(t->fs);
}
