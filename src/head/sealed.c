/* sealed.c — full chunks on their way from memory to the chunk files.
 *
 * A chunk is sealed when its series takes a sample that begins another. It is queued, stays
 * readable, and is recoded to Prometheus' bytes by whoever calls head_write_sealed(): the appends
 * of a target all fill their chunks in the same scrape, and none of them waits for that.
 * Written, the series swaps the chunk's memory for 16 bytes. Only the writer frees sealed chunks: a
 * series that drops its own marks them.
 */
#include "chunk/chunk.h"
#include "head/chunk_disk.h"
#include "head/head_impl.h"

COUNTER(mmap_chunks, "prometheus_tsdb_mmap_chunks_total",
    "Total number of chunks that were memory-mapped.")

COUNTER_VEC(queue_operations, "prometheus_tsdb_chunk_write_queue_operations_total",
    "Number of operations on the chunk_write_queue.", "operation")

static struct metric *queue_add, *queue_get, *queue_complete;  /* const after the start */

__attribute__((constructor)) static void queue_metrics_begin(void)
{
    queue_add = METRIC_WITH(&queue_operations, S("add"));
    queue_get = METRIC_WITH(&queue_operations, S("get"));
    queue_complete = METRIC_WITH(&queue_operations, S("complete"));
}

enum { BATCH_CHUNKS = 1024 };

void head_count_opened(struct head *h, struct open_ctx *c)
{
    if (c->n_opened) {
        atomic_fetch_add_explicit(&h->n_chunks, c->n_opened, memory_order_relaxed);
        metric_add(&head_chunks_created, (double)c->n_opened);
    }
    if (c->n_sealed) metric_add_to(queue_add, (double)c->n_sealed);
    bool tell = c->n_sealed && h->opts.many_sealed && head_sealed_count(h) >= HEAD_MANY_SEALED;
    c->n_opened = c->n_sealed = 0;
    if (tell && !atomic_flag_test_and_set_explicit(&h->told, memory_order_relaxed))
        h->opts.many_sealed(h->opts.many_sealed_ctx);
}

/* What one batch needs; its arrays are of BATCH_CHUNKS. */
struct batch {
    uint32_t at[BATCH_CHUNKS];
    struct chunk_desc desc[BATCH_CHUNKS];
    chunk_ref refs[BATCH_CHUNKS];
    uint16_t counts[BATCH_CHUNKS];
    size_t offset[BATCH_CHUNKS];
    size_t n;
    struct buf bytes;
    struct chunk_copy copy;
};

static struct sealed *sealed_at(const struct head *h, uint32_t i)
{
    return slab_at(&h->store.sealed, i);
}

/* The first max of the queue; they stay in it until they are written. */
static size_t batch_peek(struct head *h, struct batch *b, size_t max)
{
    b->n = 0;
    mtx_lock(&h->store.mu);
    for (uint32_t i = h->store.sealed_first; i && b->n < max; i = sealed_at(h, i)->queue_next)
        b->at[b->n++] = i;
    mtx_unlock(&h->store.mu);
    return b->n;
}

/* Recodes one; an empty desc: it was dropped. */
static void batch_encode(struct head *h, struct batch *b, size_t k)
{
    struct sealed *q = sealed_at(h, b->at[k]);
    struct slot *s = store_slot(&h->store, q->slot);
    struct chunk_copy *copy = &b->copy;
    b->desc[k] = (struct chunk_desc){ 0 };
    slot_lock(s);
    bool dropped = q->dropped;
    if (!dropped) sealed_copy(&h->store, q, copy);
    slot_unlock(s);
    if (dropped) return;
    b->offset[k] = b->bytes.n;
    b->counts[k] = (uint16_t)copy->n;
    size_t n = chunk_copy_encode(copy, &b->bytes);
    b->desc[k] = (struct chunk_desc){ .series = store_cold(&h->store, q->slot)->ref,
        .mint = copy->mint,
        .maxt = copy->maxt,
        .enc = chunk_copy_enc(copy),
        .data = { NULL, n } };
}

