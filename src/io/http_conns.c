#include "io/http_conns.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"

COUNTER_VEC(m_attempted, "net_conntrack_dialer_conn_attempted_total",
    "Total number of connections attempted by the given dialer a given name.", "dialer_name")
COUNTER_VEC(m_established, "net_conntrack_dialer_conn_established_total",
    "Total number of connections successfully established by the given dialer a given name.",
    "dialer_name")
COUNTER_VEC(m_failed, "net_conntrack_dialer_conn_failed_total",
    "Total number of connections failed to dial by the dialer a given name.", "dialer_name",
    "reason")
COUNTER_VEC(m_closed, "net_conntrack_dialer_conn_closed_total",
    "Total number of connections closed which originated from the dialer of a given name.",
    "dialer_name")

static const str reasons[] = { [DIAL_RESOLUTION] = S("resolution"),
    [DIAL_REFUSED] = S("refused"),
    [DIAL_TIMEOUT] = S("timeout"),
    [DIAL_UNKNOWN] = S("unknown") };

struct dialer { str name; };
struct http_conns { struct map dialers, by_fd; };

struct http_conns *http_conns_new(void) { return NEW(struct http_conns); }

void http_conns_free(struct http_conns *c)
{
    if (!c) return;
    struct dialer *d;
    for (size_t i = 0; (d = map_next(&c->dialers, &i)) != NULL;) {
        mem_free((void *)d->name.p);
        mem_free(d);
    }
    map_fini(&c->dialers);
    map_fini(&c->by_fd);
    mem_free(c);
}

static bool dialer_eq(const void *val, const void *key)
{
    return str_eq(((const struct dialer *)val)->name, *(const str *)key);
}

/* Every series of a dialer is there from its first dial on. */
static struct dialer *dialer_of(struct http_conns *c, str name)
{
    uint64_t hash = hash_str(name);
    struct dialer *d = map_find(&c->dialers, hash, dialer_eq, &name);
    if (d) return d;
    d = NEW(struct dialer);
    d->name = mem_str(name);
    map_put(&c->dialers, hash, d);
    metric_add_to(METRIC_WITH(&m_established, name), 0);
    metric_add_to(METRIC_WITH(&m_closed, name), 0);
    for (size_t i = DIAL_RESOLUTION; i <= DIAL_UNKNOWN; i++)
        metric_add_to(METRIC_WITH(&m_failed, name, reasons[i]), 0);
    return d;
}

static uint64_t fd_hash(int fd) { return hash_bytes(&fd, sizeof(fd)); }

void http_conns_dialled(struct http_conns *c, str name, enum http_dial_fail why, int fd)
{
    if (!name.n) return;
    struct dialer *d = dialer_of(c, name);
    metric_add_to(METRIC_WITH(&m_attempted, d->name), 1);
    if (why != DIAL_FINE) {
        metric_add_to(METRIC_WITH(&m_failed, d->name, reasons[why]), 1);
        return;
    }
    metric_add_to(METRIC_WITH(&m_established, d->name), 1);
    if (fd < 0) metric_add_to(METRIC_WITH(&m_closed, d->name), 1);
    else if (!map_find(&c->by_fd, fd_hash(fd), NULL, NULL)) map_put(&c->by_fd, fd_hash(fd), d);
}

void http_conns_closed(struct http_conns *c, int fd)
{
    struct dialer *d = map_remove(&c->by_fd, fd_hash(fd), NULL, NULL);
    if (d) metric_add_to(METRIC_WITH(&m_closed, d->name), 1);
}
