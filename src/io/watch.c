/* The kernel watches inodes, users name paths. So for each folder there are points:
 *
 *      /etc/sd/current/targets         current -> v7
 *          |       '-- the folder itself: anything in it counts
 *          '-- /etc/sd, for the name "current" alone: the link may be exchanged
 *
 * A component that is a symbolic link, or that is missing, is waited for in the folder above it.
 * When such a name changes, or a watched folder goes away, all points are made anew; a folder whose
 * own inode is another one than before (or is there, or gone) has changed.
 * Points are made before one looks whether the name is there, so nothing falls in between. */
#include "io/watch_impl.h"

#include "io/thread.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/vec.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SETTLE_MS = 50,
    EVENT_BYTES = 64 << 10,
    PATH_BYTES = 4096,
    ARM_TRIES = 4,
    MASK = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
           IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
    GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT,
};

/* wd: of the folder itself; -1: it is not there */
struct folder { str path; int wd; bool dirty, failed; };
/* name empty: any; else borrowed from the folder's path */
struct point { int wd; size_t folder; str name; };
typedef VEC(struct folder) folder_list;

struct kernel_watch {
    struct watch base;
    int notify_fd, wake_fd;            /* const after init */
    struct thread *thread;
    struct mtx mu;                     /* LOCK_LEAF; guards the next three */
    bool stop, renewed;
    folder_list wanted;

    /* The thread's own. */
    folder_list folders;
    VEC(struct point) points;
    bool rearm;
    int64_t tell_ns;                   /* when dirty folders are told; INT64_MAX: none is dirty */
    _Alignas(struct inotify_event) char events[EVENT_BYTES];
};

static void folders_fini(folder_list *l)
{
    for (size_t i = 0; i < l->n; i++) mem_free((void *)l->at[i].path.p);
    vec_fini(l);
}

static void folder_dirty(struct kernel_watch *w, size_t i)
{
    w->folders.at[i].dirty = true;
    if (w->tell_ns == INT64_MAX) w->tell_ns = clock_mono_ns() + (int64_t)SETTLE_MS * 1000000;
}

/* ---- points */

static bool path_z(char out[PATH_BYTES], str path)
{
    if (path.n >= PATH_BYTES || memchr(path.p, 0, path.n)) return false;
    memcpy(out, path.p, path.n);
    out[path.n] = '\0';
    return true;
}

/* The descriptor, or -1 with errno. above: empty is the working folder. */
static int point_add(struct kernel_watch *w, size_t folder, str above, str name)
{
    char path[PATH_BYTES];
    if (!path_z(path, above.n ? above : S("."))) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int wd = inotify_add_watch(w->notify_fd, path, MASK);
    if (wd >= 0) vec_push(&w->points, ((struct point){ wd, folder, name }));
    return wd;
}

static void folder_fails(struct kernel_watch *w, size_t i, int why)
{
    struct folder *f = &w->folders.at[i];
    if (f->failed) return;
    f->failed = true;
    struct err e = { 0 };
    err_set(&e, ERR_IO, "%s", strerror(why));
    w->base.sink.failed(w->base.sink.ctx, f->path, &e);
}

static bool is_missing(int why) { return why == ENOENT || why == ENOTDIR; }

