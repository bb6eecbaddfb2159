/* socket.h — listening sockets, who hung up, and waits that others end.
 *
 * What        Opens a listening TCP socket from "host:port" text, tells its address; and a watcher
 *             that raises a flag when the other side of a connection goes away while its request
 *             waits for an answer. A wake ends the wait of a thread for a descriptor.
 * Invariants  after hangup_unwatch() returned, the flag is not touched any more; a wake_up ends the
 *             wait that is or the next, and what its thread did before is seen behind it
 * Ownership   the caller owns descriptors; hangup_new/hangup_free, wake_new/wake_free
 * Threads     any; the watcher has one thread; of a wake one waits at a time
 * Errors      ERR_BAD_INPUT (not an address), ERR_IO with the kernel's words ("listen tcp
 *             127.0.0.1:9090: bind: address already in use")
 * Format      none
 */
#ifndef EPI_IO_SOCKET_H
#define EPI_IO_SOCKET_H

#include "base/arena.h"
#include "base/err.h"

#include <stdatomic.h>

/* Cuts "host:port"; brackets of an IPv6 host are taken off. False: no port, or too long. */
bool sock_addr_split(str addr, str *host, str *port);
bool sock_is_ip(str host); /* an address as text, without brackets: no name */
/* addr: "127.0.0.1:9090", "[::1]:0", ":9090" (all addresses), "localhost:9090". Non-blocking,
 * close-on-exec, SO_REUSEADDR. */
MUST_USE errc sock_listen(int *fd, str addr, struct err *e);
/* "127.0.0.1:41237" */
MUST_USE errc sock_local_addr(str *out, int fd, struct arena *a, struct err *e);
/* "127.0.0.1"; empty: no address of the internet */
struct sockaddr;
str sock_ip(const struct sockaddr *of, struct arena *a);
void sock_close(int fd);
void sock_end(int fd);                     /* both ways, as if the other end had gone */
/* Bytes that the other end has not taken yet; -1: not told. */
int sock_unsent(int fd);

struct hangup;
struct hangup *hangup_new(void);
void hangup_free(struct hangup *h);                            /* NULL is fine */
void hangup_watch(struct hangup *h, int fd, _Atomic bool *flag);
void hangup_unwatch(struct hangup *h, int fd);

struct wake;
struct wake *wake_new(void);
void wake_free(struct wake *w);                /* NULL is fine */
void wake_up(struct wake *w);
/* Until fd is readable, or somebody calls wake_up, or so long; -1: no matter how long. False: the
 * time came first. */
bool wake_wait(struct wake *w, int fd, int ms);
bool sock_readable(int fd);

#endif
