#include "iobench/limit.h"

#include "base/test.h"

TEST(limit_is_put_back)
{
    struct limit l = { 0 };
    struct fs *root = fs_real_new(S("/"));
    limit_end(&l); /* the zero value is fine */
    if (limit_begin(&l, (uint64_t)1 << 30)) {
        SCOPED(arena_fini) struct arena a = { 0 };
        str group = arena_str(&a, str_z(l.group));
        EXPECT(fs_exists(root, group));
        limit_end(&l);
        EXPECT(!fs_exists(root, group));
    }
    EXPECT(!l.root);
    fs_free(root);
}
