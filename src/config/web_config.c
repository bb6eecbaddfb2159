#include "config/web_config.h"

#include "base/map.h"
#include "config/schema.h"
#include "config/sections.h"
#include "io/fs.h"
#include "model/duration.h"

enum { FILE_MAX_BYTES = 16 << 20, BCRYPT_MIN_BYTES = 59, COST_MIN = 4, COST_MAX = 31 };

/* ---- words */

static errc one_of(const char *const *names, size_t n, str s, const char *words, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_z(names[i]), s)) return OK;
    return err_set(e, ERR_BAD_INPUT, "%s: %.*s", words, STR_ARG(s));
}

static const char *const versions[] = { "TLS10", "TLS11", "TLS12", "TLS13" };
static errc version_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    return one_of(versions, ARRAY_LEN(versions), *s, "unknown TLS version", e);
}

static errc cipher_word(struct load *l, str *s, struct err *e)
{
    static const char *const names[] = {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    };
    (void)l;
    return one_of(names, ARRAY_LEN(names), *s, "unknown cipher", e);
}

static errc curve_word(struct load *l, str *s, struct err *e)
{
    static const char *const names[] = { "CurveP256", "CurveP384", "CurveP521", "X25519" };
    (void)l;
    return one_of(names, ARRAY_LEN(names), *s, "unknown curve", e);
}

static errc interval_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    int64_t ns;
    if (str_i64(*s, &ns) || go_duration_parse(*s, &ns)) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "yaml: unmarshal errors:\n  cannot unmarshal !!str `%.*s` into time.Duration", STR_ARG(*s));
}

/* ---- the table */

static const struct field tls_fields[] = {
    { .name = "cert", .kind = F_STR },
    { .name = "key", .kind = F_SECRET, .go_type = "config.plain" },
    { .name = "client_ca", .kind = F_STR },
    { .name = "cert_file", .kind = F_STR },
    { .name = "key_file", .kind = F_STR },
    { .name = "client_auth_type", .kind = F_STR },
    { .name = "client_ca_file", .kind = F_STR },
    { .name = "cipher_suites", .kind = F_STRS, .word = cipher_word },
    { .name = "curve_preferences", .kind = F_STRS, .word = curve_word },
    { .name = "min_version", .kind = F_WORD, .def = "TLS12", .word = version_word },
    { .name = "max_version", .kind = F_WORD, .def = "TLS13", .word = version_word },
    { .name = "prefer_server_cipher_suites", .kind = F_BOOL, .def = "true" },
    { .name = "client_allowed_sans", .kind = F_STRS },
};
static const struct section tls_section_web = { .name = "web.TLSConfig", FIELDS_OF(tls_fields) };
static const struct field http_fields[] = {
    { .name = "http2", .kind = F_BOOL, .def = "true" },
    { .name = "headers", .kind = F_STR_MAP },
};
static const struct section http_section = { .name = "web.HTTPConfig", FIELDS_OF(http_fields) };
static const struct field rate_fields[] = {
    { .name = "burst", .kind = F_INT },
    { .name = "interval", .kind = F_WORD, .word = interval_word },
};
static const struct section rate_section = { .name = "web.RateLimiterConfig",
    FIELDS_OF(rate_fields) };
static const struct field web_fields[] = {
    { .name = "tls_server_config", .kind = F_SECTION, .sub = &tls_section_web },
    { .name = "http_server_config", .kind = F_SECTION, .sub = &http_section },
    { .name = "rate_limit", .kind = F_SECTION, .sub = &rate_section },
    { .name = "basic_auth_users", .kind = F_STR_MAP, .go_type = "map[string]config.Secret" },
};
static const struct section web_section = { .name = "web.Config", FIELDS_OF(web_fields) };

/* ---- checks */

static errc header_check(const struct web_pair *h, struct err *e)
{
    static const str frames[] = { S("deny"), S("sameorigin") }, types[] = { S("nosniff") };
    static const struct { str name; const str *values; size_t n; const char *words; } known[] = {
        { S("Strict-Transport-Security"), NULL, 0, "" },
        { S("X-Content-Type-Options"), types, 1, "[\"nosniff\"]" },
        { S("X-Frame-Options"), frames, 2, "[\"deny\" \"sameorigin\"]" },
        { S("X-XSS-Protection"), NULL, 0, "" },
        { S("Content-Security-Policy"), NULL, 0, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq(known[i].name, h->name)) continue;
        for (size_t k = 0; k < known[i].n; k++)
            if (str_eq(known[i].values[k], h->value)) return OK;
        if (!known[i].n) return OK;
        struct err words = { 0 };
        (void)quoted_fail(&words, "", h->value, "");
        return err_set(e, ERR_BAD_INPUT, "invalid value for %.*s. Expected one of: %s, but got: %s",
            STR_ARG(h->name), known[i].words, words.msg);
    }
    return quoted_fail(e, "HTTP header ", h->name, " can not be configured");
}

