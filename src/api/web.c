#include "api/room.h"

#include "api/page.h"
#include "base/metric.h"
#include "ingest/expose.h"

#include <stdio.h>

COUNTER_VEC(m_scrapes, "promhttp_metric_handler_requests_total",
    "Total number of scrapes by HTTP status code.", "code")
GAUGE(m_scrapes_running, "promhttp_metric_handler_requests_in_flight",
    "Current number of scrapes being served.")

/* What this version does not serve never happened: dashboards ask for it all the same. */
COUNTER(m_federation_errors, "prometheus_web_federation_errors_total",
    "Total number of errors that occurred while sending federation responses.")
COUNTER(m_federation_warnings, "prometheus_web_federation_warnings_total",
    "Total number of warnings that occurred while sending federation responses.")
GAUGE(m_subscribers, "prometheus_api_notification_active_subscribers",
    "The current number of active notification subscribers.")
COUNTER(m_notes_sent, "prometheus_api_notification_updates_sent_total",
    "Total number of notification updates sent.")
COUNTER(m_notes_dropped, "prometheus_api_notification_updates_dropped_total",
    "Total number of notification updates dropped.")

__attribute__((constructor)) static void scrapes_begin(void)
{
    static const str codes[] = { S("200"), S("500"), S("503") };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        metric_add_to(metric_with(&m_scrapes, &codes[i], 1), 0);
}

void api_healthy(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    if (r->method != HTTP_HEAD) api_text(w, 200, S("Prometheus Server is Healthy.\n"));
}

void api_ready(void *ctx, struct http_req *r, struct http_resp *w)
{
    if (api_is_open(ctx, w) && r->method != HTTP_HEAD)
        api_text(w, 200, S("Prometheus Server is Ready.\n"));
}

bool api_lifecycle_on(const struct api *a, struct http_resp *w)
{
    if (a->o.lifecycle) return true;
    api_text(w, 403, S("Lifecycle API is not enabled."));
    return false;
}

void api_reload(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    if (!api_lifecycle_on(a, w)) return;
    struct err e = { 0 };
    if (a->o.sources->reload(a->o.sources->ctx, &e) == OK) {
        api_text(w, 200, STR_EMPTY);
        return;
    }
    char words[sizeof(e.msg) + 64];
    int n = snprintf(words, sizeof(words), "failed to reload config: %.*s\n", STR_ARG(err_str(&e)));
    api_http_error(w, 500, str_of(words, n < 0 ? 0 : MIN((size_t)n, sizeof(words) - 1)));
}

void api_quit(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    if (!api_lifecycle_on(a, w)) return;
    if (atomic_exchange(&a->quitting, true)) {
        api_text(w, 200, S("Termination already in progress."));
        return;
    }
    api_text(w, 200, S("Requesting termination... Goodbye!"));
    a->o.sources->quit(a->o.sources->ctx);
}

void api_lifecycle_get(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx, (void)r;
    api_text(w, 405, S("Only POST or PUT requests allowed"));
}

void api_metrics(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    metric_add(&m_scrapes_running, 1);
    if (a->o.sources->refresh) a->o.sources->refresh(a->o.sources->ctx);
    w->status = 200;
    w->compress = true;
    bool open = str_find(http_header(r, "Accept"), S("application/openmetrics-text")) != SIZE_MAX;
    expose_metrics(&w->body, open ? EXPO_OPENMETRICS : EXPO_TEXT);
    http_resp_header(w, S("Content-Type"),
        open ? S("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores")
             : S("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"));
    metric_add_to(METRIC_WITH(&m_scrapes, S("200")), 1);
    metric_add(&m_scrapes_running, -1);
}

void api_version(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    (void)r;
    /* Go's guess, and what clients got used to */
    http_resp_header(w, S("Content-Type"), S("text/plain; charset=utf-8"));
    struct json j = json_to(&w->body);
    json_obj(&j);
    json_kstr(&j, S("version"), a->o.version);
    json_kstr(&j, S("revision"), S(EPI_VERSION));
    json_obj_end(&j);
}

void api_root(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    http_redirect(r, w, 302, arena_fmt(&r->arena, "%.*s/query", STR_ARG(a->o.external_path)));
}

void api_graph(void *ctx, struct http_req *r, struct http_resp *w)
{
    struct api *a = ctx;
    http_redirect(r, w, 302,
        arena_fmt(&r->arena, "%.*s/query?%.*s", STR_ARG(a->o.external_path), STR_ARG(r->query)));
}

static void asset(struct http_resp *w, str type, str content)
{
    w->compress = true;
    http_resp_header(w, S("Content-Type"), type);
    buf_str(&w->body, content);
}

void api_page(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    (void)r;
    asset(w, S("text/html; charset=utf-8"), page_html());
}

void api_favicon(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)ctx;
    (void)r;
    asset(w, S("image/svg+xml"), page_icon());
}

void api_options(void *ctx, struct http_req *r, struct http_resp *w)
{
    (void)r;
    if (!api_is_open(ctx, w)) return;
    w->status = 204;
    w->compress = w->vary = true;
}
