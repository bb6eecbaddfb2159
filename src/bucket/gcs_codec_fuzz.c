#include "bucket/gcs_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    bucket_entries all = { 0 };
    struct bucket_attributes at;
    struct gcs_account account;
    struct gcs_token token;
    str json = str_of(p, n), next;
    if (gcs_page_decode(&all, &next, json, &a, NULL) != OK) assert(all.n == 0);
    for (size_t i = 0; i < all.n; i++)
        assert(all.at[i].name.n);
    vec_fini(&all);
    if (gcs_object_decode(&at, json, NULL) != OK) at.size_bytes = 0;
    (void)gcs_error_words(json, &a);
    if (gcs_account_decode(&account, json, &a, NULL) == OK) assert(account.token_url.n);
    if (gcs_token_decode(&token, json, &a, NULL) == OK) assert(token.lives_s >= 0);
    arena_fini(&a);
    return 0;
}
