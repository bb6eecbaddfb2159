/* replaced_fuzz.c — any text as blocks.replaced: what is read of it is read again when it was noted
 * anew, behind whatever stood there. */
#include "tsdb/replaced.h"

#include "io/fs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { MOST = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    struct fs *fs = fs_sim_new(1);
    replaced_list first = { 0 }, second = { 0 };
    const struct block_meta **all;
    if (n <= MOST && fs_write_durable(fs, REPLACED_FILE, str_of(p, n), NULL) == OK &&
        replaced_read(&first, fs, REPLACED_FILE, &a, NULL) == OK) {
        all = arena_array(&a, first.n + 1, sizeof(*all));
        for (size_t i = 0; i < first.n; i++) all[i] = &first.at[i];
        errc noted = replaced_note(fs, all, first.n, NULL);
        errc read = replaced_read(&second, fs, REPLACED_FILE, &a, NULL);
        assert(noted == OK && read == OK);
        assert(second.n == 2 * first.n);
        for (size_t i = 0; i < second.n; i++) {
            const struct block_meta *x = &second.at[i], *y = &first.at[i % first.n];
            assert(ulid_eq(x->id, y->id) && x->level == y->level);
            assert(x->n_sources == y->n_sources);
        }
    }
    vec_fini(&first);
    vec_fini(&second);
    fs_free(fs);
    arena_fini(&a);
    return 0;
}
