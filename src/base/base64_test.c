#include "base/base64.h"

#include "base/test.h"

TEST(base64_rfc4648)
{
    static const struct {
        const char *name;
        str in;
        const char *plain, *url, *hex;
    } cases[] = {
        { "nothing", S(""), "", "", "" },
        { "one", S("f"), "Zg==", "Zg", "66" },
        { "two", S("fo"), "Zm8=", "Zm8", "666f" },
        { "three", S("foo"), "Zm9v", "Zm9v", "666f6f" },
        { "six", S("foobar"), "Zm9vYmFy", "Zm9vYmFy", "666f6f626172" },
        { "last letters", S("\xfb\xff\xbf"), "+/+/", "-_-_", "fbffbf" },
    };
    TEST_EACH (c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_base64(&b, c->in, BASE64_PLAIN);
        EXPECT_STR(buf_view(&b), str_z(c->plain));
        buf_reset(&b);
        buf_base64(&b, c->in, BASE64_URL);
        EXPECT_STR(buf_view(&b), str_z(c->url));
        buf_reset(&b);
        buf_hex(&b, c->in);
        EXPECT_STR(buf_view(&b), str_z(c->hex));
    }
}
