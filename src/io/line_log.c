#include "io/line_log.h"

#include "base/baton.h"
#include "base/clock.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0666, PIPE_WAIT_MS = 1000, PIPE_REST_MS = 5000, MS_NS = 1000000 };

struct line_log {
    _Atomic unsigned refs;
    char *path;
    int fd;
    struct baton writing;
    bool torn;                         /* of who has the baton: a line is there in part */
    int64_t rests_until_ns;            /* likewise: who finds no room till then does not wait */
};

/* As Go writes them: no capital at the start. */
static errc line_log_errno(struct err *e, int errnum, const char *op, const char *path)
{
    char room[128];
    const char *words = strerror_r(errnum, room, sizeof(room));
    errc rc = errnum == ENOSPC || errnum == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    return err_set(e, rc, "%s %s: %c%s", op, path, tolower(words[0]), words + 1);
}

/* Each write goes to where the file ends then, so that who cuts it, or writes to it, too, loses
 * nothing. A pipe without a reader is not waited for. */
errc line_log_open(struct line_log **out, str path, struct err *e)
{
    struct line_log *l = NEW(struct line_log);
    struct stat st;
    atomic_init(&l->refs, 1);
    baton_init(&l->writing, LOCK_LEAF);
    l->path = mem_alloc(path.n + 1);
    memcpy(l->path, path.p, path.n);
    l->path[path.n] = 0;
    do
        l->fd = open(
            l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, FILE_MODE);
    while (l->fd < 0 && errno == EINTR);
    errc rc = l->fd < 0 || fstat(l->fd, &st) < 0 ? line_log_errno(e, errno, "open", l->path) : OK;
    if (rc != OK) line_log_unref(STEAL(l));
    *out = l;
    return rc;
}

struct line_log *line_log_ref(struct line_log *l)
{
    if (l) atomic_fetch_add(&l->refs, 1);
    return l;
}

void line_log_unref(struct line_log *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    if (l->fd >= 0) close(l->fd);
    baton_fini(&l->writing);
    mem_free(l->path);
    mem_free(l);
}

/* A pipe that is full is waited for, but not long: queries wait for this. Once it was waited for in
 * vain, nobody does for a while, unless it takes a line before: a reader that came back is found
 * also where each line is longer than the pipe has room. */
static bool line_log_may_again(struct line_log *l, int64_t until_ns)
{
    struct pollfd p = { .fd = l->fd, .events = POLLOUT };
    if (errno != EAGAIN) return errno == EINTR;
    int64_t now_ns = clock_real_mono_ns(), left_ms = (until_ns - now_ns) / MS_NS;
    bool rests = now_ns < l->rests_until_ns;
    int n = rests || left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);
    if (n == 0 && !rests)
        l->rests_until_ns = clock_real_mono_ns() + (int64_t)PIPE_REST_MS * MS_NS;
    if (n == 0) errno = EAGAIN;
    return n > 0 || (n < 0 && errno == EINTR);
}

static errc line_log_put(struct line_log *l, str s, int64_t until_ns, struct err *e)
{
    while (s.n) {
        ssize_t n = write(l->fd, s.p, s.n);
        if (n < 0 && line_log_may_again(l, until_ns)) continue;
        if (n <= 0) return line_log_errno(e, n < 0 ? errno : EIO, "write", l->path);
        l->torn = true;
        s = str_from(s, (size_t)n);
    }
    l->torn = false;
    return OK;
}

errc line_log_write(struct line_log *l, str lines, struct err *e)
{
    int64_t until_ns = clock_real_mono_ns() + (int64_t)PIPE_WAIT_MS * MS_NS;
    baton_take(&l->writing);
    /* what a full disk left of a line does not take the next one with it */
    errc rc = l->torn ? line_log_put(l, S("\n"), until_ns, e) : OK;
    if (rc == OK) rc = line_log_put(l, lines, until_ns, e);
    if (rc == OK) l->rests_until_ns = 0;
    baton_give(&l->writing);
    return rc;
}
