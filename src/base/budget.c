#include "base/budget.h"

#include "base/account.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

GAUGE(m_limit, "epimetheus_memory_budget_bytes", "Memory that the server may take. 0: no limit.")
COUNTER_VEC(m_refused, "epimetheus_memory_budget_refused_total",
    "Queries that were ended and new series that were not made because memory was short.", "what")

static _Atomic uint64_t limit;      /* relaxed: set at the start */
static _Atomic int64_t unaccounted; /* relaxed: RssAnon less the accounts, when last read */
static struct budget_cache *caches; /* written before main only */
static bool were_short;             /* of budget_resident */

void budget_cache_register(struct budget_cache *c)
{
    c->next = caches;
    caches = c;
}

void budget_set(uint64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
    metric_set(&m_limit, (double)bytes);
    metric_add_to(METRIC_WITH(&m_refused, S("queries")), 0);
    metric_add_to(METRIC_WITH(&m_refused, S("series")), 0);
}

uint64_t budget_limit(void) { return atomic_load_explicit(&limit, memory_order_relaxed); }

uint64_t budget_used(void)
{
    int64_t beside = atomic_load_explicit(&unaccounted, memory_order_relaxed);
    return (uint64_t)MAX(account_sum() + MAX(beside, 0), 0);
}

static uint64_t part(unsigned pct) { return budget_limit() / 100 * pct; }

void budget_resident(uint64_t bytes)
{
    atomic_store_explicit(&unaccounted, (int64_t)bytes - account_sum(), memory_order_relaxed);
    if (!budget_limit()) return;
    uint64_t used = budget_used(), line = part(BUDGET_CACHES_PCT);
    bool is_short = used > line;
    if (!is_short && !were_short) return;
    for (struct budget_cache *c = caches; c; c = c->next) c->yield(is_short ? used - line : 0);
    if (is_short) mem_give_back();
    were_short = is_short;
}

bool budget_ends_query(size_t held)
{
    if (!budget_limit() || held <= BUDGET_LIGHT_BYTES) return false;
    uint64_t used = budget_used(), line = part(BUDGET_QUERIES_PCT);
    return used > line || held > line - used;
}

errc budget_query_error(struct err *e)
{
    metric_add_to(METRIC_WITH(&m_refused, S("queries")), 1);
    return err_set(e, ERR_LIMIT,
        "query needs more memory than the memory budget of %" PRIu64 " MiB leaves it",
        budget_limit() >> 20);
}

bool budget_has_room(void) { return !budget_limit() || budget_used() <= part(BUDGET_SERIES_PCT); }

errc budget_series_error(struct err *e)
{
    metric_add_to(METRIC_WITH(&m_refused, S("series")), 1);
    LOG_LIMITED(WARN, 10000, "memory is short: new series are refused",
        kv_u64("used_bytes", budget_used()), kv_u64("budget_bytes", budget_limit()));
    return err_set(e, ERR_LIMIT,
        "the memory budget of %" PRIu64 " MiB leaves no room for new series", budget_limit() >> 20);
}
