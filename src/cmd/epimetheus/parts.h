/* parts.h — what the files of the server share.
 *
 * What        The server's parts, and the functions by which the API sees them.
 * Invariants  pointers are const after start; what changes says who guards it
 * Ownership   struct server owns all
 * Threads     see each field
 * Errors      none
 * Format      none
 */
#ifndef EPI_CMD_PARTS_H
#define EPI_CMD_PARTS_H

#include "api/api.h"
#include "base/lock.h"
#include "config/config.h"
#include "scrape/manager.h"
#include "tsdb/db.h"

#include "cmd/epimetheus/active_queries.h"
#include "cmd/epimetheus/db_store.h"
#include "cmd/epimetheus/grpc_front.h"
#include "cmd/epimetheus/query_log.h"
#include "cmd/epimetheus/server.h"
#include "cmd/epimetheus/shipping.h"
#include "cmd/epimetheus/web_front.h"

struct server {
    struct flags flags;
    struct arena arena;                    /* lives as long as the server */
    str retention_time, retention_size;    /* of the flags; empty: not given */
    /* what of it the first configuration made, and the longest block by that */
    str shown_time, shown_size, shown_block;
    str cwd, hostname, external_url, external_path, route_prefix;
    struct pool *requests, *scrapes;
    struct fs *data_fs;
    struct db *db;
    struct engine *engine;
    struct config *first;                  /* of the start, until scrape has it */
    struct features on;
    struct active_queries *active;
    struct query_log *query_log;
    struct scrape_manager *scrape;
    struct api *api;
    struct shipping *shipping;             /* NULL: no --objstore.config */
    struct web_front *front;               /* NULL: no --web.config.file */
    struct db_store *store;                /* what the StoreAPI is about */
    struct grpc_front *grpc;               /* NULL: no --grpc-address */
    struct http_server *http[8];
    size_t n_http;
    int64_t start_ns;
    _Atomic int state;                     /* API_STARTING … ; read by health answers */
    struct cond changed;                   /* of state, with mu */
    unsigned awaiting;                     /* GUARDED_BY(mu): requests that wait for that */
    struct api_sources sources;
    uint64_t corruptions;                  /* const after start */
    /* of the file's content, for --config.auto-reload; the main thread's */
    uint64_t config_hash;
    /* the configuration that is used without a file; empty: there is one */
    str built_in;

    struct mtx reload_mu;                  /* LOCK_RELOAD: one reload at a time */
    struct mtx mu;                         /* LOCK_LEAF: what the API shows of the configuration */
    struct buf config_text;                /* GUARDED_BY(mu) */
    struct buf retention;                  /* GUARDED_BY(mu): "15d or 1GiB" */
    VEC(struct api_notification) notes;    /* GUARDED_BY(mu): strings are literals */
    struct arena external_arena;           /* GUARDED_BY(mu): of external */
    struct labels external;                /* GUARDED_BY(mu): external_labels */
    bool reload_ok;                        /* GUARDED_BY(mu) */
    int64_t last_config_ns;                /* GUARDED_BY(mu) */
};

void server_await(struct server *s);       /* until nothing is replayed, if not many wait */
void show_features(void *ctx, struct arena *a, api_features *out);         /* features.c */
void sources_init(struct server *s);       /* fills s->sources */

#endif
