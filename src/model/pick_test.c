#include "model/pick.h"

#include "base/clock.h"
#include "base/test.h"

/* Eight series over two labels, of which some are absent, against what matchers_match says of
 * each. */
static const struct {
    const char *a, *b;
} world[] = { { "x", "1" }, { "x", "2" }, { "y", "1" }, { "xy", NULL }, { NULL, "1" },
    { NULL, "12" }, { "", "2" }, { "y", NULL } };

static struct labels labels_at(size_t i, struct label *room)
{
    size_t n = 0;
    if (world[i].a && world[i].a[0]) room[n++] = (struct label){ S("a"), str_z(world[i].a) };
    if (world[i].b) room[n++] = (struct label){ S("b"), str_z(world[i].b) };
    return (struct labels){ room, n };
}

/* The series on the lists of a pick. */
static bool on_list(const struct pick *p, struct labels l)
{
    str value = labels_get(l, p->m->name);
    if (!value.n) return false;
    size_t n;
    const str *at = pick_values(p, &n);
    bool listed = n == 0 && str_has_prefix(value, pick_prefix(p)) && pick_wants(p, value);
    for (size_t i = 0; i < n; i++) listed = listed || str_eq(at[i], value);
    if (n) EXPECT_EQ(pick_wants(p, value), listed);
    return listed;
}

static bool picked(const picks *v, struct labels l)
{
    bool in = true;
    for (size_t i = 0; i < v->n; i++) in = in && on_list(&v->at[i], l) != v->at[i].subtract;
    return in;
}

static void check(const struct matcher *m, size_t n)
{
    picks v = { 0 };
    bool some = picks_of(&v, (struct matchers){ m, n });
    bool subtracting = false;
    for (size_t i = 0; i < v.n; i++) {
        EXPECT(!subtracting || v.at[i].subtract);
        subtracting = v.at[i].subtract;
    }
    for (size_t i = 0; i < ARRAY_LEN(world); i++) {
        struct label room[2];
        struct labels l = labels_at(i, room);
        EXPECT_EQ(some && picked(&v, l), matchers_match((struct matchers){ m, n }, l));
    }
    vec_fini(&v);
}

TEST(picks_are_what_the_matchers_accept)
{
    static const struct { enum match_type type; str value;
    } kinds[] = {
        { MATCH_EQ, S("x") },
        { MATCH_EQ, S("") },
        { MATCH_NE, S("x") },
        { MATCH_NE, S("") },
        { MATCH_RE, S("x|y") },
        { MATCH_RE, S("x.*") },
        { MATCH_RE, S(".*") },
        { MATCH_RE, S(".+") },
        { MATCH_RE, S("x?") },
        { MATCH_RE, S("") },
        { MATCH_NRE, S("x|y") },
        { MATCH_NRE, S(".*") },
        { MATCH_NRE, S(".+") },
        { MATCH_NRE, S("x?") },
        { MATCH_NRE, S("x.+") },
        { MATCH_RE, S("|x") },
        { MATCH_NRE, S("|1") },
        { MATCH_RE, S("1.*|2") },
    };
    struct arena a = { 0 };
    struct matcher m[2 * ARRAY_LEN(kinds)];
    for (size_t i = 0; i < ARRAY_LEN(m); i++)
        EXPECT_OK(matcher_init(
            &m[i], &a, kinds[i / 2].type, i % 2 ? S("b") : S("a"), kinds[i / 2].value, NULL));
    for (size_t i = 0; i < ARRAY_LEN(m); i++) {
        check(&m[i], 1);
        for (size_t k = 0; k < ARRAY_LEN(m); k++) {
            struct matcher two[] = { m[i], m[k] };
            check(two, 2);
            for (size_t j = 0; j < ARRAY_LEN(m); j += 5)
                check((struct matcher[]){ m[i], m[k], m[j] }, 3);
        }
    }
    struct matcher all = { .type = MATCH_EQ };
    check(&all, 1);
    for (size_t i = 0; i < ARRAY_LEN(m); i++) matcher_fini(&m[i]);
    arena_fini(&a);
}

/* A selector of a megabyte: each of them is asked once, not once for each other. */
TEST(picks_of_many_matchers)
{
    enum { MANY = 100000, SECONDS = 5 };
    struct matcher *m = mem_alloc_array(MANY, sizeof(*m));
    struct arena a = { 0 };
    picks v = { 0 };
    int64_t began = clock_cpu_ns();
    for (size_t i = 0; i < MANY; i++)
        m[i] = (struct matcher){ MATCH_NE, arena_fmt(&a, "l%zu", i), S("x"), NULL };
    m[MANY / 2].type = MATCH_EQ;
    EXPECT(picks_of(&v, (struct matchers){ m, MANY }));
    EXPECT_EQ(v.n, MANY);
    EXPECT(!v.at[0].subtract && v.at[1].subtract);
    EXPECT(clock_cpu_ns() - began < SECONDS * INT64_C(1000000000));
    vec_fini(&v);
    arena_fini(&a);
    mem_free(m);
}
