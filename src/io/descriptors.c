/* The word of a descriptor says whether it is open, how many use it and whether it must stay:
 *
 *      63    62 .. 32   31 .. 0
 *      stay  users      descriptor + 1; 0: closed
 *
 * Users come and go by adding to the word, so that a read of an open file takes no lock. Whether it
 * is open changes under the lock alone: closing replaces the very word that has no users, so that
 * who comes meanwhile finds it closed. Opening happens outside of the lock; of two who open at once
 * the second gives its own back.
 *
 * Names: who moves or removes something says so first. All that lies under the name and takes part
 * is marked to stay, and opened where it was closed. A file that joins stays, too, until its name
 * was seen to lead to it after it joined: later changes of the name will find it here.
 */
#include "io/descriptors.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER_ONE ((uint64_t)1 << 32)
#define STAYS ((uint64_t)1 << 63)
enum { RELIEF = 16 };

/* What a file is, whatever its name. */
struct identity {
    uint64_t dev, ino;
    int64_t born_ns;
};

struct descriptor {
    _Atomic uint64_t word;
    _Atomic bool used;         /* since the hand came by; relaxed: a hint */
    bool in_order;             /* const */
    int root;                  /* const */
    uint64_t root_dev, root_ino;               /* const */
    char *path;                /* const */
    struct identity is;        /* const */
    bool renamed;              /* its name was, or is being changed; GUARDED_BY(pool_mu) */
    uint32_t visits;           /* of name_begin, which opens it; GUARDED_BY(pool_mu) */
    struct descriptor *next, *prev;            /* of all; GUARDED_BY(pool_mu) */
};

/* All: GUARDED_BY(pool_mu). The hand is on the one to be looked at next. */
static struct mtx pool_mu;                     /* LOCK_LEAF */
static struct cond pool_visited;
static struct descriptor *pool_hand;
static struct name_change *pool_changes;
static uint64_t n_files, n_open;
/* relaxed: figures */
static _Atomic uint64_t pool_limit, n_reopened, n_closed;

__attribute__((constructor)) static void descriptors_init(void)
{
    mtx_init(&pool_mu, LOCK_LEAF);
    cond_init(&pool_visited);
}

static uint64_t limit_now(void)
{
    uint64_t n = atomic_load_explicit(&pool_limit, memory_order_relaxed);
    struct rlimit may;
    if (n) return n;
    return getrlimit(RLIMIT_NOFILE, &may) == 0 ? MAX((uint64_t)may.rlim_cur / 2, (uint64_t)1) : 1;
}

static int word_fd(uint64_t word) { return (int)(uint32_t)word - 1; }
static uint64_t word_users(uint64_t word) { return (word & ~STAYS) / USER_ONE; }

