/* server.h — the running server: every room wired to the others.
 *
 * What        Opens the data folder, starts scraping and the HTTP server, reloads the
 *             configuration, and ends all of it in order.
 * Invariants  (1) A configuration that does not load changes nothing. (2) /-/ready is 200 only
 *             while storage takes and gives samples.
 *             (3) At the end: no handler runs, then no scrape, then the storage is closed.
 * Ownership   server_start allocates, server_stop frees
 * Threads     server_reload: any (LOCK_RELOAD); the rest: the main thread
 * Errors      ERR_BAD_INPUT: the configuration; else the storage's and the sockets'
 * Format      none
 */
#ifndef EPI_CMD_SERVER_H
#define EPI_CMD_SERVER_H

#include "cmd/epimetheus/flags.h"

struct server;

/* exit code of a failure: 2 for the command line and configuration, 1 for all else */
MUST_USE errc server_start(
    struct server **out, const struct flags *f, int *exit_code, struct err *e);
MUST_USE errc server_reload(struct server *s, struct err *e);
/* since it was loaded last; the first call only remembers */
bool server_config_changed(struct server *s);
void server_stop(struct server *s);                            /* NULL is fine */

#endif
