/* index_codec_fuzz.c — any bytes as an index, its checksums put right so that what lies behind them
 * is reached. */
#include "base/crc32c.h"
#include "block/index_reader.h"
#include "block/index_scan.h"
#include "block/verify_lists.h"
#include "io/fs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void put_be32(uint8_t *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, 4);
}

static uint32_t be32(const uint8_t *at)
{
    cursor c = cur_of(str_of(at, 4));
    return cur_be32(&c);
}

static void mend_section(uint8_t *p, size_t n, uint64_t at)
{
    if (at + 8 > n || be32(p + at) > n - at - 8) return;
    uint32_t len = be32(p + at);
    put_be32(p + at + 4 + len, crc32c(0, p + at + 4, len));
}

static void mend(uint8_t *p, size_t n)
{
    if (n < INDEX_HEADER_BYTES + INDEX_TOC_BYTES) return;
    struct index_toc toc;
    uint8_t *t = p + n - INDEX_TOC_BYTES;
    put_be32(p, INDEX_MAGIC);
    p[4] = 1 + p[4] % 2;
    put_be32(t + 48, crc32c(0, t, 48));
    if (index_toc_decode(&toc, str_of(t, INDEX_TOC_BYTES), n, NULL) != OK) return;
    mend_section(p, n - INDEX_TOC_BYTES, toc.symbols);
    mend_section(p, n - INDEX_TOC_BYTES, toc.postings_table);
    put_be32(t + 48, crc32c(0, t, 48));
}

static bool each_value(void *ctx, str value, uint64_t offset)
{
    postings_list list = { 0 };
    (void)value;
    errc rc = index_reader_postings_at(ctx, offset, &list, NULL);
    (void)rc;
    vec_fini(&list);
    return true;
}

static void read_all(struct index_reader *r)
{
    struct arena a = { 0 };
    struct index_series s = { 0 };
    str_list names = { 0 };
    postings_list all = { 0 };
    str text;
    index_reader_names(r, &names);
    errc rc = index_reader_postings(r, STR_EMPTY, STR_EMPTY, &all, NULL);
    for (size_t i = 0; i < names.n; i++)
        rc = index_reader_values(r, names.at[i], S("m"), each_value, r, NULL);
    for (size_t i = 0; i < MIN(all.n, (size_t)100); i++) {
        if (index_reader_series(r, all.at[i], false, &s, NULL) != OK) continue;
        for (size_t k = 0; k < s.labels.n; k++)
            rc = index_reader_symbol(r, s.labels.at[k].value, &a, &text, NULL);
    }
    struct symbol_set *symbols = index_reader_symbols(r);
    for (bool more = true; more && symbols->ops->next(symbols, &more, &text, NULL) == OK;) continue;
    symbol_set_free(symbols);
    (void)rc;
    index_series_fini(&s);
    vec_fini(&names);
    vec_fini(&all);
    arena_fini(&a);
}

/* The same, past what is damaged. */
static void scan_all(struct fs *fs)
{
    struct index_scan k;
    struct findings f;
    findings_init(&f, 16);
    errc rc = index_scan_open(&k, fs, S("index"), IO_BUFFERED, &f, S("index"), NULL);
    if (rc == OK) verify_lists(&k, &f, S("index"));
    rc = index_scan_close(&k, NULL);
    (void)rc;
    findings_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct index_series s = { 0 };
    size_t used;
    errc rc = index_series_decode(&s, str_of(p, n), false, &used, NULL);
    index_series_fini(&s);
    struct fs *fs = fs_sim_new(1);
    struct file *f = NULL;
    struct index_reader *r = NULL;
    struct buf b = { 0 };
    uint64_t done;
    buf_bytes(&b, p, n);
    mend(b.p, b.n);
    rc = fs_open(&f, fs, S("index"), FS_WRITE | FS_CREATE, NULL);
    str bytes = buf_view(&b);
    if (rc == OK && n) rc = file_pwrite(f, &bytes, 1, 0, &done, NULL);
    file_close(f);
    rc = index_reader_open(&r, fs, S("index"), IO_BUFFERED, NULL);
    if (rc == OK) read_all(r);
    index_reader_close(r);
    scan_all(fs);
    fs_free(fs);
    buf_fini(&b);
    return 0;
}
