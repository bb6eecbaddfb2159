#include "bucket/s3_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    str xml = str_of(p, n), id;
    for (int v1 = 0; v1 < 2; v1++) {
        bucket_entries all = { 0 };
        struct s3_page page;
        if (s3_page_decode(&page, &all, xml, v1, &a, NULL) == OK) assert(!page.cut || page.next.n);
        else assert(all.n == 0);
        for (size_t i = 0; i < all.n; i++) assert(all.at[i].name.n);
        vec_fini(&all);
    }
    struct s3_error why;
    if (s3_error_decode(&why, xml, &a)) assert(why.code.n);
    if (s3_upload_id_decode(&id, xml, &a, NULL) == OK) assert(id.n);
    arena_fini(&a);
    return 0;
}
