#include "storeapi/outer.h"

#include "base/test.h"
#include "storeapi/test_store.h"

static str_list names(struct arena *a, const char *text)
{
    str_list all = { 0 };
    for (str rest = str_z(text), one; rest.n;) {
        str_cut(rest, ',', &one, &rest);
        avec_push(a, &all, one);
    }
    return all;
}

TEST(outer_labels_are_joined)
{
    static const struct {
        const char *name, *own, *external, *without, *want;
        bool lost;
    } cases[] = {
        { "nothing to do", "a=1", "", "", "{a=1}", false },
        { "around", "b=1,d=2", "a=x,c=y,e=z", "", "{a=x,b=1,c=y,d=2,e=z}", false },
        { "external wins", "a=1,b=2", "b=x", "", "{a=1,b=x}", true },
        { "replica left out", "a=1", "b=x,r=0", "r", "{a=1,b=x}", false },
        { "own replica left out", "a=1,r=1", "b=x", "r", "{a=1,b=x}", true },
        { "both left out", "a=1,r=1", "r=0", "r", "{a=1}", true },
        { "all left out", "r=1", "r=0", "a,r", "{}", true },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf text = { 0 };
        SCOPED(outer_memo_fini) struct outer_memo m = { 0 };
        struct outer o;
        bool lost;
        outer_init(&o, test_labels(&a, c->external), names(&a, c->without), &a);
        for (int again = 0; again < 2; again++) {
            buf_reset(&text);
            test_labels_text(&text, outer_labels(&m, &o, test_labels(&a, c->own), &lost));
            EXPECT_STR(buf_view(&text), str_z(c->want));
            EXPECT_EQ(lost, c->lost);
        }
    }
}

/* What is kept of one series is not taken for the next, whatever differs between the two. */
TEST(outer_labels_one_after_the_other)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    static const char *const own[] = { "a=1,d=2", "a=2,d=3", "a=1", "ad=1", "a=1,e=2", "a=1,da=2",
        "c=1", "", "a=1,c=3,d=2", "a=1,d=2", "ad=1,e=2", "a=1,de=2" };
    struct outer o;
    outer_init(&o, test_labels(&a, "b=x,c=y"), (str_list){ 0 }, &a);
    SCOPED(outer_memo_fini) struct outer_memo kept = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        for (size_t k = 0; k < ARRAY_LEN(own); k++) {
            SCOPED(outer_memo_fini) struct outer_memo fresh = { 0 };
            struct labels l = test_labels(&a, own[k]);
            bool lost, lost_too, ignored;
            (void)outer_labels(&kept, &o, test_labels(&a, own[i]), &ignored);
            struct labels x = outer_labels(&kept, &o, l, &lost);
            EXPECT(labels_eq(x, outer_labels(&fresh, &o, l, &lost_too)));
            EXPECT_EQ(lost, lost_too);
        }
    }
}

/* Each series belongs to exactly one shard, by what is listed or by the rest. */
TEST(outer_shards)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf scratch = { 0 };
    struct store_shard s = { 0, 3, true, names(&a, "pod") };
    for (int by = 0; by < 2; by++) {
        s.by = by;
        size_t in[3] = { 0 };
        for (int i = 0; i < 300; i++) {
            str text = arena_fmt(&a, "job=%d,pod=%d", i / 100, i);
            struct labels l = test_labels(&a, (const char *)text.p);
            size_t wanted = 0;
            for (s.index = 0; s.index < 3; s.index++) {
                bool wants = shard_wants(&s, l, &scratch);
                wanted += wants;
                in[s.index] += wants;
            }
            EXPECT_EQ(wanted, 1);
        }
        for (int i = 0; i < 3; i++) EXPECT(by ? in[i] > 50 : in[i] % 100 == 0);
    }
    s.total = 0;
    EXPECT(shard_wants(&s, test_labels(&a, "pod=1"), &scratch));
    /* as xxhash has it: the shard of {pod="a"} by pod */
    s = (struct store_shard){ 0, 1000, true, names(&a, "pod") };
    size_t found = 0;
    for (s.index = 0; s.index < 1000; s.index++)
        found += shard_wants(&s, test_labels(&a, "pod=a"), &scratch);
    EXPECT_EQ(found, 1);
}
