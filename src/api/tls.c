/* The library asks for a certificate in the middle of a handshake, and verifies a client's with a
 * function of the session: both find the keys that the session took when it began in the session's
 * pointer. */
#include "api/tls.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/mem.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>

enum { CHAIN_MAX = 16, KEYS_KEPT_S = 900, NAME_MAX_BYTES = 1024 };

struct tls_keys {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned n_chain;
    gnutls_privkey_t key;
    gnutls_x509_trust_list_t trust;            /* NULL: clients are not verified */
    gnutls_priority_t priority;
    enum web_client_auth auth;
    bool sans_limited;
    str_list sans;
    struct arena a;
    int64_t retired_ns;                        /* of a box's older keys */
    struct tls_keys *next;
};

struct tls_box {
    struct mtx mu;                             /* LOCK_LEAF: both */
    struct tls_keys *current, *retired;
};

/* ---- priorities */

static void add_once(struct buf *b, const char *word)
{
    str w = str_z(word), all = buf_view(b);
    for (str rest = all, one; rest.n;) {
        str_cut(rest, ':', &one, &rest);
        if (one.n == w.n + 1 && str_eq(str_from(one, 1), w)) return;
    }
    buf_fmt(b, ":+%s", word);
}

static void add_suite(struct buf *b, str suite)
{
    static const struct { str part; const char *words[3];
    } parts[] = {
        { S("TLS_AES_128_GCM"), { "AES-128-GCM", "AEAD" } },
        { S("TLS_AES_256_GCM"), { "AES-256-GCM", "AEAD" } },
        { S("TLS_CHACHA20"), { "CHACHA20-POLY1305", "AEAD" } },
        { S("ECDHE_ECDSA"), { "ECDHE-ECDSA" } },
        { S("ECDHE_RSA"), { "ECDHE-RSA" } },
        { S("WITH_AES_128_GCM"), { "AES-128-GCM", "AEAD" } },
        { S("WITH_AES_256_GCM"), { "AES-256-GCM", "AEAD" } },
        { S("WITH_CHACHA20"), { "CHACHA20-POLY1305", "AEAD" } },
        { S("WITH_AES_128_CBC"), { "AES-128-CBC", "SHA1" } },
        { S("WITH_AES_256_CBC"), { "AES-256-CBC", "SHA1" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_find(suite, parts[i].part) == SIZE_MAX) continue;
        for (size_t k = 0; parts[i].words[k]; k++) add_once(b, parts[i].words[k]);
    }
}

void tls_priorities(struct buf *out, const struct web_options *o)
{
    static const char *const names[] = { [TLS_10] = "VERS-TLS1.0",
        [TLS_11] = "VERS-TLS1.1",
        [TLS_12] = "VERS-TLS1.2",
        [TLS_13] = "VERS-TLS1.3" };
    static const struct { str go; const char *word;
    } groups[] = {
        { S("CurveP256"), "GROUP-SECP256R1" },
        { S("CurveP384"), "GROUP-SECP384R1" },
        { S("CurveP521"), "GROUP-SECP521R1" },
        { S("X25519"), "GROUP-X25519" },
    };
    bool suites = o->cipher_suites.n && o->min_version != TLS_13;
    buf_str(out, suites ? S("NONE:+COMP-NULL:+SIGN-ALL") : S("NORMAL:-VERS-ALL"));
    for (int v = TLS_10; v <= TLS_13; v++)
        if ((!o->min_version || v >= (int)o->min_version) &&
            (!o->max_version || v <= (int)o->max_version))
            buf_fmt(out, ":+%s", names[v]);
    for (size_t i = 0; suites && i < o->cipher_suites.n; i++)
        add_suite(out, o->cipher_suites.at[i]);
    if (o->curves.n && !suites) buf_str(out, S(":-GROUP-ALL"));
    for (size_t i = 0; i < o->curves.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(groups); k++)
            if (str_eq(groups[k].go, o->curves.at[i])) add_once(out, groups[k].word);
    if (!o->curves.n && suites) add_once(out, "GROUP-ALL");
    buf_str(out, S(":%SERVER_PRECEDENCE"));
}

/* ---- keys */

static gnutls_datum_t datum(str s)
{
    return (gnutls_datum_t){ (unsigned char *)s.p, (unsigned)s.n };
}

static errc no_pair(struct err *e, const char *words)
{
    return err_set(e, ERR_BAD_INPUT, "failed to load X509KeyPair: tls: %s", words);
}

static void free_list(gnutls_x509_crt_t *crts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) gnutls_x509_crt_deinit(crts[i]);
    gnutls_free(crts);
}

