#include "config/web_config.h"

#include "base/test.h"

#define CERT "tests/e2e/lib/tls/server.pem"
#define KEY "tests/e2e/lib/tls/server.key"
#define TLS(more) "tls_server_config: {cert_file: " CERT ", key_file: " KEY more "}\n"
#define HASH "$2b$04$.rjyzivbayImgm54ej2eb.Fz5czLnjc0NqYwEFu6s0r0r5/Gtd986"

TEST(web_config_good)
{
    struct arena a = { 0 };
    struct web_options o;
    struct err e = { 0 };
    arena_init(&a, NULL, 0);
    EXPECT_OK_E(web_config_parse(&o, S(""), S("web.yml"), &a, &e), &e);
    EXPECT(!o.tls && o.http2 && !o.n_users && !o.n_headers && !o.rate_interval_ns);
    str text = S("tls_server_config:\n"
                 "  cert_file: e2e/lib/tls/server.pem\n"       /* beside the file */
                 "  key: a key\n"
                 "  client_auth_type: RequireClientCert\n"
                 "  client_ca: an authority\n"
                 "  client_allowed_sans: [a, b]\n"
                 "  min_version: TLS11\n"
                 "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"
                 "  curve_preferences: [X25519, CurveP256]\n"
                 "  prefer_server_cipher_suites: false\n"
                 "http_server_config:\n"
                 "  http2: false\n"
                 "  headers: {X-Frame-Options: deny, Content-Security-Policy: any}\n"
                 "basic_auth_users: {ann: '" HASH "'}\n"
                 "rate_limit: {interval: 1m1.5s, burst: 7}\n");
    EXPECT_OK_E(web_config_parse(&o, text, S("tests/web.yml"), &a, &e), &e);
    EXPECT(o.tls && !o.http2 && o.sans_limited);
    EXPECT(str_has_prefix(o.cert, S("-----BEGIN CERTIFICATE-----")));
    EXPECT_STR(o.key, S("a key"));
    EXPECT_STR(o.client_ca, S("an authority"));
    EXPECT_EQ(o.client_auth, WEB_CLIENT_REQUIRE_ANY);
    EXPECT_EQ(o.allowed_sans.n, 2);
    EXPECT_EQ(o.min_version, TLS_11);
    EXPECT_EQ(o.max_version, TLS_13);
    EXPECT_EQ(o.cipher_suites.n, 1);
    EXPECT_EQ(o.curves.n, 2);
    EXPECT_EQ(o.n_headers, 2);
    EXPECT_STR(o.users[0].name, S("ann"));
    EXPECT_EQ(o.rate_interval_ns, INT64_C(61500000000));
    EXPECT_EQ(o.rate_burst, 7);
    struct web_options other;
    EXPECT_OK_E(
        web_config_parse(&other, S("tls_server_config: {cert: a, key: b}\n"), S("web.yml"), &a, &e),
        &e);
    EXPECT(other.fingerprint != o.fingerprint);
    arena_fini(&a);
}

TEST(web_config_refusals)
{
    static const struct { const char *name; str text, words;
    } cases[] = {
        { "no YAML", S("a: [\n"), S("yaml: line 1: did not find expected node content") },
        { "a field", S("tls: {}\n"),
            S("yaml: unmarshal errors:\n  line 1: field tls not found in type web.Config") },
        { "a field below", S("tls_server_config:\n  certificate: x\n"),
            S("yaml: unmarshal errors:\n  line 2: field certificate not found in type "
              "web.TLSConfig") },
        { "a kind", S("rate_limit: {burst: many}\n"),
            S("yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `many` into int") },
        { "no certificate", S("tls_server_config: {key_file: x}\n"),
            S("missing one of cert or cert_file") },
        { "only an authority", S("tls_server_config: {client_ca_file: x}\n"),
            S("missing one of cert or cert_file") },
        { "no key", S("tls_server_config: {cert: x}\n"), S("missing one of key or key_file") },
        { "no such certificate", S("tls_server_config: {cert_file: /none, key_file: x}\n"),
            S("failed to read cert_file (/none): open /none: no such file or directory") },
        { "no such key", S("tls_server_config: {cert: x, key_file: none}\n"),
            S("failed to read key_file (none): open none: no such file or directory") },
        { "no such authority",
            S(TLS(", client_auth_type: RequestClientCert, client_ca_file: none")),
            S("open none: no such file or directory") },
        { "version", S(TLS(", min_version: SSL3")), S("unknown TLS version: SSL3") },
        { "cipher", S(TLS(", cipher_suites: [RC4]")), S("unknown cipher: RC4") },
        { "curve", S(TLS(", curve_preferences: [P-256]")), S("unknown curve: P-256") },
        { "clients", S(TLS(", client_auth_type: Some")), S("invalid ClientAuth: Some") },
        { "an authority for nobody", S(TLS(", client_ca: x")),
            S("client CA's have been configured without a Client Auth Policy") },
        { "a header that may not be", S("http_server_config: {headers: {X-Other: 1}}\n"),
            S("HTTP header \"X-Other\" can not be configured") },
        { "a value that may not be",
            S("http_server_config: {headers: {X-Content-Type-Options: sniff}}\n"),
            S("invalid value for X-Content-Type-Options. Expected one of: [\"nosniff\"], but got: "
              "\"sniff\"") },
        { "a password", S("basic_auth_users: {a: secret}\n"),
            S("crypto/bcrypt: hashedSecret too short to be a bcrypted password") },
        { "a cost",
            S("basic_auth_users: {a: "
              "'$2b$03$.rjyzivbayImgm54ej2eb.Fz5czLnjc0NqYwEFu6s0r0r5/Gtd986'}\n"),
            S("crypto/bcrypt: cost 3 is outside allowed inclusive range 4..31") },
        { "another kind of hash",
            S("basic_auth_users: {a: "
              "'$5$rounds=5000$abcdefghijklmnop$abcdefghijklmnopqrstuvwxyzabcdefghij'}\n"),
            S("crypto/bcrypt: bcrypt algorithm version '5' requested is newer than current version "
              "'2'") },
        { "no hash",
            S("basic_auth_users: {a: "
              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n"),
            S("crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with "
              "'x'") },
    };
    TEST_EACH(c, cases) {
        struct arena a = { 0 };
        struct web_options o = { .n_users = 77 };
        struct err e = { 0 };
        arena_init(&a, NULL, 0);
        EXPECT(web_config_parse(&o, c->text, S("web.yml"), &a, &e) != OK);
        EXPECT_STR(err_str(&e), c->words);
        EXPECT_EQ(o.n_users, 77);
        arena_fini(&a);
    }
}
