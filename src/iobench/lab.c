#include "iobench/lab.h"

#include "base/clock.h"
#include "base/prng.h"
#include "io/memory_limit.h"
#include "io/pool.h"
#include "io/reader.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
    uint64_t magic;
    const char *name;
    bool remote, in_memory;
} file_systems[] = {
    { 0xef53, "ext4", false },
    { 0x58465342, "xfs", false },
    { 0x9123683e, "btrfs", false },
    { 0x01021994, "tmpfs", false, true },
    { 0x858458f6, "ramfs", false, true },
    { 0x794c7630, "overlayfs", false },
    { 0x2fc12fc1, "zfs", false },
    { 0x6969, "nfs", true },
    { 0x65735546, "fuse", true },
    { 0xff534d42, "cifs", true },
    { 0xfe534d42, "smb2", true },
    { 0x00c36400, "ceph", true },
    { 0x01021997, "9p", true },
};

void lab_add(struct lab *l, enum lab_part part, const char *what, const char *how, const char *unit,
    double value)
{
    struct lab_row r = { .part = part, .unit = unit, .value = value };
    snprintf(r.what, sizeof(r.what), "%s", what);
    snprintf(r.how, sizeof(r.how), "%s", how);
    vec_push(&l->rows, r);
}

struct lab_row *lab_last(struct lab *l)
{
    assert(l->rows.n);
    return &l->rows.at[l->rows.n - 1];
}

void lab_note(struct lab *l, const char *fmt, ...)
{
    struct lab_note note;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(note.text, sizeof(note.text), fmt, ap);
    va_end(ap);
    vec_push(&l->notes, note);
}

void lab_step(struct lab *l, const char *what)
{
    enum { SHORTEST_NS = 10000000 };
    progress_tell(l->o->progress, str_z(what), l->steps_done, l->steps);
    if (l->until_ns) {
        int64_t left = l->until_ns - clock_mono_ns(),
                share = left / (2 * (int64_t)MAX(l->steps - l->steps_done, (size_t)1));
        l->slice_ns = MIN(l->slice_ns, MAX(share, (int64_t)SHORTEST_NS));
    }
    l->steps_done++;
}

bool lab_is_late(const struct lab *l) { return l->until_ns && clock_mono_ns() > l->until_ns; }

const struct lab_row *lab_find(const struct lab *l, const char *what, const char *how)
{
    for (size_t i = 0; i < l->rows.n; i++)
        if (strcmp(l->rows.at[i].what, what) == 0 && strcmp(l->rows.at[i].how, how) == 0)
            return &l->rows.at[i];
    return NULL;
}

int64_t lab_cpu_ns(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0) return 0;
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000000) +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * INT64_C(1000);
}

/* A descriptor of a file below the folder; -1: none. */
static int open_below(const struct lab *l, str path)
{
    char room[4096];
    snprintf(room, sizeof(room), "%.*s/%.*s", STR_ARG(l->o->dir), STR_ARG(path));
    return open(room, O_RDONLY | O_CLOEXEC);
}

void lab_evict(struct lab *l, str path)
{
    int fd = open_below(l, path);
    if (fd < 0) return;
    /* dirty pages stay */
    if (fdatasync(fd) == 0) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void look_around(struct lab *l)
{
    struct utsname u;
    struct statfs st;
    char room[4096];
    if (uname(&u) == 0) snprintf(l->kernel, sizeof(l->kernel), "%.12s %.48s", u.sysname, u.release);
    snprintf(room, sizeof(room), "%.*s", STR_ARG(l->o->dir));
    snprintf(l->file_system, sizeof(l->file_system), "unknown");
    if (statfs(room, &st) == 0) {
        uint32_t magic = (uint32_t)st.f_type;
        snprintf(l->file_system, sizeof(l->file_system), "0x%x", magic);
        for (size_t i = 0; i < ARRAY_LEN(file_systems); i++) {
            if (file_systems[i].magic != magic) continue;
            snprintf(l->file_system, sizeof(l->file_system), "%s", file_systems[i].name);
            l->remote = file_systems[i].remote;
            l->in_memory = file_systems[i].in_memory;
        }
    }
    struct fs *root = fs_real_new(S("/"));
    l->memory_bytes = memory_limit(root);
    fs_free(root);
    l->cores = pool_cores();
    /* who waits for a disk leaves the core to others */
    l->threads = MIN(MAX(2 * l->cores, 4u), (unsigned)LAB_THREADS_MAX);
}

/* A file that no file system can make shorter than it is. */
static errc file_make(struct lab *l, struct err *e)
{
    enum { PIECE = 1 << 20 };
    SCOPED(mem_freep) void *room = mem_alloc(PIECE);
    struct prng rng = { 1 };
    struct file *f = NULL;
    TRY(fs_open(&f, l->fs, S(LAB_FILE), FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = OK;
    for (uint64_t at = 0; rc == OK && at < l->file_bytes; at += PIECE) {
        uint64_t *words = room;
        for (size_t i = 0; i < PIECE / sizeof(*words); i++) words[i] = prng_u64(&rng);
        rc = file_pwrite(f, &(str){ room, PIECE }, 1, at, NULL, e);
    }
    if (rc == OK) rc = file_sync(f, e);
    file_close(f);
    return rc;
}

static errc run_parts(struct lab *l, struct err *e)
{
    TRY(lab_costs(l, e));
    TRY(lab_evictions(l, e));
    TRY(lab_maps(l, e));
    TRY(lab_reads(l, e));
    TRY(lab_calls(l, e));
    return lab_queries(l, e);
}

errc lab_run(struct lab *l, const struct lab_opts *o, struct err *e)
{
    enum {
        QUICK_BYTES = 192 << 20,
        FULL_BYTES = 1 << 30,
        QUICK_NS = 250000000,
        FULL_NS = 1000000000,
        QUICK_S = 45
    };
    *l = (struct lab){ .o = o, .fs = fs_real_new(o->dir), .quick = o->quick };
    l->slice_ns = o->slice_ns ? o->slice_ns : o->quick ? QUICK_NS : FULL_NS;
    if (o->quick) l->until_ns = clock_mono_ns() + QUICK_S * INT64_C(1000000000);
    l->file_bytes = o->file_bytes ? o->file_bytes : o->quick ? QUICK_BYTES : FULL_BYTES;
    l->file_bytes -= l->file_bytes % (1 << 20);
    l->memory_limit = MAX(o->memory_limit ? o->memory_limit : l->file_bytes / 4, LAB_MEMORY_MIN);
    if (l->file_bytes < 16 << 20)
        return err_set(e, ERR_BAD_INPUT, "less than 16 MiB says nothing about reads");
    look_around(l);
    l->steps = 1 + lab_costs_steps(l) + lab_evictions_steps(l) + lab_maps_steps(l) +
               lab_reads_steps(l) + lab_calls_steps(l) + lab_queries_steps(l);
    if (l->in_memory)
        lab_note(l,
            "%s lies in memory: reads that wait for a disk, and less memory than data, are not "
            "measured",
            l->file_system);
    lab_step(l, "a file to read");
    errc rc = file_make(l, e);
    if (rc == OK) rc = run_parts(l, e);
    errc gone = fs_unlink(l->fs, S(LAB_FILE), rc == OK ? e : NULL);
    return rc != OK ? rc : gone;
}

void lab_fini(struct lab *l)
{
    vec_fini(&l->rows);
    vec_fini(&l->notes);
    fs_free(l->fs);
    *l = (struct lab){ 0 };
}
