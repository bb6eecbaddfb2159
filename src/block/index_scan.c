/* index_scan.c — the way through an index that may be damaged anywhere.
 *
 * The TOC says where the parts are. Without it two of them are still found: the symbols begin
 * behind the header, the series behind the symbols. A series that does not check is passed over to
 * the next place where one can begin (each 16th byte, in version 1 each byte) and does check; 32
 * bits of checksum, and that a record has to decode to its last byte, keep chance out. The
 * strings of the postings offset table name the labels a second time, so that a damaged symbol
 * table is no end either: who saves a block puts them together (block/salvage).
 */
#include "block/index_scan.h"

enum { SECTION_HEAD_BYTES = 4, V2_SYMBOLS_AT = INDEX_HEADER_BYTES };

struct scan { struct index_scan *s; struct findings *f; str name; bool has_head; };

static str part_of(const struct index_scan *s, uint64_t from, uint64_t to)
{
    return str_slice(s->bytes, (size_t)MIN(from, s->bytes.n), (size_t)MIN(to, s->bytes.n));
}

static void scan_head(struct scan *k)
{
    struct err why = { 0 };
    struct index_scan *s = k->s;
    s->version = INDEX_V2;
    errc rc = index_header_check(str_slice(s->bytes, 0, INDEX_HEADER_BYTES), &s->version, &why);
    k->has_head = rc == OK;
    if (rc != OK) findings_add_at(k->f, k->name, 0, "%s", why.msg);
}

static void scan_toc(struct scan *k)
{
    struct err why = { 0 };
    struct index_scan *s = k->s;
    uint64_t n = s->bytes.n, at = n < INDEX_TOC_BYTES ? 0 : n - INDEX_TOC_BYTES;
    s->has_toc = index_toc_decode(&s->toc, str_from(s->bytes, (size_t)at), n, &why) == OK;
    const struct index_toc *t = &s->toc;
    if (s->has_toc && (t->symbols < INDEX_HEADER_BYTES || t->series < t->symbols ||
                          t->postings < t->series || t->postings_table < t->postings ||
                          t->postings_table > at)) {
        s->has_toc = false;
        (void)err_set(&why, ERR_CORRUPT, "TOC: the sections are not in order");
    }
    if (!s->has_toc) {
        s->toc = (struct index_toc){ 0 };
        findings_add_at(k->f, k->name, at, "%s", why.msg);
    }
}

/* Symbols. */

static errc symbols_read(struct index_scan *s, str body, uint64_t at, struct err *e)
{
    cursor c = cur_of(body);
    uint32_t n = cur_be32(&c);
    for (uint32_t i = 0; i < n && cur_ok(&c); i++) {
        uint64_t place = at + SECTION_HEAD_BYTES + (uint64_t)(c.p - body.p);
        str x = cur_lenstr(&c);
        if (!cur_ok(&c)) break;
        if (i && str_cmp(s->symbols.at[i - 1], x) >= 0)
            return err_set(e, ERR_CORRUPT, "symbol %u is not in order", i);
        vec_push(&s->symbols, x);
        vec_push(&s->symbol_at, (uint32_t)place);
    }
    return cur_done(&c) ? OK
                        : err_set(e, ERR_CORRUPT, "%u symbols do not fill the table", n);
}

static void scan_symbols(struct scan *k)
{
    struct err why = { 0 };
    struct index_scan *s = k->s;
    uint64_t at = s->has_toc ? s->toc.symbols : V2_SYMBOLS_AT;
    str body;
    errc rc = index_section_body(part_of(s, at, s->bytes.n), true, &body, &why);
    if (rc == OK) rc = symbols_read(s, body, at, &why);
    s->has_symbols = rc == OK;
    s->symbols_end = at;
    if (rc == OK) {
        s->symbols_end += SECTION_HEAD_BYTES + body.n + INDEX_CRC_BYTES;
    } else {
        s->symbols.n = 0;
        findings_add_at(k->f, k->name, at, "symbols: %s", why.msg);
    }
}