static errc chain_load(struct tls_keys *k, str pem, struct err *e)
{
    gnutls_x509_crt_t *crts = NULL;
    unsigned n = 0, room = CHAIN_MAX;
    gnutls_datum_t d = datum(pem);
    if (gnutls_x509_crt_list_import2(&crts, &n, &d, GNUTLS_X509_FMT_PEM, 0) < 0 || !n)
        return no_pair(e, "failed to find any PEM data in certificate input");
    bool ok = n <= CHAIN_MAX;
    room = n;
    ok = ok && gnutls_pcert_import_x509_list(k->chain, crts, &room, 0) >= 0;
    free_list(crts, n);
    if (!ok) return no_pair(e, "the certificates are no chain");
    k->n_chain = room;
    return OK;
}

static errc key_load(struct tls_keys *k, str pem, struct err *e)
{
    gnutls_datum_t d = datum(pem);
    if (gnutls_privkey_init(&k->key) < 0) return no_pair(e, "no room for a key");
    if (gnutls_privkey_import_x509_raw(k->key, &d, GNUTLS_X509_FMT_PEM, NULL, 0) < 0)
        return no_pair(e, "failed to find any PEM data in key input");
    uint8_t ours[64], theirs[64];
    size_t n = sizeof(ours), m = sizeof(theirs);
    gnutls_pubkey_t pub;
    if (gnutls_pubkey_init(&pub) < 0) return no_pair(e, "no room for a key");
    bool same = gnutls_pubkey_import_privkey(pub, k->key, 0, 0) >= 0 &&
                gnutls_pubkey_get_key_id(pub, 0, ours, &n) >= 0 &&
                gnutls_pubkey_get_key_id(k->chain[0].pubkey, 0, theirs, &m) >= 0 && n == m &&
                memcmp(ours, theirs, n) == 0;
    gnutls_pubkey_deinit(pub);
    return same ? OK : no_pair(e, "private key does not match public key");
}

/* Certificates that cannot be read are left out, as Go leaves them out. */
static errc trust_load(struct tls_keys *k, str pem, struct err *e)
{
    gnutls_datum_t d = datum(pem);
    if (gnutls_x509_trust_list_init(&k->trust, 0) < 0)
        return err_set(e, ERR_BAD_INPUT, "no room for authorities");
    int rc =
        pem.n ? gnutls_x509_trust_list_add_trust_mem(k->trust, &d, NULL, GNUTLS_X509_FMT_PEM, 0, 0)
              : gnutls_x509_trust_list_add_system_trust(k->trust, 0, 0);
    (void)rc;
    return OK;
}

static errc priority_load(struct tls_keys *k, const struct web_options *o, struct err *e)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    tls_priorities(&text, o);
    const char *at;
    int rc = gnutls_priority_init(&k->priority, arena_cstr(&k->a, buf_view(&text)), &at);
    return rc >= 0
               ? OK
               : err_set(e, ERR_BAD_INPUT, "TLS: no such combination of versions and ciphers: %s",
                     gnutls_strerror(rc));
}

static errc keys_fill(struct tls_keys *k, const struct web_options *o, struct err *e)
{
    TRY(chain_load(k, o->cert, e));
    TRY(key_load(k, o->key, e));
    if (o->client_auth >= WEB_CLIENT_VERIFY_IF_GIVEN) TRY(trust_load(k, o->client_ca, e));
    return priority_load(k, o, e);
}

errc tls_keys_new(struct tls_keys **out, const struct web_options *o, struct err *e)
{
    struct tls_keys *k = NEW(struct tls_keys);
    arena_init(&k->a, NULL, 0);
    k->auth = o->client_auth;
    k->sans_limited = o->sans_limited;
    for (size_t i = 0; i < o->allowed_sans.n; i++)
        avec_push(&k->a, &k->sans, arena_str(&k->a, o->allowed_sans.at[i]));
    errc rc = keys_fill(k, o, e);
    if (rc != OK) {
        tls_keys_free(k);
        return rc;
    }
    *out = k;
    return OK;
}

void tls_keys_free(struct tls_keys *k)
{
    if (!k) return;
    for (unsigned i = 0; i < k->n_chain; i++) gnutls_pcert_deinit(&k->chain[i]);
    if (k->key) gnutls_privkey_deinit(k->key);
    if (k->trust) gnutls_x509_trust_list_deinit(k->trust, 1);
    if (k->priority) gnutls_priority_deinit(k->priority);
    arena_fini(&k->a);
    mem_free(k);
}

/* ---- the box */

struct tls_box *tls_box_new(struct tls_keys *first)
{
    struct tls_box *b = NEW(struct tls_box);
    mtx_init(&b->mu, LOCK_LEAF);
    b->current = first;
    return b;
}

static void free_all(struct tls_keys *k)
{
    while (k) {
        struct tls_keys *next = k->next;
        tls_keys_free(k);
        k = next;
    }
}

void tls_box_set(struct tls_box *b, struct tls_keys *k)
{
    int64_t now = clock_mono_ns();
    struct tls_keys *old = NULL;
    mtx_lock(&b->mu);
    b->current->retired_ns = now;
    b->current->next = b->retired;
    b->retired = b->current;
    b->current = k;
    for (struct tls_keys **at = &b->retired; *at; at = &(*at)->next) {
        if (now - (*at)->retired_ns < KEYS_KEPT_S * INT64_C(1000000000)) continue;
        old = STEAL(*at);                      /* the rest of the list is older still */
        break;
    }
    mtx_unlock(&b->mu);
    free_all(old);
}