/* One component of a path. 1: go on; 0: it is not there, and is waited for; -1: errno. */
static int component_arm(struct kernel_watch *w, size_t i, str above, str upto, str name)
{
    char path[PATH_BYTES];
    struct stat st;
    if (!path_z(path, upto)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    bool there = lstat(path, &st) == 0;
    if (!there && !is_missing(errno)) return -1;
    if (there && !S_ISLNK(st.st_mode)) return 1;
    if (point_add(w, i, above, name) < 0) return is_missing(errno) ? 0 : -1;
    if (lstat(path, &st) == 0) return 1;
    return is_missing(errno) ? 0 : -1;
}

/* All points of a folder. The result is its own descriptor, or -1 with errno (ENOENT: it is waited
 * for). */
static int folder_points(struct kernel_watch *w, size_t i)
{
    str path = w->folders.at[i].path;
    for (size_t from = 0; from < path.n;) {
        size_t to = from;
        while (to < path.n && path.p[to] != '/') to++;
        str name = str_slice(path, from, to);
        size_t above = from;
        while (above > 1 && path.p[above - 1] == '/') above--;
        from = to + 1;
        if (!name.n || str_eq(name, S(".")) || str_eq(name, S(".."))) continue;
        int rc = component_arm(w, i, str_slice(path, 0, above), str_slice(path, 0, to), name);
        if (rc == 0) errno = ENOENT;
        if (rc <= 0) return -1;
    }
    return point_add(w, i, path, STR_EMPTY);
}

static void folder_arm(struct kernel_watch *w, size_t i)
{
    struct folder *f = &w->folders.at[i];
    int wd = folder_points(w, i), why = errno;
    /* it went while one looked: wait where it was */
    for (unsigned tries = 1; wd < 0 && why == ENOENT && tries < ARM_TRIES; tries++) {
        bool waited = w->points.n && w->points.at[w->points.n - 1].folder == i &&
                      w->points.at[w->points.n - 1].name.n;
        if (waited) break;
        wd = folder_points(w, i);
        why = errno;
    }
    if (wd != f->wd) folder_dirty(w, i);
    f->wd = wd;
    if (wd < 0 && why != ENOENT) folder_fails(w, i, why);
    else f->failed = false;
}

static bool point_uses(const struct kernel_watch *w, int wd)
{
    for (size_t i = 0; i < w->points.n; i++)
        if (w->points.at[i].wd == wd) return true;
    return false;
}

/* New points first, then the kernel forgets what no point needs any more: a folder that stays is
 * watched all the while, and what happened to it before is read under its new points. */
static void watch_arm(struct kernel_watch *w)
{
    __typeof__(w->points) old = w->points;
    memset(&w->points, 0, sizeof(w->points));
    w->rearm = false;
    for (size_t i = 0; i < w->folders.n; i++) folder_arm(w, i);
    for (size_t i = 0; i < old.n; i++)
        /* gone already: fine */
        if (!point_uses(w, old.at[i].wd)) (void)inotify_rm_watch(w->notify_fd, old.at[i].wd);
    vec_fini(&old);
}

/* The new list; of folders that stay it is known what they were. */
static void take_wanted(struct kernel_watch *w, folder_list wanted)
{
    for (size_t i = 0; i < wanted.n; i++) {
        struct folder *f = &wanted.at[i];
        for (size_t k = 0; k < w->folders.n; k++)
            if (str_eq(w->folders.at[k].path, f->path)) {
                f->wd = w->folders.at[k].wd;
                f->dirty = w->folders.at[k].dirty;
                f->failed = w->folders.at[k].failed;
            }
    }
    folder_list old = w->folders;
    w->folders = wanted;
    watch_arm(w);                      /* at once: the points of old borrow from it */
    folders_fini(&old);
}

/* ---- events */

static void event_take(struct kernel_watch *w, const struct inotify_event *ev)
{
    if (ev->mask & IN_Q_OVERFLOW) {
        for (size_t i = 0; i < w->folders.n; i++) folder_dirty(w, i);
        w->rearm = true;
        return;
    }
    str name = ev->len ? str_z(ev->name) : STR_EMPTY;
    for (size_t i = 0; i < w->points.n; i++) {
        const struct point *p = &w->points.at[i];
        if (p->wd != ev->wd) continue;
        if (ev->mask & GONE || (p->name.n && str_eq(p->name, name))) w->rearm = true;
        if (!p->name.n) folder_dirty(w, p->folder);
    }
}

static void events_read(struct kernel_watch *w)
{
    for (ssize_t n; (n = read(w->notify_fd, w->events, sizeof(w->events))) > 0;)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *ev = (const void *)(w->events + at);
            event_take(w, ev);
            at += (ssize_t)(sizeof(*ev) + ev->len);
        }
}

