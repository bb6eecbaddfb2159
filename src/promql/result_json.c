/* result_json.c — a query's result as the HTTP API writes it.
 *
 * Points are most of an answer, so they are written straight into the buffer, without the writer's
 * bookkeeping of commas. */
#include "promql/result_json.h"

#include "promql/explain.h"
#include "promql/slices.h"

#include "base/f64.h"
#include "base/f64_texts.h"

/* A time in seconds, without a fraction or with three digits of one. */
void promql_time_text(struct buf *b, int64_t ms)
{
    uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms, fraction = u % 1000;
    if (ms < 0) buf_u8(b, '-');
    buf_u64_text(b, u / 1000);
    if (fraction == 0) return;
    uint8_t digits[4] = { '.', (uint8_t)('0' + fraction / 100), (uint8_t)('0' + fraction / 10 % 10),
        (uint8_t)('0' + fraction % 10) };
    buf_bytes(b, digits, sizeof(digits));
}

static void put_value(struct buf *b, double v)
{
    buf_u8(b, '"');
    buf_f64_api(b, v);
    buf_u8(b, '"');
}

/* Most answers are made of these: the texts of some at once, and one look at the room. Each has a
 * comma before it; that of the first is written over by what stood there before. */
static void put_float_points(
    struct buf *b, const int64_t *t, const double *v, size_t n, bool comma)
{
    char *room = (char *)buf_room(b, n * F64_TEXTS_ROOM);
    if (!room) return;
    assert(b->n > 0);
    char *to = comma ? room : room - 1, before = *(room - 1);
    char *end = f64_texts_pairs(to, t, v, n);
    room[-1] = before;
    buf_commit(b, (size_t)(end - room));
}

void promql_labels_json(struct json *j, struct labels l)
{
    bool html = j->html;
    /* bare, also where all else is escaped */
    j->html = false;
    json_obj(j);
    for (size_t i = 0; i < l.n; i++) json_kstr(j, l.at[i].name, l.at[i].value);
    json_obj_end(j);
    j->html = html;
}

/* --- histograms --- */

static void put_bucket(struct buf *b, const struct histogram_bucket *k, bool *any)
{
    if (k->count == 0) return;
    buf_str(b, *any ? S(",[") : S(",\"buckets\":[["));
    *any = true;
    buf_u8(b, k->lower_inclusive   ? (k->upper_inclusive ? '3' : '1')
              : k->upper_inclusive ? '0'
                                   : '2');
    buf_u8(b, ',');
    put_value(b, k->lower);
    buf_u8(b, ',');
    put_value(b, k->upper);
    buf_u8(b, ',');
    put_value(b, k->count);
    buf_u8(b, ']');
}

static void put_histogram(struct buf *b, const struct histogram *h)
{
    bool any = false;
    struct histogram_walk w;
    buf_str(b, S("{\"count\":"));
    put_value(b, h->count);
    buf_str(b, S(",\"sum\":"));
    put_value(b, h->sum);
    histogram_walk_init(&w, h, false);
    while (histogram_walk_next(&w)) put_bucket(b, &w.bucket, &any);
    buf_str(b, any ? S("]}") : S("}"));
}

static void put_histogram_point(struct buf *b, int64_t t, const struct histogram *h)
{
    buf_u8(b, '[');
    promql_time_text(b, t);
    buf_u8(b, ',');
    put_histogram(b, h);
    buf_u8(b, ']');
}

/* --- results --- */

static void put_metric(struct json *j, const struct result_series *s)
{
    struct json labels = json_to(j->b);
    buf_str(j->b, S("{\"metric\":"));
    promql_labels_json(&labels, s->labels);
}

static void put_sample(struct json *j, const struct result_series *s)
{
    const struct histogram *h = s->h ? s->h[0] : NULL;
    put_metric(j, s);
    buf_str(j->b, h ? S(",\"histogram\":") : S(",\"value\":"));
    if (h) put_histogram_point(j->b, s->t[0], h);
    else put_float_points(j->b, s->t, s->v, 1, false);
    buf_u8(j->b, '}');
}

static bool never_gone(void *ctx UNUSED) { return false; }
static void give_way(struct slice *turn) { slice_take(turn, never_gone, NULL); }

/* How many floats from point i on go together. */
enum { POINTS_TOGETHER = 64 };
static size_t floats_from(const struct result_series *s, size_t i)
{
    size_t n = 0, most = MIN(s->n - i, (size_t)POINTS_TOGETHER);
    if (!s->h) return most;
    while (n < most && !s->h[i + n])
        n++;
    return n;
}

static void put_floats(struct buf *b, const struct result_series *s, struct slice *turn)
{
    enum { TOGETHER = 256, POINT_BYTES = 36 };
    bool any = false;
    /* the buffer grows once for all of them, where its limit lets it */
    if (!b->limit || s->n * POINT_BYTES < b->limit - b->n) (void)buf_room(b, s->n * POINT_BYTES);
    for (size_t i = 0, since = TOGETHER, n; i < s->n; i += MAX(n, 1), since += n) {
        if (since >= TOGETHER) {
            give_way(turn);
            since = 0;
        }
        n = floats_from(s, i);
        if (n == 0) continue;
        if (!any) buf_str(b, S(",\"values\":["));
        put_float_points(b, s->t + i, s->v + i, n, any);
        any = true;
    }
    if (any) buf_u8(b, ']');
}

