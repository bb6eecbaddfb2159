/* api.h — the HTTP API v1, the page and the management endpoints.
 *
 * What        The routes of Prometheus' API over an engine and a storage. What it shows of other
 *             rooms (targets, configuration, TSDB status) it asks through struct api_sources, which
 *             cmd fills in.
 * Invariants  /-/healthy, /-/ready and /metrics touch no file and take no lock that a storage
 *             thread holds over I/O
 * Ownership   api_new/api_free; everything in api_opts outlives the api
 * Threads     any: each request on its own
 * Errors      in the answers
 * Format      surface.md of the reference
 */
#ifndef EPI_API_API_H
#define EPI_API_API_H

#include "api/http.h"
#include "model/metadata.h"
#include "promql/engine.h"
#include "storage/appender.h"
#include "storage/chunk_querier.h"
#include "storage/exemplars.h"
#include "storage/querier.h"

struct api_target {
    str pool, url, global_url, health, last_error, interval, timeout;
    struct labels discovered, labels;
    int64_t last_scrape_ns;                    /* 0: never */
    double last_duration_s;
};
struct api_dropped { struct labels discovered; str pool; };
struct api_count { str name; uint64_t n; };
struct api_targets {
    VEC(struct api_target) active;             /* by pool, in the pool's order */
    VEC(struct api_dropped) dropped;
    VEC(struct api_count) dropped_counts;      /* by pool */
};
struct api_metadata { struct labels target; str metric; struct metadata m; };
typedef VEC(struct api_metadata) api_metadata_list;
struct api_relabel_step { str rule_json; struct labels output; bool keep; };
typedef VEC(struct api_relabel_step) api_relabel_steps;
struct api_tsdb_stats {
    uint64_t n_series, n_label_pairs; int64_t n_chunks, mint, maxt;
    VEC(struct api_count) by_metric, values_by_label, bytes_by_label, by_pair;
};
struct api_runtime {
    int64_t start_ns, last_config_ns;
    str cwd, hostname, retention;
    bool reload_ok;
    uint64_t corruptions, threads, cores;      /* cores: that the server uses */
};
struct api_flag { str name, value; };
typedef VEC(struct api_flag) api_flags;
struct api_notification { str text; int64_t date_ns; };
typedef VEC(struct api_notification) api_notifications;

struct api_feature { str group, name; bool on; };
typedef VEC(struct api_feature) api_features;

/* replaying: blocks can be asked, who asks for more waits for it */
enum api_state { API_STARTING, API_REPLAYING, API_READY, API_STOPPING };

/* Everything handed out lies in the given arena (the request's). Vectors are made with avec_push. A
 * NULL function: that part is absent. */
struct api_sources {
    void *ctx;
    void (*targets)(void *ctx, struct arena *a, struct api_targets *out);
    void (*metadata)(void *ctx, struct arena *a, api_metadata_list *out);
    void (*pools)(void *ctx, struct arena *a, str_list *out);
    bool (*pool_config)(void *ctx, str pool, struct buf *yaml);
    bool (*relabel_steps)(
        void *ctx, struct arena *a, str pool, struct labels in, api_relabel_steps *out);
    void (*external_labels)(void *ctx, struct arena *a, struct labels *out);
    void (*config_yaml)(void *ctx, struct buf *out);
    void (*flags)(void *ctx, struct arena *a, api_flags *out);                /* sorted by name */
    void (*runtime)(void *ctx, struct arena *a, struct api_runtime *out);
    errc (*tsdb_stats)(
        void *ctx, struct arena *a, size_t limit, struct api_tsdb_stats *out, struct err *e);
    void (*features)(void *ctx, struct arena *a, api_features *out);   /* by group, then name */
    /* what each block says of itself, as JSON, oldest first */
    void (*tsdb_blocks)(void *ctx, struct arena *a, str_list *out);
    errc (*tsdb_delete)(
        void *ctx, struct matchers ms, int64_t mint, int64_t maxt, struct err *e);
    errc (*tsdb_clean)(void *ctx, struct err *e);
    /* with_late: and of the head its late samples, too */
    errc (*tsdb_snapshot)(void *ctx, str name, bool with_head, bool with_late, struct err *e);
    void (*notifications)(void *ctx, struct arena *a, api_notifications *out);
    void (*wal_replay)(void *ctx, int64_t *min, int64_t *max, int64_t *current);
    /* before own metrics are shown: memory only; NULL: nothing to do */
    void (*refresh)(void *ctx);
    errc (*reload)(void *ctx, struct err *e);
    void (*quit)(void *ctx);
    enum api_state (*state)(void *ctx);                                       /* memory only */
    /* Waits until nothing is replayed any more, for a time, and not if many wait. NULL: nobody
     * waits. */
    void (*await)(void *ctx);
};

struct api_storage {
    struct engine *engine;
    struct queryable *queryable;
    struct appendable *appendable;
    struct exemplar_queryable *exemplars;      /* NULL: none are kept */
    struct chunk_queryable *chunks;
};

/* What becomes of a remote write 2.0: start timestamps are stored, type and unit are labels,
 * metadata are kept. */
struct write_v2_opts { bool start_times, typed, metadata; };
/* The remote write receiver; accepted: the names of its messages, as they are told who sends
 * another. */
struct api_write_opts { bool on, v1, v2; str accepted; struct write_v2_opts opts; };

struct api_opts {
    struct engine *engine;                     /* these five may come later: api_attach */
    struct queryable *queryable;
    struct appendable *appendable;
    struct exemplar_queryable *exemplars;
    struct chunk_queryable *chunks;
    /* remote read: samples of a query, requests at once; 0: any number */
    uint64_t read_samples;
    unsigned read_concurrent;
    size_t read_frame_bytes;
    uint64_t unsent_bytes_max;                 /* of answers that nobody reads (unsent.h) */
    struct api_write_opts write;
    struct parse_opts parse;
    const struct api_sources *sources;
    str cors_origin;                           /* regex; empty: .* */
    /* path of the external URL, without a slash at its end */
    str external_path;
    str page_title;
    bool lifecycle, admin, search;
    int64_t search_max;                        /* upper bound of a search's limit; 0: none */
    str version;                               /* of Prometheus, whose surface we have */
};

struct api;
MUST_USE errc api_new(struct api **out, const struct api_opts *o, struct err *e);
/* The storage is open. Before the state becomes API_READY: no request looks at these earlier. */
void api_attach(struct api *a, const struct api_storage *st);
/* pass `a` as the server's ctx */
const struct http_route *api_routes(const struct api *a, size_t *n);
/* the server's mount */
str api_mount(void);
/* CORS; the server's `before` */
void api_before(void *api, struct http_req *r, struct http_resp *w);
void api_free(struct api *a);                  /* NULL is fine; after the server */

#endif