/* Series. */

/* The symbol with this ref: its place in the list. Without symbols it stays the ref. */
static bool symbol_of(const struct index_scan *s, uint32_t ref, uint32_t *out)
{
    if (!s->has_symbols || s->version != INDEX_V1) {
        *out = ref;
        return !s->has_symbols || ref < s->symbols.n;
    }
    size_t lo = 0, hi = s->symbol_at.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->symbol_at.at[mid] < ref) lo = mid + 1;
        else hi = mid;
    }
    *out = (uint32_t)lo;
    return lo < s->symbol_at.n && s->symbol_at.at[lo] == ref;
}

/* Of a file whose header does not say: in version 1 nothing is aligned, and labels are places. */
static void guess_version(struct index_scan *s)
{
    struct index_series x = { 0 };
    size_t used;
    uint32_t at;
    if (!s->has_toc || !s->has_symbols) return;
    s->version = INDEX_V1;
    bool good = index_series_decode(&x, part_of(s, s->toc.series, s->bytes.n), true, &used,
                    NULL) == OK && x.labels.n;
    for (size_t i = 0; good && i < x.labels.n; i++)
        good = symbol_of(s, x.labels.at[i].name, &at) && symbol_of(s, x.labels.at[i].value, &at);
    if (!good) s->version = INDEX_V2;
    index_series_fini(&x);
}

static void series_keep(struct scan *k, uint64_t at, const struct index_series *x)
{
    struct index_scan *s = k->s;
    uint64_t ref = s->version == INDEX_V1 ? at : at / INDEX_SERIES_ALIGN;
    struct scan_series one = { at, (uint32_t)ref, s->labels.n, x->labels.n, s->chunks.n,
        x->chunks.n };
    for (size_t i = 0; i < x->labels.n; i++) {
        struct label_num l;
        if (!symbol_of(s, x->labels.at[i].name, &l.name) ||
            !symbol_of(s, x->labels.at[i].value, &l.value)) {
            findings_add_at(k->f, k->name, at, "series: a label refers to no symbol");
            s->labels.n = one.label;
            return;
        }
        vec_push(&s->labels, l);
    }
    for (size_t i = 0; i < x->chunks.n; i++) vec_push(&s->chunks, x->chunks.at[i]);
    vec_push(&s->series, one);
}

/* Padding up to the next series: *at moves behind it. */
static void pass_padding(struct scan *k, uint64_t *at, uint64_t to)
{
    uint64_t next = (*at + INDEX_SERIES_ALIGN - 1) / INDEX_SERIES_ALIGN * INDEX_SERIES_ALIGN;
    if (k->s->version == INDEX_V1) return;
    str gap = part_of(k->s, *at, MIN(next, to));
    for (size_t i = 0; i < gap.n && k->s->has_toc; i++)        /* else it may be the end */
        if (gap.p[i]) {
            findings_add_at(k->f, k->name, *at + i, "series: bytes where there should be none");
            break;
        }
    *at = MIN(next, to);
}

/* A record that was looked for says something, or chance has made it. */
static bool worth(const struct index_series *x) { return x->labels.n && x->chunks.n; }

/* The next place from `at` on where a series checks; `to` if there is none. */
static uint64_t series_resume(const struct index_scan *s, uint64_t at, uint64_t to)
{
    struct index_series x = { 0 };
    uint64_t step = s->version == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN;
    size_t used;
    for (at = (at + step) / step * step; at < to; at += step)
        if (index_series_decode(&x, part_of(s, at, to), false, &used, NULL) == OK && worth(&x))
            break;
    index_series_fini(&x);
    return MIN(at, to);
}

