#include "bucket/index_header_codec.h"

#include "bucket/index_header.h"
#include "io/fs_sim.h"

static bool count(void *ctx, str value, struct postings_range at)
{
    (void)value;
    assert(at.end >= at.start);
    return ++*(size_t *)ctx < 1000;
}

/* Any bytes as the file: opened, and asked what it says. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct fs *fs = fs_sim_new(1);
    struct index_header *h = NULL;
    struct arena a = { 0 };
    if (fs_mkdir(fs, S("d"), NULL) == OK &&
        fs_write_durable(fs, S("d/index-header"), str_of(p, n), NULL) == OK &&
        index_header_open(&h, fs, S("d"), IO_BUFFERED, NULL) == OK) {
        str_list names = { 0 };
        struct postings_range at;
        str s;
        size_t values = 0;
        index_header_names(h, &names);
        for (size_t i = 0; i < names.n && i < 100; i++)
            if (index_header_values(h, names.at[i], STR_EMPTY, count, &values, NULL) != OK) break;
        if (index_header_postings(h, STR_EMPTY, STR_EMPTY, &at, NULL) == OK)
            assert(at.end >= at.start);
        for (uint32_t i = 0; i < 40; i++)
            if (index_header_symbol(h, i, &a, &s, NULL) != OK) break;
        vec_fini(&names);
        index_header_close(h);
    }
    arena_fini(&a);
    fs_free(fs);
    return 0;
}
