/* index_reader.c — what is kept of an index in memory, and how the rest is found.
 *
 * The symbol table and the postings offset table hold strings of unequal length one after the
 * other: to find the i-th one needs the place of one before it. So opening walks both once (their
 * checksums need that anyway) and keeps the place of every 8th symbol, and of every 32nd entry of
 * each label name. Four bytes a sample: both tables end below 4 GiB. A look-up is then a binary
 * search over samples, whose strings are read through the reader, and a short walk. Version 1 has
 * no order in its table and is held as sorted entries.
 */
#include "block/index_reader.h"

#include "base/intern.h"
#include "model/labels.h"

#include <stdlib.h>

enum {
    SYMBOL_STEP = 8,
    ENTRY_STEP = 32,
    GUESS_BYTES = 4096,
    GUESS_SERIES_BYTES = 1024,
    WINDOW_BYTES = 64 << 10,
    GUESS_SYMBOL_BYTES = 256,
    AGAIN_MAX = 2,
    WANT_LIST_BYTES_MAX = 1 << 20,
    WANT_GAP_BYTES = 4096,
    SECTION_HEAD_BYTES = 4
};

ACCOUNT(block_index_account, "block_index_samples")

/* first and n: of groups, or in v1; end of the last entry, in the file */
struct name_entry { str name; uint32_t first; uint32_t n; uint64_t end; };

struct index_reader {
    struct reader *reader;
    struct arena arena;                        /* v1: values */
    uint8_t version;
    struct index_toc toc;
    uint64_t sym_begin, sym_end;               /* of the strings, in the file */
    uint32_t n_symbols;
    uint32_t symbol_step;
    VEC(uint32_t) symbols;                     /* place of every symbol_step-th, from sym_begin */
    uint64_t table_begin;
    /* place of the first entry of each group, from table_begin */
    VEC(uint32_t) groups;
    VEC(struct name_entry) names;              /* ascending, without ""; interned */
    VEC(struct index_entry) v1;                /* version 1: all entries, sorted */
    uint64_t all_offset;                       /* of the postings of all series */
    bool has_all;
};

static errc unpin_after(struct pin *p, errc rc, struct err *e)
{
    errc un = reader_unpin(p, e);              /* a fault explains whatever was read wrong */
    return un != OK ? un : rc;
}

/* Bytes at `at` do not check: they are worth another look, the tries-th. First the part that tells
 * how long they are, then all. */
static bool again(struct reader *r, unsigned tries, uint64_t at, uint64_t guess, uint64_t n)
{
    if (tries >= AGAIN_MAX) return false;
    return reader_again(r, at, guess) || (n > guess && reader_again(r, at, n));
}

/* Opening. */

/* Pins a section of u32 length, body, CRC at `at` whole. */
static errc section_pin(struct index_reader *r, uint64_t at, struct pin *out, struct err *e)
{
    struct pin head = { 0 };
    TRY(reader_pin(r->reader, at, SECTION_HEAD_BYTES, &head, e));
    cursor c = cur_of(head.bytes);
    uint64_t n = cur_be32(&c);
    TRY(reader_unpin(&head, e));
    return reader_pin(r->reader, at, (size_t)(n + SECTION_HEAD_BYTES + INDEX_CRC_BYTES), out, e);
}

static errc symbols_walk(struct index_reader *r, str body, struct err *e)
{
    cursor c = cur_of(body);
    r->n_symbols = cur_be32(&c);
    r->sym_begin = r->toc.symbols + SECTION_HEAD_BYTES + sizeof(uint32_t);
    const uint8_t *begin = c.p;
    str last = STR_EMPTY;
    for (uint32_t i = 0; i < r->n_symbols && cur_ok(&c); i++) {
        if (i % SYMBOL_STEP == 0) vec_push(&r->symbols, (uint32_t)(c.p - begin));
        str s = cur_lenstr(&c);
        if (cur_ok(&c) && i && str_cmp(last, s) >= 0)
            return err_set(e, ERR_CORRUPT, "symbol %u is not in order", i);
        last = s;
    }
    if (!cur_done(&c))
        return err_set(e, ERR_CORRUPT, "%u symbols do not fill the table", r->n_symbols);
    r->sym_end = r->sym_begin + (uint64_t)(c.p - begin);
    return OK;
}

static errc symbols_open(struct index_reader *r, struct err *e)
{
    struct pin pin = { 0 };
    str body;
    TRY(section_pin(r, r->toc.symbols, &pin, e));
    errc rc = index_section_body(pin.bytes, true, &body, e);
    if (rc == OK) rc = symbols_walk(r, body, e);
    return unpin_after(&pin, rc, e);
}

