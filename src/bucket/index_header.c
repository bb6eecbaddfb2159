/* index_header.c — an index-header, opened: samples of both tables in memory.
 *
 * The entries of the postings offset table are of unequal length, one after the other, ascending by
 * name and value. Opening walks them once and keeps the place of every 32nd entry of each name (4
 * bytes each): a group. A look-up searches the groups of the name by their first values, and walks
 * one group; where a list ends is said by the entry behind it, so the group's reading reaches into
 * the next one. */
#include "bucket/index_header.h"

#include "base/mem.h"
#include "block/index_codec.h"
#include "bucket/index_header_codec.h"
#include "bucket/sparse_header_codec.h"

enum { STEP = 32, SECTION_HEAD_BYTES = 8, NAMES_MAX = 1 << 24 }; /* length, count */

ACCOUNT(header_account, "bucket_index_headers")

/* groups [first, first + groups) */
struct name_groups {
    str name;
    uint32_t first, groups;
};

struct index_header {
    struct reader *reader;
    struct arena arena; /* names */
    struct index_header_layout l;
    uint32_t n_symbols;
    VEC(uint32_t) symbols;         /* place of every 32nd, from symbols_begin */
    VEC(uint32_t) groups;          /* place of each, from table_begin */
    VEC(struct name_groups) names; /* ascending, without "" */
    uint64_t symbols_begin, symbols_end, table_begin, table_end; /* of the entries */
    bool has_all;
    struct postings_range all;
};

static errc unpin_after(struct pin *p, errc rc, struct err *e)
{
    errc un = reader_unpin(p, e); /* a fault explains whatever was read wrong */
    return un != OK ? un : rc;
}

/* A list begins behind its length, and ends before its checksum, where the next one's length is. */
static bool range_of(uint64_t offset, uint64_t next, struct postings_range *out)
{
    enum { AROUND_BYTES = 4, COUNT_BYTES = 4 };
    if (offset > UINT64_MAX / 2 || next > UINT64_MAX / 2) return false;
    *out = (struct postings_range){ offset + AROUND_BYTES, next - AROUND_BYTES };
    return next >= AROUND_BYTES && out->end >= out->start + COUNT_BYTES;
}

/* ---- opening */

static errc symbols_walk(struct index_header *h, str body, struct err *e)
{
    cursor c = cur_of(body);
    h->n_symbols = cur_be32(&c);
    const uint8_t *begin = c.p;
    str last = STR_EMPTY;
    for (uint32_t i = 0; i < h->n_symbols && cur_ok(&c); i++) {
        if (i % STEP == 0) vec_push(&h->symbols, (uint32_t)(c.p - begin));
        str s = cur_lenstr(&c);
        if (cur_ok(&c) && i && str_cmp(last, s) >= 0)
            return err_set(e, ERR_CORRUPT, "symbol %u is not in order", i);
        last = s;
    }
    if (!cur_done(&c))
        return err_set(e, ERR_CORRUPT, "%u symbols do not fill the table", h->n_symbols);
    h->symbols_begin = h->l.symbols + SECTION_HEAD_BYTES;
    h->symbols_end = h->symbols_begin + (uint64_t)(c.p - begin);
    return OK;
}

static void group_begin(struct index_header *h, str name, bool fresh, uint32_t place)
{
    if (fresh)
        vec_push(&h->names, ((struct name_groups){ .name = arena_str(&h->arena, name),
                                .first = (uint32_t)h->groups.n }));
    vec_last(&h->names).groups++;
    vec_push(&h->groups, place);
}

