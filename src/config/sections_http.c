#include "config/sections.h"

#include "base/url.h"
#include "base/utf8.h"

errc quoted_fail(struct err *e, const char *before, str quoted, const char *after)
{
    struct buf b = { 0 };
    buf_go_quote(&b, quoted);
    errc rc = err_set(e, ERR_BAD_INPUT, "%s%.*s%s", before, STR_ARG(buf_view(&b)), after);
    buf_fini(&b);
    return rc;
}

static bool url_scheme_byte(uint8_t c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return !first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.');
}

static errc url_fail(struct err *e, str url, const char *why)
{
    struct err words = { 0 };
    (void)quoted_fail(&words, "parse ", url, ": ");
    return err_set(e, ERR_BAD_INPUT, "%s%s", words.msg, why);
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Every % before the query is an escape. */
static errc url_escapes_check(str url, str rest, struct err *e)
{
    for (size_t i = 0; i < rest.n && rest.p[i] != '?'; i++) {
        if (rest.p[i] != '%' || (i + 2 < rest.n && is_hex(rest.p[i + 1]) && is_hex(rest.p[i + 2])))
            continue;
        struct err words = { 0 };
        (void)quoted_fail(&words, "invalid URL escape ", str_slice(rest, i, i + 3), "");
        return url_fail(e, url, words.msg);
    }
    return OK;
}

/* The path as Go's URL.String writes it: as it stands if that is well formed, else escaped anew. */
static str url_path_text(struct arena *a, str path)
{
    bool fine = true;
    struct buf plain = { 0 };
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        fine = fine && (letter || (c && strchr("-_.~$&+,/:;=@!'()*[]%", c)));
        if (c == '%' && i + 2 < path.n) {
            uint8_t hi = path.p[i + 1], lo = path.p[i + 2];
            buf_u8(&plain, (uint8_t)((hi <= '9' ? hi - '0' : (hi | 32) - 'a' + 10) << 4 |
                                     (lo <= '9' ? lo - '0' : (lo | 32) - 'a' + 10)));
            i += 2;
        } else buf_u8(&plain, c);
    }
    struct buf b = { 0 };
    if (!fine) buf_url_escape(&b, buf_view(&plain), URL_PATH);
    str out = fine ? path : arena_str(a, buf_view(&b));
    buf_fini(&plain);
    buf_fini(&b);
    return out;
}

errc url_parts(str url, str *scheme, str *host, struct err *e)
{
    *scheme = *host = STR_EMPTY;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] < 0x20 || url.p[i] == 0x7f)
            return url_fail(e, url, "net/url: invalid control character in URL");
    size_t n = 0;
    while (n < url.n && url_scheme_byte(url.p[n], n == 0)) n++;
    str rest = url;
    if (n < url.n && url.p[n] == ':') {
        if (n == 0) return url_fail(e, url, "missing protocol scheme");
        *scheme = str_slice(url, 0, n);
        rest = str_from(url, n + 1);
    } else {
        size_t colon = str_index(url, ':'), slash = str_index(url, '/');
        if (colon < slash && colon != SIZE_MAX)
            return url_fail(e, url, "first path segment in URL cannot contain colon");
    }
    TRY(url_escapes_check(url, rest, e));
    if (!str_has_prefix(rest, S("//"))) return OK;
    rest = str_from(rest, 2);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#') end++;
    str authority = str_slice(rest, 0, end);
    size_t at = str_rindex(authority, '@');
    *host = at == SIZE_MAX ? authority : str_from(authority, at + 1);
    if (str_index(*host, ' ') != SIZE_MAX)
        return url_fail(e, url, "invalid character \" \" in host name");
    size_t colon = str_rindex(*host, ':'), bracket = str_rindex(*host, ']');
    if (colon == SIZE_MAX || (bracket != SIZE_MAX && bracket > colon)) return OK;
    for (size_t i = colon + 1; i < host->n; i++) {
        if (host->p[i] >= '0' && host->p[i] <= '9') continue;
        struct err words = { 0 };
        (void)quoted_fail(&words, "invalid port ", str_from(*host, colon), " after host");
        return url_fail(e, url, words.msg);
    }
    return OK;
}