static struct name_entry *name_begin(struct index_reader *r, str name, size_t first)
{
    vec_push(&r->names,
        ((struct name_entry){ .name = intern_ref(name), .first = (uint32_t)first }));
    return &vec_last(&r->names);
}

static errc table_walk(struct index_reader *r, str body, struct err *e)
{
    cursor c = cur_of(body);
    uint32_t n = cur_be32(&c);
    const uint8_t *begin = c.p;
    struct name_entry *cur = NULL;
    uint32_t in_name = 0;
    str last = STR_EMPTY;
    r->table_begin = r->toc.postings_table + SECTION_HEAD_BYTES + sizeof(uint32_t);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(c.p - begin);
        struct index_entry x;
        if (!index_entry_next(&c, &x)) break;
        if (!x.name.n) {
            if (x.value.n || r->has_all) return err_set(e, ERR_CORRUPT, "entry %u has no name", i);
            r->all_offset = x.offset;
            r->has_all = true;
            continue;
        }
        int order = cur ? str_cmp(cur->name, x.name) : -1;
        if (order > 0 || (order == 0 && str_cmp(last, x.value) >= 0))
            return err_set(e, ERR_CORRUPT, "entry %u is not in order", i);
        if (order < 0) cur = name_begin(r, x.name, r->groups.n);
        in_name = order < 0 ? 0 : in_name + 1;
        cur->n += in_name % ENTRY_STEP == 0;
        if (in_name % ENTRY_STEP == 0) vec_push(&r->groups, at);
        cur->end = r->table_begin + (uint64_t)(c.p - begin);
        last = x.value;
    }
    return cur_done(&c) ? OK : err_set(e, ERR_CORRUPT, "%u entries do not fill the table", n);
}

static int entry_cmp(const void *a, const void *b)
{
    const struct index_entry *x = a, *y = b;
    int names = str_cmp(x->name, y->name);
    return names ? names : str_cmp(x->value, y->value);
}

static errc table_walk_v1(struct index_reader *r, str body, struct err *e)
{
    cursor c = cur_of(body);
    uint32_t n = cur_be32(&c);
    for (uint32_t i = 0; i < n; i++) {
        struct index_entry x;
        if (!index_entry_next(&c, &x)) break;
        if (!x.name.n && !x.value.n) {
            r->all_offset = x.offset;
            r->has_all = true;
        } else {
            vec_push(&r->v1, ((struct index_entry){ arena_str(&r->arena, x.name),
                                 arena_str(&r->arena, x.value), x.offset }));
        }
    }
    if (!cur_done(&c)) return err_set(e, ERR_CORRUPT, "%u entries do not fill the table", n);
    if (r->v1.n) qsort(r->v1.at, r->v1.n, sizeof(*r->v1.at), entry_cmp);
    for (size_t i = 0; i < r->v1.n; i++) {
        if (i == 0 || !str_eq(r->v1.at[i].name, r->v1.at[i - 1].name))
            name_begin(r, r->v1.at[i].name, i);
        vec_last(&r->names).n++;
    }
    return OK;
}

static errc table_open(struct index_reader *r, struct err *e)
{
    struct pin pin = { 0 };
    str body;
    if (!r->toc.postings_table) return err_set(e, ERR_CORRUPT, "there is none");
    TRY(section_pin(r, r->toc.postings_table, &pin, e));
    errc rc = index_section_body(pin.bytes, true, &body, e);
    if (rc == OK) rc = r->version == INDEX_V1 ? table_walk_v1(r, body, e) : table_walk(r, body, e);
    return unpin_after(&pin, rc, e);
}

