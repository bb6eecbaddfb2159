#include "iobench/limit.h"

#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *top, *controller, *max, *left, *version;
} kinds[] = {
    { "sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "pgpgout", "cgroup v1" },
    { "sys/fs/cgroup", "", "memory.max", "pgsteal", "cgroup v2" },
};

/* Files of the kernel do not say how long they are; empty: there is none. */
static str read_text(struct fs *root, struct arena *a, str path)
{
    enum { BYTES = 64 << 10 };
    struct file *f = NULL;
    uint8_t *text = arena_alloc(a, BYTES);
    size_t got = 0;
    if (fs_open(&f, root, path, FS_READ, NULL) != OK) return STR_EMPTY;
    errc rc = file_pread(f, text, BYTES, 0, &got, NULL);
    file_close(f);
    return rc == OK ? str_of(text, got) : STR_EMPTY;
}

/* The number behind a name, each on a line of its own; 0: it is not there. */
static uint64_t figure_of(str text, str name)
{
    str line, word;
    uint64_t n;
    while (text.n) {
        str_cut(text, '\n', &line, &text);
        str_cut(line, ' ', &word, &line);
        if (str_eq(word, name)) return str_u64(line, &n) ? n : 0;
    }
    return 0;
}

/* Where the process is now, below top: "/", "/a/b". False: the controller is not there. */
static bool group_of(struct fs *root, const char *controller, char *out, size_t cap)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str rest = read_text(root, &a, S("proc/self/cgroup")), line, number, names, path;
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        str_cut(line, ':', &number, &line);
        str_cut(line, ':', &names, &path);
        if (!str_eq(names, str_z(controller))) continue;
        while (path.n && path.p[path.n - 1] == '/') path.n--;
        snprintf(out, cap, "%.*s", STR_ARG(path));
        return true;
    }
    return false;
}

static bool put(struct fs *root, const char *group, const char *file, uint64_t v)
{
    char path[LIMIT_PATH_MAX + 32], text[32];
    struct file *f = NULL;
    snprintf(path, sizeof(path), "%s/%s", group, file);
    int n = snprintf(text, sizeof(text), "%" PRIu64, v);
    if (fs_open(&f, root, str_z(path), FS_WRITE, NULL) != OK) return false;
    errc rc = file_pwrite(f, &(str){ (const uint8_t *)text, (size_t)n }, 1, 0, NULL, NULL);
    file_close(f);
    return rc == OK;
}

/* Where the group of a process is, or would be. */
static bool limit_place(struct limit *l, struct fs *root, size_t kind, int pid)
{
    char path[LIMIT_PATH_MAX / 2];
    *l = (struct limit){ .root = root, .version = kinds[kind].version, .left = kinds[kind].left };
    if (!group_of(root, kinds[kind].controller, path, sizeof(path))) return false;
    snprintf(l->above, sizeof(l->above), "%s%s", kinds[kind].top, path);
    snprintf(l->group, sizeof(l->group), "%s/epitool-iobench-%d", l->above, pid);
    return true;
}

bool limit_begin(struct limit *l, uint64_t bytes)
{
    struct fs *root = fs_real_new(S("/"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!limit_place(l, root, i, (int)getpid())) continue;
        if (fs_mkdir(root, str_z(l->group), NULL) != OK) continue;
        if (put(root, l->group, kinds[i].max, bytes) &&
            put(root, l->group, "cgroup.procs", (uint64_t)getpid()))
            return true;
        errc rc = fs_rmdir(root, str_z(l->group), NULL);
        (void)rc;
    }
    fs_free(root);
    *l = (struct limit){ 0 };
    return false;
}

void limit_end(struct limit *l)
{
    if (!l->root) return;
    errc rc = put(l->root, l->above, "cgroup.procs", (uint64_t)getpid())
                  ? fs_rmdir(l->root, str_z(l->group), NULL)
                  : ERR_IO;
    (void)rc; /* an empty group that stays behind limits nobody */
    fs_free(l->root);
    *l = (struct limit){ 0 };
}

uint64_t limit_left(const struct limit *l)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str path = arena_fmt(&a, "%s/memory.stat", l->group);
    return figure_of(read_text(l->root, &a, path), str_z(l->left));
}

void limit_forget(int pid)
{
    struct fs *root = fs_real_new(S("/"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct limit l;
        errc rc = limit_place(&l, root, i, pid) ? fs_rmdir(root, str_z(l.group), NULL) : OK;
        (void)rc; /* mostly there is none */
    }
    fs_free(root);
}

/* ---- what the kernel does ---- */

/* CPU time of a thread of the kernel: the 14th and 15th word of its line, in ticks. */
static int64_t cpu_of_stat(str text)
{
    enum { USER = 14, SYSTEM = 15, FIRST = 3 };
    size_t name_end = str_rindex(text, ')');
    int64_t ticks = 0;
    str rest = name_end == SIZE_MAX ? STR_EMPTY : str_from(text, MIN(name_end + 2, text.n)), word;
    for (int i = FIRST; rest.n && i <= SYSTEM; i++) {
        uint64_t n;
        str_cut(rest, ' ', &word, &rest);
        if (i >= USER && str_u64(word, &n)) ticks += (int64_t)n;
    }
    return ticks * (INT64_C(1000000000) / MAX(sysconf(_SC_CLK_TCK), 1L));
}

/* Of all kswapds: there is one a node of memory. */
static int64_t kswapd_cpu(struct fs *root)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(arena_fini) struct arena texts = { 0 };
    struct arena_mark empty = arena_mark(&texts);
    fs_entries all = { 0 };
    int64_t sum = 0;
    errc rc = fs_list(root, S("proc"), &a, &all, NULL);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        uint64_t pid;
        if (!str_u64(all.at[i].name, &pid)) continue;
        arena_reset(&texts, empty);
        str path = arena_fmt(&texts, "proc/%" PRIu64 "/stat", pid), text;
        text = read_text(root, &texts, path);
        if (str_find(text, S("(kswapd")) != SIZE_MAX) sum += cpu_of_stat(text);
    }
    vec_fini(&all);
    return sum;
}

struct reclaim reclaim_now(void)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *root = fs_real_new(S("/"));
    str text = read_text(root, &a, S("proc/vmstat"));
    struct reclaim r = { .by_kswapd = figure_of(text, S("pgsteal_kswapd")),
        .directly = figure_of(text, S("pgsteal_direct")),
        .refaults = figure_of(text, S("workingset_refault_file")),
        .kswapd_cpu_ns = kswapd_cpu(root) };
    fs_free(root);
    return r;
}