static void put_histograms(struct buf *b, const struct result_series *s, struct slice *turn)
{
    bool any = false;
    for (size_t i = 0; s->h && i < s->n; i++) {
        if (!s->h[i]) continue;
        give_way(turn);
        buf_str(b, any ? S(",") : S(",\"histograms\":["));
        any = true;
        put_histogram_point(b, s->t[i], s->h[i]);
    }
    if (any) buf_u8(b, ']');
}

static void put_series(struct json *j, const struct result_series *s, struct slice *turn)
{
    put_metric(j, s);
    put_floats(j->b, s, turn);
    put_histograms(j->b, s, turn);
    buf_u8(j->b, '}');
}

/* Rows from w->at on, until `enough` bytes were added. A large answer gives way, like the
 * evaluation that made it. */
static void put_rows(struct result_writer *w, size_t enough)
{
    enum { TOGETHER = 64 };
    const struct result *r = w->r;
    struct buf *b = w->j.b;
    struct slice turn;
    slice_begin(&turn, r->turns);
    turn.used_ns = w->used_ns;
    for (size_t before = b->n; w->at < r->n_series && b->n - before < enough; w->at++) {
        if (w->at) buf_u8(b, ',');
        if (r->type == VALUE_MATRIX) put_series(&w->j, &r->series[w->at], &turn);
        else put_sample(&w->j, &r->series[w->at]);
        if (w->at % TOGETHER == 0) give_way(&turn);
        if (!buf_ok(b)) w->at = r->n_series - 1;
    }
    w->used_ns = turn.used_ns;
    slice_end(&turn);
}

static bool result_has_rows(const struct result *r)
{
    return r->type != VALUE_SCALAR && r->type != VALUE_STRING;
}

/* Scalars and strings go another way in the reference: their time is a plain number, their value
 * never has an exponent. */
static void put_scalar(struct json *j, const struct result_series *s)
{
    char text[F64_TEXT_MAX];
    json_arr(j);
    json_f64(j, (double)s->t[0] / 1000);
    json_str(j, str_of(text, f64_text_f(text, s->v[0])));
    json_arr_end(j);
}

static void put_string(struct json *j, const struct result *r)
{
    bool html = j->html;
    j->html = true;
    json_arr(j);
    json_f64(j, (double)r->text_t / 1000);
    json_str(j, r->text);
    json_arr_end(j);
    j->html = html;
}

/* --- statistics --- */

static void put_steps(struct json *j, str key, const struct query_stats *s, const uint64_t *counts)
{
    if (!counts || s->n_steps == 0) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < s->n_steps; i++) {
        json_arr(j);
        json_f64(j, (double)(s->first_step_ms + (int64_t)i * s->step_ms) / 1000);
        json_u64(j, counts[i]);
        json_arr_end(j);
    }
    json_arr_end(j);
}

void promql_stats_json(struct json *j, const struct query_stats *s)
{
    const struct { str key; double v;
    } timings[] = {
        { S("evalTotalTime"), s->eval_total_s },
        { S("resultSortTime"), s->result_sort_s },
        { S("queryPreparationTime"), s->prepare_s },
        { S("innerEvalTime"), s->inner_eval_s },
        { S("execQueueTime"), s->queue_s },
        { S("execTotalTime"), s->exec_total_s },
    };
    json_obj(j);
    JSON_KEY(j, "timings");
    json_obj(j);
    for (size_t i = 0; i < ARRAY_LEN(timings); i++) {
        json_key(j, timings[i].key);
        json_f64(j, timings[i].v);
    }
    json_obj_end(j);
    JSON_KEY(j, "samples");
    json_obj(j);
    put_steps(j, S("totalQueryableSamplesPerStep"), s, s->per_step);
    JSON_KEY(j, "totalQueryableSamples");
    json_u64(j, s->total_samples);
    put_steps(j, S("samplesReadPerStep"), s, s->read_per_step);
    JSON_KEY(j, "samplesRead");
    json_u64(j, s->samples_read);
    JSON_KEY(j, "peakSamples");
    json_u64(j, s->peak_samples);
    json_obj_end(j);
    json_obj_end(j);
}

static void put_end(struct result_writer *w)
{
    const struct result *r = w->r;
    struct json *j = &w->j;
    if (result_has_rows(r)) buf_u8(j->b, ']');
    if (r->explain) {
        JSON_KEY(j, "explain");
        explain_json(j, r->explain);
    }
    if (w->stats) {
        JSON_KEY(j, "stats");
        promql_stats_json(j, &r->stats);
    }
    json_obj_end(j);
}

void promql_result_begin(
    struct result_writer *w, const struct json *to, const struct result *r, bool stats)
{
    *w = (struct result_writer){ .j = *to, .r = r, .stats = stats, .used_ns = r->used_ns };
    struct json *j = &w->j;
    json_obj(j);
    json_kstr(j, S("resultType"), value_type_name(r->type));
    JSON_KEY(j, "result");
    if (result_has_rows(r)) {
        /* the writer's comma; the array follows by hand */
        json_raw(j, S("["));
    } else if (r->type == VALUE_SCALAR) {
        put_scalar(j, &r->series[0]);
    } else {
        put_string(j, r);
    }
}

bool promql_result_more(struct result_writer *w, struct buf *out, size_t enough)
{
    w->j.b = out;
    if (result_has_rows(w->r)) put_rows(w, enough);
    if (result_has_rows(w->r) && w->at < w->r->n_series) return true;
    put_end(w);
    return false;
}

void promql_result_json(struct json *j, const struct result *r, bool stats)
{
    struct result_writer w;
    promql_result_begin(&w, j, r, stats);
    bool more = promql_result_more(&w, j->b, SIZE_MAX);
    assert(!more);
    *j = w.j;
}
