#include "io/stream_server.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/socket.h"
#include "io/thread.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 32 << 10,
    READS_MAX = 16,                    /* of one connection before others have their turn */
    SENDS_MAX = 64,
    EVENTS = 64,
    LOOPS_MAX = 8
};

struct loop {
    struct stream_server *s;
    struct thread *thread;
    int epoll, wake;
    struct stream_conn *conns;                 /* its own thread's: a ring's first */
    struct mtx mu;                             /* LOCK_LEAF */
    struct stream_conn *woken;                 /* GUARDED_BY(mu) */
    VEC(int) adopted;                          /* GUARDED_BY(mu): descriptors to be taken over */
    int64_t next_tick_ns;
    bool paused;                               /* no descriptors are left: nothing is accepted */
    uint8_t room[READ_BYTES];
};

struct stream_conn {
    struct loop *l;
    int fd;
    void *owner;
    gnutls_session_t tls;                      /* NULL: plain, or before open */
    bool handshaking, sending;                 /* sending: EPOLLOUT is asked for */
    int64_t until_ns;                          /* of the handshake */
    str piece;                                 /* of what give() handed out: not sent yet */
    struct stream_conn *prev, *next;
    bool is_woken;                             /* GUARDED_BY(l->mu) */
    struct stream_conn *next_woken;            /* the same */
};

struct stream_server {
    struct stream_server_opts o;
    struct arena arena;
    str address;
    int listen_fd;
    gnutls_certificate_credentials_t keys;
    struct loop *loops[LOOPS_MAX];
    unsigned next;                             /* the first loop's: who takes the next one */
    _Atomic unsigned connections;              /* relaxed: a figure and a limit */
    _Atomic bool stop;
    _Atomic bool deaf;
};

static void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake, &one, sizeof(one));
    (void)n;                                   /* full: it is awake */
}

void stream_wake(struct stream_conn *c)
{
    struct loop *l = c->l;
    mtx_lock(&l->mu);
    bool fresh = !c->is_woken;
    if (fresh) {
        c->is_woken = true;
        c->next_woken = l->woken;
        l->woken = c;
    }
    mtx_unlock(&l->mu);
    if (fresh) loop_wake(l);
}

/* The end of a connection. */

static void unwake(struct stream_conn *c)
{
    mtx_lock(&c->l->mu);
    for (struct stream_conn **at = &c->l->woken; c->is_woken && *at; at = &(*at)->next_woken) {
        if (*at != c) continue;
        *at = c->next_woken;
        break;
    }
    mtx_unlock(&c->l->mu);
}

static void conn_close(struct stream_conn *c)
{
    struct loop *l = c->l;
    if (c->owner) l->s->o.ops->close(c->owner);
    unwake(c);                                 /* nobody wakes it any more */
    if (c->tls && !c->handshaking) (void)gnutls_bye(c->tls, GNUTLS_SHUT_WR);
    if (c->tls) gnutls_deinit(c->tls);
    sock_close(c->fd);                         /* leaves the epoll set, too */
    if (c->prev) c->prev->next = c->next;
    else l->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    atomic_fetch_sub_explicit(&l->s->connections, 1, memory_order_relaxed);
    mem_free(c);
}

/* Sending and receiving: bytes moved, 0 for "not now", -1 for the end. */

static ssize_t tls_moved(ssize_t n)
{
    if (n > 0) return n;
    return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? 0 : -1;
}

