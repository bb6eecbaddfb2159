#include "io/memory_limit.h"

#include "io/fs.h"

enum { FILE_MAX_BYTES = 1 << 16 };

/* Files of the kernel do not say how long they are. */
static str read_path(struct fs *root, struct arena *a, str path)
{
    struct file *f = NULL;
    size_t got = 0;
    uint8_t *to = arena_alloc(a, FILE_MAX_BYTES);
    if (fs_open(&f, root, path, FS_READ, NULL) != OK) return STR_EMPTY;
    errc rc = file_pread(f, to, FILE_MAX_BYTES, 0, &got, NULL);
    file_close(f);
    return rc == OK ? (str){ to, got } : STR_EMPTY;
}

/* The group's limit and those of the groups around it. "max" is none. */
static void group_limits(
    struct fs *root, struct arena *a, str top, str group, const char *name, uint64_t *least)
{
    for (;;) {
        uint64_t n;
        while (group.n && group.p[group.n - 1] == '/') group.n--;
        str path = arena_fmt(a, "%.*s%.*s/%s", STR_ARG(top), STR_ARG(group), name);
        if (str_u64(str_trim(read_path(root, a, path)), &n) && n) *least = MIN(*least, n);
        if (!group.n) return;
        size_t slash = str_rindex(group, '/');
        group.n = slash == SIZE_MAX ? 0 : slash;
    }
}

static bool has_word(str list, str word)
{
    while (list.n) {
        str one;
        str_cut(list, ',', &one, &list);
        if (str_eq(one, word)) return true;
    }
    return false;
}

static void limits_of_groups(struct fs *root, struct arena *a, uint64_t *least)
{
    str lines = read_path(root, a, S("proc/self/cgroup"));
    while (lines.n) {
        str line, number, rest, controllers, group;
        str_cut(lines, '\n', &line, &lines);
        str_cut(line, ':', &number, &rest);
        str_cut(rest, ':', &controllers, &group);
        if (!controllers.n && str_eq(number, S("0")))
            group_limits(root, a, S("sys/fs/cgroup"), group, "memory.max", least);
        if (has_word(controllers, S("memory")))
            group_limits(root, a, S("sys/fs/cgroup/memory"), group, "memory.limit_in_bytes", least);
    }
}

static void limit_of_machine(struct fs *root, struct arena *a, uint64_t *least)
{
    str lines = read_path(root, a, S("proc/meminfo")), line, kb;
    uint64_t n;
    while (lines.n) {
        str_cut(lines, '\n', &line, &lines);
        if (!str_has_prefix(line, S("MemTotal:"))) continue;
        str_cut(str_trim(str_from(line, S("MemTotal:").n)), ' ', &kb, &line);
        if (str_u64(kb, &n) && n <= UINT64_MAX / 1024) *least = MIN(*least, n * 1024);
        return;
    }
}

uint64_t memory_limit(struct fs *root)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    uint64_t least = UINT64_MAX;
    limit_of_machine(root, &a, &least);
    limits_of_groups(root, &a, &least);
    return least == UINT64_MAX ? 0 : least;
}
