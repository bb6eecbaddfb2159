#include "storeapi/outer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef errc (*decoder)(struct store_request *, str, struct arena *, struct err *);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const decoder all[] = { store_series_request, store_names_request,
        store_values_request };
    static const struct label own[] = { { S("a"), S("1") }, { S("b"), S("2") } };
    const struct labels labels = { own, 2 };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        SCOPED(buf_fini) struct buf scratch = { 0 };
        SCOPED(outer_memo_fini) struct outer_memo m = { 0 };
        struct store_request r = { 0 };
        struct matchers left;
        struct outer o;
        bool lost;
        if (all[i](&r, str_of(data, n), &a, NULL) != OK) continue;
        outer_init(&o, labels, r.without, &a);
        (void)matchers_left(&left, r.matchers, labels, &a);
        (void)shard_wants(&r.shard, outer_labels(&m, &o, labels, &lost), &scratch);
        store_request_fini(&r);
    }
    return 0;
}