static errc head_and_toc(struct index_reader *r, struct err *e)
{
    struct pin pin = { 0 };
    uint64_t size = reader_size(r->reader);
    if (size < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no index", size);
    TRY(reader_pin(r->reader, 0, INDEX_HEADER_BYTES, &pin, e));
    TRY(unpin_after(&pin, index_header_check(pin.bytes, &r->version, e), e));
    TRY(reader_pin(r->reader, size - INDEX_TOC_BYTES, INDEX_TOC_BYTES, &pin, e));
    return unpin_after(&pin, index_toc_decode(&r->toc, pin.bytes, size, e), e);
}

/* Opening with samples: both tables are pinned whole for their checksums, nothing is walked, and
 * every sample is looked at. */

static bool symbol_at(str body, uint32_t place, str *out)
{
    if (place < SECTION_HEAD_BYTES || place - SECTION_HEAD_BYTES >= body.n) return false;
    cursor c = cur_of(str_from(body, place - SECTION_HEAD_BYTES));
    *out = cur_lenstr(&c);
    return cur_ok(&c);
}

static errc symbols_sampled(
    struct index_reader *r, str body, const struct index_samples *s, struct err *e)
{
    cursor c = cur_of(body);
    const uint32_t head = SECTION_HEAD_BYTES + sizeof(uint32_t);
    str last = STR_EMPTY, one;
    r->n_symbols = cur_be32(&c);
    uint64_t step = MAX(s->symbol_step, 1u), n = (r->n_symbols + step - 1) / step;
    bool good = cur_ok(&c) && s->symbol_step && r->n_symbols == s->n_symbols &&
                n == s->n_symbol_places && (!n || s->symbols[0] == head);
    for (size_t i = 0; good && i < n; i++) {
        good = s->symbols[i] >= head && symbol_at(body, s->symbols[i], &one) &&
               (!i || str_cmp(last, one) < 0);
        if (good) vec_push(&r->symbols, s->symbols[i] - head);
        last = one;
    }
    if (!good) return err_set(e, ERR_CORRUPT, "the samples are another index's");
    r->symbol_step = s->symbol_step;
    r->sym_begin = r->toc.symbols + head;
    r->sym_end = r->toc.symbols + SECTION_HEAD_BYTES + body.n;
    return OK;
}

static bool entry_is(str body, const struct index_sample *s, struct index_entry *out)
{
    if (s->place < SECTION_HEAD_BYTES || s->place - SECTION_HEAD_BYTES >= body.n) return false;
    cursor c = cur_of(str_from(body, s->place - SECTION_HEAD_BYTES));
    return index_entry_next(&c, out) && str_eq(out->name, s->name) && str_eq(out->value, s->value);
}

/* From a sample on to the end of its name there is no other name: none was left out. */
static bool name_ends(str body, const struct index_sample *s, uint64_t end)
{
    cursor c = cur_of(str_slice(body, s->place - SECTION_HEAD_BYTES, (size_t)end));
    struct index_entry x;
    while (cur_left(&c))
        if (!index_entry_next(&c, &x) || !str_eq(x.name, s->name)) return false;
    return true;
}

static errc table_sampled(
    struct index_reader *r, str body, const struct index_samples *s, struct err *e)
{
    const uint32_t head = SECTION_HEAD_BYTES + sizeof(uint32_t);
    struct name_entry *cur = NULL;
    struct index_entry x;
    bool good = body.n >= sizeof(uint32_t) && (s->n_entries || body.n == sizeof(uint32_t)) &&
                (!s->n_entries || s->entries[0].place == head);
    r->table_begin = r->toc.postings_table + head;
    for (size_t i = 0; good && i < s->n_entries; i++) {
        const struct index_sample *one = &s->entries[i];
        good = (!i || one->place > one[-1].place) && entry_is(body, one, &x);
        bool last = good && (i + 1 == s->n_entries || !str_eq(one->name, one[1].name));
        uint64_t end = i + 1 < s->n_entries ? (uint64_t)one[1].place - SECTION_HEAD_BYTES : body.n;
        if (last) good = end <= body.n && name_ends(body, one, end);
        if (!good) break;
        if (!x.name.n) {
            good = !i && !x.value.n;
            r->all_offset = x.offset;
            r->has_all = true;
            continue;
        }
        int order = cur ? str_cmp(cur->name, x.name) : -1;
        good = order <= 0;
        if (order < 0 && cur) cur->end = r->table_begin + one->place - head;
        if (order < 0) cur = name_begin(r, x.name, r->groups.n);
        cur->n++;
        vec_push(&r->groups, one->place - head);
    }
    if (cur) cur->end = r->table_begin + body.n - sizeof(uint32_t);
    return good ? OK : err_set(e, ERR_CORRUPT, "the samples are another index's");
}

static errc part_sampled(struct index_reader *r, uint64_t at, const struct index_samples *s,
    errc (*take)(
        struct index_reader *r, str body, const struct index_samples *s, struct err *e),
    struct err *e)
{
    struct pin pin = { 0 };
    str body;
    TRY(section_pin(r, at, &pin, e));
    errc rc = index_section_body(pin.bytes, true, &body, e);
    if (rc == OK) rc = take(r, body, s, e);
    return unpin_after(&pin, rc, e);
}

static errc parts_sampled(struct index_reader *r, const struct index_samples *s, struct err *e)
{
    TRY(head_and_toc(r, e));
    if (r->version == INDEX_V1 || !r->toc.postings_table)
        return err_set(e, ERR_UNSUPPORTED, "an index without an ordered table");
    TRY_IN(e, part_sampled(r, r->toc.symbols, s, symbols_sampled, e), "symbols at %" PRIu64,
        r->toc.symbols);
    TRY_IN(e, part_sampled(r, r->toc.postings_table, s, table_sampled, e),
        "postings offset table at %" PRIu64, r->toc.postings_table);
    return OK;
}

static errc parts_open(struct index_reader *r, struct err *e)
{
    TRY(head_and_toc(r, e));
    TRY_IN(e, symbols_open(r, e), "symbols at %" PRIu64, r->toc.symbols);
    TRY_IN(e, table_open(r, e), "postings offset table at %" PRIu64, r->toc.postings_table);
    return OK;
}

errc index_reader_open(
    struct index_reader **out, struct fs *fs, str path, enum io_backend backend, struct err *e)
{
    return index_reader_open_sampled(out, fs, path, backend, NULL, e);
}

errc index_reader_open_sampled(struct index_reader **out, struct fs *fs, str path,
    enum io_backend backend, const struct index_samples *s, struct err *e)
{
    struct index_reader *r = NEW(struct index_reader);
    r->symbol_step = SYMBOL_STEP;
    arena_init(&r->arena, &block_index_account, 0);
    errc rc = reader_open(
        &r->reader, fs, path, (struct read_as){ backend, IO_INDEX, IO_RANDOM }, e);
    if (rc == OK) rc = s ? parts_sampled(r, s, e) : parts_open(r, e);
    account_charge(
        &block_index_account, (int64_t)((r->symbols.cap + r->groups.cap) * sizeof(uint32_t) +
                                        r->v1.cap * sizeof(*r->v1.at)));
    if (rc != OK) index_reader_close(r);
    else *out = r;
    return rc;
}

void index_reader_close(struct index_reader *r)
{
    if (!r) return;
    account_charge(
        &block_index_account, -(int64_t)((r->symbols.cap + r->groups.cap) * sizeof(uint32_t) +
                                         r->v1.cap * sizeof(*r->v1.at)));
    reader_close(r->reader);
    for (size_t i = 0; i < r->names.n; i++) intern_unref(r->names.at[i].name);
    vec_fini(&r->symbols);
    vec_fini(&r->groups);
    vec_fini(&r->names);
    vec_fini(&r->v1);
    arena_fini(&r->arena);
    mem_free(r);
}

uint8_t index_reader_version(const struct index_reader *r) { return r->version; }
uint64_t index_reader_size(const struct index_reader *r) { return reader_size(r->reader); }
const struct index_toc *index_reader_toc(const struct index_reader *r) { return &r->toc; }

/* Symbols. */

/* The bytes of the symbols of a group. */
static errc symbols_pin(struct index_reader *r, uint32_t g, struct pin *out, struct err *e)
{
    uint64_t from = r->sym_begin + r->symbols.at[g],
             to = g + 1 < r->symbols.n ? r->sym_begin + r->symbols.at[g + 1] : r->sym_end;
    return reader_pin(r->reader, from, (size_t)(to - from), out, e);
}

static errc symbol_v1(struct index_reader *r, uint32_t at, struct arena *a, str *out, struct err *e)
{
    if (at < r->sym_begin || at >= r->sym_end)
        return err_set(e, ERR_CORRUPT, "index: no symbol at %u", at);
    uint64_t room = r->sym_end - at, n = MIN(room, (uint64_t)GUESS_SYMBOL_BYTES);
    for (;; n = room) {
        struct pin pin = { 0 };
        TRY(reader_pin(r->reader, at, (size_t)n, &pin, e));
        cursor c = cur_of(pin.bytes);
        str s = cur_lenstr(&c);
        bool good = cur_ok(&c);
        if (good) s = arena_str(a, s);
        TRY(reader_unpin(&pin, e));
        if (good) *out = s;
        if (good) return OK;
        if (n == room) return err_set(e, ERR_CORRUPT, "index: symbol at %u: cut short", at);
    }
}

errc index_reader_symbol(
    struct index_reader *r, uint32_t ref, struct arena *a, str *out, struct err *e)
{
    if (r->version == INDEX_V1) return symbol_v1(r, ref, a, out, e);
    if (ref >= r->n_symbols) return err_set(e, ERR_CORRUPT, "index: no symbol %u", ref);
    struct pin pin = { 0 };
    TRY(symbols_pin(r, ref / r->symbol_step, &pin, e));
    cursor c = cur_of(pin.bytes);
    for (uint32_t i = ref % r->symbol_step; i > 0; i--) (void)cur_lenstr(&c);
    str s = cur_lenstr(&c);
    errc rc = cur_ok(&c) ? OK : err_set(e, ERR_CORRUPT, "index: symbol %u: cut short", ref);
    if (rc == OK) s = arena_str(a, s);
    TRY(unpin_after(&pin, rc, e));
    *out = s;
    return OK;
}

/* In version 1 a group is one symbol: refs are places. */
uint32_t index_reader_symbol_group_of(const struct index_reader *r, uint32_t ref)
{
    return r->version == INDEX_V1 ? ref : ref / r->symbol_step;
}

static errc group_decode(str bytes, struct arena *a, struct symbol_group *g, struct err *e)
{
    str *at = arena_array(a, g->n, sizeof(*at));
    cursor c = cur_of(arena_str(a, bytes));
    for (uint32_t i = 0; i < g->n; i++) at[i] = cur_lenstr(&c);
    g->at = at;
    if (cur_ok(&c)) return OK;
    return err_set(e, ERR_CORRUPT, "index: symbols from %u: cut short", g->first);
}

errc index_reader_symbol_group(struct index_reader *r, uint32_t ref, struct arena *a,
    struct symbol_group *out, struct err *e)
{
    uint32_t k = index_reader_symbol_group_of(r, ref);
    if (r->version == INDEX_V1) {
        str *one = ANEW(a, str);
        TRY(symbol_v1(r, ref, a, one, e));
        *out = (struct symbol_group){ ref, 1, one };
        return OK;
    }
    if (ref >= r->n_symbols) return err_set(e, ERR_CORRUPT, "index: no symbol %u", ref);
    struct symbol_group g = { .first = k * r->symbol_step };
    g.n = MIN(r->symbol_step, r->n_symbols - g.first);
    struct pin pin = { 0 };
    TRY(symbols_pin(r, k, &pin, e));
    TRY(unpin_after(&pin, group_decode(pin.bytes, a, &g, e), e));
    *out = g;
    return OK;
}

/* Version 1 names a symbol by its place in the file. */
static errc symbol_num_v1(struct index_reader *r, uint32_t ref, uint32_t *out, struct err *e)
{
    uint64_t at = ref - r->sym_begin;
    uint32_t lo = 0, hi = (uint32_t)r->symbols.n;
    if (ref < r->sym_begin || ref >= r->sym_end)
        return err_set(e, ERR_CORRUPT, "index: no symbol at %u", ref);
    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (r->symbols.at[mid] <= at) lo = mid;
        else hi = mid;
    }
    struct pin pin = { 0 };
    TRY(symbols_pin(r, lo, &pin, e));
    cursor c = cur_of(pin.bytes);
    size_t into = (size_t)(at - r->symbols.at[lo]);
    uint32_t i = lo * r->symbol_step;
    for (; cur_ok(&c) && pin.bytes.n - cur_left(&c) < into; i++) (void)cur_lenstr(&c);
    bool there = cur_ok(&c) && pin.bytes.n - cur_left(&c) == into;
    TRY(unpin_after(&pin, there ? OK : err_set(e, ERR_CORRUPT, "index: no symbol at %u", ref), e));
    *out = i;
    return OK;
}

