/* test_wire.h — a bare connection: for tests of who serves connections.
 *
 * What        Connects, sends all, receives what comes within a time.
 * Invariants  none
 * Ownership   the caller closes the descriptor: sock_close
 * Threads     any
 * Errors      -1
 * Format      none
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_IO_TEST_WIRE_H
#define EPI_IO_TEST_WIRE_H

#include "base/str.h"

/* addr: "127.0.0.1:1234"; room_bytes: of the kernel for what comes, 0: as it likes */
int test_wire_open(str addr, int room_bytes);
bool test_wire_send(int fd, str bytes);
/* 0: the other side closed; -1: nothing came in time, -2: broken */
int test_wire_recv(int fd, void *room, int cap, int wait_ms);

#endif
