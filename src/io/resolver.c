#include "io/resolver.h"

#include "io/pool.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/socket.h>

enum { THREADS = 8, QUEUE = 4096, MS = 1000000 };

COUNTER(m_asked, "epimetheus_http_client_lookups_total",
    "Names that the system's resolver was asked for.")
COUNTER(m_failed, "epimetheus_http_client_lookup_failures_total", "Lookups that gave no address.")
COUNTER(m_hits, "epimetheus_http_client_lookup_cache_hits_total",
    "Lookups that were answered from memory.")
GAUGE(m_names, "epimetheus_http_client_lookup_cache_names", "Names that are remembered.")

/* One name. asking: a question is under way, then it is not freed. */
struct name {
    str name, addresses;               /* heap; addresses empty: none came */
    struct err why;
    int64_t until_ns;                  /* when the answer stops counting; 0: there is none */
    bool asking;
    struct resolver *r;
};

struct resolver {
    struct resolver_opts o;
    struct pool *pool;
    _Atomic bool stop;
    struct mtx mu;                     /* LOCK_LEAF; guards names and what they hold but `name` */
    struct map names;
};

/* These names are the machine itself, whatever its files and servers know (RFC 6761, 6.3). */
static bool is_this_machine(const char *name)
{
    static const char local[] = "localhost";
    size_t n = strlen(name), tail = sizeof(local) - 1;
    if (n > 0 && name[n - 1] == '.') n--;
    if (n < tail || strncasecmp(name + n - tail, local, tail) != 0) return false;
    return n == tail || name[n - tail - 1] == '.';
}

static errc ask_system(void *ctx, const char *name, struct buf *out, struct err *e)
{
    (void)ctx;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *all = NULL;
    int rc = getaddrinfo(name, NULL, &hints, &all);
    if (rc != 0 && is_this_machine(name)) {
        buf_str(out, S("127.0.0.1"));
        return OK;
    }
    if (rc == EAI_NONAME || rc == EAI_NODATA)
        return err_set(e, ERR_NOT_FOUND, "lookup %s: no such host", name);
    if (rc != 0) return err_set(e, ERR_IO, "lookup %s: %s", name, gai_strerror(rc));
    for (const struct addrinfo *a = all; a; a = a->ai_next) {
        char text[INET6_ADDRSTRLEN] = "";
        const struct sockaddr_in *v4 = (const void *)a->ai_addr;
        const struct sockaddr_in6 *v6 = (const void *)a->ai_addr;
        if (a->ai_family == AF_INET) inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        else if (a->ai_family == AF_INET6) inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        if (text[0])
            buf_fmt(out, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", out->n ? "," : "", text);
    }
    freeaddrinfo(all);
    return out->n ? OK : err_set(e, ERR_NOT_FOUND, "lookup %s: no such host", name);
}

static void name_ask(void *arg)
{
    struct name *n = arg;
    struct resolver *r = n->r;
    struct buf addresses = { 0 };
    struct err e = { 0 };
    bool stop = atomic_load(&r->stop);
    errc rc = stop ? ERR_CANCELED : r->o.ask(r->o.ask_ctx, (const char *)n->name.p, &addresses, &e);
    if (!stop) metric_inc(&m_asked);
    if (!stop && rc != OK) metric_inc(&m_failed);
    mtx_lock(&r->mu);
    mem_free((void *)n->addresses.p);
    n->addresses = rc == OK ? mem_str(buf_view(&addresses)) : STR_EMPTY;
    n->why = e;
    n->until_ns = clock_mono_ns() + (rc == OK ? RESOLVER_TTL_MS : RESOLVER_FAILED_MS) * (int64_t)MS;
    n->asking = false;
    mtx_unlock(&r->mu);
    buf_fini(&addresses);
    if (!stop) r->o.news(r->o.ctx);
}

struct resolver *resolver_new(const struct resolver_opts *o)
{
    struct resolver *r = NEW(struct resolver);
    r->o = *o;
    if (!r->o.ask) r->o.ask = ask_system;
    mtx_init(&r->mu, LOCK_LEAF);
    r->pool = pool_new(&(struct pool_opts){ "resolver", THREADS, QUEUE });
    return r;
}

static void name_free(struct name *n)
{
    mem_free((void *)n->name.p);
    mem_free((void *)n->addresses.p);
    mem_free(n);
}

void resolver_free(struct resolver *r)
{
    if (!r) return;
    atomic_store(&r->stop, true);
    pool_free(r->pool);
    struct name *n;
    for (size_t i = 0; (n = map_next(&r->names, &i)) != NULL;) name_free(n);
    map_fini(&r->names);
    mtx_fini(&r->mu);
    mem_free(r);
}

static bool name_eq(const void *val, const void *key)
{
    return str_eq_nocase(((const struct name *)val)->name, *(const str *)key);
}

static uint64_t name_hash(str name)
{
    uint8_t low[256];
    size_t n = MIN(name.n, sizeof(low));
    for (size_t i = 0; i < n; i++)
        low[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 32 : name.p[i];
    return hash_bytes(low, n);
}

/* Room for one more: answers that do not count any more go first, then, if there are none, any. */
static void names_shrink_locked(struct resolver *r)
{
    struct map old = r->names;
    int64_t now = clock_mono_ns();
    r->names = (struct map){ 0 };
    struct name *n;
    for (size_t i = 0, kept = 0; (n = map_next(&old, &i)) != NULL;) {
        bool keep = n->asking || (now < n->until_ns && kept < RESOLVER_NAMES_MAX / 2);
        kept += keep;
        if (keep) map_put(&r->names, name_hash(n->name), n);
        else name_free(n);
    }
    map_fini(&old);
}

static struct name *name_of_locked(struct resolver *r, str name)
{
    uint64_t hash = name_hash(name);
    struct name *n = map_find(&r->names, hash, name_eq, &name);
    if (n) return n;
    if (r->names.n >= RESOLVER_NAMES_MAX) names_shrink_locked(r);
    n = NEW(struct name);
    n->name = mem_str(name);
    n->r = r;
    map_put(&r->names, hash, n);
    metric_set(&m_names, (double)r->names.n);
    return n;
}

enum resolved resolver_get(
    struct resolver *r, str name, struct arena *a, str *addresses, struct err *e)
{
    mtx_lock(&r->mu);
    struct name *n = name_of_locked(r, name);
    bool ask = !n->asking && clock_mono_ns() >= n->until_ns, asking = n->asking || ask;
    enum resolved rc = asking ? RESOLVED_ASKED : n->addresses.n ? RESOLVED_YES : RESOLVED_FAILED;
    if (rc == RESOLVED_YES) *addresses = arena_str(a, n->addresses);
    if (rc == RESOLVED_FAILED && e) *e = n->why;
    n->asking = asking;
    mtx_unlock(&r->mu);
    if (!asking) metric_inc(&m_hits);
    if (!ask || pool_submit(r->pool, name_ask, n)) return rc;
    mtx_lock(&r->mu);
    n->asking = false;                 /* the queue is full: asked with the next look */
    mtx_unlock(&r->mu);
    return rc;
}

void resolver_forget(struct resolver *r, str name)
{
    mtx_lock(&r->mu);
    struct name *n = map_find(&r->names, name_hash(name), name_eq, &name);
    if (n) n->until_ns = 0;
    mtx_unlock(&r->mu);
}