void tls_box_free(struct tls_box *b)
{
    if (!b) return;
    tls_keys_free(b->current);
    free_all(b->retired);
    mtx_fini(&b->mu);
    mem_free(b);
}

/* ---- handshakes */

static void ip_text(struct buf *b, const uint8_t *p, size_t n)
{
    if (n == 4) {
        buf_fmt(b, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
        return;
    }
    if (n != 16) return;
    unsigned word[8], zero_at = 8, zero_n = 1;
    for (unsigned i = 0; i < 8; i++) word[i] = (unsigned)(p[2 * i] << 8 | p[2 * i + 1]);
    /* the longest run of zeros, of two at least */
    for (unsigned i = 0; i < 8; i++) {
        unsigned run = 0;
        while (i + run < 8 && !word[i + run]) run++;
        if (run > zero_n) zero_at = i, zero_n = run;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == zero_at) {
            buf_str(b, S("::"));
            i += zero_n - 1;
            continue;
        }
        buf_fmt(b, i && i != zero_at + zero_n ? ":%x" : "%x", word[i]);
    }
}

static bool san_allowed(const struct tls_keys *k, gnutls_x509_crt_t crt)
{
    char name[NAME_MAX_BYTES];
    for (unsigned i = 0;; i++) {
        size_t n = sizeof(name);
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER) continue;
        if (type < 0) return false;
        SCOPED(buf_fini) struct buf text = { 0 };
        if (type == GNUTLS_SAN_IPADDRESS) ip_text(&text, (const uint8_t *)name, n);
        else if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME ||
                 type == GNUTLS_SAN_URI)
            buf_str(&text, str_of(name, n));
        for (size_t s = 0; text.n && s < k->sans.n; s++)
            if (str_eq(k->sans.at[s], buf_view(&text))) return true;
    }
}

static bool chain_verified(const struct tls_keys *k, gnutls_x509_crt_t *crts, unsigned n)
{
    gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
        .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
    unsigned status = 0;
    return gnutls_x509_trust_list_verify_crt2(k->trust, crts, n, &purpose, 1, 0, &status, NULL) >=
               0 &&
           status == 0;
}

/* The client's certificate, if it sent one; 0: the handshake goes on. */
static int verify(gnutls_session_t session)
{
    const struct tls_keys *k = gnutls_session_get_ptr(session);
    unsigned n = 0, made = 0;
    const gnutls_datum_t *raw = gnutls_certificate_get_peers(session, &n);
    bool must = k->auth == WEB_CLIENT_REQUIRE_ANY || k->auth == WEB_CLIENT_REQUIRE_AND_VERIFY;
    if (!raw || !n) return must ? GNUTLS_E_CERTIFICATE_ERROR : 0;
    if (n > CHAIN_MAX) return GNUTLS_E_CERTIFICATE_ERROR;
    gnutls_x509_crt_t crts[CHAIN_MAX];
    bool ok = true;
    while (ok && made < n) {
        ok = gnutls_x509_crt_init(&crts[made]) >= 0;
        if (!ok) break;
        ok = gnutls_x509_crt_import(crts[made], &raw[made], GNUTLS_X509_FMT_DER) >= 0;
        made++;
    }
    if (ok && k->trust) ok = chain_verified(k, crts, n);
    if (ok && k->sans_limited) ok = san_allowed(k, crts[0]);
    for (unsigned i = 0; i < made; i++) gnutls_x509_crt_deinit(crts[i]);
    return ok ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *rdns, int n_rdns,
    const gnutls_pk_algorithm_t *algos, int n_algos, gnutls_pcert_st **chain, unsigned *n,
    gnutls_privkey_t *key)
{
    (void)rdns, (void)n_rdns, (void)algos, (void)n_algos;
    struct tls_keys *k = gnutls_session_get_ptr(session);
    *chain = k->chain;
    *n = k->n_chain;
    *key = k->key;
    return 0;
}

void *tls_retrieve_function(void)
{
    gnutls_certificate_retrieve_function2 *fn = retrieve;
    return (void *)(uintptr_t)fn;
}

void tls_session_begin(struct tls_box *b, void *session)
{
    mtx_lock(&b->mu);
    struct tls_keys *k = b->current;
    mtx_unlock(&b->mu);
    gnutls_session_set_ptr(session, k);
    (void)gnutls_priority_set(session, k->priority);
    if (k->auth == WEB_CLIENT_NONE) return;
    bool must = k->auth == WEB_CLIENT_REQUIRE_ANY || k->auth == WEB_CLIENT_REQUIRE_AND_VERIFY;
    gnutls_certificate_server_set_request(
        session, must ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
    gnutls_session_set_verify_function(session, verify);
}
