#include "io/http_target.h"

#include "base/test.h"

TEST(http_targets)
{
    static const struct {
        const char *name, *url, *proxy, *no_proxy;
        const char *scheme, *host, *port, *own_port, *through, *lookup, *lookup_port;
    } cases[] = {
        { "a name", "http://h/x", "", "", "http", "h", "80", "", "", "h", "80" },
        { "a port", "https://h:8443/", "", "", "https", "h", "8443", "8443", "", "h", "8443" },
        { "an address", "http://10.0.0.1/", "", "", "http", "10.0.0.1", "80", "", "", "", "80" },
        { "v6", "http://[::1]:9/", "", "", "http", "[::1]", "9", "9", "", "", "9" },
        { "no host", "http://:80/", "", "", "http", "localhost", "80", "80", "", "localhost",
            "80" },
        { "a proxy", "http://h/", "http://p", "", "http", "h", "80", "", "http://p:80/", "p",
            "80" },
        { "its port", "http://h/", "http://p:3", "", "http", "h", "80", "", "http://p:3/", "p",
            "3" },
        { "a proxy by TLS", "http://h/", "https://p", "", "http", "h", "80", "", "https://p:443/",
            "p", "443" },
        { "a proxy without a scheme", "http://h/", "p:3", "", "http", "h", "80", "", "http://p:3/",
            "p", "3" },
        { "names are the proxy's to look up", "http://h/", "socks5://p", "", "http", "h", "80", "",
            "socks5h://p:1080/", "p", "1080" },
        { "not by the proxy", "http://h/", "http://p", "h", "http", "h", "80", "", "", "h", "80" },
    };
    TEST_EACH(c, cases) {
        struct arena a;
        arena_init(&a, NULL, 0);
        struct http_proxies p = { str_z(c->proxy), str_z(c->proxy), str_z(c->no_proxy),
            !*c->no_proxy };
        struct http_target t;
        EXPECT(http_target_make(&t, &a, str_z(c->url), &p));
        EXPECT_STR(t.url, str_z(c->url));
        EXPECT_STR(t.scheme, str_z(c->scheme));
        EXPECT_STR(t.host, str_z(c->host));
        EXPECT_STR(t.port, str_z(c->port));
        EXPECT_STR(t.own_port, str_z(c->own_port));
        EXPECT_STR(t.proxy, str_z(c->through));
        EXPECT_STR(t.lookup, str_z(c->lookup));
        EXPECT_STR(t.lookup_port, str_z(c->lookup_port));
        EXPECT(http_target_make(&t, &a, str_z(c->url), NULL));
        EXPECT_STR(t.lookup, S(""));
        arena_fini(&a);
    }
}

TEST(http_targets_that_are_none)
{
    static const struct { const char *name; } cases[] = { { "http://h:99999/" }, { "http://h:x/" },
        { "http://a b/" }, { "" } };
    struct http_proxies none = { .always = true };
    TEST_EACH(c, cases) {
        struct arena a;
        struct http_target t;
        arena_init(&a, NULL, 0);
        EXPECT(!http_target_make(&t, &a, str_z(c->name), &none));
        arena_fini(&a);
    }
}

TEST(http_locations)
{
    static const struct { const char *from, *name, *url, *host; } cases[] = {
        { "http://h/a/b?q", "c", "http://h/a/c", "h" },
        { "http://h/a/b", "/c", "http://h/c", "h" },
        { "http://h:1/a", "//other/c", "http://other/c", "other" },
        { "http://h/a", "https://other:2/", "https://other:2/", "other" },
        { "http://h/a", "c d", "http://h/c%20d", "h" },
        { "http://h/a", "http://h:99999/", "http://h:99999/", "" },
    };
    TEST_EACH(c, cases) {
        struct arena a;
        str host;
        arena_init(&a, NULL, 0);
        EXPECT_STR(http_target_next(&a, str_z(c->from), str_z(c->name), &host), str_z(c->url));
        EXPECT_STR(host, str_z(c->host));
        arena_fini(&a);
    }
}
