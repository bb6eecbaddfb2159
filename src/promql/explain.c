#include "promql/explain.h"

#include "base/clock.h"
#include "base/json.h"
#include "promql/eval.h"

static _Thread_local char this_thread;     /* its address tells threads apart */

static size_t count_nodes(const struct expr *x)
{
    const struct expr *child;
    size_t n = 1;
    for (size_t i = 0; (child = expr_child(x, i)) != NULL; i++) n += count_nodes(child);
    return n;
}

static void add_nodes(struct explain *e, struct expr *x, size_t parent)
{
    struct expr *child;
    size_t at = e->n++;
    x->node = (uint32_t)at;
    e->at[at] = (struct explain_node){ .x = x, .parent = parent };
    if (x->kind == EXPR_VECTOR) e->selectors[x->vector.index] = at;
    for (size_t i = 0; (child = expr_child(x, i)) != NULL; i++) add_nodes(e, child, at);
}

struct explain *explain_new(struct arena *a, str query, struct expr *root)
{
    struct explain *e = ANEW(a, struct explain);
    size_t n = count_nodes(root);
    e->query = query;
    e->at = arena_array(a, n, sizeof(*e->at));
    e->selectors = arena_zalloc(a, n * sizeof(*e->selectors));
    add_nodes(e, root, 0);
    e->thread = &this_thread;
    e->cpu_since = clock_cpu_ns();
    return e;
}

/* What passed since the last time is the node's that computed. */
static void settle(struct explain *e, const struct query *q)
{
    int64_t cpu = clock_cpu_ns();
    struct explain_node *now = &e->at[e->now];
    now->cpu_ns += cpu - e->cpu_since;
    now->wait_ns += q->slice.waited_ns - e->waited_since;
    e->cpu_since = cpu;
    e->waited_since = q->slice.waited_ns;
}

static uint64_t figure(const _Atomic uint64_t *f)
{
    return atomic_load_explicit(f, memory_order_relaxed);
}

/* A range is no row: it has what its selector read, or what the expression below it made. */
static void settle_ranges(struct explain *e)
{
    for (size_t i = e->n; i-- > 0;) {
        struct explain_node *n = &e->at[i], *below = n + 1;
        if (n->series) continue;
        if (n->x->kind == EXPR_VECTOR) {
            n->series = figure(&n->read_series);
            n->samples = figure(&n->read_samples);
        } else if (n->x->kind == EXPR_MATRIX || n->x->kind == EXPR_SUBQUERY) {
            n->series = below->series;
            n->samples = below->samples;
        }
    }
}

void explain_end(struct explain *e, const struct query *q)
{
    settle(e, q);
    settle_ranges(e);
}

size_t explain_enter(struct explain *e, const struct query *q, const struct expr *x)
{
    size_t before = e->now;
    if (x->node >= e->n || e->at[x->node].x != x) return before;
    settle(e, q);
    e->now = x->node;
    return before;
}

void explain_back(struct explain *e, const struct query *q, size_t before)
{
    settle(e, q);
    e->now = before;
}

static errc explain_row(struct sink *base, struct row *r)
{
    struct explain_sink *s = CONTAINER_OF(base, struct explain_sink, base);
    struct explain *e = s->q->explain;
    size_t below = e->now;
    e->at[below].series++;
    e->at[below].samples += row_count(r, s->n_steps);
    explain_back(e, s->q, s->above);
    errc rc = sink_row(s->out, r);
    explain_back(e, s->q, below);
    return rc;
}

struct explain_sink explain_sink_of(
    struct query *q, struct sink *out, size_t above, size_t n_steps)
{
    return (struct explain_sink){ { explain_row }, q, out, above, n_steps };
}

/* ---- what selectors read ---- */

struct explain_lane explain_lane_begin(void)
{
    return (struct explain_lane){ clock_cpu_ns(), reads_begin(true) };
}

static void add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void explain_lane_end(struct explain *e, size_t index, const struct explain_lane *l,
    uint64_t series, uint64_t samples)
{
    if (e->thread != &this_thread)
        atomic_fetch_add_explicit(
            &e->at[e->now].helpers_ns, clock_cpu_ns() - l->cpu_ns, memory_order_relaxed);
    struct explain_node *n = &e->at[e->selectors[index]];
    add(&n->read_series, series);
    add(&n->read_samples, samples);
    add(&n->read_chunks, io_work.chunks - l->reads.work.chunks);
    const struct io_work *w = &l->reads.work;
    uint64_t missed = io_work.missed_bytes - w->missed_bytes;
    uint64_t far_missed =
        io_work.by[IO_WORK_BUCKET].missed_bytes - w->by[IO_WORK_BUCKET].missed_bytes;
    add(&n->read_head, io_work.head_bytes - w->head_bytes);
    add(&n->read_cache, io_work.bytes - w->bytes - missed - far_missed + io_work.kept_bytes -
                            w->kept_bytes);
    add(&n->read_disk, missed);
    add(&n->read_bucket, io_work.bucket_bytes - w->bucket_bytes);
    reads_end(&n->io, &l->reads);
}

