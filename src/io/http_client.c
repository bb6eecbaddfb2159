/* One mover thread owns the multi handle, all easy handles and all transfers that run. Others leave
 * letters in its inbox and ring the event descriptor. What it wakes for: a socket that libcurl
 * wants watched (epoll tells which, so that ten thousand idle connections cost nothing), libcurl's
 * timer, a letter.
 *
 *      http_send -> inbox -> [waiting for a name] -> running (an easy handle, in the multi) ->
 *      finished -> dispatched -> done, freed
 *                               ^------ redirect ------'
 *                               '--- the pool was full: asked again in RETRY_MS
 *
 * An easy handle costs some kilobytes and belongs to a running transfer only; at rest a few are
 * kept. Connections belong to the multi handle and outlive transfers.
 */
#include "io/http_client.h"

#include "io/http_exchange.h"
#include "io/resolver.h"
#include "io/thread.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/vec.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EASY_KEPT = 32, EVENTS = 256, RETRY_MS = 5, NAMES_MS = 20 };

COUNTER(m_requests, "epimetheus_http_client_requests_total",
    "Requests that were sent, redirects not counted.")
GAUGE(m_in_flight, "epimetheus_http_client_requests_in_flight",
    "Requests that were sent and whose answers were not taken yet.")

struct transfer {
    struct http_exchange x;            /* first: libcurl's pointer is one to it */
    uint64_t id;
    struct http_client *client;
    http_done done;
    struct transfer *next;             /* in the inbox or among the finished */
};

struct http_client {
    struct http_client_opts opts;      /* const after init */
    struct thread *thread;
    int epoll_fd, wake_fd;             /* const after init */

    struct mtx mu;                     /* LOCK_LEAF; guards the next six */
    struct cond idle;                  /* n_out came to 0 */
    struct transfer *inbox, **inbox_end;
    VEC(uint64_t) cancels;
    uint64_t next_id, n_out;           /* n_out: sent, and done has not returned */
    bool stop;

    _Atomic uint64_t n_running;        /* relaxed: a figure */
    _Atomic bool names_came;           /* the resolver has news */

    /* The mover's own. */
    CURLM *multi;
    VEC(CURL *) easies;
    struct map running;                /* id -> transfer */
    VEC(struct transfer *) waiting;    /* for a name */
    struct resolver *resolver;         /* NULL until a name is needed */
    struct http_shared shared;
    struct http_proxies environment;   /* const after init; heap */
    struct transfer *finished, **finished_end;
    int64_t timer_ns;                  /* when libcurl wants to be called; INT64_MAX: not at all */
};

/* ---- begin and end of a transfer, on the mover ---- */

static CURL *easy_take(struct http_client *c)
{
    CURL *h = c->easies.n ? vec_pop(&c->easies) : curl_easy_init();
    if (!h) abort();
    return h;
}

static void easy_give(struct http_client *c, CURL *h)
{
    if (c->easies.n >= EASY_KEPT) {
        curl_easy_cleanup(h);
        return;
    }
    curl_easy_reset(h);
    vec_push(&c->easies, h);
}

/* The transfer leaves libcurl, to be handed over or to go on elsewhere. */
static void transfer_leave(struct http_client *c, struct transfer *t, int code)
{
    struct http_exchange *x = &t->x;
    enum http_dial_fail why;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (http_exchange_dialled(x, code, &why)) {
        if (x->easy) curl_easy_getinfo(x->easy, CURLINFO_ACTIVESOCKET, &fd);
        http_conns_dialled(
            c->shared.conns, x->req.dialer, why, fd == CURL_SOCKET_BAD ? -1 : (int)fd);
        bool unreachable = why == DIAL_REFUSED || why == DIAL_TIMEOUT || why == DIAL_UNKNOWN;
        if (unreachable && x->target.lookup.n && c->resolver)
            resolver_forget(c->resolver, x->target.lookup);
    }
    CURL *easy = x->easy;
    if (easy) curl_multi_remove_handle(c->multi, easy);
    (void)http_exchange_leave(x);
    if (!easy) return;
    easy_give(c, easy);
    map_remove(&c->running, t->id, NULL, NULL);
    atomic_fetch_sub_explicit(&c->n_running, 1, memory_order_relaxed);
}