static errc table_walk(struct index_header *h, str body, struct err *e)
{
    cursor c = cur_of(body);
    uint32_t n = cur_be32(&c), in_name = 0;
    const uint8_t *begin = c.p;
    struct index_entry last = { 0 }, x;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(c.p - begin);
        struct postings_range r;
        if (!index_entry_next(&c, &x)) break;
        int order = i ? str_cmp(last.name, x.name) : -1;
        if (order > 0 || (i && order == 0 && str_cmp(last.value, x.value) >= 0))
            return err_set(e, ERR_CORRUPT, "entry %u is not in order", i);
        if (i && !range_of(last.offset, x.offset, &r))
            return err_set(e, ERR_CORRUPT, "entry %u: no list fits before it", i);
        if (i && !last.name.n) h->all = r;
        in_name = order < 0 ? 0 : in_name + 1;
        if (!x.name.n) h->has_all = true;
        else if (in_name % STEP == 0) group_begin(h, x.name, in_name == 0, at);
        last = x;
    }
    struct postings_range end = { 0 };
    if (!cur_done(&c)) return err_set(e, ERR_CORRUPT, "%u entries do not fill the table", n);
    if (n && !range_of(last.offset, h->l.postings_end, &end))
        return err_set(e, ERR_CORRUPT, "the last list does not fit");
    if (n && !last.name.n) h->all = end;
    h->table_begin = h->l.table + SECTION_HEAD_BYTES;
    h->table_end = h->table_begin + (uint64_t)(c.p - begin);
    return OK;
}

static errc section_walk(struct index_header *h, uint64_t from, uint64_t to, const char *what,
    errc (*walk)(struct index_header *h, str body, struct err *e), struct err *e)
{
    struct pin pin = { 0 };
    str body;
    if (to - from > UINT32_MAX) return err_set(e, ERR_LIMIT, "%s: longer than 4 GiB", what);
    TRY(reader_pin(h->reader, from, (size_t)(to - from), &pin, e));
    errc rc = index_section_body(pin.bytes, true, &body, e);
    if (rc == OK) rc = walk(h, body, e);
    rc = unpin_after(&pin, rc, e);
    return rc == OK ? OK : err_in(e, rc, "%s", what);
}

static errc layout_read(struct index_header *h, struct err *e)
{
    struct pin head = { 0 }, tail = { 0 };
    uint64_t size = reader_size(h->reader);
    if (size < INDEX_HEADER_HEAD_BYTES + INDEX_HEADER_TOC_BYTES)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no index-header", size);
    TRY(reader_pin(h->reader, 0, INDEX_HEADER_HEAD_BYTES, &head, e));
    errc rc =
        reader_pin(h->reader, size - INDEX_HEADER_TOC_BYTES, INDEX_HEADER_TOC_BYTES, &tail, e);
    if (rc == OK) rc = index_header_layout_decode(&h->l, head.bytes, tail.bytes, size, e);
    return unpin_after(&head, unpin_after(&tail, rc, e), e);
}

static uint64_t samples_bytes(const struct index_header *h)
{
    return (h->symbols.cap + h->groups.cap) * sizeof(uint32_t) +
           h->names.cap * sizeof(struct name_groups);
}

static errc header_load(
    struct index_header *h, struct fs *fs, str path, enum io_backend backend, struct err *e)
{
    struct read_as as = { backend, IO_HEADER, IO_RANDOM };
    TRY(reader_open(&h->reader, fs, path, as, e));
    TRY(layout_read(h, e));
    TRY(section_walk(h, h->l.symbols, h->l.symbols_end, "symbols", symbols_walk, e));
    return section_walk(h, h->l.table, h->l.table_end, "postings offset table", table_walk, e);
}

/* Where symbols and entries begin and end: by the lengths of their sections. */
static errc bounds_read(struct index_header *h, struct err *e)
{
    const uint64_t at[2] = { h->l.symbols, h->l.table };
    const uint64_t end[2] = { h->l.symbols_end, h->l.table_end };
    uint64_t ends[2];
    for (int i = 0; i < 2; i++) {
        struct pin pin = { 0 };
        TRY(reader_pin(h->reader, at[i], SECTION_HEAD_BYTES, &pin, e));
        cursor c = cur_of(pin.bytes);
        ends[i] = at[i] + sizeof(uint32_t) + cur_be32(&c);
        if (i == 0) h->n_symbols = cur_be32(&c);
        TRY(reader_unpin(&pin, e));
        if (ends[i] < at[i] + SECTION_HEAD_BYTES || ends[i] > end[i] - sizeof(uint32_t))
            return err_set(e, ERR_CORRUPT, "a section is longer than its place");
    }
    h->symbols_begin = at[0] + SECTION_HEAD_BYTES;
    h->symbols_end = ends[0];
    h->table_begin = at[1] + SECTION_HEAD_BYTES;
    h->table_end = ends[1];
    return OK;
}

