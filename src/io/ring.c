/* Who submits and who reaps. A query thread fills in its reads and submits them by one system call.
 * Then it waits, and one of those who wait is the reaper: it blocks in the kernel, hands out what
 * came, and passes the part on when its own read is there.
 *
 *      waiting --nobody reaps--> reaping --completions--> done(read) ... --own read done--> away
 *         ^------------------------- woken by the reaper's broadcast ---------'
 *
 * The reaper keeps its part while it runs the reads' `done`: another one might otherwise block for
 * the next completion while its own read is being handed out. With one thread nothing is handed
 * over between threads at all, and with many in flight one system call brings many completions.
 *
 * A slot's buffer stands between the disk and the cache. So the locked memory is 4 MiB whatever the
 * cache's size, a read may cover several frames, and the copy costs less than pinning pages for
 * each read would.
 */
#include "io/ring.h"

#include "base/account.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/metric.h"

#include <errno.h>
#include <liburing.h>

enum { REAP_BATCH = 32 };
#define NO_SLOT UINT32_MAX

struct ring_slot {
    struct ring_read *read; /* NULL: free, or handed out: it is its owner's again */
    uint64_t device;
    uint32_t next_free;
};
static struct {
    struct mtx mu;         /* LOCK_IO_RING */
    struct cond changed;   /* slots are free, reads are done, nobody reaps */
    struct io_uring uring; /* its SQ: GUARDED_BY(mu); its CQ: the reaper's */
    uint8_t *room;         /* a buffer a slot; const after init */
    bool registered;       /* const after init */
    int errnum;            /* why there is none; const after init */
    /* All below: GUARDED_BY(mu). */
    bool reaping;
    uint32_t free_slot;
    unsigned in_flight;
    struct ring_slot slots[RING_SLOTS];
    uint64_t reads, bytes, batches;
} ring;
static pthread_once_t ring_once = PTHREAD_ONCE_INIT;

ACCOUNT(ring_account, "direct_buffers")

/* Buffers within the limit of locked memory save the kernel a look-up a page and read. */
static void ring_register(void)
{
    struct iovec iov[RING_SLOTS];
    for (size_t i = 0; i < RING_SLOTS; i++)
        iov[i] = (struct iovec){ ring.room + i * RING_READ_MAX, RING_READ_MAX };
    int rc = io_uring_register_buffers(&ring.uring, iov, RING_SLOTS);
    ring.registered = rc == 0;
    if (rc < 0)
        LOG(INFO, "direct reads go without registered buffers", kv_i64("errno", -rc),
            kv_u64("bytes", (uint64_t)RING_SLOTS * RING_READ_MAX));
}

static void ring_init(void)
{
    mtx_init(&ring.mu, LOCK_IO_RING);
    cond_init(&ring.changed);
    int rc = io_uring_queue_init(RING_SLOTS, &ring.uring, 0);
    if (rc < 0) {
        ring.errnum = -rc;
        return;
    }
    ring.room = mem_aligned(RING_ALIGN, (size_t)RING_SLOTS * RING_READ_MAX);
    account_charge(&ring_account, (int64_t)RING_SLOTS * RING_READ_MAX);
    ring_register();
    for (uint32_t i = 0; i < RING_SLOTS; i++)
        ring.slots[i].next_free = i + 1 < RING_SLOTS ? i + 1 : NO_SLOT;
}

errc ring_ready(struct err *e)
{
    pthread_once(&ring_once, ring_init);
    if (!ring.errnum) return OK;
    char room[128];
    return err_set(e, ERR_UNSUPPORTED, "the kernel gives no io_uring: %s",
        strerror_r(ring.errnum, room, sizeof(room)));
}

struct reaped {
    uint32_t slot;
    int res;
};

/* Blocks until there is one completion, and takes those that are there. Only the reaper is here. */
static unsigned reap(struct reaped *out)
{
    struct io_uring_cqe *cqes[REAP_BATCH];
    int rc;
    do rc = io_uring_wait_cqe(&ring.uring, &cqes[0]);
    while (rc == -EINTR || rc == -EAGAIN);
    assert(rc == 0);
    unsigned n = io_uring_peek_batch_cqe(&ring.uring, cqes, REAP_BATCH);
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct reaped){ (uint32_t)io_uring_cqe_get_data64(cqes[i]), cqes[i]->res };
    io_uring_cq_advance(&ring.uring, n);
    return n;
}

