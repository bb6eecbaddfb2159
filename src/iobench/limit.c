#include "iobench/limit.h"

#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *top, *controller, *max, *version;
} kinds[] = {
    { "sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "cgroup v1" },
    { "sys/fs/cgroup", "", "memory.max", "cgroup v2" },
};

/* Where the process is now, below top: "/", "/a/b". False: the controller is not there. */
static bool group_of(struct fs *root, const char *controller, char *out, size_t cap)
{
    enum { BYTES = 16 << 10 };
    SCOPED(arena_fini) struct arena a = { 0 };
    struct file *f = NULL;
    uint8_t *text = arena_alloc(&a, BYTES);
    size_t got = 0;
    if (fs_open(&f, root, S("proc/self/cgroup"), FS_READ, NULL) != OK) return false;
    errc rc = file_pread(f, text, BYTES, 0, &got, NULL);
    file_close(f);
    str rest = { text, rc == OK ? got : 0 }, line, number, names, path;
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

bool limit_begin(struct limit *l, uint64_t bytes)
{
    struct fs *root = fs_real_new(S("/"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char path[LIMIT_PATH_MAX / 2];
        *l = (struct limit){ .root = root, .version = kinds[i].version };
        if (!group_of(root, kinds[i].controller, path, sizeof(path))) continue;
        snprintf(l->above, sizeof(l->above), "%s%s", kinds[i].top, path);
        snprintf(l->group, sizeof(l->group), "%s/epitool-iobench-%d", l->above, (int)getpid());
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
