/* test_rig.h — a whole API on a loopback port over a storage in memory: for this room's tests.
 *
 * What        Server, pool, engine, memstore and a client; the sources answer fixed values that a
 *             test may change.
 * Invariants  none
 * Ownership   rig_start/rig_stop
 * Threads     one test
 * Errors      a failure fails the test
 * Format      none
 */
#ifndef EPI_API_TEST_RIG_H
#define EPI_API_TEST_RIG_H

#include "api/api.h"
#include "io/test_client.h"
#include "storage/memstore.h"

struct rig_fakes {                     /* what the sources answer */
    int state, becomes;                /* becomes: what waiting for the replay comes to */
    unsigned awaited;
    struct api_targets *targets;
    api_metadata_list *metadata;
    api_relabel_steps *steps;
    api_notifications *notifications;
    bool reload_fails;
    bool tsdb_fails;
    char tsdb[512];                    /* what was asked of the data folder */
    size_t n_tsdb;
    unsigned reloads, quits;
};
struct rig {
    struct memstore *store;
    struct engine *engine;
    struct api *api;
    struct pool *pool;
    struct http_server *server;
    struct test_client *client;
    struct api_sources sources;
    struct rig_fakes fakes;
    struct arena arena;                /* of all answers */
};

struct rig_opts {
    bool receiver, only_v1, lifecycle, admin, search;
    struct write_v2_opts write_v2;
    struct exemplar_queryable *exemplars;
    struct chunk_queryable *chunks;
    uint64_t read_samples;
    str cors_origin, prefix, external_path;
    unsigned pool_threads; size_t queue_max;       /* 0: 2 and 64 */
    unsigned cores;                                /* 0: the machine's */
    const struct http_route *routes; size_t n_routes;          /* instead of the API's */
    void *routes_ctx;
};
void rig_start(struct rig *r, const struct rig_opts *o);
void rig_stop(struct rig *r);

struct test_answer rig_ask(struct rig *r, str method, str target, const struct test_pair *headers,
    size_t n_headers, str body);
struct test_answer rig_get(struct rig *r, str target);
struct test_answer rig_post(struct rig *r, str target, str form);
str rig_url(struct rig *r, str target);
/* One request and what comes back. NULL: not looked at. error: the answer is an error of that type
 * with those words, and has no data. */
struct rig_case {
    const char *name, *method, *target;
    const char *form;                  /* of a POST: x-www-form-urlencoded */
    int status;
    const char *type, *error, *body;
};
void rig_check(struct rig *r, const struct rig_case *cases, size_t n);
#define RIG_CHECK(r, cases) rig_check((r), (cases), ARRAY_LEN(cases))

/* series in the load notation: up{job="a"} */
void rig_add(struct rig *r, const char *series, int64_t t, double v);

#endif
