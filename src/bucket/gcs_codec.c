#include "bucket/gcs_codec.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/rfc3339.h"
#include "base/url.h"

#include <jansson.h>

static const char SCOPE[] = "https://www.googleapis.com/auth/devstorage.full_control";
static const int64_t CLAIM_S = 3600, TOKEN_MAX_S = 86400;

static json_t *object_of(str text)
{
    json_t *o = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, NULL);
    if (json_is_object(o)) return o;
    json_decref(o);
    return NULL;
}

static str text_of(const json_t *o, const char *name, struct arena *a)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? arena_str(a, str_of(json_string_value(v), json_string_length(v)))
                             : STR_EMPTY;
}

/* Sizes are texts, as numbers of that size are none in JSON. */
static bool figures(const json_t *o, uint64_t *size, int64_t *modified_ms)
{
    const char *bytes = json_string_value(json_object_get(o, "size"));
    const char *updated = json_string_value(json_object_get(o, "updated"));
    return str_u64(str_z(bytes), size) && rfc3339_parse(str_z(updated), modified_ms);
}

/* ---- answers */

static bool items_read(bucket_entries *out, json_t *items, struct arena *a)
{
    size_t i;
    json_t *one;
    if (items && !json_is_array(items)) return false;
    json_array_foreach(items, i, one)
    {
        struct bucket_entry x = { .name = text_of(one, "name", a) };
        if (!x.name.n || !figures(one, &x.size_bytes, &x.modified_ms)) return false;
        vec_push(out, x);
    }
    return true;
}

static bool prefixes_read(bucket_entries *out, json_t *all, struct arena *a)
{
    size_t i;
    json_t *one;
    if (all && !json_is_array(all)) return false;
    json_array_foreach(all, i, one)
    {
        struct bucket_entry x = { .is_dir = true };
        if (!json_is_string(one) || !json_string_length(one)) return false;
        x.name = arena_str(a, str_of(json_string_value(one), json_string_length(one)));
        vec_push(out, x);
    }
    return true;
}

errc gcs_page_decode(bucket_entries *entries, str *next, str json, struct arena *a, struct err *e)
{
    size_t before = entries->n;
    json_t *o = object_of(json);
    bool good = o && items_read(entries, json_object_get(o, "items"), a) &&
                prefixes_read(entries, json_object_get(o, "prefixes"), a);
    if (good) *next = text_of(o, "nextPageToken", a);
    else entries->n = before;
    json_decref(o);
    return good ? OK : err_set(e, ERR_CORRUPT, "the list cannot be read");
}

errc gcs_object_decode(struct bucket_attributes *out, str json, struct err *e)
{
    struct bucket_attributes at;
    json_t *o = object_of(json);
    bool good = o && figures(o, &at.size_bytes, &at.modified_ms);
    json_decref(o);
    if (!good) return err_set(e, ERR_CORRUPT, "the object's figures cannot be read");
    *out = at;
    return OK;
}

str gcs_error_words(str json, struct arena *a)
{
    json_t *o = object_of(json), *error = json_object_get(o, "error");
    str words = text_of(error, "message", a);
    if (!words.n && json_is_string(error)) words = text_of(o, "error_description", a);
    if (!words.n) words = text_of(o, "error", a);
    json_decref(o);
    return words;
}

/* ---- accounts and tokens */

errc gcs_account_decode(struct gcs_account *out, str json, struct arena *a, struct err *e)
{
    json_t *o = object_of(json);
    str type = text_of(o, "type", a);
    struct gcs_account c = { .email = text_of(o, "client_email", a),
        .private_key = text_of(o, "private_key", a),
        .key_id = text_of(o, "private_key_id", a),
        .token_url = text_of(o, "token_uri", a),
        .client_id = text_of(o, "client_id", a),
        .client_secret = text_of(o, "client_secret", a),
        .refresh_token = text_of(o, "refresh_token", a) };
    json_decref(o);
    if (!o) return err_set(e, ERR_BAD_INPUT, "failed to create credentials from JSON: no object");
    if (!c.token_url.n) c.token_url = S("https://oauth2.googleapis.com/token");
    if (str_eq(type, S("service_account")) && c.email.n && c.private_key.n)
        c.kind = GCS_ACCOUNT_SERVICE;
    else if (str_eq(type, S("authorized_user")) && c.refresh_token.n) c.kind = GCS_ACCOUNT_USER;
    else
        return err_set(e, ERR_BAD_INPUT,
            "failed to create credentials from JSON: type '%.*s' is not served, or lacks a key",
            STR_ARG(type));
    *out = c;
    return OK;
}

static void put_part(struct buf *out, str json)
{
    if (out->n) buf_u8(out, '.');
    buf_base64(out, json, BASE64_URL);
}

/* header.claims.signature */
static errc assertion(struct buf *out, const struct gcs_account *c, int64_t now_s, struct err *e)
{
    SCOPED(buf_fini) struct buf head = { 0 }, claims = { 0 }, sign = { 0 };
    struct json h = json_to(&head), j = json_to(&claims);
    json_obj(&h);
    json_kstr(&h, S("alg"), S("RS256"));
    json_kstr(&h, S("typ"), S("JWT"));
    if (c->key_id.n) json_kstr(&h, S("kid"), c->key_id);
    json_obj_end(&h);
    json_obj(&j);
    json_kstr(&j, S("iss"), c->email);
    json_kstr(&j, S("scope"), str_z(SCOPE));
    json_kstr(&j, S("aud"), c->token_url);
    json_ki64(&j, S("iat"), now_s);
    json_ki64(&j, S("exp"), now_s + CLAIM_S);
    json_obj_end(&j);
    put_part(out, buf_view(&head));
    put_part(out, buf_view(&claims));
    TRY(digest_sign_rs256(&sign, c->private_key, buf_view(out), e));
    put_part(out, buf_view(&sign));
    return OK;
}

static void put_param(struct buf *b, const char *name, str value)
{
    buf_fmt(b, "%s%s=", b->n ? "&" : "", name);
    buf_url_escape(b, value, URL_QUERY);
}

errc gcs_token_request(struct buf *out, const struct gcs_account *c, int64_t now_s, struct err *e)
{
    SCOPED(buf_fini) struct buf jwt = { 0 };
    if (c->kind == GCS_ACCOUNT_USER) {
        put_param(out, "grant_type", S("refresh_token"));
        put_param(out, "client_id", c->client_id);
        put_param(out, "client_secret", c->client_secret);
        put_param(out, "refresh_token", c->refresh_token);
        return OK;
    }
    TRY(assertion(&jwt, c, now_s, e));
    put_param(out, "grant_type", S("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    put_param(out, "assertion", buf_view(&jwt));
    return OK;
}

errc gcs_token_decode(struct gcs_token *out, str json, struct arena *a, struct err *e)
{
    json_t *o = object_of(json);
    struct gcs_token t = { text_of(o, "access_token", a),
        json_integer_value(json_object_get(o, "expires_in")) };
    json_decref(o);
    if (!t.token.n || str_index(t.token, '\n') != SIZE_MAX)
        return err_set(e, ERR_CORRUPT, "the answer holds no token");
    t.lives_s = MIN(MAX(t.lives_s, (int64_t)0), TOKEN_MAX_S);
    *out = t;
    return OK;
}
