#include "io/socket.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool sock_addr_split(str addr, str *host, str *port)
{
    size_t colon = str_rindex(addr, ':');
    if (colon == SIZE_MAX) return false;
    *host = str_slice(addr, 0, colon);
    *port = str_from(addr, colon + 1);
    if (host->n >= 2 && host->p[0] == '[' && host->p[host->n - 1] == ']')
        *host = str_slice(*host, 1, host->n - 1);
    return port->n > 0 && host->n < 256 && port->n < 32;
}

static int sock_bind(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0) return -1;
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, 26 /* IPV6_V6ONLY */, &off, sizeof(off));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, 1024) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

errc sock_listen(int *fd, str addr, struct err *e)
{
    str host, port;
    if (!sock_addr_split(addr, &host, &port))
        return err_set(
            e, ERR_BAD_INPUT, "listen tcp: address %.*s: missing port in address", STR_ARG(addr));
    uint64_t number;
    if (str_u64(port, &number) && number > UINT16_MAX)
        return err_set(e, ERR_BAD_INPUT, "listen tcp: address %.*s: invalid port", STR_ARG(port));
    char h[256], p[32];
    /* localhost is the loopback by RFC 6761, also on a machine without a hosts file. */
    snprintf(h, sizeof(h), "%.*s", STR_ARG(str_eq(host, S("localhost")) ? S("127.0.0.1") : host));
    snprintf(p, sizeof(p), "%.*s", STR_ARG(port));
    struct addrinfo hints = { .ai_family = host.n ? AF_UNSPEC : AF_INET6,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host.n ? h : NULL, p, &hints, &found);
    if (rc != 0)
        return err_set(
            e, ERR_BAD_INPUT, "listen tcp: lookup %.*s: %s", STR_ARG(addr), gai_strerror(rc));
    int got = sock_bind(found);
    if (got < 0 && errno == EAFNOSUPPORT && !host.n) {         /* a kernel without IPv6 */
        freeaddrinfo(found);
        hints.ai_family = AF_INET;
        if (getaddrinfo(NULL, p, &hints, &found) != 0)
            return err_set(e, ERR_IO, "listen tcp %.*s: no address", STR_ARG(addr));
        got = sock_bind(found);
    }
    int why = errno;
    freeaddrinfo(found);
    if (got < 0)
        return err_set(e, ERR_IO, "listen tcp %.*s: bind: %s", STR_ARG(addr),
            why == EADDRINUSE ? "address already in use" : strerror(why));
    *fd = got;
    return OK;
}

errc sock_local_addr(str *out, int fd, struct arena *a, struct err *e)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char host[256], port[32];
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0 ||
        getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
            NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(e, ERR_IO, "getsockname: %s", strerror(errno));
    *out = arena_fmt(a, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return OK;
}

str sock_ip(const struct sockaddr *of, struct arena *a)
{
    char host[256];
    socklen_t len =
        of->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (of->sa_family != AF_INET6 && of->sa_family != AF_INET) return STR_EMPTY;
    if (getnameinfo(of, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0) return STR_EMPTY;
    return arena_str(a, str_z(host));
}

bool sock_is_ip(str host)
{
    struct in6_addr room;
    char text[64];
    if (host.n >= sizeof(text)) return false;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(host));
    return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1;
}

void sock_end(int fd) { (void)shutdown(fd, SHUT_RDWR); }

int sock_unsent(int fd)
{
    int n;
    return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : -1;
}

void sock_close(int fd)
{
    if (fd >= 0) close(fd);
}

struct hangup {
    struct mtx mu;             /* LOCK_LEAF */
    int epoll, wake;
    struct map flags;          /* GUARDED_BY(mu): fd -> flag */
    _Atomic bool stop;
    pthread_t thread;
};

static uint64_t hash_fd(int fd) { return ((uint64_t)(unsigned)fd + 1) * 0x9e3779b97f4a7c15u; }

static void hangup_raise(struct hangup *h, int fd)
{
    mtx_lock(&h->mu);
    _Atomic bool *flag = map_find(&h->flags, hash_fd(fd), NULL, NULL);
    if (flag) atomic_store(flag, true);
    mtx_unlock(&h->mu);
}

static void *hangup_run(void *arg)
{
    struct hangup *h = arg;
    while (!atomic_load(&h->stop)) {
        struct epoll_event ev[32];
        int n = epoll_wait(h->epoll, ev, ARRAY_LEN(ev), -1);
        for (int i = 0; i < n; i++)
            if (ev[i].data.fd != h->wake) hangup_raise(h, ev[i].data.fd);
    }
    return NULL;
}

struct hangup *hangup_new(void)
{
    struct hangup *h = NEW(struct hangup);
    mtx_init(&h->mu, LOCK_LEAF);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = h->wake };
    epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &ev);
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    int rc = pthread_create(&h->thread, NULL, hangup_run, h);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    assert(rc == 0);
    (void)rc;
    return h;
}

void hangup_free(struct hangup *h)
{
    if (!h) return;
    atomic_store(&h->stop, true);
    uint64_t one = 1;
    if (write(h->wake, &one, sizeof(one)) < 0) abort();
    pthread_join(h->thread, NULL);
    close(h->epoll);
    close(h->wake);
    map_fini(&h->flags);
    mtx_fini(&h->mu);
    mem_free(h);
}

void hangup_watch(struct hangup *h, int fd, _Atomic bool *flag)
{
    mtx_lock(&h->mu);
    map_put(&h->flags, hash_fd(fd), (void *)flag);
    mtx_unlock(&h->mu);
    struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLONESHOT,
        .data.fd = fd };
    if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &ev) != 0 && errno == EEXIST)
        epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &ev);
}

void hangup_unwatch(struct hangup *h, int fd)
{
    epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
    mtx_lock(&h->mu);
    map_remove(&h->flags, hash_fd(fd), NULL, NULL);
    mtx_unlock(&h->mu);
}

struct wake { int fd; _Atomic bool called; };

struct wake *wake_new(void)
{
    struct wake *w = NEW(struct wake);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0) abort();                    /* out of descriptors: as mem_alloc */
    return w;
}

void wake_free(struct wake *w)
{
    if (!w) return;
    close(w->fd);
    mem_free(w);
}

void wake_up(struct wake *w)
{
    uint64_t one = 1;
    if (atomic_exchange(&w->called, true)) return;
    if (write(w->fd, &one, sizeof(one)) < 0) abort();
}

bool wake_wait(struct wake *w, int fd, int ms)
{
    struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = w->fd, .events = POLLIN } };
    uint64_t n;
    if (poll(p, ARRAY_LEN(p), ms) == 0) return false;
    if (!p[1].revents) return true;
    if (read(w->fd, &n, sizeof(n)) < 0 && errno != EAGAIN) abort();
    atomic_exchange(&w->called, false);
    return true;
}

bool sock_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}