static void tell(struct kernel_watch *w)
{
    w->tell_ns = INT64_MAX;
    for (size_t i = 0; i < w->folders.n; i++) {
        if (!w->folders.at[i].dirty) continue;
        w->folders.at[i].dirty = false;
        w->base.sink.changed(w->base.sink.ctx, w->folders.at[i].path);
    }
}

static bool letters_take(struct kernel_watch *w)
{
    uint64_t rung;
    ssize_t got = read(w->wake_fd, &rung, sizeof(rung));
    (void)got;                         /* non-blocking: it only needs to be emptied */
    mtx_lock(&w->mu);
    bool stop = w->stop, renewed = w->renewed;
    folder_list wanted = w->wanted;
    memset(&w->wanted, 0, sizeof(w->wanted));
    w->renewed = false;
    mtx_unlock(&w->mu);
    if (renewed) take_wanted(w, wanted);
    return stop;
}

static int wait_ms(const struct kernel_watch *w)
{
    if (w->tell_ns == INT64_MAX) return -1;
    int64_t left = w->tell_ns - clock_mono_ns();
    return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static void watch_run(void *ctx)
{
    struct kernel_watch *w = ctx;
    while (!letters_take(w)) {
        events_read(w);
        if (w->rearm) watch_arm(w);
        if (w->tell_ns <= clock_mono_ns()) tell(w);
        struct pollfd fds[] = { { .fd = w->notify_fd, .events = POLLIN },
            { .fd = w->wake_fd, .events = POLLIN } };
        (void)poll(fds, ARRAY_LEN(fds), wait_ms(w));
    }
}

/* ---- the public side */

static void watch_wake(struct kernel_watch *w)
{
    const uint64_t one = 1;
    ssize_t n = write(w->wake_fd, &one, sizeof(one));
    (void)n;                           /* full means that it is rung already */
}

static void kernel_folders(struct watch *base, const str *folders, size_t n)
{
    struct kernel_watch *w = CONTAINER_OF(base, struct kernel_watch, base);
    folder_list wanted = { 0 };
    for (size_t i = 0; i < n; i++)
        vec_push(&wanted, ((struct folder){ .path = mem_str(folders[i]), .wd = -1 }));
    mtx_lock(&w->mu);
    folder_list before = w->wanted;
    w->wanted = wanted;
    w->renewed = true;
    mtx_unlock(&w->mu);
    folders_fini(&before);
    watch_wake(w);
}

static void kernel_free(struct watch *base)
{
    struct kernel_watch *w = CONTAINER_OF(base, struct kernel_watch, base);
    mtx_lock(&w->mu);
    w->stop = true;
    mtx_unlock(&w->mu);
    watch_wake(w);
    thread_join(w->thread);
    close(w->notify_fd);
    close(w->wake_fd);
    folders_fini(&w->folders);
    folders_fini(&w->wanted);
    vec_fini(&w->points);
    mtx_fini(&w->mu);
    mem_free(w);
}

errc watch_new(struct watch **out, const struct watch_sink *sink, struct err *e)
{
    static const struct watch_ops ops = { kernel_folders, kernel_free };
    int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), why = errno;
    if (notify < 0) return err_set(e, ERR_IO, "inotify: %s", strerror(why));
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        why = errno;
        close(notify);
        return err_set(e, ERR_IO, "eventfd: %s", strerror(why));
    }
    struct kernel_watch *w = NEW(struct kernel_watch);
    *w = (struct kernel_watch){
        .base = { &ops, *sink }, .notify_fd = notify, .wake_fd = wake, .tell_ns = INT64_MAX
    };
    mtx_init(&w->mu, LOCK_LEAF);
    w->thread = thread_start("watch", watch_run, w);
    *out = &w->base;
    return OK;
}

void watch_free(struct watch *w)
{
    if (w) w->ops->free(w);
}

void watch_folders(struct watch *w, const str *folders, size_t n)
{
    w->ops->folders(w, folders, n);
}
