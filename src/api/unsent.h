/* unsent.h — answers that wait in memory for their clients to read them.
 *
 * What        A list of the answers that are being sent, with their bytes. When one comes and all
 *             of them are more than the bound, those whose clients have taken nothing for two
 *             seconds are cut, the one that stands longest first, until the rest is within it. A
 *             client takes something where more is asked for, or the kernel has less to send.
 * Invariants  (1) Who reads is never cut, nor anybody while all of them are within the bound. (2)
 *             An answer is cut once.
 * Ownership   an entry lies in its answer and leaves before that ends
 * Threads     any
 * Errors      none
 * Format      none
 */
#ifndef EPI_API_UNSENT_H
#define EPI_API_UNSENT_H

#include "api/http.h"
#include "base/lock.h"

struct unsent {
    struct http_req *of;
    uint64_t bytes;
    int64_t since_ns;
    int kernel;                        /* GUARDED_BY(list.mu): bytes that it had at the last look */
    int64_t kernel_ns;                 /* GUARDED_BY(list.mu): since then; 0: nobody looked */
    bool cut;                          /* GUARDED_BY(list.mu) */
    struct unsent *prev, *next;        /* GUARDED_BY(list.mu) */
};
struct unsent_list {
    struct mtx mu;                     /* LOCK_QUERY: http_cut takes others */
    struct unsent *first;              /* GUARDED_BY(mu) */
    uint64_t bytes, bytes_max;         /* GUARDED_BY(mu): of those that are not cut; const */
};
/* bytes_max 0: 512 MiB */
void unsent_init(struct unsent_list *l, uint64_t bytes_max);
void unsent_fini(struct unsent_list *l);                       /* REQUIRES: it is empty */

/* An answer to r of so many bytes begins to be sent, now. */
void unsent_enter(
    struct unsent_list *l, struct unsent *u, struct http_req *r, uint64_t bytes, int64_t now_ns);
void unsent_leave(struct unsent_list *l, struct unsent *u);    /* one that never came is fine */

#endif
