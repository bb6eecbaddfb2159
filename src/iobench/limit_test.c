#include "iobench/limit.h"

#include "base/test.h"

#include <unistd.h>

TEST(limit_is_put_back)
{
    struct limit l = { 0 };
    struct fs *root = fs_real_new(S("/"));
    limit_end(&l); /* the zero value is fine */
    if (limit_begin(&l, (uint64_t)1 << 30)) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str group = arena_str(&a, str_z(l.group));
        EXPECT(fs_exists(root, group));
        limit_forget((int)getpid()); /* it is not empty */
        EXPECT(fs_exists(root, group));
        EXPECT(limit_left(&l) <= limit_left(&l));
        limit_end(&l);
        EXPECT(!fs_exists(root, group));
    }
    EXPECT(!l.root);
    fs_free(root);
}

TEST(limit_reads_what_the_kernel_took_back)
{
    struct reclaim was = reclaim_now(), now = reclaim_now();
    EXPECT(now.by_kswapd >= was.by_kswapd && now.directly >= was.directly);
    EXPECT(now.kswapd_cpu_ns >= was.kswapd_cpu_ns);
    limit_forget(1 << 30); /* of nobody */
}
