#include "base/test.h"
#include "base/url.h"

TEST(url_escapes)
{
    static const struct { const char *name; str in; const char *query, *path, *host;
    } cases[] = {
        { "plain", S("aZ0-_.~"), "aZ0-_.~", "aZ0-_.~", "aZ0-_.~" },
        { "blank and percent", S(" %"), "+%25", "%20%25", "%20%25" },
        { "delimiters", S("/?#&=+:;,@$"), "%2F%3F%23%26%3D%2B%3A%3B%2C%40%24", "/%3F%23&=+:;,@$",
            "%2F%3F%23&=+:;,%40$" },
        { "brackets and quotes", S("[]<>\"'()*!"), "%5B%5D%3C%3E%22%27%28%29%2A%21",
            "%5B%5D%3C%3E%22%27%28%29%2A%21", "[]<>\"'()*!" },
        { "bytes", S("\x00\x1f\x7f\xff\xc3\xa4"), "%00%1F%7F%FF%C3%A4", "%00%1F%7F%FF%C3%A4",
            "%00%1F%7F%FF%C3%A4" },
    };
    TEST_EACH(c, cases) {
        struct buf b = { 0 };
        buf_url_escape(&b, c->in, URL_QUERY);
        EXPECT_STR(buf_view(&b), str_z(c->query));
        buf_reset(&b);
        buf_url_escape(&b, c->in, URL_PATH);
        EXPECT_STR(buf_view(&b), str_z(c->path));
        buf_reset(&b);
        buf_url_escape(&b, c->in, URL_HOST);
        EXPECT_STR(buf_view(&b), str_z(c->host));
        buf_fini(&b);
    }
}
