#include "api/http_pace.h"

static const int64_t SECOND_NS = 1000000000;

static int64_t pace_interval_ns(const struct pace *p)
{
    return SECOND_NS / ((int64_t)PACE_A_SECOND * p->cores);
}

/* What was not used before that is lost. */
static int64_t pace_burst_ns(const struct pace *p)
{
    return pace_interval_ns(p) * PACE_BURST * p->cores;
}

void pace_init(struct pace *p, unsigned cores, int64_t now_ns)
{
    assert(cores > 0);
    *p = (struct pace){ .cores = cores, .pressed_ns = now_ns, .next_ns = now_ns };
    p->next_ns -= pace_burst_ns(p);
}

static void pace_note(struct pace *p, int64_t now_ns)
{
    if (p->uploads * 2 >= p->cores) p->pressed_ns = now_ns + PACE_PRESSED_NS;
}

void pace_upload_begins(struct pace *p, int64_t now_ns)
{
    p->uploads++;
    pace_note(p, now_ns);
}

void pace_upload_ends(struct pace *p, int64_t now_ns)
{
    assert(p->uploads > 0);
    pace_note(p, now_ns);
    p->uploads--;
}

bool pace_rested(struct pace *p, int64_t answered_ns, int64_t now_ns)
{
    int64_t due_ns;
    return now_ns - answered_ns >= PACE_RESTED_NS &&
        pace_take(p, now_ns - PACE_WAIT_NS, now_ns, &due_ns);
}

bool pace_take(struct pace *p, int64_t came_ns, int64_t now_ns, int64_t *due_ns)
{
    pace_note(p, now_ns);
    if (now_ns >= p->pressed_ns) return true;
    int64_t from = MAX(p->next_ns, now_ns - pace_burst_ns(p));
    if (from > now_ns && now_ns - came_ns < PACE_WAIT_NS) {
        *due_ns = MIN(from, came_ns + PACE_WAIT_NS);
        return false;
    }
    p->next_ns = MIN(from, now_ns) + pace_interval_ns(p);
    return true;
}
