#include "api/tls.h"

#include "base/arena.h"
#include "base/test.h"
#include "io/fs.h"

static str pem(struct arena *a, const char *name)
{
    str text;
    struct err e = { 0 };
    EXPECT_OK_E(
        fs_read_path(arena_fmt(a, "tests/e2e/lib/tls/%s", name), a, 1 << 20, &text, &e), &e);
    return text;
}

TEST(tls_versions_and_ciphers)
{
    static str some[] = { S("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        S("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256") },
               old[] = { S("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA") };
    static str curves[] = { S("X25519"), S("CurveP521") };
    static const struct { const char *name; struct web_options o; str want;
    } cases[] = {
        { "as it comes", { .min_version = TLS_12, .max_version = TLS_13 },
            S("NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3:%SERVER_PRECEDENCE") },
        { "one", { .min_version = TLS_13, .max_version = TLS_13 },
            S("NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE") },
        { "old ones", { .min_version = TLS_10, .max_version = TLS_11 },
            S("NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:%SERVER_PRECEDENCE") },
        { "curves", { .min_version = TLS_12, .max_version = TLS_12, .curves = { curves, 2, 2 } },
            S("NORMAL:-VERS-ALL:+VERS-TLS1.2:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP521R1:%SERVER_"
              "PRECEDENCE") },
        { "suites",
            { .min_version = TLS_12, .max_version = TLS_12, .cipher_suites = { some, 2, 2 } },
            S("NONE:+COMP-NULL:+SIGN-ALL:+VERS-TLS1.2:+ECDHE-RSA:+AES-128-GCM:+AEAD:+ECDHE-ECDSA:+"
              "GROUP-ALL:%SERVER_PRECEDENCE") },
        { "suites of old",
            { .min_version = TLS_12,
                .max_version = TLS_12,
                .cipher_suites = { old, 1, 1 },
                .curves = { curves, 1, 1 } },
            S("NONE:+COMP-NULL:+SIGN-ALL:+VERS-TLS1.2:+ECDHE-RSA:+AES-256-CBC:+SHA1:+GROUP-X25519:%"
              "SERVER_PRECEDENCE") },
        { "suites mean nothing to TLS 1.3",
            { .min_version = TLS_13, .max_version = TLS_13, .cipher_suites = { some, 2, 2 } },
            S("NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE") },
    };
    struct arena a = { 0 };
    arena_init(&a, NULL, 0);
    str cert = pem(&a, "server.pem"), key = pem(&a, "server.key");
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        tls_priorities(&b, &c->o);
        EXPECT_STR(buf_view(&b), c->want);
        struct web_options o = c->o;           /* and the library takes them */
        o.tls = true;
        o.cert = cert;
        o.key = key;
        struct tls_keys *k = NULL;
        struct err e = { 0 };
        EXPECT_OK_E(tls_keys_new(&k, &o, &e), &e);
        tls_keys_free(k);
    }
    arena_fini(&a);
}

TEST(tls_keys)
{
    static const struct { const char *name, *cert, *key; const char *words;
    } cases[] = {
        { "good", "server.pem", "server.key", NULL },
        { "another's key", "server.pem", "client.key",
            "failed to load X509KeyPair: tls: private key does not match public key" },
        { "no certificate", "server.key", "server.key",
            "failed to load X509KeyPair: tls: failed to find any PEM data in certificate input" },
        { "no key", "server.pem", "server.pem",
            "failed to load X509KeyPair: tls: failed to find any PEM data in key input" },
    };
    struct arena a = { 0 };
    arena_init(&a, NULL, 0);
    TEST_EACH(c, cases) {
        struct web_options o = { .tls = true,
            .cert = pem(&a, c->cert),
            .key = pem(&a, c->key),
            .min_version = TLS_12,
            .max_version = TLS_13,
            .client_auth = WEB_CLIENT_REQUIRE_AND_VERIFY,
            .client_ca = pem(&a, "ca.pem") };
        struct tls_keys *k = NULL;
        struct err e = { 0 };
        errc rc = tls_keys_new(&k, &o, &e);
        EXPECT_EQ(rc, c->words ? ERR_BAD_INPUT : OK);
        if (c->words) EXPECT_STR(err_str(&e), str_z(c->words));
        tls_keys_free(k);
    }
    arena_fini(&a);
}

TEST(tls_box)
{
    struct arena a = { 0 };
    arena_init(&a, NULL, 0);
    struct web_options o = { .tls = true,
        .cert = pem(&a, "server.pem"),
        .key = pem(&a, "server.key"),
        .min_version = TLS_12,
        .max_version = TLS_13 };
    struct tls_keys *k;
    EXPECT_OK(tls_keys_new(&k, &o, NULL));
    struct tls_box *b = tls_box_new(k);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(tls_keys_new(&k, &o, NULL));
        tls_box_set(b, k);
    }
    tls_box_free(b);                           /* and all that were in it: the leak checker sees */
    arena_fini(&a);
}
