/* unsent_test.c — which answers are cut, by a clock of the test's. */
#include "api/unsent.h"

#include "base/test.h"

enum { S = 1000000000, ANSWERS = 4 };

struct asked { struct http_req r; struct unsent u; unsigned cuts; int kernel; };

static str no_header(const struct http_req *r, const char *name)
{
    (void)r, (void)name;
    return STR_EMPTY;
}
static void cut_counted(struct http_req *r) { CONTAINER_OF(r, struct asked, r)->cuts++; }
static const struct http_req_ops ops = { .header = no_header, .cut = cut_counted };

static void enter(struct unsent_list *l, struct asked *a, uint64_t bytes, int64_t now_ns)
{
    a->r.ops = &ops;
    unsent_enter(l, &a->u, &a->r, bytes, now_ns);
}

TEST(those_that_stand_longest_are_cut_until_the_rest_is_within_the_bound)
{
    struct unsent_list l;
    struct asked a[ANSWERS] = { 0 }, late = { 0 }, later = { 0 };
    unsent_init(&l, 100);
    for (int i = 0; i < ANSWERS; i++) enter(&l, &a[i], 25, S);
    for (int i = 0; i < ANSWERS; i++) atomic_store(&a[i].r.moved_ns, (int64_t)(1 + i) * S);
    enter(&l, &late, 30, 4ll * S);     /* two have stood for two seconds and more */
    EXPECT_EQ(a[0].cuts, 1);
    EXPECT_EQ(a[1].cuts, 1);           /* 135, 110, 85 */
    for (int i = 2; i < ANSWERS; i++) EXPECT_EQ(a[i].cuts, 0);
    enter(&l, &later, 1000, 4ll * S);  /* none stands long enough */
    EXPECT_EQ(a[0].cuts + a[1].cuts + a[2].cuts + a[3].cuts + late.cuts + later.cuts, 2);
    for (int i = 0; i < ANSWERS; i++) unsent_leave(&l, &a[i].u);
    unsent_leave(&l, &late.u);
    unsent_leave(&l, &later.u);
    unsent_leave(&l, &later.u);        /* it went before */
    EXPECT_EQ(l.bytes, 0);
    unsent_fini(&l);
}

static int kernel_has(struct http_req *r) { return CONTAINER_OF(r, struct asked, r)->kernel; }

TEST(who_takes_what_the_kernel_has_reads)
{
    static const struct http_req_ops seen = { .header = no_header, .cut = cut_counted,
        .unsent = kernel_has };
    struct unsent_list l;
    struct asked a[2] = { { .kernel = 9000 }, { .kernel = 9000 } }, late[3] = { 0 };
    unsent_init(&l, 100);
    for (int i = 0; i < 2; i++) {
        a[i].r.ops = &seen;
        unsent_enter(&l, &a[i].u, &a[i].r, 40, S);
    }
    for (int i = 0; i < 3; i++) {
        a[1].kernel -= 100;
        enter(&l, &late[i], 30, (3ll + 2 * i) * S);
        atomic_store(&late[i].r.moved_ns, (int64_t)100 * S);
        EXPECT_EQ(a[0].cuts, 1);
    }
    EXPECT_EQ(a[1].cuts, 0);
    for (int i = 0; i < 3; i++) unsent_leave(&l, &late[i].u);
    for (int i = 0; i < 2; i++) unsent_leave(&l, &a[i].u);
    unsent_fini(&l);
}

TEST(within_the_bound_nobody_is_cut)
{
    struct unsent_list l;
    struct asked a[ANSWERS] = { 0 };
    unsent_init(&l, 100);
    for (int i = 0; i < ANSWERS; i++) enter(&l, &a[i], 25, (int64_t)i * 100 * S);
    for (int i = 0; i < ANSWERS; i++) EXPECT_EQ(a[i].cuts, 0);
    for (int i = ANSWERS; i-- > 0;) unsent_leave(&l, &a[i].u);
    EXPECT_EQ(l.bytes, 0);
    unsent_fini(&l);
}
