#include "api/http_pace.h"

#include "base/test.h"

static const int64_t MS = 1000000, SECOND = 1000000000, ANSWER_NS = 10000;

/* A closed loop: so many clients ask again as soon as they are answered. Returns how many answers
 * they had in a second, *late: the longest that one waited. */
static unsigned ask_for_a_second(struct pace *p, unsigned clients, int64_t *late)
{
    int64_t came[64] = { 0 }, now = 0, due;
    unsigned n = 0, first = 0;
    EXPECT(clients <= ARRAY_LEN(came));
    *late = 0;
    while (now < SECOND) {
        if (pace_take(p, came[first], now, &due)) {
            *late = MAX(*late, now - came[first]);
            came[first] = now;
            first = (first + 1) % clients;
            n++;
            now += ANSWER_NS;
        } else {
            EXPECT(due > now);
            EXPECT(due <= came[first] + PACE_WAIT_NS);
            now = due;
        }
    }
    return n;
}

TEST(pace_is_kept_while_uploads_press)
{
    static const struct { const char *name; unsigned cores, uploads, clients, least, most;
    } cases[] = {
        { "two cores, one upload", 2, 1, 4, 790, 840 },
        { "two cores, two uploads", 2, 2, 4, 790, 840 },
        { "one core", 1, 1, 4, 395, 420 },
        { "sixteen cores, half of them", 16, 8, 64, 6390, 6600 },
        { "sixteen cores, fewer", 16, 7, 64, 90000, 110000 },
        { "no upload", 2, 0, 4, 90000, 110000 },
        { "many clients: none waits longer", 2, 2, 64, 2500, 2600 },
    };
    TEST_EACH(c, cases) {
        struct pace p;
        int64_t late;
        pace_init(&p, c->cores, 0);
        for (unsigned i = 0; i < c->uploads; i++) pace_upload_begins(&p, 0);
        unsigned n = ask_for_a_second(&p, c->clients, &late);
        EXPECT(n >= c->least);
        EXPECT(n <= c->most);
        EXPECT(late <= PACE_WAIT_NS + c->clients * ANSWER_NS);
    }
}

TEST(pace_lets_those_begin_at_once_that_ask_now_and_then)
{
    struct pace p;
    int64_t due;
    pace_init(&p, 2, 0);
    pace_upload_begins(&p, 0);
    for (int64_t now = 0; now < SECOND; now += 10 * MS) EXPECT(pace_take(&p, now, now, &due));
    for (unsigned i = 0; i < PACE_BURST; i++) EXPECT(pace_take(&p, SECOND, SECOND, &due));
}

/* A sender without a pause has none that is as long. */
TEST(pace_holds_between_two_uploads_and_not_after_them)
{
    struct pace p;
    int64_t due, now = 0;
    pace_init(&p, 1, 0);
    for (; now < 100 * MS; now += PACE_PRESSED_NS / 2) {
        pace_upload_begins(&p, now);
        while (pace_take(&p, now, now, &due)) {}
        pace_upload_ends(&p, now);
    }
    unsigned n = 0;
    while (n < 1000 && pace_take(&p, now, now, &due)) n++;
    EXPECT(n <= PACE_BURST);
    now += PACE_PRESSED_NS;
    for (unsigned i = 0; i < 1000; i++) EXPECT(pace_take(&p, now, now, &due));
}

/* Beside clients that ask without a pause one that had pauses waits for nothing, and is counted. */
TEST(pace_lets_a_connection_that_rested_begin_out_of_turn)
{
    static const struct { const char *name; int64_t rests_ns; bool begins; } cases[] = {
        { "no rest", 0, false },
        { "less", PACE_RESTED_NS - 1, false },
        { "as long", PACE_RESTED_NS, true },
        { "since long", 100 * SECOND, true },
    };
    TEST_EACH(c, cases) {
        struct pace p;
        int64_t due, now = 200 * SECOND, before;
        pace_init(&p, 1, now);
        pace_upload_begins(&p, now);
        while (pace_take(&p, now, now, &due)) {}
        before = due;
        EXPECT(pace_rested(&p, now - c->rests_ns, now) == c->begins);
        EXPECT(!pace_take(&p, now, now, &due));
        EXPECT(due >= before);
    }
}
