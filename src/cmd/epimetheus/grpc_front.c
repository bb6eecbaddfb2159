#include "cmd/epimetheus/grpc_front.h"

#include "api/tls.h"
#include "base/log.h"
#include "base/mem.h"
#include "grpc/server.h"
#include "io/fs.h"

enum { PEM_MAX_BYTES = 1 << 20 };

struct grpc_front {
    struct grpc_front_opts o;
    struct tls_box *tls;                       /* NULL: plain */
    struct store_api *api;
    struct grpc_service service;
    struct grpc_server *server;
};

static void tls_begin(void *box, void *session) { tls_session_begin(box, session); }

static errc keys_load(const struct grpc_front_opts *o, struct tls_keys **out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct web_options w = { .tls = true, .http2 = true, .min_version = TLS_12 };
    TRY_IN(e, fs_read_path(o->cert, &a, PEM_MAX_BYTES, &w.cert, e), "server credentials");
    TRY_IN(e, fs_read_path(o->key, &a, PEM_MAX_BYTES, &w.key, e), "server credentials");
    if (o->client_ca.n) {
        TRY_IN(e, fs_read_path(o->client_ca, &a, PEM_MAX_BYTES, &w.client_ca, e),
            "reading client CA file");
        w.client_auth = WEB_CLIENT_REQUIRE_AND_VERIFY;
    }
    TRY_IN(e, tls_keys_new(out, &w, e), "server credentials");
    return OK;
}

static errc tls_open(struct grpc_front *f, struct err *e)
{
    const struct grpc_front_opts *o = &f->o;
    struct tls_keys *keys = NULL;
    if (!o->cert.n && !o->key.n && !o->client_ca.n) return OK;
    if (!o->cert.n && !o->key.n)
        return err_set(e, ERR_BAD_INPUT,
            "when a client CA is used a server key and certificate must also be provided");
    if (!o->cert.n || !o->key.n)
        return err_set(
            e, ERR_BAD_INPUT, "both server key and certificate must be provided");
    TRY(keys_load(o, &keys, e));
    f->tls = tls_box_new(keys);
    return OK;
}

static errc front_fill(struct grpc_front *f, struct err *e)
{
    TRY(tls_open(f, e));
    f->api = store_api_new(&f->o.api);
    f->service = store_api_service(f->api);
    struct grpc_server_opts so = {
        .address = f->o.address, .services = &f->service, .n_services = 1
    };
    if (f->tls)
        so.tls = (struct stream_tls){
            .begin = tls_begin, .ctx = f->tls, .retrieve = tls_retrieve_function()
        };
    return grpc_server_new(&f->server, &so, e);
}

errc grpc_front_open(struct grpc_front **out, const struct grpc_front_opts *o, struct err *e)
{
    *out = NULL;
    if (!o->address.n) return OK;
    struct grpc_front *f = NEW(struct grpc_front);
    f->o = *o;
    errc rc = front_fill(f, e);
    if (rc == OK) *out = f;
    else grpc_front_close(f);
    return rc == OK ? OK : err_in(e, rc, "gRPC server");
}

void grpc_front_look(struct grpc_front *f)
{
    struct tls_keys *keys = NULL;
    struct err e = { 0 };
    if (!f || !f->tls) return;
    if (keys_load(&f->o, &keys, &e) == OK) tls_box_set(f->tls, keys);
    else LOG(ERROR, "the keys of the gRPC server stay as they are", kv_err(&e));
}

void grpc_front_drain(struct grpc_front *f, int64_t grace_ms)
{
    if (f) grpc_server_drain(f->server, grace_ms);
}

void grpc_front_close(struct grpc_front *f)
{
    if (!f) return;
    grpc_server_free(f->server);
    store_api_free(f->api);
    tls_box_free(f->tls);
    mem_free(f);
}
