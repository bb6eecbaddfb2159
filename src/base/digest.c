#include "base/digest.h"

#include "base/mem.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

struct sha256 { struct sha256_ctx ctx; };

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
