/* digest.h — MD5 and SHA-256 from the library (hashmod, paging tokens, dump digests).
 *
 * What        One call each; and a running SHA-256.
 * Invariants  none
 * Ownership   digest_sha256_new/free
 * Threads     a running digest: one thread
 * Errors      none
 * Format      RFC 1321, FIPS 180-4
 */
#ifndef EPI_BASE_DIGEST_H
#define EPI_BASE_DIGEST_H

#include "base/str.h"

void digest_md5(uint8_t out[16], str s);
void digest_sha256(uint8_t out[32], str s);

struct sha256;
struct sha256 *digest_sha256_new(void);
void digest_sha256_add(struct sha256 *d, str s);
void digest_sha256_end(struct sha256 *d, uint8_t out[32]);     /* and frees it */

#endif
