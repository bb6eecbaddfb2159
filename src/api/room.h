/* room.h — what the files of this room share.
 *
 * What        The api's state and its handlers, one group a file.
 * Invariants  none
 * Ownership   see api.h
 * Threads     const after api_new, but for what locks itself, and quitting (atomic: the first who
 *             asks wins)
 * Errors      in the answers
 * Format      none
 */
#ifndef EPI_API_ROOM_H
#define EPI_API_ROOM_H

#include "api/api.h"
#include "api/params.h"
#include "api/respond.h"
#include "api/unsent.h"
#include "base/buf_pool.h"
#include "base/lock.h"
#include "promql/result_json.h"

struct api {
    struct api_opts o;
    struct regex *cors;
    _Atomic bool quitting;
    struct mtx read_mu;                        /* LOCK_LEAF */
    struct cond read_done;
    unsigned reading;                          /* GUARDED_BY(read_mu): remote reads at work */
    struct unsent_list unsent;                 /* answers of queries */
    struct buf_pool bodies;                    /* of remote-write requests, unpacked */
};

/* query.c */
void api_query(void *ctx, struct http_req *r, struct http_resp *w);
void api_query_range(void *ctx, struct http_req *r, struct http_resp *w);
void api_format_query(void *ctx, struct http_req *r, struct http_resp *w);
void api_parse_query(void *ctx, struct http_req *r, struct http_resp *w);
/* series.c */
void api_series(void *ctx, struct http_req *r, struct http_resp *w);
void api_labels(void *ctx, struct http_req *r, struct http_resp *w);
void api_label_values(void *ctx, struct http_req *r, struct http_resp *w);
/* targets.c */
void api_targets_get(void *ctx, struct http_req *r, struct http_resp *w);
void api_targets_metadata(void *ctx, struct http_req *r, struct http_resp *w);
void api_metadata_get(void *ctx, struct http_req *r, struct http_resp *w);
void api_scrape_pools(void *ctx, struct http_req *r, struct http_resp *w);
void api_scrape_pool_config(void *ctx, struct http_req *r, struct http_resp *w);
void api_relabel_steps_get(void *ctx, struct http_req *r, struct http_resp *w);
/* status.c */
void api_status_config(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_flags(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_runtime(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_build(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_tsdb(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_walreplay(void *ctx, struct http_req *r, struct http_resp *w);
void api_notifications_get(void *ctx, struct http_req *r, struct http_resp *w);
/* admin.c */
void api_delete_series(void *ctx, struct http_req *r, struct http_resp *w);
void api_clean_tombstones(void *ctx, struct http_req *r, struct http_resp *w);
void api_snapshot(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_storage_io(void *ctx, struct http_req *r, struct http_resp *w);
void api_status_blocks(void *ctx, struct http_req *r, struct http_resp *w);
void api_features_get(void *ctx, struct http_req *r, struct http_resp *w);
/* exemplars.c */
void api_query_exemplars(void *ctx, struct http_req *r, struct http_resp *w);
/* search.c */
void api_search_metric_names(void *ctx, struct http_req *r, struct http_resp *w);
void api_search_label_names(void *ctx, struct http_req *r, struct http_resp *w);
void api_search_label_values(void *ctx, struct http_req *r, struct http_resp *w);
/* read.c */
void api_read(void *ctx, struct http_req *r, struct http_resp *w);
/* write.c */
void api_write(void *ctx, struct http_req *r, struct http_resp *w);
void api_otlp_disabled(void *ctx, struct http_req *r, struct http_resp *w);
/* web.c */
void api_healthy(void *ctx, struct http_req *r, struct http_resp *w);
void api_ready(void *ctx, struct http_req *r, struct http_resp *w);
void api_reload(void *ctx, struct http_req *r, struct http_resp *w);
void api_quit(void *ctx, struct http_req *r, struct http_resp *w);
/* false: the answer is written */
bool api_lifecycle_on(const struct api *a, struct http_resp *w);
void api_active_queries(void *ctx, struct http_req *r, struct http_resp *w);
void api_end_query(void *ctx, struct http_req *r, struct http_resp *w);
void api_lifecycle_get(void *ctx, struct http_req *r, struct http_resp *w);
void api_metrics(void *ctx, struct http_req *r, struct http_resp *w);
void api_version(void *ctx, struct http_req *r, struct http_resp *w);
void api_root(void *ctx, struct http_req *r, struct http_resp *w);
void api_graph(void *ctx, struct http_req *r, struct http_resp *w);
void api_page(void *ctx, struct http_req *r, struct http_resp *w);
void api_favicon(void *ctx, struct http_req *r, struct http_resp *w);
void api_options(void *ctx, struct http_req *r, struct http_resp *w);

/* Blocks can be asked, at least; false: the 503 is written. */
bool api_is_open(const struct api *a, struct http_resp *w);
bool api_bool_of(str text, bool *out);           /* as Go's strconv.ParseBool; admin.c */
/* All can be: waits where that is to come soon. Not on the threads of the HTTP server. */
bool api_is_ready(const struct api *a, struct http_resp *w);

#endif
