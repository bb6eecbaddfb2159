#include "base/digest.h"

#include "base/mem.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

struct sha256 {
    struct sha256_ctx ctx;
};

void digest_md5(uint8_t out[16], str s)
{
    struct md5_ctx ctx;
    md5_init(&ctx);
    md5_update(&ctx, s.n, s.p);
    md5_digest(&ctx, 16, out);
}

struct sha256 *digest_sha256_new(void)
{
    struct sha256 *d = NEW(struct sha256);
    sha256_init(&d->ctx);
    return d;
}

void digest_sha256_add(struct sha256 *d, str s) { sha256_update(&d->ctx, s.n, s.p); }

void digest_sha256_end(struct sha256 *d, uint8_t out[32])
{
    sha256_digest(&d->ctx, 32, out);
    mem_free(d);
}

void digest_sha256(uint8_t out[32], str s)
{
    struct sha256 *d = digest_sha256_new();
    digest_sha256_add(d, s);
    digest_sha256_end(d, out);
}

void digest_hmac_sha256(uint8_t out[32], str key, str s)
{
    struct hmac_sha256_ctx ctx;
    hmac_sha256_set_key(&ctx, key.n, key.p);
    hmac_sha256_update(&ctx, s.n, s.p);
    hmac_sha256_digest(&ctx, 32, out);
}

static gnutls_datum_t datum(str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.p, (unsigned)s.n };
}

errc digest_sign_rs256(struct buf *out, str key_pem, str s, struct err *e)
{
    gnutls_privkey_t key = NULL;
    gnutls_datum_t pem = datum(key_pem), text = datum(s), sign = { 0 };
    if (key_pem.n > INT32_MAX || s.n > INT32_MAX) return err_set(e, ERR_LIMIT, "too much to sign");
    int rc = gnutls_privkey_init(&key);
    if (rc == 0) rc = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc == 0 && gnutls_privkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_RSA)
        rc = GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
    if (rc == 0) rc = gnutls_privkey_sign_data2(key, GNUTLS_SIGN_RSA_SHA256, 0, &text, &sign);
    if (rc == 0) buf_bytes(out, sign.data, sign.size);
    gnutls_free(sign.data);
    gnutls_privkey_deinit(key);
    return rc == 0 ? OK : err_set(e, ERR_BAD_INPUT, "private key: %s", gnutls_strerror(rc));
}
