#include "io/test_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int test_wire_open(str addr, int room_bytes)
{
    str host, port;
    uint64_t number = 0;
    struct sockaddr_in to = { .sin_family = AF_INET };
    if (!str_cut(addr, ':', &host, &port) || !str_u64(port, &number)) return -1;
    to.sin_port = htons((uint16_t)number);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (room_bytes) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof(room_bytes));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) return fd;
    close(fd);
    return -1;
}

bool test_wire_send(int fd, str bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

int test_wire_recv(int fd, void *room, int cap, int wait_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, wait_ms) <= 0) return -1;
    ssize_t n = recv(fd, room, (size_t)cap, 0);
    return n < 0 ? -2 : (int)n;
}
