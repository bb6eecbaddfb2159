/* store.h — `epimetheus store`: the blocks of a bucket behind the whole HTTP API.
 *
 * What        A process without scraping and without a head: a gateway (bucket/gateway.h), an
 *             engine and the API over it.
 * Invariants  /-/healthy, /-/ready and /metrics never wait for a bucket or a disk
 * Ownership   none
 * Threads     the main thread
 * Errors      told; the exit code says it: 2 of the command line and configuration, 1 of all else
 * Format      none
 */
#ifndef EPI_CMD_STORE_H
#define EPI_CMD_STORE_H

/* argv[0] is "store"; returns the exit code when a signal ended it. */
int store_main(int argc, char **argv);

#endif