static void hand_out(struct ring_read *read, const struct reaped *r)
{
    size_t n = r->res > 0 ? (size_t)r->res : 0;
    read->done(
        read, str_of(ring.room + (size_t)r->slot * RING_READ_MAX, n), r->res < 0 ? -r->res : 0);
}

static void slot_prepare_locked(uint32_t slot)
{
    const struct ring_read *read = ring.slots[slot].read;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring.uring);
    assert(sqe); /* as many entries as slots */
    uint8_t *to = ring.room + (size_t)slot * RING_READ_MAX;
    if (ring.registered) io_uring_prep_read_fixed(sqe, read->fd, to, read->n, read->off, (int)slot);
    else io_uring_prep_read(sqe, read->fd, to, read->n, read->off);
    io_uring_sqe_set_data64(sqe, slot);
}

static void flush_locked(void)
{
    int rc;
    do rc = io_uring_submit(&ring.uring);
    while (rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
    assert(rc >= 0);
}

static void slot_free_locked(uint32_t slot)
{
    ring.slots[slot].next_free = ring.free_slot;
    ring.free_slot = slot;
    ring.in_flight--;
}

/* One turn as the reaper. The lock is given up meanwhile. */
static void reap_turn_locked(void) REQUIRES(ring.mu)
{
    struct reaped got[REAP_BATCH];
    struct ring_read *reads[REAP_BATCH];
    ring.reaping = true;
    mtx_unlock(&ring.mu);
    unsigned n = reap(got);
    mtx_lock(&ring.mu);
    for (unsigned i = 0; i < n; i++) {
        reads[i] = STEAL(ring.slots[got[i].slot].read);
        if (got[i].res > 0) ring.bytes += (uint64_t)got[i].res;
    }
    ring.reads += n;
    ring.batches++;
    mtx_unlock(&ring.mu);
    for (unsigned i = 0; i < n; i++) hand_out(reads[i], &got[i]);
    mtx_lock(&ring.mu);
    for (unsigned i = 0; i < n; i++) slot_free_locked(got[i].slot);
    ring.reaping = false;
    cond_broadcast(&ring.changed);
}

static void wait_locked(void) REQUIRES(ring.mu)
{
    /* none in flight: the read waited for is about to be submitted */
    if (ring.reaping || !ring.in_flight) cond_wait(&ring.changed, &ring.mu);
    else reap_turn_locked();
}

static bool has_room_locked(uint64_t device)
{
    unsigned n = 0;
    if (ring.free_slot == NO_SLOT) return false;
    if (ring.in_flight < RING_DEVICE_SLOTS) return true;
    for (size_t i = 0; i < RING_SLOTS; i++)
        n += ring.slots[i].read && ring.slots[i].device == device;
    return n < RING_DEVICE_SLOTS;
}

void ring_submit(struct ring_read *const *reads, size_t n)
{
    mtx_lock(&ring.mu);
    for (size_t i = 0; i < n; i++) {
        assert(reads[i]->n && reads[i]->n <= RING_READ_MAX && reads[i]->n % RING_ALIGN == 0);
        while (!has_room_locked(reads[i]->device)) {
            flush_locked();
            wait_locked();
        }
        uint32_t slot = ring.free_slot;
        ring.free_slot = ring.slots[slot].next_free;
        ring.slots[slot].read = reads[i];
        ring.slots[slot].device = reads[i]->device;
        ring.in_flight++;
        slot_prepare_locked(slot);
    }
    flush_locked();
    cond_broadcast(&ring.changed);
    mtx_unlock(&ring.mu);
}

void ring_await(bool (*over)(void *ctx), void *ctx)
{
    mtx_lock(&ring.mu);
    while (!over(ctx)) wait_locked();
    mtx_unlock(&ring.mu);
}

struct ring_stats ring_stats(void)
{
    if (ring_ready(NULL) != OK) return (struct ring_stats){ 0 };
    mtx_lock(&ring.mu);
    struct ring_stats s = { ring.reads, ring.bytes, ring.batches, ring.in_flight, ring.registered };
    mtx_unlock(&ring.mu);
    return s;
}
