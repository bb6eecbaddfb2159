#include "base/digest.h"

#include "base/test.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

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

TEST(digest_hmac_rfc4231)
{
    static const struct {
        const char *name;
        str key, text;
        uint8_t want[4];
    } cases[] = {
        { "case 1",
            S("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
            S("Hi There"), { 0xb0, 0x34, 0x4c, 0x61 } },
        { "case 2", S("Jefe"), S("what do ya want for nothing?"), { 0x5b, 0xdc, 0xc1, 0x46 } },
    };
    TEST_EACH (c, cases) {
        uint8_t got[32];
        digest_hmac_sha256(got, c->key, c->text);
        EXPECT_STR(str_of(got, 4), str_of(c->want, 4));
    }
}

TEST(digest_rs256)
{
    SCOPED(buf_fini) struct buf sign = { 0 };
    struct err e = { 0 };
    gnutls_x509_privkey_t key;
    gnutls_privkey_t abstract;
    gnutls_pubkey_t pub;
    gnutls_datum_t pem, text = { (unsigned char *)(uintptr_t) "header.claims", 13 };
    EXPECT_EQ(gnutls_x509_privkey_init(&key), 0);
    EXPECT_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0), 0);
    EXPECT_EQ(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    EXPECT_OK_E(digest_sign_rs256(&sign, str_of(pem.data, pem.size), S("header.claims"), &e), &e);
    EXPECT_EQ(sign.n, 256);
    EXPECT_EQ(gnutls_privkey_init(&abstract), 0);
    EXPECT_EQ(gnutls_privkey_import_x509(abstract, key, 0), 0);
    EXPECT_EQ(gnutls_pubkey_init(&pub), 0);
    EXPECT_EQ(gnutls_pubkey_import_privkey(pub, abstract, 0, 0), 0);
    gnutls_datum_t got = { sign.p, (unsigned)sign.n };
    EXPECT_EQ(gnutls_pubkey_verify_data2(pub, GNUTLS_SIGN_RSA_SHA256, 0, &text, &got), 0);
    sign.p[7] ^= 1;
    EXPECT(gnutls_pubkey_verify_data2(pub, GNUTLS_SIGN_RSA_SHA256, 0, &text, &got) < 0);
    EXPECT_EQ(digest_sign_rs256(&sign, S("no key"), S("x"), &e), ERR_BAD_INPUT);
    EXPECT(str_has_prefix(err_str(&e), S("private key: ")));
    gnutls_free(pem.data);
    gnutls_pubkey_deinit(pub);
    gnutls_privkey_deinit(abstract);
    gnutls_x509_privkey_deinit(key);
}
