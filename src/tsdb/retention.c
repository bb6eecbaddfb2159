#include "tsdb/retention.h"

#include "base/metric.h"
#include "tsdb/blocks.h"

#include <stdlib.h>

COUNTER(m_by_time, "prometheus_tsdb_time_retentions_total",
    "The number of times that blocks were deleted because the maximum time limit was exceeded.")
COUNTER(m_by_size, "prometheus_tsdb_size_retentions_total",
    "The number of times that blocks were deleted because the maximum number of bytes was "
    "exceeded.")

static int newest_first(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);
    if (x->maxt != y->maxt) return x->maxt > y->maxt ? -1 : 1;
    return ulid_cmp(y->id, x->id);
}

/* Where the blocks begin that are too old; the newest one never is. */
static size_t beyond_time(struct block *const *at, size_t n, int64_t ms)
{
    for (size_t i = 1; i < n; i++) {
        int64_t age;
        bool far = __builtin_sub_overflow(block_meta(at[0])->maxt, block_meta(at[i])->maxt, &age);
        if (far || age >= ms) return i;
    }
    return n;
}

static size_t beyond_size(struct block *const *at, size_t n, uint64_t limit, uint64_t head_bytes)
{
    uint64_t sum = head_bytes;
    for (size_t i = 0; i < n; i++) {
        sum += block_bytes(at[i]);
        if (sum > limit) return i;
    }
    return n;
}

void retention_doomed(
    ulid_list *out, const struct retention *r, const struct block_list *l, uint64_t head_bytes)
{
    if (!l->n || (!r->ms && !r->bytes)) return;
    struct block **at = mem_alloc_array(l->n, sizeof(struct block *));
    for (size_t i = 0; i < l->n; i++) at[i] = l->at[i];
    qsort(at, l->n, sizeof(struct block *), newest_first);
    size_t by_time = r->ms ? beyond_time(at, l->n, r->ms) : l->n;
    size_t by_size = r->bytes ? beyond_size(at, l->n, r->bytes, head_bytes) : l->n;
    if (by_time < l->n) metric_inc(&m_by_time);
    if (by_size < l->n) metric_inc(&m_by_size);
    for (size_t i = MIN(by_time, by_size); i < l->n; i++) vec_push(out, block_meta(at[i])->id);
    mem_free(at);
}
