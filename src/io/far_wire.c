#include "io/far_wire.h"

#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEP_BYTES = 32 << 10, LINE_BYTES_MAX = 4 << 10 };

static errc failed(const char *what, int why, struct err *e)
{
    return err_set(e, ERR_IO, "%s: %s", what, strerror(why));
}

/* Until the descriptor is ready. */
static errc await(int fd, short events, int64_t until_ns, struct err *e)
{
    struct pollfd p = { fd, events, 0 };
    for (;;) {
        int64_t left_ns = until_ns - clock_mono_ns();
        if (left_ns <= 0) return err_set(e, ERR_TIMEOUT, "it takes too long");
        int n = poll(&p, 1, (int)MIN(left_ns / 1000000 + 1, (int64_t)INT32_MAX));
        if (n > 0) return OK;
        if (n < 0 && errno != EINTR) return failed("poll", errno, e);
    }
}

static errc connect_to(const struct addrinfo *to, int *out, int64_t until_ns, struct err *e)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, why = 0;
    socklen_t n = sizeof(why);
    if (fd < 0) return failed("socket", errno, e);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    errc rc = OK;
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) why = errno;
    if (why == EINPROGRESS) {
        rc = await(fd, POLLOUT, until_ns, e);
        if (rc == OK && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0) why = errno;
    }
    if (rc == OK && why) rc = failed("connect", why, e);
    if (rc == OK) *out = fd;
    else close(fd);
    return rc;
}

errc far_wire_open(struct far_wire *w, str host, str port, int64_t until_ns, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char h[256], p[32];
    if (host.n > 2 && host.p[0] == '[') host = str_slice(host, 1, host.n - 1);
    snprintf(h, sizeof(h), "%.*s", STR_ARG(host));
    snprintf(p, sizeof(p), "%.*s", STR_ARG(port));
    int rc = getaddrinfo(h, p, &hints, &found);
    if (rc != 0) return err_set(e, ERR_BAD_INPUT, "%s: %s", h, gai_strerror(rc));
    *w = (struct far_wire){ .fd = -1 };
    errc ret = connect_to(found, &w->fd, until_ns, e);
    freeaddrinfo(found);
    return ret;
}

void far_wire_close(struct far_wire *w)
{
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    buf_fini(&w->in);
}

bool far_wire_quiet(const struct far_wire *w)
{
    struct pollfd p = { w->fd, POLLIN | POLLRDHUP, 0 };
    return w->at == w->in.n && poll(&p, 1, 0) == 0;
}

errc far_wire_send(struct far_wire *w, str bytes, int64_t until_ns, struct err *e)
{
    while (bytes.n) {
        ssize_t n = send(w->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n > 0) bytes = str_from(bytes, (size_t)n);
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
            TRY(await(w->fd, POLLOUT, until_ns, e));
        else return failed("send", errno, e);
    }
    return OK;
}

/* Some more bytes. */
static errc more(struct far_wire *w, int64_t until_ns, struct err *e)
{
    if (w->at) memmove(w->in.p, w->in.p + w->at, w->in.n - w->at);
    w->in.n -= w->at;
    w->at = 0;
    for (;;) {
        TRY(await(w->fd, POLLIN, until_ns, e));
        uint8_t *room = buf_room(&w->in, STEP_BYTES);
        if (!room) return err_set(e, ERR_LIMIT, "it is too long");
        ssize_t n = recv(w->fd, room, STEP_BYTES, 0);
        if (n > 0) return buf_commit(&w->in, (size_t)n), OK;
        if (n == 0) return err_set(e, ERR_IO, "it hung up");
        if (errno != EAGAIN && errno != EINTR) return failed("recv", errno, e);
    }
}

static str unread(const struct far_wire *w) { return str_from(buf_view(&w->in), w->at); }

errc far_wire_line(struct far_wire *w, int64_t until_ns, str *out, struct err *e)
{
    size_t end;
    while ((end = str_find(unread(w), S("\r\n"))) == SIZE_MAX) {
        if (w->in.n - w->at > LINE_BYTES_MAX)
            return err_set(e, ERR_CORRUPT, "the answer cannot be right: a line without end");
        TRY(more(w, until_ns, e));
    }
    *out = str_slice(unread(w), 0, end);
    w->at += end + 2;
    return OK;
}

errc far_wire_value(
    struct far_wire *w, uint64_t n, uint64_t want, int64_t until_ns, str *out, struct err *e)
{
    for (uint64_t skip = n == want ? 0 : n; skip;) {
        size_t step = (size_t)MIN(skip, (uint64_t)(w->in.n - w->at));
        w->at += step;
        skip -= step;
        if (skip) TRY(more(w, until_ns, e));
    }
    if (n != want) n = 0;
    while (w->in.n - w->at < (size_t)n + 2) TRY(more(w, until_ns, e));
    *out = str_slice(unread(w), 0, (size_t)n);
    str end = str_slice(unread(w), (size_t)n, (size_t)n + 2);
    w->at += (size_t)n + 2;
    if (str_eq(end, S("\r\n"))) return OK;
    return err_set(e, ERR_CORRUPT, "the answer cannot be right: a value of another length");
}
