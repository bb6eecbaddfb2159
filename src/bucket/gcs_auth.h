/* gcs_auth.h — the token that Google's store asks for.
 *
 * What        Fetched with the key of an account, or of the machine where it runs in Google's
 *             cloud; kept until shortly before it ends.
 * Invariants  one thread asks for a token, others wait for it
 * Ownership   gcs_auth_new/free; the caller outlives it
 * Threads     any
 * Errors      ERR_BAD_INPUT (no account, or one that is refused), those of caller.h
 * Format      gcs_codec.h
 */
#ifndef EPI_BUCKET_GCS_AUTH_H
#define EPI_BUCKET_GCS_AUTH_H

#include "bucket/caller.h"

struct gcs_auth;
MUST_USE errc gcs_auth_new(
    struct gcs_auth **out, struct caller *caller, const struct bucket_config *c, struct err *e);
void gcs_auth_free(struct gcs_auth *g); /* NULL is fine */
/* "Bearer …"; empty: requests need none. In the arena. */
MUST_USE errc gcs_auth_token(struct gcs_auth *g, struct arena *a, str *out, struct err *e);
/* It was refused: the next one is asked for. */
void gcs_auth_forget(struct gcs_auth *g);

#endif