/* Memory out, reference in. The chunk is its slot's oldest sealed one: the queue keeps their
 * order. */
static void batch_swap(struct head *h, struct batch *b, size_t k, chunk_ref ref)
{
    struct sealed *q = sealed_at(h, b->at[k]);
    struct slot *s = store_slot(&h->store, q->slot);
    slot_lock(s);
    if (!q->dropped) {
        assert(s->sealed == b->at[k]);
        s->sealed = q->next;
        store_add_closed(&h->store, s,
            &(struct closed_chunk){
                b->desc[k].mint, b->desc[k].maxt, ref, b->counts[k], b->desc[k].enc });
    }
    slot_unlock(s);
}

static void batch_pop(struct head *h, const struct batch *b)
{
    mtx_lock(&h->store.mu);
    h->store.sealed_first = sealed_at(h, b->at[b->n - 1])->queue_next;
    if (!h->store.sealed_first) h->store.sealed_last = 0;
    mtx_unlock(&h->store.mu);
    for (size_t k = 0; k < b->n; k++) open_free_sealed(&h->store, b->at[k]);
}

static errc batch_write(struct head *h, struct batch *b, struct err *e)
{
    struct chunk_desc *desc = mem_alloc_array(b->n, sizeof(*desc));
    size_t n = 0;
    buf_reset(&b->bytes);
    metric_add_to(queue_get, (double)b->n);
    for (size_t k = 0; k < b->n; k++) batch_encode(h, b, k);
    for (size_t k = 0; k < b->n; k++) {
        if (!b->desc[k].data.n) continue;
        b->desc[k].data.p = b->bytes.p + b->offset[k];
        desc[n++] = b->desc[k];
    }
    errc rc = n ? chunk_disk_write(h->opts.disk, desc, n, b->refs, e) : OK;
    mem_free(desc);
    if (rc != OK) return rc;
    n = 0;
    for (size_t k = 0; k < b->n; k++)
        if (b->desc[k].data.n) batch_swap(h, b, k, b->refs[n++]);
    metric_add(&mmap_chunks, (double)n);
    metric_add_to(queue_complete, (double)b->n);
    batch_pop(h, b);
    return OK;
}

size_t head_sealed_count(struct head *h)
{
    mtx_lock(&h->store.mu);
    size_t n = h->store.sealed.n_live;         /* an entry leaves the queue when it is freed */
    mtx_unlock(&h->store.mu);
    return n;
}

errc head_write_sealed(struct head *h, size_t max_chunks, size_t *written, struct err *e)
{
    *written = 0;
    atomic_flag_clear_explicit(&h->told, memory_order_relaxed);
    if (!h->opts.disk || !baton_try(&h->writing)) return OK;
    struct batch *b = NEW(struct batch);
    errc rc = OK;
    while (rc == OK && *written < max_chunks &&
           batch_peek(h, b, MIN(max_chunks - *written, (size_t)BATCH_CHUNKS))) {
        rc = batch_write(h, b, e);
        if (rc == OK) *written += b->n;
    }
    buf_fini(&b->bytes);
    buf_fini(&b->copy.bytes);
    mem_free(b);
    baton_give(&h->writing);
    return rc;
}

static bool is_dropped(struct head *h, uint32_t sealed)
{
    struct sealed *q = sealed_at(h, sealed);
    struct slot *s = store_slot(&h->store, q->slot);
    slot_lock(s);
    bool dropped = q->dropped;
    slot_unlock(s);
    return dropped;
}

void head_free_dropped(struct head *h)
{
    if (!baton_try(&h->writing)) return;
    struct batch *b = NEW(struct batch);
    do {
        size_t n = 0;
        batch_peek(h, b, BATCH_CHUNKS);
        while (n < b->n && is_dropped(h, b->at[n])) n++;
        b->n = n;
        if (n) batch_pop(h, b);
    } while (b->n);
    mem_free(b);
    baton_give(&h->writing);
}