/* The list of all series: it is the first entry, and ends where the second one's begins. */
static errc all_read(struct index_header *h, struct err *e)
{
    enum { TWO_ENTRIES_BYTES = 4096 };
    struct pin pin = { 0 };
    struct index_entry x, y;
    uint64_t left = h->table_end - h->table_begin;
    TRY(reader_pin(
        h->reader, h->table_begin, (size_t)MIN(left, (uint64_t)TWO_ENTRIES_BYTES), &pin, e));
    cursor c = cur_of(pin.bytes);
    bool good = left == 0 || index_entry_next(&c, &x);
    h->has_all = good && left && !x.name.n;
    if (h->has_all) {
        bool more = cur_left(&c) > 0;
        good = !more || index_entry_next(&c, &y);
        good = good && range_of(x.offset, more ? y.offset : h->l.postings_end, &h->all);
    }
    return unpin_after(&pin, good ? OK : err_set(e, ERR_CORRUPT, "the first entry"), e);
}

static errc samples_take(struct index_header *h, const struct sparse_header *s, struct err *e)
{
    uint64_t symbols = h->symbols_end - h->symbols_begin, table = h->table_end - h->table_begin;
    bool fits = s->n_symbols == h->n_symbols;
    for (size_t i = 0; fits && i < s->symbols.n; i++) {
        vec_push(&h->symbols, s->symbols.at[i] - SECTION_HEAD_BYTES);
        fits = vec_last(&h->symbols) < symbols;
    }
    for (size_t i = 0; fits && i < s->names.n; i++) {
        const struct sparse_name *n = &s->names.at[i];
        if (!n->name.n) continue;
        vec_push(&h->names, ((struct name_groups){ .name = arena_str(&h->arena, n->name),
                                .first = (uint32_t)h->groups.n,
                                .groups = n->n }));
        for (uint32_t k = 0; fits && k < n->n; k++) {
            vec_push(&h->groups, s->places.at[n->first + k] - SECTION_HEAD_BYTES);
            fits = vec_last(&h->groups) < table;
        }
    }
    return fits ? OK : err_set(e, ERR_CORRUPT, "the sparse index-header is of another one");
}

static errc header_load_sparse(struct index_header *h, struct fs *fs, str path, str sparse,
    enum io_backend backend, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct read_as as = { backend, IO_HEADER, IO_RANDOM };
    struct sparse_header s = { 0 };
    TRY(reader_open(&h->reader, fs, path, as, e));
    TRY(layout_read(h, e));
    TRY(bounds_read(h, e));
    TRY(all_read(h, e));
    TRY(sparse_header_decode(&s, sparse, &a, e));
    errc rc = samples_take(h, &s, e);
    sparse_header_fini(&s);
    return rc;
}

/* sparse NULL: it is walked. */
static errc header_open(struct index_header **out, struct fs *fs, str dir, const str *sparse,
    enum io_backend backend, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct index_header *h = NEW(struct index_header);
    arena_init(&h->arena, &header_account, 0);
    str path = path_join(&a, dir, S("index-header"));
    errc rc = sparse ? header_load_sparse(h, fs, path, *sparse, backend, e)
                     : header_load(h, fs, path, backend, e);
    account_charge(&header_account, (int64_t)samples_bytes(h));
    if (rc == OK) *out = h;
    else index_header_close(h);
    return rc == OK ? OK : err_in(e, rc, "%.*s", STR_ARG(path));
}

errc index_header_open(
    struct index_header **out, struct fs *fs, str dir, enum io_backend backend, struct err *e)
{
    return header_open(out, fs, dir, NULL, backend, e);
}

errc index_header_open_sparse(struct index_header **out, struct fs *fs, str dir, str sparse,
    enum io_backend backend, struct err *e)
{
    return header_open(out, fs, dir, &sparse, backend, e);
}

void index_header_close(struct index_header *h)
{
    if (!h) return;
    account_charge(&header_account, -(int64_t)samples_bytes(h));
    reader_close(h->reader);
    vec_fini(&h->symbols);
    vec_fini(&h->groups);
    vec_fini(&h->names);
    arena_fini(&h->arena);
    mem_free(h);
}

uint64_t index_header_memory(const struct index_header *h)
{
    return samples_bytes(h) + h->arena.used;
}

/* ---- symbols */

