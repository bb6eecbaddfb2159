/* memory_limit_test.c — the least limit of groups and machine. */
#include "io/memory_limit.h"

#include "base/test.h"
#include "io/fs_sim.h"

struct tree_file {
    const char *path, *text;
};

static void put(struct fs *fs, const struct tree_file *f)
{
    str path = str_z(f->path);
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/') EXPECT_OK(fs_mkdir(fs, str_slice(path, 0, i), NULL));
    EXPECT_OK(fs_write_durable(fs, path, str_z(f->text), NULL));
}

#define V2 "proc/self/cgroup", "0::/app.slice/epi.service\n"
#define V1 "proc/self/cgroup", "3:cpu,cpuacct:/x\n2:memory:/docker/1\n1:name=systemd:/\n"
#define MACHINE "proc/meminfo", "MemTotal:        8000 kB\nMemFree:         10 kB\n"

TEST(memory_limit_is_the_least)
{
    static const struct {
        const char *name;
        struct tree_file files[5];
        uint64_t want;
    } cases[] = {
        { "nothing is known", { { 0 } }, 0 },
        { "the machine", { { MACHINE } }, 8192000 },
        { "version 2",
            { { MACHINE }, { V2 },
                { "sys/fs/cgroup/app.slice/epi.service/memory.max", "4096000\n" } },
            4096000 },
        { "of a group around it",
            { { MACHINE }, { V2 }, { "sys/fs/cgroup/app.slice/epi.service/memory.max", "max\n" },
                { "sys/fs/cgroup/app.slice/memory.max", "2048000\n" } },
            2048000 },
        { "of a container that sees its own root",
            { { MACHINE }, { V2 }, { "sys/fs/cgroup/memory.max", "1024000\n" } }, 1024000 },
        { "more than the machine has",
            { { MACHINE }, { V2 }, { "sys/fs/cgroup/memory.max", "999999999999\n" } }, 8192000 },
        { "version 1",
            { { MACHINE }, { V1 },
                { "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "512000\n" } },
            512000 },
        { "no numbers",
            { { "proc/meminfo", "MemTotal: lots\n" }, { "proc/self/cgroup", "x\n0::\n" } }, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fs *fs = fs_sim_new(test_seed());
        test_case(cases[i].name);
        for (const struct tree_file *f = cases[i].files; f->path; f++) put(fs, f);
        EXPECT_EQ((int64_t)memory_limit(fs), (int64_t)cases[i].want);
        fs_free(fs);
    }
}

TEST(memory_limit_of_this_machine)
{
    struct fs *root = fs_real_new(S("/"));
    EXPECT(memory_limit(root) > 1 << 20);
    fs_free(root);
}
