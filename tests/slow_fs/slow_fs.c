/* slow_fs.c — a folder mounted once more, whose reads wait, hang or fail as they are told to.
 *
 * Passes everything on to SOURCE. What is read of files whose path has a text in it is held up by
 * rules, which come as lines on standard input, each answered by a line on standard output:
 *
 *     delay MS TEXT    reads take MS milliseconds longer
 *     hang TEXT        reads wait until `clear`, or until who asked is killed
 *     fail TEXT        reads answer EIO
 *     clear            no rules, and what hangs goes on
 *     forget TEXT      the kernel's cache of these files is emptied, mapped pages too
 *     state            reads that are held up at this moment, and those that rules were for so far
 *
 * The answer is "ok", or what was asked. The end of standard input unmounts.
 *
 * Each read has a thread of its own, and as many may wait as like to: what stalls beside them,
 * then, stalls in the program that is tested.
 *
 *     slow_fs SOURCE MOUNTPOINT
 */
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 64, PATHS_MAX = 4096, TEXT_MAX = 256, THREADS_MAX = 2048, POLL_MS = 20 };

enum rule_kind { RULE_DELAY, RULE_HANG, RULE_FAIL };
struct rule { enum rule_kind kind; unsigned ms; char text[TEXT_MAX]; };

static struct {
    int top;                       /* SOURCE; const after main began */
    struct fuse *fuse;
    pthread_mutex_t mu;            /* all below */
    pthread_cond_t changed;
    struct rule rules[RULES_MAX];
    size_t n_rules;
    unsigned generation;           /* of the rules: `clear` makes a new one */
    unsigned held;
    unsigned long met;
    char *paths[PATHS_MAX];        /* that were opened */
    size_t n_paths;
} fs = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static const char *rel(const char *path) { return path[1] ? path + 1 : "."; }
static int rc_of(int rc) { return rc < 0 ? -errno : 0; }

/* ---- rules */

static struct timespec in_ms(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool earlier(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Until the time has come (hang: never), the rules are cleared, or the reader is killed. */
static int hold_locked(const struct rule *r)
{
    struct timespec end = in_ms(r->ms);
    unsigned generation = fs.generation;
    int rc = 0;
    fs.held++;
    while (!rc && generation == fs.generation) {
        struct timespec next = in_ms(POLL_MS);
        if (r->kind == RULE_DELAY && !earlier(&next, &end)) next = end;
        pthread_cond_timedwait(&fs.changed, &fs.mu, &next);
        struct timespec now = in_ms(0);
        if (r->kind == RULE_DELAY && !earlier(&now, &end)) break;
        if (fuse_interrupted()) rc = -EINTR;
    }
    fs.held--;
    return rc;
}

static int obey(const char *path)
{
    int rc = 0;
    pthread_mutex_lock(&fs.mu);
    for (size_t i = 0; i < fs.n_rules; i++) {
        struct rule r = fs.rules[i];
        if (!strstr(path, r.text)) continue;
        fs.met++;
        rc = r.kind == RULE_FAIL ? -EIO : hold_locked(&r);
        break;
    }
    pthread_mutex_unlock(&fs.mu);
    return rc;
}

static void remember(const char *path)
{
    pthread_mutex_lock(&fs.mu);
    bool known = fs.n_paths == PATHS_MAX;
    for (size_t i = 0; i < fs.n_paths && !known; i++) known = !strcmp(fs.paths[i], path);
    if (!known) fs.paths[fs.n_paths++] = strdup(path);
    pthread_mutex_unlock(&fs.mu);
}

/* ---- the file system */

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    if (fi) return rc_of(fstat((int)fi->fh, st));
    return rc_of(fstatat(fs.top, rel(path), st, AT_SYMLINK_NOFOLLOW));
}

static int on_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t off,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)off, (void)fi, (void)flags;
    int fd = openat(fs.top, rel(path), O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) return -errno;
    for (struct dirent *e; (e = readdir(d)) != NULL;) fill(to, e->d_name, NULL, 0, 0);
    closedir(d);
    return 0;
}

/* Only our side of it reads past the kernel's cache: buffers that come here are not aligned. */
static int on_open(const char *path, struct fuse_file_info *fi)
{
    int fd = openat(fs.top, rel(path), fi->flags & ~O_DIRECT);
    if (fd < 0) return -errno;
    remember(path);
    fi->fh = (uint64_t)fd;
    fi->keep_cache = 1;
    return 0;
}
static int on_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int fd = openat(fs.top, rel(path), (fi->flags & ~O_DIRECT) | O_CREAT, mode);
    if (fd < 0) return -errno;
    remember(path);
    fi->fh = (uint64_t)fd;
    return 0;
}
static int on_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    return rc_of(close((int)fi->fh));
}

