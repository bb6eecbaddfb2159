/* digest.h — MD5 and SHA-256 from the library (hashmod, paging tokens, dump digests, signatures).
 *
 * What        One call each; a running SHA-256; keyed hashes (HMAC); and signatures by RSA.
 * Invariants  none
 * Ownership   digest_sha256_new/free
 * Threads     a running digest: one thread
 * Errors      ERR_BAD_INPUT: a key that is none
 * Format      RFC 1321, FIPS 180-4, RFC 2104, RSASSA-PKCS1-v1_5
 */
#ifndef EPI_BASE_DIGEST_H
#define EPI_BASE_DIGEST_H

#include "base/buf.h"
#include "base/err.h"

void digest_md5(uint8_t out[16], str s);
void digest_sha256(uint8_t out[32], str s);
void digest_hmac_sha256(uint8_t out[32], str key, str s);
/* RS256 of JSON web tokens: the private key in PEM (PKCS #1 or #8) */
MUST_USE errc digest_sign_rs256(struct buf *out, str key_pem, str s, struct err *e);

struct sha256;
struct sha256 *digest_sha256_new(void);
void digest_sha256_add(struct sha256 *d, str s);
void digest_sha256_end(struct sha256 *d, uint8_t out[32]); /* and frees it */

#endif
