#include "io/http_route.h"

#include <arpa/inet.h>

struct ip { uint8_t at[16]; };                                 /* v4 as ::ffff:a.b.c.d */

static bool ip_of(str s, struct ip *out)
{
    char text[64];
    if (s.n >= sizeof(text)) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    struct ip ip = { .at = { [10] = 0xff, 0xff } };
    bool ok = inet_pton(AF_INET, text, ip.at + 12) == 1 || inet_pton(AF_INET6, text, ip.at) == 1;
    if (ok) *out = ip;
    return ok;
}

static bool ip_is_v4(const struct ip *a)
{
    static const uint8_t v4[12] = { [10] = 0xff, 0xff };
    return memcmp(a->at, v4, sizeof(v4)) == 0;
}

static bool ip_is_local(const struct ip *a)
{
    static const struct ip one = { .at = { [15] = 1 } };
    return ip_is_v4(a) ? a->at[12] == 127 : memcmp(a, &one, sizeof(one)) == 0;
}

static bool range_has(str range, const struct ip *ip)
{
    str net, bits_text;
    struct ip base;
    uint64_t bits;
    if (!ip || !str_cut(range, '/', &net, &bits_text) || !ip_of(net, &base) ||
        !str_u64(bits_text, &bits))
        return false;
    bool v4 = str_index(net, ':') == SIZE_MAX;
    if (bits > (v4 ? 32 : 128) || ip_is_v4(ip) != v4) return false;
    if (v4) bits += 96;
    size_t whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
    return memcmp(base.at, ip->at, whole) == 0 &&
           (bits % 8 == 0 || ((base.at[whole] ^ ip->at[whole]) & mask) == 0);
}

/* "host:port" or "[v6]:port"; a v6 address without brackets has no port. */
static void split_port(str entry, str *host, str *port)
{
    size_t colon = str_rindex(entry, ':');
    *host = entry;
    *port = STR_EMPTY;
    bool bracketed = entry.n && entry.p[0] == '[';
    if (colon != SIZE_MAX &&
        (bracketed ? entry.p[colon - 1] == ']' : str_index(entry, ':') == colon)) {
        *host = str_slice(entry, 0, colon);
        *port = str_from(entry, colon + 1);
    }
    if (host->n > 1 && host->p[0] == '[' && host->p[host->n - 1] == ']')
        *host = str_slice(*host, 1, host->n - 1);
}

static bool ends_nocase(str s, str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_from(s, s.n - suffix.n), suffix);
}

/* One entry of no_proxy. */
static bool entry_has(str entry, str host, str port, const struct ip *ip)
{
    if (str_eq(entry, S("*")) || range_has(entry, ip)) return true;
    str name, its_port;
    split_port(entry, &name, &its_port);
    if (!name.n || (its_port.n && !str_eq(its_port, port))) return false;
    struct ip its_ip;
    if (ip_of(name, &its_ip)) return ip && memcmp(&its_ip, ip, sizeof(its_ip)) == 0;
    if (str_has_prefix(name, S("*."))) name = str_from(name, 1);
    if (name.p[0] == '.') return ends_nocase(host, name);
    return str_eq_nocase(host, name) ||
           (host.n > name.n && host.p[host.n - name.n - 1] == '.' && ends_nocase(host, name));
}

static bool goes_straight(str no_proxy, str host, str port)
{
    struct ip room, *ip = ip_of(host, &room) ? &room : NULL;
    if (str_eq_nocase(host, S("localhost")) || (ip && ip_is_local(ip))) return true;
    for (str rest = no_proxy, entry; rest.n;) {
        (void)str_cut(rest, ',', &entry, &rest);
        entry = str_trim(entry);
        if (entry.n && entry_has(entry, host, port, ip)) return true;
    }
    return false;
}

str http_proxy_of(const struct http_proxies *p, str scheme, str host, str port)
{
    str proxy = str_eq_nocase(scheme, S("https")) ? p->https : p->http;
    if (!proxy.n || (!p->always && goes_straight(p->no_proxy, host, port))) return STR_EMPTY;
    return proxy;
}

bool http_is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

str http_redirect_method(str method, int status, bool *with_body)
{
    *with_body = status == 307 || status == 308;
    return *with_body || str_eq(method, S("GET")) || str_eq(method, S("HEAD")) ? method : S("GET");
}

bool http_same_site(str first_host, str host)
{
    if (str_eq_nocase(first_host, host)) return true;
    bool address = str_index(host, ':') != SIZE_MAX || str_index(host, '%') != SIZE_MAX;
    return !address && host.n > first_host.n && ends_nocase(host, first_host) &&
           host.p[host.n - first_host.n - 1] == '.';
}

bool http_header_stays(str name)
{
    static const str all[] = { S("Authorization"), S("Www-Authenticate"), S("Cookie"), S("Cookie2"),
        S("Proxy-Authorization"), S("Proxy-Authenticate") };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq_nocase(name, all[i])) return true;
    return false;
}
