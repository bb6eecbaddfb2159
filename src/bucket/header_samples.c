#include "bucket/header_samples.h"

#include "base/path.h"
#include "bucket/sparse_header_codec.h"

enum { STEP = 32, FILE_BYTES_MAX = 256 << 20 };

/* The first of each name, and every k-th after it. */
static void entries_take(
    struct index_samples *out, const struct sparse_header *s, struct arena *a)
{
    bool finer = s->sampling > 0 && s->sampling < STEP && STEP % s->sampling == 0;
    uint32_t every = finer ? (uint32_t)(STEP / s->sampling) : 1;
    struct index_sample *all = arena_array(a, s->places.n, sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < s->names.n; i++) {
        const struct sparse_name *name = &s->names.at[i];
        for (uint32_t k = 0; k < name->n; k += every)
            all[n++] = (struct index_sample){ name->name, s->values.at[name->first + k],
                s->places.at[name->first + k] };
    }
    out->entries = all;
    out->n_entries = n;
}

errc header_samples_decode(struct index_samples *out, str file, struct arena *a, struct err *e)
{
    struct sparse_header s = { 0 };
    TRY(sparse_header_decode(&s, file, a, e));
    uint32_t *symbols = arena_array(a, s.symbols.n, sizeof(*symbols));
    if (s.symbols.n) memcpy(symbols, s.symbols.at, s.symbols.n * sizeof(*symbols));
    *out = (struct index_samples){ .n_symbols = (uint32_t)s.n_symbols,
        .symbol_step = SPARSE_SYMBOL_STEP,
        .symbols = symbols,
        .n_symbol_places = s.symbols.n };
    entries_take(out, &s, a);
    sparse_header_fini(&s);
    return OK;
}

errc header_samples_local(
    struct index_samples *out, struct fs *fs, str dir, struct arena *a, struct err *e)
{
    str file, path = path_join(a, dir, S(SPARSE_HEADER_FILE));
    TRY(fs_read_all(fs, path, a, FILE_BYTES_MAX, &file, e));
    errc rc = header_samples_decode(out, file, a, e);
    return rc == OK ? OK : err_in(e, rc, "%.*s", STR_ARG(path));
}

errc header_samples_remote(struct index_samples *out, struct bucket *b, struct fs *fs, str dir,
    struct arena *a, struct err *e)
{
    str file, name = path_join(a, dir, S(SPARSE_HEADER_FILE));
    TRY(bucket_get(b, name, FILE_BYTES_MAX, a, &file, e));
    errc rc = header_samples_decode(out, file, a, e);
    if (rc != OK) return err_in(e, rc, "%.*s", STR_ARG(name));
    rc = fs_write_cache(fs, name, file, NULL);
    (void)rc; /* the next opening asks for it again */
    return OK;
}
