/* lanes.c — rounds.
 *
 * A round takes as many series as are computed in about a millisecond of CPU time: one a lane at
 * first, then more as long as rounds are short. Each lane has a stretch of them. Helpers come from
 * the engine's pool as far as places are free (slices.h): beside other heavy queries a query is
 * alone.
 */
#include "promql/lanes.h"

#include "base/clock.h"
#include "io/pool.h"
#include "io/work.h"

enum { ROWS_MAX = 128, LANES_A_THREAD = 2, SERIES_MIN = 16, ROUND_NS = 1000 * 1000 };
/* Between two checks of a lane: steps and samples in windows, some ten microseconds. What may wait
 * for a disk or a bucket counts by itself: a check comes behind each series that did, and before
 * series are announced. */
enum { CHECK_EVERY = 4096 };

struct lanes {
    struct eval *ev;
    struct selection *sel;
    const struct lanes_job *job;
    struct lane *at;
    size_t n, rows;                        /* lanes, and series of each in a round */
    struct series **series;                /* of the round */
    size_t n_series, taken;                /* taken: of the list, before this round */
    struct series **room;                  /* for a round; NULL: they come out of the list */
};

static void lane_begin(struct lanes *ls, struct lane *l)
{
    struct query *q = ls->ev->q;
    *l = (struct lane){ .q = *q };
    eval_arena_init(&l->q, &l->q.scratch);
    eval_arena_init(&l->q, &l->notes);
    (void)arena_alloc(&l->q.scratch, 1);       /* a block that stays from round to round */
    l->empty = arena_mark(&l->q.scratch);
    annotations_init(&l->q.annotations, &l->notes);
    l->q.slice = (struct slice){ 0 };
    l->q.turn = NULL;
    l->q.e = &l->why;
    l->q.words = NULL;
    l->ev = (struct eval){ &l->q, ls->ev->g, &l->stats };
    stats_init(&l->stats, &l->notes, l->ev.g.n, ls->ev->stats->total_at != NULL);
    reader_init(&l->reader, &l->q);
    l->reader.strip = ls->job->strip;
    l->reader.ends = ls->job->ends;
    l->rows = arena_array(&l->notes, ROWS_MAX, sizeof(*l->rows));
    if (ls->job->begin) ls->job->begin(ls->job->ctx, l);
}

static void lane_end(struct lanes *ls, struct lane *l)
{
    struct eval_stats *to = ls->ev->stats;
    to->total += l->stats.total;
    to->read += l->stats.read;
    STEPS_EACH(i, ls->ev->q, to->total_at ? l->ev.g.n : 0) {
        to->total_at[i] += l->stats.total_at[i];
        to->read_at[i] += l->stats.read_at[i];
    }
    ls->ev->q->entangled |= l->q.entangled;
    if (ls->job->end) ls->job->end(ls->job->ctx, l);
    reader_fini(&l->reader);
    annotations_fini(&l->q.annotations);
    eval_arena_fini(ls->ev->q, &l->q.scratch);
    eval_arena_fini(ls->ev->q, &l->notes);
}

static errc lane_series(struct lanes *ls, struct lane *l)
{
    struct active_query *active = l->q.active;
    uint64_t checked = 0, waited = 0;          /* at the last check; the first is due */
    for (l->done = 0; l->done < l->n; l->done++) {
        struct lane_row *row = &l->rows[l->done];
        uint64_t read = l->stats.read, bytes = io_work.bytes;
        uint64_t work = l->stats.total + (l->done + 1) * l->ev.g.n + CHECK_EVERY;
        uint64_t waits = io_work.missed_bytes + io_work.bucket_bytes;
        bool ahead = l->done % SERIES_AHEAD == 0;
        if (ahead || waits != waited || work - checked >= CHECK_EVERY) {
            TRY(eval_check(&l->q));
            checked = work;
            waited = waits;
        }
        if (ahead)
            reader_ahead(&l->reader, ls->series + l->from + l->done,
                MIN((size_t)SERIES_AHEAD, l->n - l->done), &ls->job->plan);
        *row = (struct lane_row){ .any = false };
        errc rc = ls->job->compute(ls->job->ctx, l, ls->series[l->from + l->done], row);
        active_add(&active->samples, l->stats.read - read);
        active_add(&active->bytes, io_work.bytes - bytes);
        active_add(&active->series_done, 1);
        TRY(rc);
    }
    return OK;
}

static void lane_compute(void *ctx, size_t i)
{
    struct lanes *ls = ctx;
    struct lane *l = &ls->at[i];
    arena_reset(&l->q.scratch, l->empty);
    struct explain *explain = ls->ev->q->explain;
    struct explain_lane begun = explain ? explain_lane_begin() : (struct explain_lane){ 0 };
    uint64_t read = l->stats.read;
    l->q.far_seen = io_work.bucket_bytes;
    l->rc = lane_series(ls, l);
    far_note(&l->q);
    if (explain)
        explain_lane_end(explain, (size_t)(ls->sel - l->q.selections), &begun, l->done,
            l->stats.read - read);
}

