/* gcs_codec.h — the JSON of Google's store and of who lets one in.
 *
 * What        Pages of a list, an object's figures, errors; keys of accounts, the claim that is
 *             signed with one, and the token that is given for it.
 * Invariants  none
 * Ownership   texts lie in the arena
 * Threads     pure
 * Errors      ERR_CORRUPT (an answer), ERR_BAD_INPUT (an account)
 * Format      Cloud Storage JSON API v1; RFC 7519, RFC 7523
 */
#ifndef EPI_BUCKET_GCS_CODEC_H
#define EPI_BUCKET_GCS_CODEC_H

#include "bucket/bucket.h"

/* Entries are appended; *next empty: it is the last page. */
MUST_USE errc gcs_page_decode(
    bucket_entries *entries, str *next, str json, struct arena *a, struct err *e);
MUST_USE errc gcs_object_decode(struct bucket_attributes *out, str json, struct err *e);
/* "Not Found"; empty: it is no error answer. */
str gcs_error_words(str json, struct arena *a);

enum gcs_account_kind { GCS_ACCOUNT_SERVICE, GCS_ACCOUNT_USER };
struct gcs_account {
    enum gcs_account_kind kind;
    str email, private_key, key_id, token_url;
    str client_id, client_secret, refresh_token; /* of a user */
};
MUST_USE errc gcs_account_decode(struct gcs_account *out, str json, struct arena *a, struct err *e);
/* The body of the request for a token. */
MUST_USE errc gcs_token_request(
    struct buf *out, const struct gcs_account *c, int64_t now_s, struct err *e);
struct gcs_token {
    str token;
    int64_t lives_s;
};
MUST_USE errc gcs_token_decode(struct gcs_token *out, str json, struct arena *a, struct err *e);

#endif