static void transfer_finish(struct http_client *c, struct transfer *t, int code)
{
    http_exchange_end(&t->x, code);
    transfer_leave(c, t, code);
    t->next = NULL;
    *c->finished_end = t;
    c->finished_end = &t->next;
}

static void transfer_launch(struct http_client *c, struct transfer *t, str addresses)
{
    CURL *easy = easy_take(c);
    atomic_fetch_add_explicit(&c->n_running, 1, memory_order_relaxed);
    map_put(&c->running, t->id, t);
    if (!http_exchange_start(&t->x, easy, addresses)) transfer_finish(c, t, CURLE_URL_MALFORMAT);
    else if (curl_multi_add_handle(c->multi, easy) != CURLM_OK)
        transfer_finish(c, t, CURLE_FAILED_INIT);
}

static void client_wake(struct http_client *c)
{
    const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));
    (void)n;                           /* full means that it is rung already */
}

static void on_names(void *ctx)
{
    struct http_client *c = ctx;
    atomic_store(&c->names_came, true);
    client_wake(c);
}

/* Goes on as far as it is known where to. True: it has to wait for a name. */
static bool transfer_resolve(struct http_client *c, struct transfer *t)
{
    struct http_exchange *x = &t->x;
    str lookup = x->target.lookup, addresses = STR_EMPTY;
    if (lookup.n && !c->resolver)
        c->resolver = resolver_new(&(struct resolver_opts){ .news = on_names, .ctx = c });
    switch (lookup.n ? resolver_get(c->resolver, lookup, &x->arena, &addresses, &x->lookup_err)
                     : RESOLVED_YES) {
    case RESOLVED_ASKED: return true;
    case RESOLVED_FAILED: transfer_finish(c, t, CURLE_COULDNT_RESOLVE_HOST); return false;
    case RESOLVED_YES: transfer_launch(c, t, addresses); break;
    }
    return false;
}

static void transfer_begin(struct http_client *c, struct transfer *t, str url)
{
    struct http_exchange *x = &t->x;
    const struct http_request *r = &x->req;
    struct http_proxies own = { r->proxy_url, r->proxy_url, r->no_proxy, !r->no_proxy.n };
    const struct http_proxies *proxies = r->unix_socket.n            ? NULL
                                         : r->proxy_from_environment ? &c->environment
                                                                     : &own;
    if (!http_target_make(&x->target, &x->arena, url, proxies))
        transfer_finish(c, t, CURLE_URL_MALFORMAT);
    else if (!str_eq_nocase(x->target.scheme, S("http")) &&
             !str_eq_nocase(x->target.scheme, S("https")))
        transfer_finish(c, t, CURLE_UNSUPPORTED_PROTOCOL);
    else if (transfer_resolve(c, t)) vec_push(&c->waiting, t);
}

/* The answer sends on to another place: the request goes there. */
static void transfer_follow(struct http_client *c, struct transfer *t, str to)
{
    str url;
    if (!http_exchange_follow(&t->x, to, &url)) {
        transfer_finish(c, t, CURLE_TOO_MANY_REDIRECTS);
        return;
    }
    transfer_leave(c, t, CURLE_OK);
    transfer_begin(c, t, url);
}

/* On the thread that dispatch chose. */
static void transfer_hand_over(void *arg)
{
    struct transfer *t = arg;
    struct http_client *c = t->client;
    t->done(t->x.ctx, &t->x.resp);
    http_exchange_fini(&t->x);
    mem_free(t);
    metric_add(&m_in_flight, -1);
    mtx_lock(&c->mu);
    /* under the lock: after it, c may be gone */
    if (--c->n_out == 0) cond_broadcast(&c->idle);
    mtx_unlock(&c->mu);
}

static void mover_dispatch(struct http_client *c)
{
    while (c->finished) {
        struct transfer *t = c->finished, *next = t->next;
        if (c->opts.dispatch && !c->opts.dispatch(c->opts.dispatch_ctx, transfer_hand_over, t))
            return;
        c->finished = next;
        if (!next) c->finished_end = &c->finished;
        if (!c->opts.dispatch) transfer_hand_over(t);
    }
}