errc index_reader_symbol_num(struct index_reader *r, uint32_t ref, uint32_t *out, struct err *e)
{
    if (r->version == INDEX_V1) return symbol_num_v1(r, ref, out, e);
    if (ref >= r->n_symbols) return err_set(e, ERR_CORRUPT, "index: no symbol %u", ref);
    *out = ref;
    return OK;
}

struct index_symbols {
    struct symbol_set base;
    struct index_reader *r;
    uint32_t i;
    struct pin pin;
    cursor c;
};

static errc symbols_next(struct symbol_set *base, bool *more, str *out, struct err *e)
{
    struct index_symbols *s = CONTAINER_OF(base, struct index_symbols, base);
    *more = s->i < s->r->n_symbols;
    if (!*more) return OK;
    if (s->i % s->r->symbol_step == 0) {
        TRY(reader_unpin(&s->pin, e));
        TRY(symbols_pin(s->r, s->i / s->r->symbol_step, &s->pin, e));
        s->c = cur_of(s->pin.bytes);
    }
    *out = cur_lenstr(&s->c);
    if (!cur_ok(&s->c)) return err_set(e, ERR_CORRUPT, "index: symbol %u: cut short", s->i);
    s->i++;
    return OK;
}

static void symbols_free(struct symbol_set *base)
{
    struct index_symbols *s = CONTAINER_OF(base, struct index_symbols, base);
    errc rc = reader_unpin(&s->pin, NULL);     /* the end: nobody looks at these bytes any more */
    (void)rc;
    mem_free(s);
}