/* With a TOC the section ends where it says; without one the last series is the end. */
static void scan_series(struct scan *k)
{
    struct err why = { 0 };
    struct index_scan *s = k->s;
    struct index_series x = { 0 };
    uint64_t at = s->has_toc ? s->toc.series : s->symbols_end;
    uint64_t to = s->has_toc && s->toc.label_indices ? s->toc.label_indices
                  : s->has_toc                       ? s->toc.postings
                                                     : s->bytes.n;
    to = MIN(to, (uint64_t)s->bytes.n);
    s->series_end = at;
    while (at < to) {
        size_t used;
        pass_padding(k, &at, to);
        if (at >= to) break;
        if (index_series_decode(&x, part_of(s, at, to), false, &used, &why) == OK) {
            series_keep(k, at, &x);
            at += used;
            s->series_end = at;
            continue;
        }
        uint64_t next = series_resume(s, at, to);
        if (s->has_toc || next < to) findings_add_at(k->f, k->name, at, "%s", why.msg);
        at = next;
    }
    index_series_fini(&x);
}

/* Postings. */

errc index_scan_list(
    const struct index_scan *s, uint64_t at, str *refs_be, size_t *bytes, struct err *e)
{
    str body, refs;
    if (at < INDEX_HEADER_BYTES || at >= s->bytes.n)
        return err_set(e, ERR_CORRUPT, "postings: beyond the file");
    TRY_IN(e, index_section_body(part_of(s, at, s->bytes.n), true, &body, e), "postings");
    TRY(index_postings_decode(body, &refs, e));
    *refs_be = refs;
    *bytes = SECTION_HEAD_BYTES + body.n + INDEX_CRC_BYTES;
    return OK;
}

static void scan_table(struct scan *k)
{
    struct err why = { 0 };
    struct index_scan *s = k->s;
    str body;
    if (!s->has_toc) return;
    errc rc = index_section_body(part_of(s, s->toc.postings_table, s->bytes.n), true, &body, &why);
    if (rc == OK) {
        cursor c = cur_of(body);
        uint32_t n = cur_be32(&c);
        struct index_entry x;
        for (uint32_t i = 0; i < n && index_entry_next(&c, &x); i++) vec_push(&s->entries, x);
        if (!cur_done(&c))
            rc = err_set(&why, ERR_CORRUPT, "%u entries do not fill the table", n);
    }
    s->has_table = rc == OK;
    if (rc == OK) return;
    s->entries.n = 0;
    findings_add_at(
        k->f, k->name, s->toc.postings_table, "postings offset table: %s", why.msg);
}

const struct scan_series *index_scan_find(const struct index_scan *s, uint32_t ref)
{
    size_t lo = 0, hi = s->series.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->series.at[mid].ref < ref) lo = mid + 1;
        else hi = mid;
    }
    return lo < s->series.n && s->series.at[lo].ref == ref ? &s->series.at[lo] : NULL;
}

errc index_scan_open(struct index_scan *out, struct fs *fs, str path, enum io_backend backend,
    struct findings *f, str name, struct err *e)
{
    struct scan k = { .s = out, .f = f, .name = name };
    *out = (struct index_scan){ 0 };
    TRY(reader_open(
        &out->reader, fs, path, (struct read_as){ backend, IO_INDEX, IO_SEQUENTIAL }, e));
    uint64_t n = reader_size(out->reader);
    if (n) TRY(reader_pin(out->reader, 0, (size_t)n, &out->pin, e));
    out->bytes = out->pin.bytes;
    if (n < INDEX_HEADER_BYTES + INDEX_TOC_BYTES) {
        findings_add(f, name, "%" PRIu64 " bytes are no index", n);
        return OK;
    }
    scan_head(&k);
    scan_toc(&k);
    scan_symbols(&k);
    if (!k.has_head) guess_version(out);
    scan_series(&k);
    scan_table(&k);
    return OK;
}

errc index_scan_close(struct index_scan *s, struct err *e)
{
    errc rc = reader_unpin(&s->pin, e);
    reader_close(s->reader);
    vec_fini(&s->symbols);
    vec_fini(&s->symbol_at);
    vec_fini(&s->series);
    vec_fini(&s->labels);
    vec_fini(&s->chunks);
    vec_fini(&s->entries);
    *s = (struct index_scan){ 0 };
    return rc;
}
