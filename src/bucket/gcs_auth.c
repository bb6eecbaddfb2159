/* gcs_auth.c — where a token comes from, as Google's clients look for one:
 *
 *   service_account of the settings · the file of GOOGLE_APPLICATION_CREDENTIALS · the file that
 *   gcloud leaves behind · the machine (GCE_METADATA_HOST, else metadata.google.internal)
 *
 * With STORAGE_EMULATOR_HOST nobody asks for one. */
#include "bucket/gcs_auth.h"

#include "base/baton.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bucket/gcs_codec.h"
#include "io/fs.h"

enum { ANSWER_BYTES_MAX = 1 << 20, FILE_BYTES_MAX = 1 << 20, SPARE_MS = 60000 };

struct gcs_auth {
    struct caller *caller;
    struct arena arena; /* const after it was made */
    bool none, machine;
    struct gcs_account account;
    str machine_url;
    struct baton turn; /* who holds it asks for a token */
    struct mtx mu;     /* LOCK_LEAF */
    struct buf token;  /* GUARDED_BY(mu): "Bearer …" */
    int64_t until_ms;  /* GUARDED_BY(mu): of the monotonic clock */
};

static str env_of(const struct bucket_config *c, const char *name)
{
    return str_z(c->env ? c->env(name) : NULL);
}

static errc account_find(struct gcs_auth *g, const struct bucket_config *c, struct err *e)
{
    struct arena *a = &g->arena;
    str json = c->gcs.service_account, file = env_of(c, "GOOGLE_APPLICATION_CREDENTIALS");
    str home = env_of(c, "HOME"), host = env_of(c, "GCE_METADATA_HOST");
    if (json.n) return gcs_account_decode(&g->account, json, a, e);
    if (file.n) {
        TRY_IN(
            e, fs_read_path(file, a, FILE_BYTES_MAX, &json, e), "GOOGLE_APPLICATION_CREDENTIALS");
        return gcs_account_decode(&g->account, json, a, e);
    }
    file = arena_fmt(a, "%.*s/.config/gcloud/application_default_credentials.json", STR_ARG(home));
    if (home.n && fs_read_path(file, a, FILE_BYTES_MAX, &json, NULL) == OK)
        return gcs_account_decode(&g->account, json, a, e);
    g->machine = true;
    g->machine_url =
        arena_fmt(a, "http://%.*s/computeMetadata/v1/instance/service-accounts/default/token",
            STR_ARG(host.n ? host : S("metadata.google.internal")));
    return OK;
}

errc gcs_auth_new(
    struct gcs_auth **out, struct caller *caller, const struct bucket_config *c, struct err *e)
{
    struct gcs_auth *g = NEW(struct gcs_auth);
    g->caller = caller;
    g->none = env_of(c, "STORAGE_EMULATOR_HOST").n > 0 && !c->gcs.service_account.n;
    baton_init(&g->turn, LOCK_LEAF);
    mtx_init(&g->mu, LOCK_LEAF);
    errc rc = g->none ? OK : account_find(g, c, e);
    if (rc == OK) *out = g;
    else gcs_auth_free(g);
    return rc;
}

void gcs_auth_free(struct gcs_auth *g)
{
    if (!g) return;
    baton_fini(&g->turn);
    mtx_fini(&g->mu);
    buf_fini(&g->token);
    arena_fini(&g->arena);
    mem_free(g);
}

struct asking {
    struct gcs_token got;
    struct arena *a;
};

static errc token_judge(void *ctx, struct reply *r, bool *again, struct err *e)
{
    struct asking *q = ctx;
    if (r->status == 200) {
        *again = true;
        return gcs_token_decode(&q->got, buf_view(&r->body), q->a, e);
    }
    *again = reply_may_pass(r->status);
    str words = gcs_error_words(buf_view(&r->body), q->a);
    return err_set(
        e, *again ? ERR_IO : ERR_BAD_INPUT, "status %d, %.*s", r->status, STR_ARG(words));
}

static errc token_ask(struct gcs_auth *g, struct gcs_token *out, struct arena *a, struct err *e)
{
    SCOPED(buf_fini) struct buf body = { 0 };
    struct asking q = { .a = a };
    struct call c = { .method = g->machine ? S("GET") : S("POST"),
        .url = g->machine ? g->machine_url : g->account.token_url,
        .body_max = ANSWER_BYTES_MAX,
        .judge = token_judge,
        .judge_ctx = &q };
    if (!g->machine) TRY(gcs_token_request(&body, &g->account, clock_wall_ms() / 1000, e));
    c.body = buf_view(&body);
    c.fields.at[c.fields.n++] =
        g->machine
            ? (struct http_field){ S("Metadata-Flavor"), S("Google") }
            : (struct http_field){ S("Content-Type"), S("application/x-www-form-urlencoded") };
    struct reply r = { 0 };
    errc rc = caller_ask(g->caller, &c, a, &r, e);
    buf_fini(&r.body);
    if (rc == OK) *out = q.got;
    return rc;
}

/* False: there is none that lives long enough. */
static bool token_kept(struct gcs_auth *g, struct arena *a, str *out)
{
    mtx_lock(&g->mu);
    bool good = g->token.n && clock_mono_ns() / 1000000 < g->until_ms;
    if (good) *out = arena_str(a, buf_view(&g->token));
    mtx_unlock(&g->mu);
    return good;
}

static errc token_renew(struct gcs_auth *g, struct err *e)
{
    struct gcs_token t;
    SCOPED(arena_fini) struct arena mine = { 0 };
    TRY_IN(e, token_ask(g, &t, &mine, e), "token");
    mtx_lock(&g->mu);
    buf_reset(&g->token);
    buf_fmt(&g->token, "Bearer %.*s", STR_ARG(t.token));
    /* one that lives shorter than what is spared serves once */
    g->until_ms = clock_mono_ns() / 1000000 + MAX(t.lives_s * 1000 - SPARE_MS, (int64_t)1000);
    mtx_unlock(&g->mu);
    return OK;
}

errc gcs_auth_token(struct gcs_auth *g, struct arena *a, str *out, struct err *e)
{
    *out = STR_EMPTY;
    if (g->none || token_kept(g, a, out)) return OK;
    baton_take(&g->turn);
    errc rc = token_kept(g, a, out) ? OK : token_renew(g, e);
    if (rc == OK && !out->n) (void)token_kept(g, a, out);
    baton_give(&g->turn);
    return rc;
}

void gcs_auth_forget(struct gcs_auth *g)
{
    mtx_lock(&g->mu);
    g->until_ms = 0;
    mtx_unlock(&g->mu);
}