/* As far as one can see without a password. */
static errc bcrypt_check(str hash, struct err *e)
{
    if (hash.n < BCRYPT_MIN_BYTES)
        return err_set(
            e, ERR_BAD_INPUT, "crypto/bcrypt: hashedSecret too short to be a bcrypted password");
    if (hash.p[0] != '$')
        return err_set(e, ERR_BAD_INPUT,
            "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '%c'",
            hash.p[0]);
    if (hash.p[1] > '2')
        return err_set(e, ERR_BAD_INPUT,
            "crypto/bcrypt: bcrypt algorithm version '%c' requested is newer than current version "
            "'2'",
            hash.p[1]);
    size_t at = hash.p[2] == '$' ? 3 : 4;
    str text = str_slice(hash, at, at + 2);
    int64_t cost;
    if (!str_i64(text, &cost))
        return quoted_fail(e, "strconv.Atoi: parsing ", text, ": invalid syntax");
    if (cost < COST_MIN || cost > COST_MAX)
        return err_set(e, ERR_BAD_INPUT,
            "crypto/bcrypt: cost %" PRId64 " is outside allowed inclusive range %d..%d", cost,
            COST_MIN, COST_MAX);
    return OK;
}

/* ---- from values to options */

static const struct web_pair *pairs_of(const struct value *v, struct arena *a)
{
    struct web_pair *at = arena_array(a, v->n + 1, sizeof(*at));
    for (size_t i = 0; i < v->n; i++)
        at[i] = (struct web_pair){ v->pairs[i].name, v->pairs[i].value->s };
    return at;
}

static void list_of(const struct value *v, struct arena *a, str_list *out)
{
    for (size_t i = 0; i < v->n; i++) avec_push(a, out, v->strs[i]);
}

static enum tls_version version_of(const struct value *tls, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (str_eq(str_z(versions[i]), value_str(tls, name))) return (enum tls_version)(TLS_10 + i);
    return TLS_ANY;
}

static errc auth_of(str name, enum web_client_auth *out, struct err *e)
{
    static const struct { str name; enum web_client_auth auth;
    } all[] = {
        { S(""), WEB_CLIENT_NONE },
        { S("NoClientCert"), WEB_CLIENT_NONE },
        { S("RequestClientCert"), WEB_CLIENT_REQUEST },
        { S("RequireAnyClientCert"), WEB_CLIENT_REQUIRE_ANY },
        { S("RequireClientCert"), WEB_CLIENT_REQUIRE_ANY },
        { S("VerifyClientCertIfGiven"), WEB_CLIENT_VERIFY_IF_GIVEN },
        { S("RequireAndVerifyClientCert"), WEB_CLIENT_REQUIRE_AND_VERIFY },
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq(all[i].name, name)) {
            *out = all[i].auth;
            return OK;
        }
    return err_set(e, ERR_BAD_INPUT, "invalid ClientAuth: %.*s", STR_ARG(name));
}

static str beside(str path, str name, struct arena *a)
{
    size_t slash = str_rindex(path, '/');
    if (!name.n || name.p[0] == '/' || slash == SIZE_MAX) return name;
    return arena_fmt(a, "%.*s/%.*s", (int)slash, (const char *)path.p, STR_ARG(name));
}

/* The text of a field, or of the file that another one names. */
static errc text_of(str *out, const struct value *tls, const char *text, const char *file,
    const char *words, str path, struct arena *a, struct err *e)
{
    str name = beside(path, value_str(tls, file), a);
    *out = value_str(tls, text);
    if (!name.n) return OK;
    struct err why = { 0 };
    errc rc = fs_read_path(name, a, FILE_MAX_BYTES, out, &why);
    if (rc == OK) return OK;
    if (rc == ERR_NOT_FOUND)
        err_set(&why, rc, "open %.*s: no such file or directory", STR_ARG(name));
    if (!words) return err_set(e, rc, "%.*s", STR_ARG(err_str(&why)));
    return err_set(
        e, rc, "failed to read %s (%.*s): %.*s", words, STR_ARG(name), STR_ARG(err_str(&why)));
}

