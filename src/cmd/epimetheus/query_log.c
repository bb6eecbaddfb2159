#include "cmd/epimetheus/query_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/rfc3339.h"
#include "io/line_log.h"
#include "promql/result_json.h"

GAUGE(m_enabled, "prometheus_engine_query_log_enabled", "State of the query log.")
COUNTER(m_failures, "prometheus_engine_query_log_failures_total",
    "The number of query log failures.")

struct query_log {
    struct mtx mu;                     /* LOCK_LEAF */
    struct line_log *lines;            /* GUARDED_BY(mu); NULL: none */
};

struct query_log *query_log_new(void)
{
    struct query_log *q = NEW(struct query_log);
    mtx_init(&q->mu, LOCK_LEAF);
    return q;
}

void query_log_free(struct query_log *q)
{
    if (!q) return;
    line_log_unref(q->lines);
    mtx_fini(&q->mu);
    mem_free(q);
}

errc query_log_set(struct query_log *q, str path, struct err *e)
{
    struct line_log *lines = NULL;
    if (path.n) TRY_IN(e, line_log_open(&lines, path, e), "can't create json log file");
    mtx_lock(&q->mu);
    struct line_log *was = q->lines;
    q->lines = lines;
    mtx_unlock(&q->mu);
    metric_set(&m_enabled, lines ? 1 : 0);
    line_log_unref(was);
    return OK;
}

static void put_time(struct json *j, str key, int64_t ms)
{
    struct buf b = { 0 };
    buf_rfc3339_ms(&b, ms);
    json_kstr(j, key, buf_view(&b));
    buf_fini(&b);
}

static void put_line(struct buf *b, const struct query_report *r)
{
    const struct query_opts *o = r->opts;
    struct json j = json_to(b);
    json_obj(&j);
    struct buf now = { 0 };
    buf_rfc3339_ns(&now, clock_wall_ns());
    json_kstr(&j, S("time"), buf_view(&now));
    buf_fini(&now);
    json_kstr(&j, S("level"), S("INFO"));
    json_kstr(&j, S("source"), S("cmd/epimetheus/query_log.c"));
    json_kstr(&j, S("msg"), S("promql query logged"));
    JSON_KEY(&j, "params");
    json_obj(&j);
    put_time(&j, S("end"), o->end_ms);
    json_kstr(&j, S("query"), o->query);
    put_time(&j, S("start"), o->start_ms);
    json_ki64(&j, S("step"), o->instant ? 0 : o->step_ms / 1000);
    json_obj_end(&j);
    if (r->rc != OK) json_kstr(&j, S("error"), query_failure(o, r->e));
    JSON_KEY(&j, "stats");
    promql_stats_json(&j, r->stats);
    json_kstr(&j, S("spanID"), S("0000000000000000"));
    json_kstr(&j, S("traceID"), S("00000000000000000000000000000000"));
    if (o->origin.path.n) {
        JSON_KEY(&j, "httpRequest");
        json_obj(&j);
        json_kstr(&j, S("clientIP"), o->origin.client);
        json_kstr(&j, S("method"), o->origin.method);
        json_kstr(&j, S("path"), o->origin.path);
        json_obj_end(&j);
    }
    const struct query_activity *q = r->activity;
    JSON_KEY(&j, "cost");              /* as status/active_queries has it */
    json_obj(&j);
    json_ku64(&j, S("id"), q->id);
    json_key(&j, S("waitSeconds"));
    json_f64(&j, (double)q->waited_ns / 1e9);
    json_ku64(&j, S("series"), q->series);
    json_ku64(&j, S("samples"), q->samples);
    json_ku64(&j, S("bytesRead"), q->bytes);
    json_ku64(&j, S("peakMemoryBytes"), q->memory_peak);
    JSON_KEY(&j, "io");
    reads_json(&j, &r->stats->io);
    json_obj_end(&j);
    json_obj_end(&j);
    buf_u8(b, '\n');
}

static void query_done(void *ctx, const struct query_report *r)
{
    struct query_log *q = ctx;
    mtx_lock(&q->mu);
    struct line_log *lines = line_log_ref(q->lines);
    mtx_unlock(&q->mu);
    if (!lines) return;
    struct buf line = { 0 };
    struct err e = { 0 };
    put_line(&line, r);
    if (line_log_write(lines, buf_view(&line), &e) != OK) {
        metric_inc(&m_failures);
        LOG_LIMITED(ERROR, 60000, "can't log query", kv_err(&e));
    }
    buf_fini(&line);
    line_log_unref(lines);
}

struct query_watcher query_log_watcher(struct query_log *q)
{
    return (struct query_watcher){ .ctx = q, .done = query_done };
}