/* ---- the mover ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct http_client *c = ctx;
    (void)easy;
    struct epoll_event ev = { .events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) |
                                        ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u),
        .data.fd = fd };
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
        errno == (known ? ENOENT : EEXIST))
        epoll_ctl(c->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
    if (!known) curl_multi_assign(c->multi, fd, c);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_client *c = ctx;
    (void)multi;
    c->timer_ns = timeout_ms < 0 ? INT64_MAX : clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    return 0;
}

static int mover_wait_ms(const struct http_client *c)
{
    if (c->finished) return RETRY_MS;
    if (c->waiting.n) return c->timer_ns <= clock_mono_ns() ? 0 : NAMES_MS;
    if (c->timer_ns == INT64_MAX) return -1;
    int64_t left = c->timer_ns - clock_mono_ns();
    return left <= 0 ? 0 : (int)MIN(left / 1000000 + 1, (int64_t)60000);
}

static void mover_events(struct http_client *c)
{
    struct epoll_event ev[EVENTS];
    int n = epoll_wait(c->epoll_fd, ev, EVENTS, mover_wait_ms(c)), still;
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == c->wake_fd) {
            uint64_t rung;
            ssize_t got = read(c->wake_fd, &rung, sizeof(rung));
            (void)got;                 /* non-blocking: it only needs to be emptied */
            continue;
        }
        int mask = ((ev[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
                   ((ev[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                   ((ev[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(c->multi, ev[i].data.fd, mask, &still);
    }
    if (c->timer_ns <= clock_mono_ns()) {
        c->timer_ns = INT64_MAX;
        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &still);
    }
}

static void mover_completed(struct http_client *c)
{
    int left;
    for (const CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE) continue;
        struct http_exchange *x = NULL;
        int code = (int)m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
        assert(x);
        struct transfer *t = (struct transfer *)x;
        if (code == CURLE_OK && !x->headers_end) code = HTTP_HEADERS_CUT;
        str to = code == CURLE_OK ? http_exchange_moved(x) : STR_EMPTY;
        if (to.n) transfer_follow(c, t, to);
        else transfer_finish(c, t, code);
    }
}

static void mover_cancel(struct http_client *c, uint64_t id)
{
    struct transfer *t = map_find(&c->running, id, NULL, NULL);
    for (size_t i = 0; !t && i < c->waiting.n; i++) {
        if (c->waiting.at[i]->id != id) continue;
        t = c->waiting.at[i];
        c->waiting.at[i] = vec_pop(&c->waiting);
    }
    if (!t) return;
    t->x.canceled = true;
    transfer_finish(c, t, CURLE_ABORTED_BY_CALLBACK);
}

/* True: the client ends. */
static bool mover_inbox(struct http_client *c)
{
    mtx_lock(&c->mu);
    struct transfer *t = c->inbox;
    __typeof__(c->cancels) cancels = c->cancels;
    bool stop = c->stop;
    c->inbox = NULL;
    c->inbox_end = &c->inbox;
    memset(&c->cancels, 0, sizeof(c->cancels));
    mtx_unlock(&c->mu);
    for (struct transfer *next; t; t = next) {
        next = t->next;
        transfer_begin(c, t, t->x.req.url);
    }
    for (size_t i = 0; i < cancels.n; i++) mover_cancel(c, cancels.at[i]);
    vec_fini(&cancels);
    return stop;
}

/* Those that wait for a name, when names came, and now and then for those whose time is over. */
static void mover_names(struct http_client *c)
{
    if (!c->waiting.n) return;
    atomic_store(&c->names_came, false);
    __typeof__(c->waiting) all = c->waiting;
    memset(&c->waiting, 0, sizeof(c->waiting));
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < all.n; i++) {
        struct transfer *t = all.at[i];
        int64_t timeout_ms = t->x.req.timeout_ms;
        if (timeout_ms > 0 && now - t->x.start_ns >= timeout_ms * 1000000)
            transfer_finish(c, t, CURLE_OPERATION_TIMEDOUT);
        else if (transfer_resolve(c, t)) vec_push(&c->waiting, t);
    }
    vec_fini(&all);
}

static void mover_run(void *ctx)
{
    struct http_client *c = ctx;
    for (bool stop = false; !stop;) {
        mover_events(c);
        mover_completed(c);
        stop = mover_inbox(c);
        mover_names(c);
        mover_dispatch(c);
    }
    struct transfer *t;
    while (c->waiting.n) mover_cancel(c, vec_last(&c->waiting)->id);
    for (size_t i = 0; (t = map_next(&c->running, &i)) != NULL; i = 0) mover_cancel(c, t->id);
    while (c->finished) {
        mover_dispatch(c);
        if (c->finished) clock_sleep_ns((int64_t)RETRY_MS * 1000000);
    }
}

/* ---- the public side ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) abort();
}

static str environment_text(const char *name, const char *lower)
{
    const char *v = getenv(name);
    return mem_str(str_z(v && *v ? v : getenv(lower)));
}

errc http_client_new(struct http_client **out, const struct http_client_opts *o, struct err *e)
{
    pthread_once(&curl_once, curl_start);
    int ep = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = wake };
    if (ep < 0 || wake < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, wake, &ev) < 0) {
        if (ep >= 0) close(ep);
        if (wake >= 0) close(wake);
        return err_set(e, ERR_IO, "http client: no descriptors left");
    }
    struct http_client *c = NEW(struct http_client);
    *c = (struct http_client){ .opts = *o, .epoll_fd = ep, .wake_fd = wake, .timer_ns = INT64_MAX };
    c->inbox_end = &c->inbox;
    c->finished_end = &c->finished;
    mtx_init(&c->mu, LOCK_LEAF);
    cond_init(&c->idle);
    c->multi = curl_multi_init();
    if (!c->multi) abort();
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    /* A connection is one transfer's: an answer that calls itself HTTP/2 on a plain connection
     * would have the library send the requests of all others to that host over one. */
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX(o->connections_max, (size_t)16));
    c->shared.conns = http_conns_new();
    c->shared.pems = http_pems_new();
    c->environment = (struct http_proxies){ environment_text("HTTP_PROXY", "http_proxy"),
        environment_text("HTTPS_PROXY", "https_proxy"), environment_text("NO_PROXY", "no_proxy"),
        false };
    c->thread = thread_start("http-client", mover_run, c);
    *out = c;
    return OK;
}

void http_client_free(struct http_client *c)
{
    if (!c) return;
    mtx_lock(&c->mu);
    c->stop = true;
    mtx_unlock(&c->mu);
    client_wake(c);
    thread_join(c->thread);
    mtx_lock(&c->mu);
    while (c->n_out) cond_wait(&c->idle, &c->mu);
    mtx_unlock(&c->mu);
    resolver_free(c->resolver);
    for (size_t i = 0; i < c->easies.n; i++) curl_easy_cleanup(c->easies.at[i]);
    /* closes what is kept alive: the connections are counted off */
    curl_multi_cleanup(c->multi);
    http_conns_free(c->shared.conns);
    http_pems_free(c->shared.pems);
    const str environment[] = { c->environment.http, c->environment.https,
        c->environment.no_proxy };
    for (size_t i = 0; i < ARRAY_LEN(environment); i++) mem_free((void *)environment[i].p);
    vec_fini(&c->waiting);
    vec_fini(&c->easies);
    vec_fini(&c->cancels);
    map_fini(&c->running);
    close(c->epoll_fd);
    close(c->wake_fd);
    cond_fini(&c->idle);
    mtx_fini(&c->mu);
    mem_free(c);
}

uint64_t http_send(struct http_client *c, const struct http_request *r, http_done done, void *ctx)
{
    struct transfer *t = NEW(struct transfer);
    t->client = c;
    t->done = done;
    http_exchange_init(&t->x, &c->shared, r, ctx);
    metric_inc(&m_requests);
    metric_add(&m_in_flight, 1);
    mtx_lock(&c->mu);
    assert(!c->stop);
    uint64_t id = t->id = ++c->next_id;
    c->n_out++;
    *c->inbox_end = t;
    c->inbox_end = &t->next;
    mtx_unlock(&c->mu);
    client_wake(c);
    return id;
}

void http_cancel(struct http_client *c, uint64_t id)
{
    mtx_lock(&c->mu);
    vec_push(&c->cancels, id);
    mtx_unlock(&c->mu);
    client_wake(c);
}

str http_header(const struct http_response *r, str name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, name)) return r->headers[i].value;
    return STR_EMPTY;
}

struct http_client_stats http_client_stats(struct http_client *c)
{
    mtx_lock(&c->mu);
    uint64_t sent = c->next_id;
    mtx_unlock(&c->mu);
    return (struct http_client_stats){
        .in_flight = atomic_load_explicit(&c->n_running, memory_order_relaxed),
        .sent = sent,
        .connections_made = atomic_load_explicit(&c->shared.n_connections, memory_order_relaxed),
    };
}