struct explain_lane explain_read_begin(const struct query *q)
{
    return q->explain ? explain_lane_begin() : (struct explain_lane){ 0 };
}

void explain_read_end(const struct query *q, size_t index, const struct explain_lane *l,
    uint64_t series, uint64_t samples)
{
    if (q->explain) explain_lane_end(q->explain, index, l, series, samples);
}

void explain_unwatch(void) { io_work.watched = false; }

/* ---- shown ---- */

static void put_seconds(struct json *j, str key, int64_t ns)
{
    json_key(j, key);
    json_f64(j, (double)ns / 1e9);
}

static const char *kind_word(const struct expr *x)
{
    switch (x->kind) {
    case EXPR_NUMBER: return "number";
    case EXPR_STRING: return "string";
    case EXPR_PAREN: return "paren";
    case EXPR_STEP_INVARIANT: return "stepInvariant";
    case EXPR_UNARY: return "unary";
    case EXPR_VECTOR: return "vectorSelector";
    case EXPR_MATRIX: return "matrixSelector";
    case EXPR_SUBQUERY: return "subquery";
    case EXPR_BINARY: return "binary";
    case EXPR_CALL: return "call";
    case EXPR_AGGREGATE: return "aggregation";
    case EXPR_DURATION: return "duration";
    }
    return "";
}

static int64_t stalled_ns(const struct explain_node *n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < IO_WORK_BACKENDS; i++) sum += figure(&n->io.by[i].stalled_ns);
    return (int64_t)sum;
}

/* As it was written, its start if it is long. */
static str node_text(const struct explain *e, const struct expr *x)
{
    enum { TEXT_MAX = 256 };
    str text = str_slice(e->query, x->pos.start, MIN(x->pos.end, e->query.n));
    while (text.n > TEXT_MAX || (text.n < e->query.n - x->pos.start && text.n &&
                                    (text.p[text.n] & 0xc0) == 0x80))
        text.n = text.n > TEXT_MAX ? TEXT_MAX : text.n - 1;
    return text;
}

static void put_read(struct json *j, const struct explain_node *n)
{
    JSON_KEY(j, "read");
    json_obj(j);
    json_ku64(j, S("series"), figure(&n->read_series));
    json_ku64(j, S("samples"), figure(&n->read_samples));
    json_ku64(j, S("chunks"), figure(&n->read_chunks));
    JSON_KEY(j, "bytes");
    json_obj(j);
    json_ku64(j, S("head"), figure(&n->read_head));
    json_ku64(j, S("cache"), figure(&n->read_cache));
    json_ku64(j, S("disk"), figure(&n->read_disk));
    json_ku64(j, S("bucket"), figure(&n->read_bucket));
    json_obj_end(j);
    JSON_KEY(j, "io");
    struct read_counts io = reads_told(&n->io);
    io.watched = true;
    reads_json(j, &io);
    json_obj_end(j);
}

/* Its figures; the list of its children is left open. */
static void put_node(struct json *j, const struct explain *e, const struct explain_node *n)
{
    json_obj(j);
    json_kstr(j, S("node"), node_text(e, n->x));
    json_kstr(j, S("type"), str_z(kind_word(n->x)));
    put_seconds(j, S("cpuSeconds"),
        n->cpu_ns + atomic_load_explicit(&n->helpers_ns, memory_order_relaxed));
    put_seconds(j, S("waitSeconds"), n->wait_ns + stalled_ns(n));
    json_ku64(j, S("series"), n->series);
    json_ku64(j, S("samples"), n->samples);
    if (n->x->kind == EXPR_VECTOR) put_read(j, n);
    JSON_KEY(j, "children");
    json_arr(j);
}

static void end_node(struct json *j)
{
    json_arr_end(j);
    json_obj_end(j);
}

/* A node stands before its children: those that are open end where the next one's parent does not
 * lie below them. */
void explain_json(struct json *j, const struct explain *e)
{
    size_t last = 0;
    put_node(j, e, &e->at[0]);
    for (size_t i = 1; i < e->n; i++) {
        for (; last != e->at[i].parent; last = e->at[last].parent) end_node(j);
        put_node(j, e, &e->at[i]);
        last = i;
    }
    for (; last; last = e->at[last].parent) end_node(j);
    end_node(j);
}
