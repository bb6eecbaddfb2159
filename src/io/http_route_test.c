#include "io/http_route.h"

#include "base/test.h"

TEST(http_proxies)
{
    static const struct { const char *name, *no_proxy, *host, *port; bool straight; } cases[] = {
        { "nothing said", "", "h", "80", false },
        { "localhost", "", "LocalHost", "80", true },
        { "a local address", "", "127.5.0.1", "80", true },
        { "the local v6", "", "::1", "80", true },
        { "another v6", "", "::2", "80", false },
        { "all", "*", "h", "80", true },
        { "a name", "a, h ,b", "h", "80", true },
        { "in another case", "H.Example", "h.example", "80", true },
        { "below a name", "example", "h.example", "80", true },
        { "an end that is no label", "ample", "h.example", "80", false },
        { "a dot: below", ".example", "h.example", "80", true },
        { "a dot: not itself", ".example", "example", "80", false },
        { "a star: below", "*.example", "h.example", "80", true },
        { "a star: not itself", "*.example", "example", "80", false },
        { "a port", "h:80", "h", "80", true },
        { "another port", "h:81", "h", "80", false },
        { "an address", "10.0.0.1", "10.0.0.1", "80", true },
        { "an address and a port", "10.0.0.1:80", "10.0.0.1", "80", true },
        { "an address and another port", "10.0.0.1:81", "10.0.0.1", "80", false },
        { "a name is no address", "10.0.0.1", "h", "80", false },
        { "v6", "2001:db8::1", "2001:DB8:0::1", "80", true },
        { "v6 and a port", "[2001:db8::1]:80", "2001:db8::1", "80", true },
        { "v6 and another port", "[2001:db8::1]:81", "2001:db8::1", "80", false },
        { "a range", "10.1.0.0/16", "10.1.200.3", "80", true },
        { "outside of it", "10.1.0.0/16", "10.2.0.3", "80", false },
        { "within a byte", "10.1.16.0/20", "10.1.31.255", "80", true },
        { "outside of it, within a byte", "10.1.16.0/20", "10.1.32.0", "80", false },
        { "a range of v6", "2001:db8::/32", "2001:db8:ffff::1", "80", true },
        { "v6 is in no range of v4", "0.0.0.0/0", "2001:db8::1", "80", false },
        { "everything of v4", "0.0.0.0/0", "10.0.0.1", "80", true },
        { "no range", "10.1.0.0/99", "10.1.0.1", "80", false },
        { "empty entries", ",,", "h", "80", false },
        { "a port alone", ":80", "h", "80", false },
    };
    TEST_EACH(c, cases) {
        struct http_proxies p = { S("http://p:1"), S("http://q:2"), str_z(c->no_proxy), false };
        EXPECT_STR(http_proxy_of(&p, S("http"), str_z(c->host), str_z(c->port)),
            c->straight ? S("") : S("http://p:1"));
        EXPECT_STR(http_proxy_of(&p, S("https"), str_z(c->host), str_z(c->port)),
            c->straight ? S("") : S("http://q:2"));
        p.always = true;
        EXPECT_STR(http_proxy_of(&p, S("http"), str_z(c->host), str_z(c->port)), S("http://p:1"));
        p.http = STR_EMPTY;
        EXPECT_STR(http_proxy_of(&p, S("http"), str_z(c->host), str_z(c->port)), S(""));
    }
}

TEST(http_redirects)
{
    static const struct {
        const char *name, *method;
        int status;
        bool is, body;
        const char *then;
    } cases[] = {
        { "found", "GET", 302, true, false, "GET" },
        { "a post becomes a get", "POST", 302, true, false, "GET" },
        { "but not here", "POST", 307, true, true, "POST" },
        { "nor here", "PUT", 308, true, true, "PUT" },
        { "a head stays", "HEAD", 301, true, false, "HEAD" },
        { "see other", "POST", 303, true, false, "GET" },
        { "not modified", "GET", 304, false, false, "GET" },
        { "fine", "GET", 200, false, false, "GET" },
    };
    TEST_EACH(c, cases) {
        bool body;
        EXPECT_EQ(http_is_redirect(c->status), c->is);
        EXPECT_STR(http_redirect_method(str_z(c->method), c->status, &body), str_z(c->then));
        EXPECT_EQ(body, c->body);
    }
    static const struct { const char *name, *first, *host; bool same;
    } sites[] = {
        { "itself", "h.example", "H.example", true },
        { "below", "example", "h.example", true },
        { "above", "h.example", "example", false },
        { "another", "a.example", "b.example", false },
        { "an end", "ample", "example", false },
        { "v6", "1", "::1", false },
    };
    TEST_EACH(c, sites) EXPECT_EQ(http_same_site(str_z(c->first), str_z(c->host)), c->same);
    EXPECT(http_header_stays(S("authorization")) && http_header_stays(S("Cookie")) &&
           !http_header_stays(S("Accept")));
}