errc index_header_symbol(
    struct index_header *h, uint32_t ref, struct arena *a, str *out, struct err *e)
{
    if (ref >= h->n_symbols) return err_set(e, ERR_CORRUPT, "symbol %u of %u", ref, h->n_symbols);
    size_t k = ref / STEP;
    uint64_t from = h->symbols_begin + h->symbols.at[k];
    uint64_t to = k + 1 < h->symbols.n ? h->symbols_begin + h->symbols.at[k + 1] : h->symbols_end;
    struct pin pin = { 0 };
    TRY(reader_pin(h->reader, from, (size_t)(to - from), &pin, e));
    cursor c = cur_of(pin.bytes);
    str s = STR_EMPTY;
    for (uint32_t i = 0; i <= ref % STEP; i++)
        s = cur_lenstr(&c);
    str copy = arena_str(a, s);
    errc rc = cur_ok(&c) ? OK : err_set(e, ERR_CORRUPT, "symbol %u: cut short", ref);
    rc = unpin_after(&pin, rc, e);
    if (rc == OK) *out = copy;
    return rc;
}

void index_header_names(const struct index_header *h, str_list *out)
{
    for (size_t i = 0; i < h->names.n; i++)
        vec_push(out, h->names.at[i].name);
}

/* ---- postings */

