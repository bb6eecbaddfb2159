#include "base/digest.h"

#include "base/test.h"

TEST(digest_known)
{
    static const uint8_t md5_abc[16] = { 0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96,
        0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72 };
    static const uint8_t sha_abc[4] = { 0xba, 0x78, 0x16, 0xbf };
    uint8_t md5[16], sha[32], piecewise[32];
    digest_md5(md5, S("abc"));
    EXPECT_STR(str_of(md5, 16), str_of(md5_abc, 16));
    digest_sha256(sha, S("abc"));
    EXPECT_STR(str_of(sha, 4), str_of(sha_abc, 4));
    struct sha256 *d = digest_sha256_new();
    digest_sha256_add(d, S("a"));
    digest_sha256_add(d, S("bc"));
    digest_sha256_end(d, piecewise);
    EXPECT_STR(str_of(piecewise, 32), str_of(sha, 32));
}