errc url_word(struct load *l, str *s, struct err *e)
{
    str scheme, host;
    TRY(url_parts(*s, &scheme, &host, e));
    size_t start = host.n     ? (size_t)(host.p + host.n - s->p)
                   : scheme.n ? scheme.n + 1
                              : 0,
           end = start;
    while (end < s->n && s->p[end] != '?' && s->p[end] != '#') end++;
    bool opaque = scheme.n && !host.n && end > start && s->p[start] != '/';
    str path = str_slice(*s, start, end), text = opaque ? path : url_path_text(l->a, path);
    if (text.p != path.p) {
        *s = arena_fmt(l->a, "%.*s%.*s%.*s", (int)start, (const char *)s->p, STR_ARG(text),
            STR_ARG(str_from(*s, end)));
        TRY(url_parts(*s, &scheme, &host, e));
    }
    size_t from = str_find(*s, S("://"));
    if (from == SIZE_MAX || host.n == 0) return OK;
    str user = str_slice(*s, from + 3, (size_t)(host.p - s->p));
    size_t colon = str_index(user, ':');
    if (colon == SIZE_MAX) return OK;
    *s = arena_fmt(l->a, "%.*s:xxxxx@%.*s", (int)(from + 3 + colon), (const char *)s->p,
        (int)(s->n - (size_t)(host.p - s->p)), (const char *)host.p);
    return OK;
}

static errc tls_version_word(struct load *l, str *s, struct err *e)
{
    (void)l;
    static const str known[] = { S("TLS10"), S("TLS11"), S("TLS12"), S("TLS13") };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(*s, known[i])) return OK;
    return err_set(e, ERR_BAD_INPUT, "unknown TLS version: %.*s", STR_ARG(*s));
}

static size_t values_set(const struct value *v, const char *a, const char *b, const char *c)
{
    return (size_t)(value_str(v, a).n > 0) + (value_str(v, b).n > 0) + (value_str(v, c).n > 0);
}

static errc tls_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    if (values_set(v, "ca", "ca_file", "ca_ref") > 1)
        return err_set(e, ERR_BAD_INPUT, "at most one of ca, ca_file & ca_ref must be configured");
    size_t certs = values_set(v, "cert", "cert_file", "cert_ref"),
           keys = values_set(v, "key", "key_file", "key_ref");
    if (certs > 1)
        return err_set(
            e, ERR_BAD_INPUT, "at most one of cert, cert_file & cert_ref must be configured");
    if (keys > 1)
        return err_set(e, ERR_BAD_INPUT, "at most one of key and key_file must be configured");
    if (certs && !keys)
        return err_set(e, ERR_BAD_INPUT,
            "exactly one of key or key_file must be configured when a client certificate is "
            "configured");
    if (keys && !certs)
        return err_set(e, ERR_BAD_INPUT,
            "exactly one of cert or cert_file must be configured when a client key is configured");
    return OK;
}

static const struct field tls_fields[] = {
    { .name = "ca", .kind = F_STR, .flags = OMIT },
    { .name = "cert", .kind = F_STR, .flags = OMIT },
    { .name = "key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "ca_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "cert_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "key_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "ca_ref", .kind = F_STR, .flags = OMIT },
    { .name = "cert_ref", .kind = F_STR, .flags = OMIT },
    { .name = "key_ref", .kind = F_STR, .flags = OMIT },
    { .name = "server_name", .kind = F_STR, .flags = OMIT },
    { .name = "insecure_skip_verify", .kind = F_BOOL },
    { .name = "min_version", .kind = F_WORD, .flags = OMIT, .word = tls_version_word },
    { .name = "max_version", .kind = F_WORD, .flags = OMIT, .word = tls_version_word },
};
const struct section tls_section = {
    .name = "config.plain", FIELDS_OF(tls_fields), .check = tls_check
};

