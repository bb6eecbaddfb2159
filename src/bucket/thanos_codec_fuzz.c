#include "bucket/thanos_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct thanos_section s;
    struct block_mark m;
    ulid_list ids = { 0 };
    str json = str_of(p, n);
    if (thanos_section_decode(&s, json, &a, NULL) == OK && s.there) {
        struct thanos_section again;
        str more = thanos_section_more(&s, STR_EMPTY, &a);
        errc rc = thanos_section_decode(&again, arena_fmt(&a, "{%.*s}", STR_ARG(more)), &a, NULL);
        assert(rc == OK && labels_eq(again.labels, s.labels));
    }
    (void)thanos_section_more(&(struct thanos_section){ 0 }, json, &a);
    for (int k = 0; k < MARK_KINDS; k++)
        if (block_mark_decode(&m, (enum block_mark_kind)k, json, &a, NULL) == OK) {
            struct buf b = { 0 };
            struct block_mark again;
            block_mark_encode(&b, &m);
            errc rc = block_mark_decode(&again, m.kind, buf_view(&b), &a, NULL);
            assert(rc == OK && ulid_eq(again.id, m.id) && again.time_s == m.time_s);
            buf_fini(&b);
        }
    if (uploaded_decode(&ids, json, NULL) != OK) assert(ids.n == 0);
    vec_fini(&ids);
    arena_fini(&a);
    return 0;
}
