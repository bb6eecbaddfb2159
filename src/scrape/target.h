/* target.h — one thing to scrape: where it is, what labels its series get, and how its last scrape
 * went.
 *
 * What        Made from a discovered group by the job's rules, as Prometheus makes targets; holds
 *             the memory that makes the next scrape cheap (line cache, handles of the report
 *             series) and what the API shows.
 * Invariants  (1) Two targets of a job with the same hash are the same target. (2) At most one
 *             scrape of a target runs at a time.
 * Ownership   target_new allocates, target_unref frees the last; it copies its strings. The
 *             configuration is borrowed and may be exchanged.
 * Threads     const fields: any; `shown` under mu; the rest belongs to the running scrape
 * Errors      ERR_BAD_INPUT with Prometheus' words: the target cannot be made
 * Format      none
 */
#ifndef EPI_SCRAPE_TARGET_H
#define EPI_SCRAPE_TARGET_H

#include "base/lock.h"
#include "ingest/line_cache.h"
#include "scrape/meta_cache.h"
#include "scrape/scrape_config.h"
#include "storage/appender.h"

enum health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };
enum report {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SAMPLES,
    REPORT_POST_RELABEL,
    REPORT_ADDED,
    REPORT_TIMEOUT,
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_SIZE,
    REPORTS
};
enum { REPORTS_ALWAYS = REPORT_ADDED + 1 };    /* the others need extra_scrape_metrics */

struct target_shown {
    enum health health;
    int64_t scraped_ns;
    double duration_s;
    struct buf error;
};

struct target {
    struct arena arena;
    /* of the job; exchanged at a reload under the pool's lock, with no scrape running */
    const struct scrape_config *config;
    struct labels labels;                  /* with those that start with "__", without __meta_ */
    struct labels public_labels;           /* what its series get */
    str url;
    /* __unix_socket__: where it is reached instead of its address; empty: not so */
    str unix_socket;
    uint64_t hash;
    int64_t interval_ms, timeout_ms;
    /* __scrape_native_histograms__ and its like */
    bool native_histograms, classic_histograms, convert_histograms;

    struct mtx mu;                         /* LOCK_LEAF */
    /* GUARDED_BY(mu): newest discovery's, in discovered_arena */
    struct labels discovered;
    struct arena discovered_arena;         /* GUARDED_BY(mu) */
    struct target_shown shown;             /* GUARDED_BY(mu) */
    struct meta_cache meta;                /* has a lock of its own */

    struct line_cache *cache;
    size_t body_bytes;                     /* of its last answer, as it was sent */
    unsigned pages_unsaid;                 /* since it was told which families stay on the page */
    series_handle reports[REPORTS];
    int64_t last_start_ns;                 /* monotonic, of the scrape before */
    _Atomic unsigned refs;
};

/* The labels of one discovered address by the job's rules. *keep false: the rules dropped it
 * (labels empty). discovered: before the rules. */
MUST_USE errc target_labels(struct labels *out, struct labels *discovered, bool *keep,
    const struct scrape_config *c, str address, struct labels group, struct arena *a,
    struct err *e);
struct target *target_new(
    const struct scrape_config *c, struct labels labels, struct labels discovered);
struct target *target_ref(struct target *t);
void target_unref(struct target *t);                           /* NULL is fine */
uint64_t target_hash_of(struct labels labels, const struct scrape_config *c, struct arena *a);
void target_set_discovered(struct target *t, struct labels discovered);
/* failed NULL: up */
void target_show(struct target *t, int64_t scraped_ns, double duration_s, const struct err *failed);

/* ms from now until the target's next turn: spread over the interval by its hash, pinned to
 * absolute time. */
int64_t target_offset_ms(const struct target *t, uint64_t seed, int64_t now_ms);

str health_name(enum health h);
str report_name(enum report r);
const struct metadata *report_metadata(enum report r);

#endif