static const struct field basic_auth_fields[] = {
    { .name = "username", .kind = F_STR, .flags = OMIT },
    { .name = "username_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "username_ref", .kind = F_STR, .flags = OMIT },
    { .name = "password", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "password_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "password_ref", .kind = F_STR, .flags = OMIT },
};
const struct section basic_auth_section = { .name = "config.plain", FIELDS_OF(basic_auth_fields) };

static const struct field authorization_fields[] = {
    { .name = "type", .kind = F_STR, .flags = OMIT },
    { .name = "credentials", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "credentials_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "credentials_ref", .kind = F_STR, .flags = OMIT },
};
const struct section authorization_section = { .name = "config.Authorization",
    FIELDS_OF(authorization_fields) };

static errc proxy_check(const struct value *v, struct err *e)
{
    bool url = !value_field(v, "proxy_url")->null, env = value_bool(v, "proxy_from_environment");
    bool filled = url && value_str(v, "proxy_url").n;
    if (value_field(v, "proxy_connect_header")->n && !env && !filled)
        return err_set(e, ERR_BAD_INPUT,
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also "
            "be configured");
    if (env && filled)
        return err_set(e, ERR_BAD_INPUT,
            "if proxy_from_environment is configured, proxy_url must not be configured");
    if (env && value_str(v, "no_proxy").n)
        return err_set(e, ERR_BAD_INPUT,
            "if proxy_from_environment is configured, no_proxy must not be configured");
    if (!url && value_str(v, "no_proxy").n)
        return err_set(
            e, ERR_BAD_INPUT, "if no_proxy is configured, proxy_url must also be configured");
    return OK;
}

static errc oauth2_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    return proxy_check(v, e);
}

static const struct field oauth2_fields[] = {
    { .name = "client_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_secret", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "client_secret_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "client_secret_ref", .kind = F_STR, .flags = OMIT },
    { .name = "client_certificate_key_id", .kind = F_STR, .flags = OMIT },
    { .name = "client_certificate_key",
        .kind = F_SECRET,
        .flags = OMIT,
        .go_type = "config.plain" },
    { .name = "client_certificate_key_file", .kind = F_STR, .flags = OMIT | PATH },
    { .name = "client_certificate_key_ref", .kind = F_STR, .flags = OMIT },
    { .name = "grant_type", .kind = F_STR, .flags = OMIT },
    { .name = "signature_algorithm", .kind = F_STR, .flags = OMIT },
    { .name = "iss", .kind = F_STR, .flags = OMIT },
    { .name = "audience", .kind = F_STR, .flags = OMIT },
    { .name = "claims", .kind = F_STR_MAP, .flags = OMIT, .go_type = "map[string]interface {}" },
    { .name = "scopes", .kind = F_STRS, .flags = OMIT },
    { .name = "token_url", .kind = F_STR, .flags = OMIT },
    { .name = "endpoint_params", .kind = F_STR_MAP, .flags = OMIT },
    { .name = "tls_config", .kind = F_SECTION, .flags = OMIT, .sub = &tls_section },
    PROXY_FIELDS,
};
const struct section oauth2_section = {
    .name = "config.plain", FIELDS_OF(oauth2_fields), .check = oauth2_check
};

static const struct field header_fields[] = {
    { .name = "values", .kind = F_STRS, .flags = OMIT },
    { .name = "secrets", .kind = F_SECRETS, .flags = OMIT },
    { .name = "files", .kind = F_STRS, .flags = OMIT | PATH },
};
const struct section header_section = { .name = "config.Header", FIELDS_OF(header_fields) };

/* Authorization, or a bearer token, which is the older way to write one. */
static errc authorization_check(struct load *l, struct value *v, struct err *e)
{
    struct value *auth = value_field(v, "authorization"), *token = value_field(v, "bearer_token");
    struct value *token_file = value_field(v, "bearer_token_file");
    bool basic = !value_field(v, "basic_auth")->null, oauth2 = !value_field(v, "oauth2")->null;
    if (auth->null) {
        if (!token->s.n && !token_file->s.n) return OK;
        struct value *made = value_zero(l, &authorization_section);
        auth->at = made->at;
        auth->n = made->n;
        auth->null = false;
        value_put_str(auth, "type", S("Bearer"));
        value_put_str(auth, "credentials", token->s);
        value_put_str(auth, "credentials_file", token_file->s);
        token->s = token_file->s = STR_EMPTY;
        return OK;
    }
    if (token->s.n || token_file->s.n)
        return err_set(e, ERR_BAD_INPUT,
            "authorization is not compatible with bearer_token & bearer_token_file");
    if (values_set(auth, "credentials", "credentials_file", "credentials_ref") > 1)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of authorization credentials & credentials_file must be configured");
    str type = str_trim(value_str(auth, "type"));
    value_put_str(auth, "type", type.n ? type : S("Bearer"));
    if (str_eq_nocase(type, S("basic")))
        return err_set(e, ERR_BAD_INPUT,
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    if (basic || oauth2)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, oauth2 & authorization must be configured");
    return OK;
}

static errc oauth2_use_check(const struct value *v, struct err *e)
{
    const struct value *o = value_field(v, "oauth2");
    if (o->null) return OK;
    if (!value_field(v, "basic_auth")->null)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, oauth2 & authorization must be configured");
    if (value_str(o, "client_id").n == 0)
        return err_set(e, ERR_BAD_INPUT, "oauth2 client_id must be configured");
    if (value_str(o, "token_url").n == 0)
        return err_set(e, ERR_BAD_INPUT, "oauth2 token_url must be configured");
    if (str_eq(value_str(o, "grant_type"), S("urn:ietf:params:oauth:grant-type:jwt-bearer"))) {
        if (values_set(o, "client_certificate_key", "client_certificate_key_file",
                "client_certificate_key_ref") > 1)
            return err_set(e, ERR_BAD_INPUT,
                "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
                "client_certificate_key_ref must be configured using "
                "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
        str alg = value_str(o, "signature_algorithm");
        if (alg.n && !str_eq(alg, S("RS256")) && !str_eq(alg, S("RS384")) &&
            !str_eq(alg, S("RS512")))
            return err_set(
                e, ERR_BAD_INPUT, "valid signature algorithms are RS256, RS384 and RS512");
    } else if (values_set(o, "client_secret", "client_secret_file", "client_secret_ref") > 1) {
        return err_set(e, ERR_BAD_INPUT,
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
            "configured using "
            "grant-type=client_credentials");
    }
    return OK;
}

static errc headers_check(const struct value *headers, struct err *e)
{
    static const str reserved[] = {
        S("Authorization"),
        S("Host"),
        S("Content-Encoding"),
        S("Content-Length"),
        S("Content-Type"),
        S("User-Agent"),
        S("Connection"),
        S("Keep-Alive"),
        S("Proxy-Authenticate"),
        S("Proxy-Authorization"),
        S("Www-Authenticate"),
        S("Accept-Encoding"),
        S("X-Prometheus-Remote-Write-Version"),
        S("X-Prometheus-Remote-Read-Version"),
        S("X-Prometheus-Scrape-Timeout-Seconds"),
        S("X-Amz-Date"),
        S("X-Amz-Security-Token"),
        S("X-Amz-Content-Sha256"),
    };
    for (size_t i = 0; i < headers->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(reserved); k++)
            if (str_eq_nocase(headers->pairs[i].name, reserved[k]))
                return quoted_fail(e, "setting header ", reserved[k], " is not allowed");
    return OK;
}

errc http_client_check(struct load *l, struct value *v, struct err *e)
{
    const struct value *basic = value_field(v, "basic_auth");
    bool token = value_str(v, "bearer_token").n, token_file = value_str(v, "bearer_token_file").n;
    if (token && token_file)
        return err_set(
            e, ERR_BAD_INPUT, "at most one of bearer_token & bearer_token_file must be configured");
    if ((!basic->null || !value_field(v, "oauth2")->null) && (token || token_file))
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
            "configured");
    if (!basic->null && values_set(basic, "username", "username_file", "username_ref") > 1)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth username, username_file & username_ref must be configured");
    if (!basic->null && values_set(basic, "password", "password_file", "password_ref") > 1)
        return err_set(e, ERR_BAD_INPUT,
            "at most one of basic_auth password, password_file & password_ref must be configured");
    TRY(authorization_check(l, v, e));
    TRY(oauth2_use_check(v, e));
    TRY(proxy_check(v, e));
    return headers_check(value_field(v, "http_headers"), e);
}

/* Amazon's signature, of endpoints that may have it. */

static errc sigv4_check(struct load *l, struct value *v, struct err *e)
{
    (void)l;
    if ((value_str(v, "access_key").n == 0) == (value_str(v, "secret_key").n == 0)) return OK;
    return err_set(e, ERR_BAD_INPUT,
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the "
        "SigV4 config");
}

static const struct field sigv4_fields[] = {
    { .name = "region", .kind = F_STR, .flags = OMIT },
    { .name = "access_key", .kind = F_STR, .flags = OMIT },
    { .name = "secret_key", .kind = F_SECRET, .flags = OMIT, .go_type = "config.plain" },
    { .name = "profile", .kind = F_STR, .flags = OMIT },
    { .name = "role_arn", .kind = F_STR, .flags = OMIT },
    { .name = "external_id", .kind = F_STR, .flags = OMIT },
    { .name = "use_fips_sts_endpoint", .kind = F_BOOL, .flags = OMIT },
    { .name = "service_name", .kind = F_STR, .flags = OMIT },
};
const struct section sigv4_section = {
    .name = "sigv4.plain", FIELDS_OF(sigv4_fields), .check = sigv4_check
};
