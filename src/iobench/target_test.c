#include "iobench/target.h"

#include "base/buf.h"
#include "base/test.h"

static struct target target_of(struct buf *path, const char *name)
{
    struct target t = { 0 };
    path->n = 0;
    buf_fmt(path, "%s/%s", test_tmpdir(), name);
    EXPECT_OK(target_open(&t, buf_view(path), NULL));
    return t;
}

TEST(target_is_written_in_place)
{
    SCOPED(buf_fini) struct buf path = { 0 };
    struct target t = target_of(&path, "f");
    EXPECT(t.is_new && !target_is_stdout(&t));
    EXPECT_OK(target_write(&t, S("what was there"), NULL));
    target_close(&t, true); /* it says something */
    t = target_of(&path, "f");
    uint64_t n = 0;
    EXPECT(!t.is_new);
    EXPECT_OK(target_write(&t, S("less"), NULL));
    EXPECT_OK(file_size(t.f, &n, NULL));
    EXPECT_EQ(n, 4);
    target_close(&t, false);
    t = target_of(&path, "empty");
    target_close(&t, true);
    t = target_of(&path, "empty");
    EXPECT(t.is_new);
    target_close(&t, false);
    t = target_of(&path, "empty");
    EXPECT(!t.is_new);
    target_close(&t, true); /* of somebody else */
    t = target_of(&path, "empty");
    EXPECT(!t.is_new);
    target_close(&t, false);
}