static ssize_t plain_moved(ssize_t n)
{
    if (n > 0) return n;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static ssize_t conn_send(struct stream_conn *c)
{
    if (c->tls) return tls_moved(gnutls_record_send(c->tls, c->piece.p, c->piece.n));
    return plain_moved(send(c->fd, c->piece.p, c->piece.n, MSG_NOSIGNAL));
}

static ssize_t conn_recv(struct stream_conn *c, uint8_t *room, size_t cap)
{
    if (c->tls) return tls_moved(gnutls_record_recv(c->tls, room, cap));
    return plain_moved(recv(c->fd, room, cap, 0));
}

static void want_out(struct stream_conn *c, bool want)
{
    if (c->sending == want) return;
    struct epoll_event ev = { .events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c };
    c->sending = want;
    epoll_ctl(c->l->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

/* False: the connection is to be closed. */
static bool pump(struct stream_conn *c)
{
    for (int i = 0; i < SENDS_MAX; i++) {
        if (!c->piece.n && !c->l->s->o.ops->give(c->owner, &c->piece)) return false;
        if (!c->piece.n) {
            want_out(c, false);
            return true;
        }
        ssize_t n = conn_send(c);
        if (n < 0) return false;
        if (n == 0) break;
        c->piece = str_from(c->piece, (size_t)n);
    }
    want_out(c, true);                         /* full, or others' turn */
    return true;
}

static bool receive(struct stream_conn *c)
{
    for (int i = 0; i < READS_MAX || (c->tls && gnutls_record_check_pending(c->tls)); i++) {
        ssize_t n = conn_recv(c, c->l->room, sizeof(c->l->room));
        if (n < 0) return false;
        if (n == 0) return true;
        if (!c->l->s->o.ops->take(c->owner, str_of(c->l->room, (size_t)n))) {
            (void)pump(c);                     /* why, if there is a word for it */
            return false;
        }
    }
    return true;
}

static bool owner_open(struct stream_conn *c)
{
    const struct stream_server_opts *o = &c->l->s->o;
    c->owner = o->ops->open(o->ctx, c);
    return c->owner && pump(c);
}

/* One step of the handshake; the owner hears of the connection when it is done. */
static bool shake_hands(struct stream_conn *c)
{
    int rc = gnutls_handshake(c->tls);
    if (rc == GNUTLS_E_SUCCESS) {
        c->handshaking = false;
        want_out(c, false);
        return owner_open(c);
    }
    if (gnutls_error_is_fatal(rc)) {
        LOG_LIMITED(DEBUG, 1000, "a TLS handshake failed", kv_z("err", gnutls_strerror(rc)));
        return false;
    }
    want_out(c, gnutls_record_get_direction(c->tls) == 1);
    return true;
}

static void conn_event(struct stream_conn *c, uint32_t events)
{
    bool on = true;
    if (c->handshaking) on = shake_hands(c);
    if (on && !c->handshaking && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on = receive(c);
    if (on && !c->handshaking) on = pump(c);
    if (!on) conn_close(c);
}

/* New connections. */

static bool tls_begin(struct stream_conn *c)
{
    const struct stream_tls *t = &c->l->s->o.tls;
    gnutls_datum_t alpn = { (unsigned char *)(uintptr_t)t->alpn,
        t->alpn ? (unsigned)strlen(t->alpn) : 0 };
    if (gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) return false;
    t->begin(t->ctx, c->tls);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->l->s->keys);
    if (t->alpn) gnutls_alpn_set_protocols(c->tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    gnutls_transport_set_int(c->tls, c->fd);
    c->handshaking = true;
    c->until_ns = clock_mono_ns() + c->l->s->o.handshake_ms * INT64_C(1000000);
    return true;
}

static void adopt(struct loop *l, int fd)
{
    struct stream_conn *c = NEW(struct stream_conn);
    int on = 1, idle_s = 60, between_s = 20;
    *c = (struct stream_conn){ .l = l, .fd = fd, .next = l->conns };
    if (l->conns) l->conns->prev = c;
    l->conns = c;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof(between_s));
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
    bool ok = epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
    if (ok) ok = l->s->o.tls.begin ? tls_begin(c) && shake_hands(c) : owner_open(c);
    if (!ok) conn_close(c);
}

static void hand_over(struct stream_server *s, int fd)
{
    struct loop *l = s->loops[s->next++ % s->o.threads];
    mtx_lock(&l->mu);
    vec_push(&l->adopted, fd);
    mtx_unlock(&l->mu);
    loop_wake(l);
}

static void listening(struct loop *l, bool on)
{
    struct epoll_event ev = { .events = on ? EPOLLIN : 0, .data.ptr = NULL };
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->s->listen_fd, &ev);
    l->paused = !on;
}

/* By the loop that accepts. */
static void listening_end(struct loop *l)
{
    struct stream_server *s = l->s;
    if (s->listen_fd < 0 || l != s->loops[0]) return;
    sock_close(s->listen_fd);                  /* leaves the epoll set, too */
    s->listen_fd = -1;
    l->paused = false;
}

static void accept_some(struct loop *l)
{
    struct stream_server *s = l->s;
    if (s->listen_fd < 0) return;
    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            bool none_left = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
            if (none_left) listening(l, false);                /* until the next tick */
            return;
        }
        unsigned n = atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);
        if (n < s->o.max_connections) {
            hand_over(s, fd);
            continue;
        }
        atomic_fetch_sub_explicit(&s->connections, 1, memory_order_relaxed);
        sock_close(fd);
        LOG_LIMITED(WARN, 10000, "connections are refused: there are too many",
            kv_u64("limit", s->o.max_connections));
    }
}

/* The loop. */