static const struct symbol_set_ops index_symbols_ops = { symbols_next, symbols_free };

struct symbol_set *index_reader_symbols(struct index_reader *r)
{
    struct index_symbols *s = NEW(struct index_symbols);
    s->base.ops = &index_symbols_ops;
    s->r = r;
    return &s->base;
}

/* Series. */

static errc series_look(struct reader *r, uint64_t at, bool labels_only, struct index_series *out,
    size_t *used, size_t *n, struct err *e)
{
    uint64_t size = reader_size(r);
    struct pin pin = { 0 };
    TRY(reader_pin(r, at, (size_t)MIN(size - at, (uint64_t)GUESS_SERIES_BYTES), &pin, e));
    *n = index_series_bytes(pin.bytes);
    if (*n > pin.bytes.n && *n <= size - at) {
        TRY(reader_unpin(&pin, e));
        TRY(reader_pin(r, at, *n, &pin, e));
    }
    return unpin_after(&pin, index_series_decode(out, pin.bytes, labels_only, used, e), e);
}

static errc series_at(struct reader *r, uint64_t at, bool labels_only, struct index_series *out,
    size_t *used, struct err *e)
{
    if (at < INDEX_HEADER_BYTES || at >= reader_size(r))
        return err_set(e, ERR_CORRUPT, "beyond the file");
    for (unsigned tries = 0;; tries++) {
        size_t n = 0;
        errc rc = series_look(r, at, labels_only, out, used, &n, e);
        if (rc != ERR_CORRUPT || !again(r, tries, at, GUESS_SERIES_BYTES, n)) return rc;
    }
}

