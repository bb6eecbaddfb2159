#include "io/http_target.h"

#include <arpa/inet.h>
#include <curl/curl.h>

static str url_part(struct arena *a, CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    str s = curl_url_get(u, part, &text, flags) == CURLUE_OK ? arena_str(a, str_z(text))
                                                             : STR_EMPTY;
    curl_free(text);
    return s;
}

static bool url_set(struct arena *a, CURLU *u, str url, unsigned flags)
{
    return curl_url_set(u, CURLUPART_URL, arena_cstr(a, url), CURLU_NON_SUPPORT_SCHEME | flags) ==
           CURLUE_OK;
}

static bool is_address(str host)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr room;
    if (!host.n || host.p[0] == '[') return true;
    if (host.n >= sizeof(text)) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, &room) == 1;
}

static void target_lookup(struct http_target *t, str host, str port)
{
    t->lookup = is_address(host) ? STR_EMPTY : host;
    t->lookup_port = port;
}

/* The proxy with its port written out; socks5 leaves names to the proxy, as in Go. */
static bool target_proxy(struct http_target *t, struct arena *a, str proxy)
{
    CURLU *u = curl_url();
    bool ok = url_set(a, u, proxy, CURLU_DEFAULT_SCHEME);
    str scheme = url_part(a, u, CURLUPART_SCHEME, 0), port = url_part(a, u, CURLUPART_PORT, 0);
    if (!port.n)
        port = str_eq(scheme, S("https"))           ? S("443")
               : str_has_prefix(scheme, S("socks")) ? S("1080")
                                                    : S("80");
    if (str_find(proxy, S("://")) == SIZE_MAX)
        ok = ok && curl_url_set(u, CURLUPART_SCHEME, "http", 0) == CURLUE_OK;
    else if (str_eq(scheme, S("socks5")))
        ok = ok &&
             curl_url_set(u, CURLUPART_SCHEME, "socks5h", CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
    ok = ok && curl_url_set(u, CURLUPART_PORT, arena_cstr(a, port), 0) == CURLUE_OK;
    if (ok) {
        t->proxy = url_part(a, u, CURLUPART_URL, 0);
        target_lookup(t, url_part(a, u, CURLUPART_HOST, 0), port);
    }
    curl_url_cleanup(u);
    return ok && t->proxy.n;
}

str http_target_with_host(struct arena *a, str url)
{
    size_t at = str_find(url, S("://"));
    if (at == SIZE_MAX || !str_has_prefix(str_from(url, at), S("://:"))) return url;
    return arena_fmt(a, "%.*s://localhost%.*s", STR_ARG(str_slice(url, 0, at)),
        STR_ARG(str_from(url, at + 3)));
}

bool http_target_make(
    struct http_target *out, struct arena *a, str url, const struct http_proxies *proxies)
{
    struct http_target *t = out;
    CURLU *u = curl_url();
    *t = (struct http_target){ .url = url };
    bool ok = url_set(a, u, http_target_with_host(a, url), 0);
    if (ok) {
        t->scheme = url_part(a, u, CURLUPART_SCHEME, 0);
        t->host = url_part(a, u, CURLUPART_HOST, 0);
        t->own_port = url_part(a, u, CURLUPART_PORT, 0);
        t->port = t->own_port.n ? t->own_port : url_part(a, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    }
    curl_url_cleanup(u);
    if (!ok || !proxies) return ok;
    str bare =
        t->host.n > 1 && t->host.p[0] == '[' ? str_slice(t->host, 1, t->host.n - 1) : t->host;
    str proxy = http_proxy_of(proxies, t->scheme, bare, t->port);
    if (proxy.n) return target_proxy(t, a, proxy);
    target_lookup(t, t->host, t->port);
    return true;
}

str http_target_next(struct arena *a, str from, str location, str *host)
{
    CURLU *u = curl_url();
    bool ok = url_set(a, u, from, 0) && url_set(a, u, location, CURLU_URLENCODE);
    str url = ok ? url_part(a, u, CURLUPART_URL, 0) : location;
    *host = ok ? url_part(a, u, CURLUPART_HOST, 0) : STR_EMPTY;
    curl_url_cleanup(u);
    return url;
}
