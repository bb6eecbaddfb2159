#include "promql/reads.h"

#include "base/json.h"
#include "base/test.h"
#include "io/thread.h"

static str told(struct buf *b, const struct read_sums *s)
{
    struct read_counts c = reads_told(s);
    c.major_faults = 7;                        /* what the test itself had is not asked */
    struct json j = json_to(b);
    buf_reset(b);
    reads_json(&j, &c);
    return buf_view(b);
}

/* As readers count: one that maps, one that reads. */
static void read_some(void *ctx)
{
    struct read_sums *s = ctx;
    struct reads_since since = reads_begin(s->watched);
    EXPECT_EQ(io_work.watched, s->watched);
    for (unsigned i = 0; i < IO_WORK_BACKENDS; i++) {
        struct io_count *c = &io_work.by[i];
        bool asked = i == 1 || i == 3;
        c->pins += asked * 2;
        c->bytes += asked * 300;
        c->hits += asked;
        c->misses += asked;
        c->stalled_ns += asked * 500000000;
        c->faults += i == 1;
    }
    reads_end(s, &since);
    EXPECT(!io_work.watched);
}

TEST(reads_of_all_threads_are_told_by_backend)
{
    static const struct {
        const char *name;
        bool watched;
        str want;
    } cases[] = {
        { "what maps miss is not known", false,
            S("{\"majorFaults\":7,\"mmap\":{\"reads\":4,\"bytes\":600},"
              "\"direct\":{\"reads\":4,\"bytes\":600,\"hits\":2,\"misses\":2,"
              "\"stalledSeconds\":1}}") },
        { "watched", true,
            S("{\"majorFaults\":7,\"mmap\":{\"reads\":4,\"bytes\":600,\"hits\":2,\"misses\":2,"
              "\"majorFaults\":2,\"stalledSeconds\":1},"
              "\"direct\":{\"reads\":4,\"bytes\":600,\"hits\":2,\"misses\":2,"
              "\"stalledSeconds\":1}}") },
    };
    SCOPED(buf_fini) struct buf b = { 0 };
    TEST_EACH (c, cases) {
        struct read_sums s;
        reads_init(&s, c->watched);
        EXPECT(reads_are_own(&s));
        EXPECT_STR(told(&b, &s), S("{\"majorFaults\":7}"));
        read_some(&s);
        thread_join(thread_start("reads", read_some, &s));
        EXPECT_STR(told(&b, &s), c->want);
    }
}