static uint64_t place_of(const struct index_reader *r, uint32_t ref)
{
    return r->version == INDEX_V1 ? ref : (uint64_t)ref * INDEX_SERIES_ALIGN;
}

errc index_reader_series(
    struct index_reader *r, uint32_t ref, bool labels_only, struct index_series *out, struct err *e)
{
    uint64_t at = place_of(r, ref);
    size_t used;
    TRY_IN(e, series_at(r->reader, at, labels_only, out, &used, e), "index: at %" PRIu64, at);
    return OK;
}

errc index_window_end(struct index_window *w, struct err *e)
{
    errc rc = reader_unpin(&w->pin, e);
    *w = (struct index_window){ 0 };
    return rc;
}

/* Where the reader has pages of its own, or the caches behind it, up to the end of one; n: at
 * least. */
static errc window_move(
    struct reader *r, struct index_window *w, uint64_t at, size_t n, struct err *e)
{
    uint64_t left = reader_size(r) - at, page = reader_far(r) ? READER_FAR_BYTES : WINDOW_BYTES,
             rest = reader_wants(r) ? page - at % page : page;
    TRY(index_window_end(w, e));
    TRY(reader_pin(r, at, (size_t)MIN(left, MAX(rest, (uint64_t)n)), &w->pin, e));
    w->from = at;
    return OK;
}

static str window_at(const struct index_window *w, uint64_t at)
{
    bool inside = at >= w->from && at - w->from < w->pin.bytes.n;
    return inside ? str_from(w->pin.bytes, (size_t)(at - w->from)) : STR_EMPTY;
}

static errc window_look(struct reader *r, struct index_window *w, uint64_t at, bool labels_only,
    struct index_series *out, size_t *n, struct err *e)
{
    size_t used;
    str bytes = window_at(w, at);
    *n = index_series_bytes(bytes);
    if (!*n || *n > bytes.n) {
        TRY(window_move(r, w, at, GUESS_SERIES_BYTES, e));
        bytes = w->pin.bytes;
        *n = index_series_bytes(bytes);
    }
    if (*n > bytes.n && *n <= reader_size(r) - at) {
        TRY(window_move(r, w, at, *n, e));
        bytes = w->pin.bytes;
    }
    return index_series_decode(out, bytes, labels_only, &used, e);
}

static errc window_read(struct reader *r, struct index_window *w, uint64_t at, bool labels_only,
    struct index_series *out, struct err *e)
{
    if (at < INDEX_HEADER_BYTES || at >= reader_size(r))
        return err_set(e, ERR_CORRUPT, "beyond the file");
    for (unsigned tries = 0;; tries++) {
        size_t n = 0;
        errc rc = window_look(r, w, at, labels_only, out, &n, e);
        if (rc == OK) return OK;
        errc un = index_window_end(w, e);      /* a cache forgets only what nobody holds */
        if (un != OK) return un;
        if (rc != ERR_CORRUPT || !again(r, tries, at, GUESS_SERIES_BYTES, n)) return rc;
    }
}

errc index_reader_series_by(struct index_reader *r, struct reader *by, struct index_window *w,
    uint32_t ref, bool labels_only, struct index_series *out, struct err *e)
{
    if (!by) return index_reader_series(r, ref, labels_only, out, e);
    uint64_t at = place_of(r, ref);
    TRY_IN(e, window_read(by, w, at, labels_only, out, e), "index: at %" PRIu64, at);
    return OK;
}