static int on_read(const char *path, char *to, size_t n, off_t off, struct fuse_file_info *fi)
{
    int rc = obey(path);
    if (rc) return rc;
    ssize_t got = pread((int)fi->fh, to, n, off);
    return got < 0 ? -errno : (int)got;
}
static int on_write(
    const char *path, const char *from, size_t n, off_t off, struct fuse_file_info *fi)
{
    (void)path;
    ssize_t put = pwrite((int)fi->fh, from, n, off);
    return put < 0 ? -errno : (int)put;
}
static int on_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    if (fi) return rc_of(ftruncate((int)fi->fh, size));
    int fd = openat(fs.top, rel(path), O_WRONLY);
    if (fd < 0) return -errno;
    int rc = rc_of(ftruncate(fd, size));
    close(fd);
    return rc;
}
static int on_fallocate(const char *path, int mode, off_t off, off_t n, struct fuse_file_info *fi)
{
    (void)path;
    return rc_of(fallocate((int)fi->fh, mode, off, n));
}
static int on_fsync(const char *path, int data, struct fuse_file_info *fi)
{
    (void)path, (void)data, (void)fi;
    return 0; /* nothing here outlives a test */
}
static int on_fsyncdir(const char *path, int data, struct fuse_file_info *fi)
{
    return on_fsync(path, data, fi);
}
static int on_flock(const char *path, struct fuse_file_info *fi, int op)
{
    (void)path;
    return rc_of(flock((int)fi->fh, op));
}
static int on_unlink(const char *path) { return rc_of(unlinkat(fs.top, rel(path), 0)); }
static int on_mkdir(const char *path, mode_t mode)
{
    return rc_of(mkdirat(fs.top, rel(path), mode));
}
static int on_rmdir(const char *path) { return rc_of(unlinkat(fs.top, rel(path), AT_REMOVEDIR)); }
static int on_link(const char *from, const char *to)
{
    return rc_of(linkat(fs.top, rel(from), fs.top, rel(to), 0));
}
static int on_rename(const char *from, const char *to, unsigned flags)
{
    return rc_of(renameat2(fs.top, rel(from), fs.top, rel(to), flags));
}
static int on_utimens(const char *path, const struct timespec t[2], struct fuse_file_info *fi)
{
    (void)fi;
    return rc_of(utimensat(fs.top, rel(path), t, 0));
}
static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    (void)fi;
    return rc_of(fchmodat(fs.top, rel(path), mode, 0));
}
static int on_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return rc_of(fstatvfs(fs.top, st));
}

static void *on_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    conn->max_background = UINT16_MAX;
    conn->congestion_threshold = UINT16_MAX;
    config->kernel_cache = 1;
    config->entry_timeout = config->attr_timeout = 1;
    config->use_ino = 1;
    return NULL;
}

static const struct fuse_operations operations = {
    .getattr = on_getattr,
    .readdir = on_readdir,
    .open = on_open,
    .create = on_create,
    .release = on_release,
    .read = on_read,
    .write = on_write,
    .truncate = on_truncate,
    .fallocate = on_fallocate,
    .fsync = on_fsync,
    .fsyncdir = on_fsyncdir,
    .flock = on_flock,
    .unlink = on_unlink,
    .mkdir = on_mkdir,
    .rmdir = on_rmdir,
    .link = on_link,
    .rename = on_rename,
    .utimens = on_utimens,
    .chmod = on_chmod,
    .statfs = on_statfs,
    .init = on_init,
};

/* ---- what is told */

static bool add(enum rule_kind kind, unsigned ms, const char *text)
{
    pthread_mutex_lock(&fs.mu);
    bool room = fs.n_rules < RULES_MAX;
    if (room) {
        struct rule *r = &fs.rules[fs.n_rules++];
        *r = (struct rule){ .kind = kind, .ms = ms };
        snprintf(r->text, sizeof(r->text), "%s", text);
    }
    pthread_mutex_unlock(&fs.mu);
    return room;
}

static void clear(void)
{
    pthread_mutex_lock(&fs.mu);
    fs.n_rules = 0;
    fs.generation++;
    pthread_cond_broadcast(&fs.changed);
    pthread_mutex_unlock(&fs.mu);
}

/* The lock is not held: who writes back pages may need it. */
static void forget(const char *text)
{
    pthread_mutex_lock(&fs.mu);
    size_t n = fs.n_paths;
    pthread_mutex_unlock(&fs.mu);
    for (size_t i = 0; i < n; i++)
        if (strstr(fs.paths[i], text)) fuse_invalidate_path(fs.fuse, fs.paths[i]);
}

static void answer(char *line)
{
    char word[16] = "", text[TEXT_MAX] = "";
    unsigned ms = 0;
    bool known = true;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "delay %u %255s", &ms, text) == 2) known = add(RULE_DELAY, ms, text);
    else if (sscanf(line, "%15s %255s", word, text) < 1) known = false;
    else if (!strcmp(word, "hang")) known = add(RULE_HANG, 0, text);
    else if (!strcmp(word, "fail")) known = add(RULE_FAIL, 0, text);
    else if (!strcmp(word, "clear")) clear();
    else if (!strcmp(word, "forget")) forget(text);
    else known = !strcmp(word, "state");
    pthread_mutex_lock(&fs.mu);
    if (known && !strcmp(word, "state")) printf("%u %lu\n", fs.held, fs.met);
    else puts(known ? "ok" : "no such rule");
    pthread_mutex_unlock(&fs.mu);
    fflush(stdout);
}

static void *listen_to(void *mount)
{
    char *line = NULL;
    size_t cap = 0;
    puts("mounted");
    fflush(stdout);
    while (getline(&line, &cap, stdin) > 0) answer(line);
    free(line);
    clear();
    fuse_exit(fs.fuse);
    fuse_unmount(fs.fuse);
    (void)mount;
    return NULL;
}

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    pthread_t listener;
    if (argc != 3) {
        fprintf(stderr, "usage: slow_fs SOURCE MOUNTPOINT\n");
        return 2;
    }
    fs.top = open(argv[1], O_RDONLY | O_DIRECTORY);
    if (fs.top < 0) {
        perror(argv[1]);
        return 1;
    }
    fs.fuse = fuse_new(&args, &operations, sizeof(operations), NULL);
    if (!fs.fuse || fuse_mount(fs.fuse, argv[2]) != 0) return 3;
    fuse_loop_cfg_set_clone_fd(loop, 1);
    fuse_loop_cfg_set_max_threads(loop, THREADS_MAX);
    if (pthread_create(&listener, NULL, listen_to, NULL) != 0) return 1;
    fuse_loop_mt(fs.fuse, loop);
    fuse_loop_cfg_destroy(loop);
    _exit(0); /* reads that hang have threads */
}