static void woken_serve(struct loop *l)
{
    uint64_t n;
    ssize_t got = read(l->wake, &n, sizeof(n));
    (void)got;
    for (;;) {
        mtx_lock(&l->mu);
        int fd = l->adopted.n ? l->adopted.at[--l->adopted.n] : -1;
        struct stream_conn *c = fd < 0 ? l->woken : NULL;
        if (c) {
            l->woken = c->next_woken;
            c->is_woken = false;
        }
        mtx_unlock(&l->mu);
        if (fd >= 0) adopt(l, fd);
        if (!c && fd < 0) return;
        if (!c || c->handshaking) continue;
        l->s->o.ops->woken(c->owner);
        if (!pump(c)) conn_close(c);
    }
}

static void ticks(struct loop *l)
{
    int64_t now = clock_mono_ns();
    if (now < l->next_tick_ns) return;
    l->next_tick_ns = now + STREAM_TICK_MS * INT64_C(1000000);
    if (l->paused) listening(l, true);
    for (struct stream_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        bool on = c->handshaking ? now < c->until_ns : l->s->o.ops->tick(c->owner, now);
        if (on && !c->handshaking && !c->sending) on = pump(c);
        if (!on) conn_close(c);
    }
}

static void loop_run(void *arg)
{
    struct loop *l = arg;
    struct epoll_event ev[EVENTS];
    while (!atomic_load(&l->s->stop)) {
        bool woken = false;
        int wait_ms = l->conns || l->paused ? STREAM_TICK_MS : -1;
        int n = epoll_wait(l->epoll, ev, EVENTS, wait_ms);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr == l) woken = true;             /* last: it may close others */
            else if (!ev[i].data.ptr) accept_some(l);
            else conn_event(ev[i].data.ptr, ev[i].events);
        }
        if (woken) woken_serve(l);
        if (atomic_load(&l->s->deaf)) listening_end(l);
        ticks(l);
    }
    while (l->conns) conn_close(l->conns);
}

static struct loop *loop_new(struct stream_server *s, bool listens)
{
    struct loop *l = NEW(struct loop);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l };
    l->s = s;
    mtx_init(&l->mu, LOCK_LEAF);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev);
    ev.data.ptr = NULL;
    if (listens) epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->listen_fd, &ev);
    return l;
}

static void loop_free(struct loop *l)
{
    if (!l) return;
    for (size_t i = 0; i < l->adopted.n; i++) sock_close(l->adopted.at[i]);
    vec_fini(&l->adopted);
    sock_close(l->epoll);
    sock_close(l->wake);
    mtx_fini(&l->mu);
    mem_free(l);
}

static errc keys_open(struct stream_server *s, struct err *e)
{
    if (!s->o.tls.begin) return OK;
    if (gnutls_certificate_allocate_credentials(&s->keys) < 0)
        return err_set(e, ERR_IO, "TLS: no room for credentials");
    gnutls_certificate_set_retrieve_function2(
        s->keys, (gnutls_certificate_retrieve_function2 *)(uintptr_t)s->o.tls.retrieve);
    return OK;
}

errc stream_server_new(
    struct stream_server **out, const struct stream_server_opts *o, struct err *e)
{
    struct stream_server *s = NEW(struct stream_server);
    s->o = *o;
    s->o.threads = MIN(MAX(o->threads, 1u), (unsigned)LOOPS_MAX);
    s->listen_fd = -1;
    arena_init(&s->arena, NULL, 0);
    errc rc = sock_listen(&s->listen_fd, o->address, e);
    if (rc == OK) rc = sock_local_addr(&s->address, s->listen_fd, &s->arena, e);
    if (rc == OK) rc = keys_open(s, e);
    if (rc != OK) {
        stream_server_free(s);
        return rc;
    }
    for (unsigned i = 0; i < s->o.threads; i++) s->loops[i] = loop_new(s, i == 0);
    for (unsigned i = 0; i < s->o.threads; i++)
        s->loops[i]->thread = thread_start(s->o.name, loop_run, s->loops[i]);
    *out = s;
    return OK;
}

str stream_server_address(const struct stream_server *s) { return s->address; }

unsigned stream_server_connections(const struct stream_server *s)
{
    return atomic_load_explicit(&s->connections, memory_order_relaxed);
}

void stream_server_deaf(struct stream_server *s)
{
    atomic_store(&s->deaf, true);
    loop_wake(s->loops[0]);
}

void stream_server_free(struct stream_server *s)
{
    if (!s) return;
    atomic_store(&s->stop, true);
    for (unsigned i = 0; i < LOOPS_MAX && s->loops[i]; i++) loop_wake(s->loops[i]);
    for (unsigned i = 0; i < LOOPS_MAX && s->loops[i]; i++) thread_join(s->loops[i]->thread);
    for (unsigned i = 0; i < LOOPS_MAX; i++) loop_free(s->loops[i]);
    sock_close(s->listen_fd);
    if (s->keys) gnutls_certificate_free_credentials(s->keys);
    arena_fini(&s->arena);
    mem_free(s);
}