static const struct name_groups *name_find(const struct index_header *h, str name)
{
    size_t lo = 0, hi = h->names.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(h->names.at[mid].name, name);
        if (c == 0) return &h->names.at[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

static uint64_t group_place(const struct index_header *h, size_t g)
{
    return g < h->groups.n ? h->table_begin + h->groups.at[g] : h->table_end;
}

/* Is the first value of a group <= value? */
static errc group_starts_by(struct index_header *h, size_t g, str value, bool *out, struct err *e)
{
    struct pin pin = { 0 };
    struct index_entry x;
    uint64_t from = group_place(h, g);
    TRY(reader_pin(h->reader, from, (size_t)(group_place(h, g + 1) - from), &pin, e));
    cursor c = cur_of(pin.bytes);
    bool good = index_entry_next(&c, &x);
    if (good) *out = str_cmp(x.value, value) <= 0;
    return unpin_after(&pin, good ? OK : err_set(e, ERR_CORRUPT, "group %zu: no entry", g), e);
}

/* The last group of a name that starts by a value <= value; the first, if none does. */
static errc group_find(
    struct index_header *h, const struct name_groups *n, str value, size_t *out, struct err *e)
{
    size_t lo = n->first, hi = (size_t)n->first + n->groups;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        bool by = false;
        TRY(group_starts_by(h, mid, value, &by, e));
        if (by) lo = mid;
        else hi = mid;
    }
    *out = lo;
    return OK;
}

/* The entries of a group in order, each with its range, until fn answers false: *more. */
static errc group_each(
    struct index_header *h, size_t g, header_value_fn fn, void *ctx, bool *more, struct err *e)
{
    struct pin pin = { 0 };
    uint64_t from = group_place(h, g), own = group_place(h, g + 1), to = group_place(h, g + 2);
    TRY(reader_pin(h->reader, from, (size_t)(to - from), &pin, e));
    cursor c = cur_of(pin.bytes);
    const uint8_t *end = pin.bytes.p + (own - from);
    struct index_entry x, next;
    bool good = index_entry_next(&c, &x);
    while (good && *more) {
        struct postings_range r;
        bool last = c.p >= end;
        bool known = !cur_done(&c);
        good = !known || index_entry_next(&c, &next);
        good = good && range_of(x.offset, known ? next.offset : h->l.postings_end, &r);
        if (good) *more = fn(ctx, x.value, r);
        if (last) break;
        x = next;
    }
    return unpin_after(
        &pin, good ? OK : err_set(e, ERR_CORRUPT, "group %zu does not decode", g), e);
}

struct sought {
    str value;
    bool found;
    struct postings_range at;
};
static bool seek_value(void *ctx, str value, struct postings_range at)
{
    struct sought *s = ctx;
    int c = str_cmp(value, s->value);
    if (c == 0) {
        s->found = true;
        s->at = at;
    }
    return c < 0;
}

errc index_header_postings(
    struct index_header *h, str name, str value, struct postings_range *out, struct err *e)
{
    struct sought s = { .value = value, .found = h->has_all, .at = h->all };
    const struct name_groups *n = name_find(h, name);
    if (name.n) s.found = false;
    if (name.n && n) {
        size_t g;
        bool more = true;
        TRY(group_find(h, n, value, &g, e));
        TRY(group_each(h, g, seek_value, &s, &more, e));
    }
    if (!s.found) return err_set(e, ERR_NOT_FOUND, "no such label");
    *out = s.at;
    return OK;
}

struct from_value {
    str from;
    header_value_fn fn;
    void *ctx;
};
static bool pass_value(void *ctx, str value, struct postings_range at)
{
    struct from_value *f = ctx;
    return str_cmp(value, f->from) < 0 || f->fn(f->ctx, value, at);
}

errc index_header_values(
    struct index_header *h, str name, str from, header_value_fn fn, void *ctx, struct err *e)
{
    struct from_value f = { from, fn, ctx };
    const struct name_groups *n = name_find(h, name);
    size_t g;
    bool more = true;
    if (!n) return err_set(e, ERR_NOT_FOUND, "no such label");
    TRY(group_find(h, n, from, &g, e));
    for (; more && g < (size_t)n->first + n->groups; g++)
        TRY(group_each(h, g, pass_value, &f, &more, e));
    return OK;
}

/* ---- the samples as a file */

struct valued {
    struct index_header *h;
    struct arena a;
};

static errc value_at(void *ctx, uint32_t place, str *value, struct err *e)
{
    enum { ENTRY_GUESS_BYTES = 4096 };
    struct valued *v = ctx;
    struct pin pin = { 0 };
    struct index_entry x;
    uint64_t from = v->h->table_begin + place - SECTION_HEAD_BYTES, left = v->h->table_end - from;
    TRY(reader_pin(v->h->reader, from, (size_t)MIN(left, (uint64_t)ENTRY_GUESS_BYTES), &pin, e));
    cursor c = cur_of(pin.bytes);
    bool good = index_entry_next(&c, &x);
    arena_reset(&v->a, (struct arena_mark){ 0 });
    if (good) *value = arena_str(&v->a, x.value);
    return unpin_after(&pin, good ? OK : err_set(e, ERR_CORRUPT, "an entry at %u", place), e);
}

struct last_end {
    uint64_t end;
};
static bool note_end(void *ctx, str value, struct postings_range at)
{
    struct last_end *l = ctx;
    (void)value;
    l->end = at.end;
    return true;
}

/* Where the lists of a name end: of its last group's last entry. */
static errc name_end(
    struct index_header *h, const struct name_groups *n, uint64_t *out, struct err *e)
{
    struct last_end l = { 0 };
    bool more = true;
    TRY(group_each(h, (size_t)n->first + n->groups - 1, note_end, &l, &more, e));
    *out = l.end;
    return OK;
}

errc index_header_sparse(struct index_header *h, struct buf *out, struct err *e)
{
    struct sparse_header s = { .n_symbols = h->n_symbols, .sampling = STEP };
    VEC(uint64_t) ends = { 0 };
    struct valued v = { .h = h };
    errc rc = OK;
    for (size_t i = 0; i < h->symbols.n; i++)
        vec_push(&s.symbols, h->symbols.at[i] + SECTION_HEAD_BYTES);
    if (h->has_all) {
        vec_push(&s.names, ((struct sparse_name){ STR_EMPTY, 0, 1 }));
        vec_push(&s.places, SECTION_HEAD_BYTES);
        vec_push(&ends, h->all.end);
    }
    for (size_t i = 0; rc == OK && i < h->names.n; i++) {
        const struct name_groups *n = &h->names.at[i];
        uint64_t end = 0;
        rc = name_end(h, n, &end, e);
        vec_push(&s.names, ((struct sparse_name){ n->name, (uint32_t)s.places.n, n->groups }));
        vec_push(&ends, end);
        for (uint32_t k = 0; k < n->groups; k++)
            vec_push(&s.places, h->groups.at[n->first + k] + SECTION_HEAD_BYTES);
    }
    if (rc == OK) rc = sparse_header_encode(out, &s, ends.at, value_at, &v, e);
    sparse_header_fini(&s);
    vec_fini(&ends);
    arena_fini(&v.a);
    return rc;
}
