/* far_cache.h — bytes that other processes keep for us: memcached, redis.
 *
 * What        Values by keys, asked for many at once, put in the background. Several servers share
 *             the keys. One that is slow, wrong or gone costs a question's time, then nothing:
 *             after some failures in a row it is not asked for a while, then by one thread first.
 * Invariants  (1) What far_cache_get gives is what was put under that key: values carry a checksum
 *             of key and bytes. (2) far_cache_put waits for nobody. (3) far_cache_get waits no
 *             longer than dial_ms + timeout_ms.
 * Ownership   far_cache_new/far_cache_free; keys and values are copied
 * Threads     any
 * Errors      far_cache_new: ERR_BAD_INPUT
 * Format      value: "EPC1", then CRC-32C of key and bytes (big endian), then the bytes
 */
#ifndef EPI_IO_FAR_CACHE_H
#define EPI_IO_FAR_CACHE_H

#include "base/err.h"

enum far_kind { FAR_MEMCACHED, FAR_REDIS };
struct far_cache_opts {
    enum far_kind kind;
    const str *addresses;      /* host:port; redis: one */
    size_t n_addresses;
    str username, password;    /* redis; empty: none */
    int64_t db;                /* redis */
    int64_t dial_ms;           /* 0: half a second */
    int64_t timeout_ms;        /* of one question, however many keys; 0: half a second */
    int64_t ttl_s;             /* 0: a day */
    size_t item_max_bytes;     /* larger ones are not put; 0: any */
    size_t idle_max;           /* connections that are kept; 0: 100 */
    size_t queue_max;          /* values that wait to be put; 0: 10000 */
    unsigned putters;          /* threads that put; 0: 4 */
    unsigned failures_max;     /* in a row; 0: 5 */
    int64_t pause_ms;          /* for so long it is not asked then; 0: five seconds */
};
struct far_cache;
MUST_USE errc far_cache_new(
    struct far_cache **out, const struct far_cache_opts *o, struct err *e);
void far_cache_free(struct far_cache *c); /* what waits to be put is put; NULL is fine */

/* n bytes are to come to `to`; got: they did */
struct far_item { str key; uint8_t *to; size_t n; bool got; };
void far_cache_get(struct far_cache *c, struct far_item *items, size_t n);
void far_cache_put(struct far_cache *c, str key, str bytes);

#endif