/* On any thread: the pool's hang in a read as the query's own does. */
static void lane_help(void *ctx, size_t i)
{
    struct query *q = ((struct lanes *)ctx)->ev->q;
    struct slice_help help;
    slice_help_begin(&q->slice, &help);
    if (reads_are_own(q->reads)) {         /* counted along with all that it does */
        lane_compute(ctx, i);
    } else {
        struct reads_since since = reads_begin(q->reads->watched);
        lane_compute(ctx, i);
        reads_end(q->reads, &since);
    }
    slice_help_end(&q->slice, &help);
}

static errc lane_deliver(struct lanes *ls, struct lane *l)
{
    struct query *q = ls->ev->q;
    annotations_take(&q->annotations, &l->q.annotations);
    for (size_t i = 0; i < l->done; i++)
        TRY(ls->job->deliver(ls->job->ctx, &l->rows[i], ls->series[l->from + i]));
    if (l->rc != OK) *q->e = l->why;
    return l->rc;
}

/* The next series, at most so many: those of the list, or of the set, whose last ones are
 * forgotten. */
static errc lanes_take(struct lanes *ls, size_t most)
{
    if (!ls->room) {
        ls->series = ls->sel->at + ls->taken;
        ls->n_series = MIN(most, ls->sel->n - ls->taken);
        ls->taken += ls->n_series;
        return OK;
    }
    struct query *q = ls->ev->q;
    struct explain_lane begun = explain_read_begin(q);
    errc rc = OK;
    ls->sel->set->ops->forget(ls->sel->set);
    ls->series = ls->room;
    for (ls->n_series = 0; ls->n_series < most; ls->n_series++) {
        if (ls->n_series % SERIES_AHEAD == 0) rc = eval_check(q);
        if (rc != OK) break;
        rc = selection_next(q, ls->sel, &ls->room[ls->n_series]);
        if (rc != OK || !ls->room[ls->n_series]) break;
    }
    explain_read_end(q, (size_t)(ls->sel - q->selections), &begun, 0, 0);
    TRY(rc);
    active_add(&ls->ev->q->active->series, ls->n_series);
    return OK;
}

static void lanes_share(struct lanes *ls, size_t lanes)
{
    size_t from = 0;
    for (size_t i = 0; i < lanes; i++) {
        ls->at[i].from = from;
        ls->at[i].n = MIN(ls->rows, ls->n_series - from);
        ls->at[i].done = 0;
        ls->at[i].rc = OK;
        from += ls->at[i].n;
    }
}

static errc lanes_round(struct lanes *ls)
{
    struct query *q = ls->ev->q;
    TRY(eval_check(q));
    unsigned helpers = ls->n > 1 ? slice_borrow(&q->slice, pool_threads(q->pool)) : 0;
    size_t lanes = helpers ? ls->n : 1;
    ls->at[0].q.turn = helpers ? NULL : q->turn;
    int64_t began = clock_cpu_ns();
    errc rc = lanes_take(ls, lanes * ls->rows);
    lanes_share(ls, lanes);
    far_note(q);
    if (rc == OK && helpers) pool_each(q->pool, lanes, lane_help, ls);
    else if (rc == OK) lane_compute(ls, 0);
    q->far_seen = io_work.bucket_bytes;        /* of lanes in this thread: they noted it */
    if (helpers) slice_return(&q->slice);
    for (size_t i = 0; i < lanes && rc == OK; i++) rc = lane_deliver(ls, &ls->at[i]);
    int64_t took = clock_cpu_ns() - began;
    if (took < ROUND_NS / 2 && ls->rows < ROWS_MAX) ls->rows *= 2;
    if (took > ROUND_NS && ls->rows > 1) ls->rows /= 2;
    return rc;
}

errc lanes_run(struct eval *ev, struct selection *sel, const struct lanes_job *job)
{
    struct lanes ls = { .ev = ev, .sel = sel, .job = job, .n = 1, .rows = 1 };
    if (sel->expanded) active_add(&ev->q->active->series, sel->n);
    if (ev->q->pool && (!sel->expanded || sel->n >= SERIES_MIN))
        ls.n = (pool_threads(ev->q->pool) + 1) * (size_t)LANES_A_THREAD;
    ls.at = mem_alloc_array(ls.n, sizeof(*ls.at));
    if (!sel->expanded) ls.room = mem_alloc_array(ls.n * ROWS_MAX, sizeof(*ls.room));
    for (size_t i = 0; i < ls.n; i++) lane_begin(&ls, &ls.at[i]);
    errc rc = OK;
    do rc = lanes_round(&ls);
    while (rc == OK && ls.n_series > 0);
    for (size_t i = 0; i < ls.n; i++) lane_end(&ls, &ls.at[i]);
    mem_free(ls.at);
    mem_free(ls.room);
    return rc;
}