errc index_reader_series_on(struct index_reader *r, struct index_window *w, uint32_t ref,
    bool labels_only, struct index_series *out, struct err *e)
{
    struct reader *by = reader_far(r->reader) ? r->reader : NULL;
    return index_reader_series_by(r, by, w, ref, labels_only, out, e);
}

/* The section of series ends where the next one begins. */
static uint64_t series_end(const struct index_reader *r)
{
    const uint64_t next[] = { r->toc.label_indices, r->toc.label_table, r->toc.postings,
        r->toc.postings_table };
    uint64_t end = reader_size(r->reader) - INDEX_TOC_BYTES;
    for (size_t i = 0; i < ARRAY_LEN(next); i++)
        if (next[i] > r->toc.series && next[i] < end) end = next[i];
    return end;
}

errc index_reader_series_walk(struct index_reader *r, postings_list *out, struct err *e)
{
    SCOPED(index_series_fini) struct index_series s = { 0 };
    uint64_t step = r->version == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN, end = series_end(r);
    bool gap = false;
    if (!r->toc.series) return OK;
    for (uint64_t at = (r->toc.series + step - 1) / step * step; at < end;) {
        size_t used = 0;
        errc rc = series_at(r->reader, at, true, &s, &used, e);
        if (rc != OK && rc != ERR_CORRUPT) return rc;
        if (rc == OK || !gap) vec_push(out, (uint32_t)(at / step));
        gap = rc != OK;
        at += rc == OK ? (used + step - 1) / step * step : step;
    }
    return OK;
}

/* Postings. */

static errc postings_look(
    struct index_reader *r, uint64_t at, postings_list *out, uint64_t *n, struct err *e)
{
    uint64_t size = reader_size(r->reader);
    struct pin pin = { 0 };
    TRY(reader_pin(r->reader, at, (size_t)MIN(size - at, (uint64_t)GUESS_BYTES), &pin, e));
    cursor c = cur_of(pin.bytes);
    *n = (uint64_t)cur_be32(&c) + SECTION_HEAD_BYTES + INDEX_CRC_BYTES;
    if (*n > pin.bytes.n && *n <= size - at) {
        TRY(reader_unpin(&pin, e));
        TRY(reader_pin(r->reader, at, (size_t)*n, &pin, e));
    }
    str body, refs;
    errc rc = index_section_body(pin.bytes, true, &body, e);
    if (rc == OK) rc = index_postings_decode(body, &refs, e);
    if (rc == OK) rc = postings_from_be(out, refs, e);
    return unpin_after(&pin, rc, e);
}

static errc postings_at(struct index_reader *r, uint64_t at, postings_list *out, struct err *e)
{
    size_t before = out->n;
    if (at < INDEX_HEADER_BYTES || at > reader_size(r->reader) - INDEX_TOC_BYTES)
        return err_set(e, ERR_CORRUPT, "beyond the file");
    for (unsigned tries = 0;; tries++) {
        uint64_t n = 0;
        errc rc = postings_look(r, at, out, &n, e);
        if (rc != ERR_CORRUPT || !again(r->reader, tries, at, GUESS_BYTES, n)) return rc;
        out->n = before;
    }
}

errc index_reader_postings_at(
    struct index_reader *r, uint64_t offset, postings_list *out, struct err *e)
{
    TRY_IN(e, postings_at(r, offset, out, e), "index: postings at %" PRIu64, offset);
    return OK;
}