static errc tls_of(
    struct web_options *out, const struct value *tls, str path, struct arena *a, struct err *e)
{
    bool cert = value_str(tls, "cert").n || value_str(tls, "cert_file").n,
         key = value_str(tls, "key").n || value_str(tls, "key_file").n;
    bool ca = value_str(tls, "client_ca").n || value_str(tls, "client_ca_file").n;
    out->tls = cert || key || ca || value_str(tls, "client_auth_type").n;
    if (!out->tls) return OK;
    if (!cert) return err_set(e, ERR_BAD_INPUT, "missing one of cert or cert_file");
    if (!key) return err_set(e, ERR_BAD_INPUT, "missing one of key or key_file");
    TRY(text_of(&out->cert, tls, "cert", "cert_file", "cert_file", path, a, e));
    TRY(text_of(&out->key, tls, "key", "key_file", "key_file", path, a, e));
    TRY(text_of(&out->client_ca, tls, "client_ca", "client_ca_file", NULL, path, a, e));
    TRY(auth_of(value_str(tls, "client_auth_type"), &out->client_auth, e));
    if (ca && out->client_auth == WEB_CLIENT_NONE)
        return err_set(
            e, ERR_BAD_INPUT, "client CA's have been configured without a Client Auth Policy");
    out->sans_limited = value_field(tls, "client_allowed_sans")->set;
    list_of(value_field(tls, "client_allowed_sans"), a, &out->allowed_sans);
    list_of(value_field(tls, "cipher_suites"), a, &out->cipher_suites);
    list_of(value_field(tls, "curve_preferences"), a, &out->curves);
    out->min_version = version_of(tls, "min_version");
    out->max_version = version_of(tls, "max_version");
    return OK;
}

static errc options_of(
    struct web_options *out, const struct value *root, str path, struct arena *a, struct err *e)
{
    const struct value *http = value_field(root, "http_server_config"),
                       *rate = value_field(root, "rate_limit");
    const struct value *headers = value_field(http, "headers"),
                       *users = value_field(root, "basic_auth_users");
    str interval = value_str(rate, "interval");
    out->http2 = value_bool(http, "http2");
    out->headers = pairs_of(headers, a);
    out->n_headers = headers->n;
    for (size_t i = 0; i < headers->n; i++) TRY(header_check(&out->headers[i], e));
    out->users = pairs_of(users, a);
    out->n_users = users->n;
    for (size_t i = 0; i < users->n; i++) TRY(bcrypt_check(out->users[i].value, e));
    out->rate_burst = value_int(rate, "burst");
    if (interval.n && !str_i64(interval, &out->rate_interval_ns) &&
        !go_duration_parse(interval, &out->rate_interval_ns))
        return err_set(e, ERR_BAD_INPUT, "interval %.*s", STR_ARG(interval));
    return tls_of(out, value_field(root, "tls_server_config"), path, a, e);
}

errc web_config_parse(struct web_options *out, str text, str path, struct arena *a, struct err *e)
{
    struct load l = { .a = a };
    struct yaml_node *tree = NULL;
    struct web_options o = { 0 };
    TRY(yaml_parse(a, text, &tree, e));
    struct value *root = value_default(&l, &web_section);
    if (tree && !yaml_is_null(tree)) TRY(section_decode(&l, &web_section, tree, &root, e));
    TRY(load_words(&l, e));
    TRY(options_of(&o, root, path, a, e));
    const str all[] = { text, o.cert, o.key, o.client_ca };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        o.fingerprint = o.fingerprint * 31 + hash_str(all[i]);
    *out = o;
    return OK;
}

errc web_config_load(struct web_options *out, str path, struct arena *a, struct err *e)
{
    str text;
    struct err why = { 0 };
    errc rc = fs_read_path(path, a, FILE_MAX_BYTES, &text, &why);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, rc, "open %.*s: no such file or directory", STR_ARG(path));
    if (rc != OK) return err_set(e, rc, "%.*s", STR_ARG(err_str(&why)));
    return web_config_parse(out, text, path, a, e);
}