static bool identity_of(struct identity *out, int fd, const char *path)
{
    struct statx st;
    if (statx(fd, path, AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0) return false;
    if (!(st.stx_mask & STATX_BTIME)) return false;
    *out = (struct identity){ (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor, st.stx_ino,
        st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec };
    return true;
}

static bool identity_same(const struct identity *a, const struct identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->born_ns == b->born_ns;
}

/* advice: its failure costs nothing */
static void advise(int fd, bool in_order)
{
    posix_fadvise(fd, 0, 0, in_order ? POSIX_FADV_SEQUENTIAL : POSIX_FADV_RANDOM);
}

/* ---- open and closed, under the lock ---- */

/* A closed one that somebody uses, or that must stay. */
static void set_open_locked(struct descriptor *d, int fd)
{
    mtx_assert_held(&pool_mu);
    atomic_fetch_add_explicit(&d->word, (uint64_t)fd + 1, memory_order_release);
    n_open++;
}

/* Its descriptor, which is the caller's to close; < 0: it is closed, in use, or has to stay. */
static int set_closed_locked(struct descriptor *d)
{
    mtx_assert_held(&pool_mu);
    uint64_t word = atomic_load_explicit(&d->word, memory_order_relaxed);
    if (word_fd(word) < 0 || word > UINT32_MAX) return -1;
    if (!atomic_compare_exchange_strong_explicit(
            &d->word, &word, 0, memory_order_acq_rel, memory_order_relaxed))
        return -1;
    n_open--;
    return word_fd(word);
}

/* Closed ones are passed over like used ones. Two rounds see each once without its mark. Gives how
 * many are in out. */
static size_t take_idle_locked(int *out, size_t most, uint64_t leave)
{
    size_t n = 0;
    for (uint64_t steps = 2 * n_files; n < most && n_open > leave && steps; steps--) {
        struct descriptor *d = pool_hand;
        pool_hand = d->next;
        if (atomic_exchange_explicit(&d->used, false, memory_order_relaxed)) continue;
        int fd = set_closed_locked(d);
        if (fd >= 0) out[n++] = fd;
    }
    return n;
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) close(fds[i]);
    atomic_fetch_add_explicit(&n_closed, n, memory_order_relaxed);
}

/* Down to the limit, as far as that can be. */
static void keep_limit(void)
{
    int fds[RELIEF];
    size_t n;
    do {
        mtx_lock(&pool_mu);
        n = take_idle_locked(fds, RELIEF, limit_now());
        mtx_unlock(&pool_mu);
        close_all(fds, n);
    } while (n == RELIEF);
}

bool descriptors_relieve(void)
{
    int fds[RELIEF];
    mtx_lock(&pool_mu);
    size_t n = take_idle_locked(fds, RELIEF, 0);
    mtx_unlock(&pool_mu);
    close_all(fds, n);
    return n > 0;
}

/* ---- opening again ---- */

static int open_quiet(const struct descriptor *d)
{
    int flags = O_RDONLY | O_CLOEXEC, fd;
    do {
        fd = openat(d->root, d->path, flags | O_NOATIME);
        if (fd < 0 && errno == EPERM) fd = openat(d->root, d->path, flags);
    } while (fd < 0 && (errno == EINTR || ((errno == EMFILE || errno == ENFILE) &&
                                              descriptors_relieve())));
    return fd;
}

/* The file, or a negated errno. */
static int open_same(const struct descriptor *d)
{
    struct identity is;
    int fd = open_quiet(d);
    if (fd < 0) return -errno;
    if (identity_of(&is, fd, "") && identity_same(&is, &d->is)) {
        advise(fd, d->in_order);
        return fd;
    }
    close(fd);
    return -ESTALE;
}

/* Of one that is in use or visited. 0, or a negated errno. */
static int open_again(struct descriptor *d)
{
    int fd = open_same(d);
    if (fd < 0) return fd;
    mtx_lock(&pool_mu);
    bool closed = word_fd(atomic_load_explicit(&d->word, memory_order_relaxed)) < 0;
    if (closed) set_open_locked(d, fd);
    mtx_unlock(&pool_mu);
    if (closed) {
        atomic_fetch_add_explicit(&n_reopened, 1, memory_order_relaxed);
        keep_limit();
    } else {
        close(fd);
    }
    return 0;
}

int descriptor_borrow(struct descriptor *d)
{
    uint64_t word = atomic_fetch_add_explicit(&d->word, USER_ONE, memory_order_acquire);
    atomic_store_explicit(&d->used, true, memory_order_relaxed);
    if (LIKELY(word_fd(word) >= 0)) return word_fd(word);
    int rc = open_again(d);
    if (rc < 0) {
        descriptor_release(d);
        return rc;
    }
    return word_fd(atomic_load_explicit(&d->word, memory_order_acquire));
}

void descriptor_release(struct descriptor *d)
{
    uint64_t word = atomic_fetch_sub_explicit(&d->word, USER_ONE, memory_order_release);
    assert(word_users(word) > 0);
    (void)word;
}

/* ---- joining and leaving ---- */

static void ring_add_locked(struct descriptor *d)
{
    if (!pool_hand) pool_hand = d->next = d->prev = d;
    d->next = pool_hand;
    d->prev = pool_hand->prev;
    d->prev->next = d->next->prev = d;
    n_files++;
}

static void ring_remove_locked(struct descriptor *d)
{
    if (pool_hand == d) pool_hand = d->next == d ? NULL : d->next;
    d->prev->next = d->next;
    d->next->prev = d->prev;
    n_files--;
}

/* The name itself, or one below it. */
static bool is_under(const struct descriptor *d, const struct name_change *c)
{
    size_t n = strlen(c->path);
    return d->root_ino == c->root_ino && d->root_dev == c->root_dev &&
           strncmp(d->path, c->path, n) == 0 && (d->path[n] == 0 || d->path[n] == '/');
}

static bool is_changing_locked(const struct descriptor *d)
{
    const struct name_change *c = pool_changes;
    while (c && !is_under(d, c)) c = c->next;
    return c != NULL;
}

static bool name_leads_there(const struct descriptor *d)
{
    struct identity is;
    return identity_of(&is, d->root, d->path) && identity_same(&is, &d->is);
}

struct descriptor *descriptor_new(int root, const char *path, int fd, bool in_order)
{
    struct stat top;
    struct identity is;
    advise(fd, in_order);
    if (!identity_of(&is, fd, "") || fstat(root, &top) < 0) return NULL;
    struct descriptor *d = NEW(struct descriptor);
    *d = (struct descriptor){ .in_order = in_order,
        .root = root,
        .root_dev = top.st_dev,
        .root_ino = top.st_ino,
        .path = mem_cstr(str_z(path)),
        .is = is };
    atomic_init(&d->word, STAYS);
    atomic_init(&d->used, true);
    mtx_lock(&pool_mu);
    ring_add_locked(d);
    set_open_locked(d, fd);
    d->renamed = is_changing_locked(d);
    mtx_unlock(&pool_mu);
    bool there = name_leads_there(d);
    mtx_lock(&pool_mu);
    if (there && !d->renamed) atomic_fetch_and_explicit(&d->word, ~STAYS, memory_order_release);
    mtx_unlock(&pool_mu);
    keep_limit();
    return d;
}

void descriptor_free(struct descriptor *d)
{
    if (!d) return;
    mtx_lock(&pool_mu);
    while (d->visits) cond_wait(&pool_visited, &pool_mu);
    ring_remove_locked(d);
    uint64_t word = atomic_load_explicit(&d->word, memory_order_acquire);
    assert(!word_users(word));
    if (word_fd(word) >= 0) n_open--;
    mtx_unlock(&pool_mu);
    if (word_fd(word) >= 0) close(word_fd(word));
    mem_free(d->path);
    mem_free(d);
}

/* ---- names that change ---- */

/* Everything under it is marked to stay. One of these that is closed, visited; NULL: none is. */
static struct descriptor *mark_locked(const struct name_change *c)
{
    struct descriptor *d = pool_hand;
    for (uint64_t i = 0; i < n_files; i++, d = d->next) {
        if (d->renamed || !is_under(d, c)) continue;
        d->renamed = true;
        uint64_t word = atomic_fetch_or_explicit(&d->word, STAYS, memory_order_acq_rel);
        if (word_fd(word) >= 0) continue;
        d->visits++;
        return d;
    }
    return NULL;
}

void descriptors_name_begin(struct name_change *c, int root, const char *path)
{
    struct stat top = { 0 };
    (void)fstat(root, &top); /* where it fails, so will the change */
    *c = (struct name_change){ top.st_dev, top.st_ino, path, NULL };
    mtx_lock(&pool_mu);
    c->next = pool_changes;
    pool_changes = c;
    for (struct descriptor *d; (d = mark_locked(c)) != NULL;) {
        mtx_unlock(&pool_mu);
        (void)open_again(d); /* where it fails, the next read of it will tell */
        mtx_lock(&pool_mu);
        d->visits--;
        cond_broadcast(&pool_visited);
    }
    mtx_unlock(&pool_mu);
}

void descriptors_name_end(struct name_change *c)
{
    mtx_lock(&pool_mu);
    struct name_change **at = &pool_changes;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    mtx_unlock(&pool_mu);
}

/* ---- limits and figures ---- */

void descriptors_set_limit(uint64_t n)
{
    atomic_store_explicit(&pool_limit, n, memory_order_relaxed);
    keep_limit();
}

void descriptors_allow(void)
{
    struct rlimit may;
    if (getrlimit(RLIMIT_NOFILE, &may) < 0) return;
    may.rlim_cur = may.rlim_max;
    setrlimit(RLIMIT_NOFILE, &may); /* a failure leaves what was */
}

struct descriptor_stats descriptors_stats(void)
{
    mtx_lock(&pool_mu);
    struct descriptor_stats s = { .files = n_files, .open = n_open };
    mtx_unlock(&pool_mu);
    s.limit = limit_now();
    s.reopened = atomic_load_explicit(&n_reopened, memory_order_relaxed);
    s.closed = atomic_load_explicit(&n_closed, memory_order_relaxed);
    return s;
}

enum figure { FIGURE_FILES, FIGURE_OPEN, FIGURE_LIMIT, FIGURE_REOPENED, FIGURE_CLOSED };
static double figure_read(void *ctx)
{
    struct descriptor_stats s = descriptors_stats();
    switch ((enum figure)(uintptr_t)ctx) {
    case FIGURE_FILES: return (double)s.files;
    case FIGURE_OPEN: return (double)s.open;
    case FIGURE_LIMIT: return (double)s.limit;
    case FIGURE_REOPENED: return (double)s.reopened;
    default: return (double)s.closed;
    }
}

#define FIGURE(var, kind, name, help, figure)                                                      \
    METRIC_DEFINE(var, kind, "epimetheus_io_pooled_" name, help, .read = figure_read,              \
        .read_ctx = (void *)(uintptr_t)(figure))
FIGURE(m_files, METRIC_GAUGE, "files",
    "Files of buffered reads whose descriptors may be closed while nobody reads.", FIGURE_FILES)
FIGURE(m_open, METRIC_GAUGE, "descriptors", "Descriptors of them that are open.", FIGURE_OPEN)
FIGURE(m_limit, METRIC_GAUGE, "descriptors_limit", "As many as these may stay open.", FIGURE_LIMIT)
FIGURE(m_reopened, METRIC_COUNTER, "descriptors_reopened_total",
    "Descriptors that were opened again by a read.", FIGURE_REOPENED)
FIGURE(m_closed, METRIC_COUNTER, "descriptors_closed_total",
    "Descriptors that were closed to keep the limit.", FIGURE_CLOSED)