static const struct name_entry *name_find(const struct index_reader *r, str name)
{
    size_t lo = 0, hi = r->names.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = str_cmp(r->names.at[mid].name, name);
        if (order == 0) return &r->names.at[mid];
        if (order < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

void index_reader_names(const struct index_reader *r, str_list *out)
{
    for (size_t i = 0; i < r->names.n; i++) vec_push(out, r->names.at[i].name);
}

bool index_reader_has_name(const struct index_reader *r, str name)
{
    return name_find(r, name) != NULL;
}

/* The entries of a group of a name. */
static errc group_pin(
    struct index_reader *r, const struct name_entry *n, uint32_t g, struct pin *out, struct err *e)
{
    uint64_t from = r->table_begin + r->groups.at[n->first + g];
    uint64_t to = g + 1 < n->n ? r->table_begin + r->groups.at[n->first + g + 1] : n->end;
    return reader_pin(r->reader, from, (size_t)(to - from), out, e);
}

static errc group_cut(struct err *e, str name)
{
    return err_set(e, ERR_CORRUPT,
        "index: postings offset table: the entries of %.*s are cut short", STR_ARG(name));
}

/* The last group whose first value is <= value; 0 if there is none. */
static errc group_find(
    struct index_reader *r, const struct name_entry *n, str value, uint32_t *out, struct err *e)
{
    uint32_t lo = 0, hi = n->n;
    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct pin pin = { 0 };
        struct index_entry x;
        TRY(group_pin(r, n, mid, &pin, e));
        cursor c = cur_of(pin.bytes);
        bool good = index_entry_next(&c, &x) && str_eq(x.name, n->name);
        bool before = good && str_cmp(x.value, value) <= 0;
        TRY(unpin_after(&pin, good ? OK : group_cut(e, n->name), e));
        if (before) lo = mid;
        else hi = mid;
    }
    *out = lo;
    return OK;
}

static errc values_v1(
    struct index_reader *r, const struct name_entry *n, str from, index_value_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < n->n; i++) {
        const struct index_entry *x = &r->v1.at[n->first + i];
        if (str_cmp(x->value, from) >= 0 && !fn(ctx, x->value, x->offset)) break;
    }
    return OK;
}

static errc values_of_group(struct index_reader *r, const struct name_entry *n, uint32_t g,
    str from, index_value_fn fn, void *ctx, bool *more, struct err *e)
{
    struct pin pin = { 0 };
    TRY(group_pin(r, n, g, &pin, e));
    cursor c = cur_of(pin.bytes);
    struct index_entry x;
    errc rc = OK;
    while (rc == OK && *more && cur_left(&c)) {
        if (!index_entry_next(&c, &x) || !str_eq(x.name, n->name)) rc = group_cut(e, n->name);
        else if (str_cmp(x.value, from) >= 0) *more = fn(ctx, x.value, x.offset);
    }
    return unpin_after(&pin, rc, e);
}

errc index_reader_values(
    struct index_reader *r, str name, str from, index_value_fn fn, void *ctx, struct err *e)
{
    const struct name_entry *n = name_find(r, name);
    if (!n) return OK;
    if (r->version == INDEX_V1) return values_v1(r, n, from, fn, ctx);
    uint32_t g = 0;
    bool more = true;
    if (from.n) TRY(group_find(r, n, from, &g, e));
    for (; more && g < n->n; g++) TRY(values_of_group(r, n, g, from, fn, ctx, &more, e));
    return OK;
}

struct value_wanted { str value; struct index_list at; bool found; };

/* The first one >= the wanted is it or none is; the one behind it tells where it ends. */
static bool value_is(void *ctx, str value, uint64_t offset)
{
    struct value_wanted *w = ctx;
    if (w->found) w->at.end = offset;
    else if (str_eq(value, w->value)) w->at.offset = offset;
    else return false;
    bool more = !w->found;
    w->found = true;
    return more;
}

errc index_reader_find(struct index_reader *r, str name, str value, struct index_list *out,
    bool *found, struct err *e)
{
    struct value_wanted want = { .value = value };
    if (!name.n) {
        want.at.offset = r->all_offset;
        want.found = r->has_all && !value.n;
    } else {
        TRY(index_reader_values(r, name, value, value_is, &want, e));
    }
    *out = want.at;
    *found = want.found;
    return OK;
}

errc index_reader_postings(
    struct index_reader *r, str name, str value, postings_list *out, struct err *e)
{
    struct index_list at;
    bool found;
    TRY(index_reader_find(r, name, value, &at, &found, e));
    return found ? index_reader_postings_at(r, at.offset, out, e) : OK;
}

/* What is read soon. */

bool index_reader_far(const struct index_reader *r) { return reader_far(r->reader); }

void index_reader_want_list(struct index_reader *r, const struct index_list *l)
{
    uint64_t n = l->end > l->offset ? l->end - l->offset : GUESS_BYTES;
    if (!reader_far(r->reader) || n > WANT_LIST_BYTES_MAX) return; /* long ones go alone */
    reader_want(r->reader, l->offset, MAX(n, (uint64_t)GUESS_BYTES));
}

void index_reader_want_series(struct index_reader *r, const uint32_t *refs, size_t n)
{
    uint64_t step = r->version == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN;
    if (!reader_far(r->reader)) return;
    for (size_t i = 0, k; i < n; i = k) {
        uint64_t from = refs[i] * step, to = from + GUESS_SERIES_BYTES;
        for (k = i + 1; k < n && refs[k] > refs[k - 1]; k++) {
            if (refs[k] * step > to + WANT_GAP_BYTES) break;
            to = refs[k] * step + GUESS_SERIES_BYTES;
        }
        reader_want(r->reader, from, to - from);
    }
}
