/* index_writer.c — postings within a bound of memory.
 *
 * The file has the symbols first, then the series, and at the end a list of series for every pair
 * of name and value. While series pass, (value, ref) of each label is kept by its name. Lists for
 * ten million series do not fit in memory: where it would be too much, what was kept is dropped,
 * only their number by name is counted, and the series section is read again afterwards: each walk
 * gathers the pairs of as many names as the memory allows. The pairs of a name are sorted, and its
 * lists written. Symbols are in order, so their numbers sort as their texts do. Every list is a
 * multiple of 4 bytes long: only the first one needs padding, and the offsets in the table at the
 * end follow from the lengths.
 */
#include "block/index_writer.h"

#include "base/crc32c.h"
#include "base/fault.h"
#include "base/map.h"
#include "io/out.h"

#include <stdlib.h>

enum {
    POSTINGS_BYTES = 32 << 20,
    BYTES_PER_POSTING = 16,
    PAGE_PAIRS_MIN = 16,
    PAGE_PAIRS_MAX = 1024,
    WALK_BYTES = 1 << 20,
    RADIX_BITS = 11,
    SYMBOLS_MIN = 1024
};

ACCOUNT(index_writer_account, "block_index_writer")

/* A pair: value << 32 | ref. Those of a name lie in pages, so that none moves as they grow. */
struct pairs_page { struct pairs_page *before; size_t n, cap; uint64_t at[]; };
struct name_pairs { uint32_t name; uint64_t n; struct pairs_page *last; };
struct list_len { uint32_t value, n; };
struct gathered { uint32_t name; VEC(uint64_t) pairs; };

struct index_writer {
    struct out out;
    size_t postings_bytes_max;
    struct index_toc toc;
    struct buf symbols;                        /* as in the file: lengths and bytes */
    VEC(uint32_t) symbol_at;                   /* place of each in `symbols` */
    uint32_t *table;                           /* hash -> symbol + 1 */
    size_t table_cap;
    bool in_series;
    uint64_t n_series, series_end, last_chunk_ref;
    label_num_list last, cur;                  /* labels of the series before, and of this one */
    VEC(struct name_pairs) names;              /* by name */
    bool kept;                                 /* all pairs are there, and the refs of all series */
    size_t kept_bytes;
    VEC(uint32_t) refs;
    VEC(struct list_len) lists;                /* of all names, in the file's order */
    VEC(size_t) lists_of;                      /* where those of names.at[i] end in `lists` */
};

errc index_writer_open(struct index_writer **out, const struct index_writer_opts *o, struct err *e)
{
    struct index_writer *w = NEW(struct index_writer);
    w->postings_bytes_max = o->postings_bytes_max ? o->postings_bytes_max : POSTINGS_BYTES;
    w->kept = true;
    buf_init(&w->symbols, &index_writer_account, UINT32_MAX);
    errc rc = out_open(&w->out, o->fs, o->path, e);
    if (rc != OK) {
        index_writer_close(w);
        return rc;
    }
    index_header_encode(out_buf(&w->out));
    *out = w;
    return OK;
}

static void keep_bytes(struct index_writer *w, size_t n)
{
    w->kept_bytes += n;
    account_charge(&index_writer_account, (int64_t)n);
}

static void pages_free(struct name_pairs *p)
{
    for (struct pairs_page *was; (was = p->last) != NULL; mem_free(was)) p->last = was->before;
}

static void pairs_drop(struct index_writer *w)
{
    account_charge(&index_writer_account, -(int64_t)w->kept_bytes);
    w->kept_bytes = 0;
    w->kept = false;
    for (size_t i = 0; i < w->names.n; i++) pages_free(&w->names.at[i]);
    vec_fini(&w->refs);
}

void index_writer_close(struct index_writer *w)
{
    if (!w) return;
    out_close(&w->out);
    buf_fini(&w->symbols);
    vec_fini(&w->symbol_at);
    mem_free(w->table);
    vec_fini(&w->last);
    vec_fini(&w->cur);
    pairs_drop(w);
    vec_fini(&w->names);
    vec_fini(&w->lists);
    vec_fini(&w->lists_of);
    mem_free(w);
}

uint64_t index_writer_bytes(const struct index_writer *w) { return out_at(&w->out); }

/* Symbols. */

static str symbol_text(const struct index_writer *w, uint32_t i)
{
    cursor c = cur_of(str_from(buf_view(&w->symbols), w->symbol_at.at[i]));
    return cur_lenstr(&c);
}

errc index_writer_symbol(struct index_writer *w, str symbol, struct err *e)
{
    if (w->in_series) return err_set(e, ERR_BAD_INPUT, "index: a symbol after the first series");
    uint32_t n = (uint32_t)w->symbol_at.n;
    if (n && str_cmp(symbol_text(w, n - 1), symbol) >= 0)
        return err_set(e, ERR_BAD_INPUT, "index: symbol %u is not in order", n);
    vec_push(&w->symbol_at, (uint32_t)w->symbols.n);
    buf_lenstr(&w->symbols, symbol);
    if (!buf_ok(&w->symbols) || n == UINT32_MAX - 1)
        return err_set(e, ERR_LIMIT, "index: more than 4 GiB of symbols");
    return OK;
}

static errc symbols_end(struct index_writer *w, struct err *e)
{
    struct buf *b = out_buf(&w->out);
    uint32_t n = (uint32_t)w->symbol_at.n, count_be = __builtin_bswap32(n);
    w->toc.symbols = out_at(&w->out);
    if (w->symbols.n > UINT32_MAX - sizeof(count_be))
        return err_set(e, ERR_LIMIT, "index: more than 4 GiB of symbols");
    buf_be32(b, (uint32_t)(w->symbols.n + sizeof(count_be)));
    buf_be32(b, n);
    buf_str(b, buf_view(&w->symbols));
    buf_be32(b, crc32c(crc32c(0, &count_be, sizeof(count_be)), w->symbols.p, w->symbols.n));
    w->toc.series = out_at(&w->out);
    w->in_series = true;
    return OK;
}

/* Only labels that come as texts need it. */
static void table_make(struct index_writer *w)
{
    uint32_t n = (uint32_t)w->symbol_at.n;
    w->table_cap = SYMBOLS_MIN;
    while (w->table_cap < 2 * (size_t)n) w->table_cap *= 2;
    w->table = mem_zalloc(w->table_cap * sizeof(*w->table));
    for (uint32_t i = 0; i < n; i++) {
        str s = symbol_text(w, i);
        size_t at = hash_bytes(s.p, s.n) & (w->table_cap - 1);
        while (w->table[at]) at = (at + 1) & (w->table_cap - 1);
        w->table[at] = i + 1;
    }
}

static bool symbol_find(const struct index_writer *w, str s, uint32_t *out)
{
    for (size_t at = hash_bytes(s.p, s.n) & (w->table_cap - 1); w->table[at];
         at = (at + 1) & (w->table_cap - 1)) {
        *out = w->table[at] - 1;
        if (str_eq(symbol_text(w, *out), s)) return true;
    }
    return false;
}

/* Series that follow each other have most of their labels in common: what stood at this place is
 * tried first. */
static bool symbol_near(const struct index_writer *w, uint32_t guess, str s, uint32_t *out)
{
    if (guess < w->symbol_at.n && str_eq(symbol_text(w, guess), s)) {
        *out = guess;
        return true;
    }
    return symbol_find(w, s, out);
}

static errc labels_resolve(struct index_writer *w, struct labels l, struct err *e)
{
    if (!w->table) table_make(w);
    w->cur.n = 0;
    for (size_t i = 0; i < l.n; i++) {
        struct label_num near = i < w->last.n ? w->last.at[i]
                                                : (struct label_num){ UINT32_MAX, UINT32_MAX },
                           p = { 0 };
        if (!symbol_near(w, near.name, l.at[i].name, &p.name) ||
            !symbol_near(w, near.value, l.at[i].value, &p.value))
            return err_set(e, ERR_BAD_INPUT, "index: a label that is no symbol");
        vec_push(&w->cur, p);
    }
    return OK;
}

/* Series. */

static bool comes_after_last(const struct index_writer *w)
{
    struct label_nums last = { w->last.at, w->last.n }, cur = { w->cur.at, w->cur.n };
    return w->n_series == 0 || label_nums_cmp(last, cur) < 0;
}

static errc chunks_check(
    struct index_writer *w, const struct index_chunk *chunks, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        bool follows = i == 0 || chunks[i].mint > chunks[i - 1].maxt;
        if (chunks[i].maxt < chunks[i].mint || !follows)
            return err_set(e, ERR_BAD_INPUT, "index: chunks of a series are not in order");
        if (chunks[i].ref < w->last_chunk_ref)
            return err_set(e, ERR_BAD_INPUT, "index: chunk refs are not in order");
        w->last_chunk_ref = chunks[i].ref;
    }
    return OK;
}

/* The name's, anew if there is none; guess: its place, most likely. */
static struct name_pairs *name_of(struct index_writer *w, uint32_t name, size_t guess)
{
    size_t lo = 0, hi = w->names.n;
    if (guess < hi && w->names.at[guess].name == name) return &w->names.at[guess];
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->names.at[mid].name < name) lo = mid + 1;
        else hi = mid;
    }
    if (lo == w->names.n || w->names.at[lo].name != name) {
        vec_push(&w->names, (struct name_pairs){ 0 });
        memmove(&w->names.at[lo + 1], &w->names.at[lo],
            (w->names.n - 1 - lo) * sizeof(*w->names.at));
        w->names.at[lo] = (struct name_pairs){ .name = name };
    }
    return &w->names.at[lo];
}

static void pair_put(struct index_writer *w, struct name_pairs *p, uint64_t pair)
{
    struct pairs_page *last = p->last;
    if (!last || last->n == last->cap) {
        size_t cap = last ? MIN(2 * last->cap, (size_t)PAGE_PAIRS_MAX) : PAGE_PAIRS_MIN,
               bytes = sizeof(*last) + cap * sizeof(*last->at);
        p->last = mem_alloc(bytes);
        *p->last = (struct pairs_page){ last, 0, cap };
        last = p->last;
        keep_bytes(w, bytes);
    }
    last->at[last->n++] = pair;
}

static void count_postings(struct index_writer *w, uint32_t ref)
{
    size_t place = 0, most = 0;
    for (size_t i = 0; i < w->cur.n; i++) {
        struct label_num l = w->cur.at[i];
        struct name_pairs *p = name_of(w, l.name, place);
        place = (size_t)(p - w->names.at) + 1;
        p->n++;
        most = MAX(most, (size_t)p->n);
        if (w->kept) pair_put(w, p, (uint64_t)l.value << 32 | ref);
    }
    w->n_series++;
    if (!w->kept) return;
    vec_push(&w->refs, ref);
    keep_bytes(w, sizeof(ref));
    if (w->kept_bytes + most * BYTES_PER_POSTING > w->postings_bytes_max) pairs_drop(w);
}

/* The series of w->cur. */
static errc series_put(
    struct index_writer *w, const struct index_chunk *chunks, size_t n, struct err *e)
{
    if (!comes_after_last(w)) return err_set(e, ERR_BAD_INPUT, "index: series are not in order");
    TRY(chunks_check(w, chunks, n, e));
    out_pad(&w->out, INDEX_SERIES_ALIGN);
    uint64_t ref = out_at(&w->out) / INDEX_SERIES_ALIGN;
    if (ref > UINT32_MAX) return err_set(e, ERR_LIMIT, "index: more than 64 GiB of series");
    index_series_encode(
        out_buf(&w->out), (struct label_nums){ w->cur.at, w->cur.n }, chunks, n);
    count_postings(w, (uint32_t)ref);
    __typeof__(w->last) was = w->last;
    w->last = w->cur;
    w->cur = was;
    return out_step(&w->out, e);
}

errc index_writer_series(struct index_writer *w, struct labels labels,
    const struct index_chunk *chunks, size_t n, struct err *e)
{
    if (!w->in_series) TRY(symbols_end(w, e));
    TRY(labels_resolve(w, labels, e));
    return series_put(w, chunks, n, e);
}

errc index_writer_series_nums(struct index_writer *w, struct label_nums labels,
    const struct index_chunk *chunks, size_t n, struct err *e)
{
    if (!w->in_series) TRY(symbols_end(w, e));
    w->cur.n = 0;
    for (size_t i = 0; i < labels.n; i++) {
        if (labels.at[i].name >= w->symbol_at.n || labels.at[i].value >= w->symbol_at.n)
            return err_set(e, ERR_BAD_INPUT, "index: a label that is no symbol");
        vec_push(&w->cur, labels.at[i]);
    }
    return series_put(w, chunks, n, e);
}

/* Postings: the series once more. */

/* s NULL: only the places are asked for */
typedef errc (*series_fn)(void *ctx, uint32_t ref, const struct index_series *s, struct err *e);

static errc walk_window(struct index_writer *w, uint64_t *at, size_t *window, struct buf *b,
    struct index_series *s, series_fn fn, void *ctx, struct err *e)
{
    size_t got = 0, pos = 0;
    buf_reset(b);
    uint8_t *to = buf_room(b, *window);
    TRY(file_pread(
        w->out.file, to, (size_t)MIN((uint64_t)*window, w->series_end - *at), *at, &got, e));
    for (;;) {
        size_t pad = (size_t)(-(*at + pos) & (INDEX_SERIES_ALIGN - 1)), used = 0;
        if (*at + pos + pad >= w->series_end) {
            *at = w->series_end;
            return OK;
        }
        if (pos + pad >= got) break;
        str rest = str_of(to + pos + pad, got - pos - pad);
        size_t n = index_series_bytes(rest);
        if (n == 0 || n > rest.n) break;
        if (s) TRY(index_series_decode(s, rest, true, &used, e));
        TRY(fn(ctx, (uint32_t)((*at + pos + pad) / INDEX_SERIES_ALIGN), s, e));
        pos += pad + n;
    }
    if (pos == 0) *window *= 2;                /* one series is longer than that */
    *at += pos;
    return pos || got == *window / 2
               ? OK
               : err_set(e, ERR_CORRUPT, "index: the series just written do not read back");
}

static errc walk(struct index_writer *w, bool labels, series_fn fn, void *ctx, struct err *e)
{
    SCOPED(buf_fini) struct buf b = { .acc = &index_writer_account };
    SCOPED(index_series_fini) struct index_series s = { 0 };
    size_t window = WALK_BYTES;
    errc rc = OK;
    for (uint64_t at = w->toc.series; rc == OK && at < w->series_end;)
        rc = walk_window(w, &at, &window, &b, labels ? &s : NULL, fn, ctx, e);
    return rc;
}

struct all_list { struct index_writer *w; uint32_t crc; };

static errc all_add(void *ctx, uint32_t ref, const struct index_series *s, struct err *e)
{
    struct all_list *l = ctx;
    (void)s;
    uint32_t be = __builtin_bswap32(ref);
    l->crc = crc32c(l->crc, &be, sizeof(be));
    buf_be32(out_buf(&l->w->out), ref);
    return out_step(&l->w->out, e);
}

static errc all_write(struct index_writer *w, struct err *e)
{
    uint32_t n = (uint32_t)w->n_series, n_be = __builtin_bswap32(n);
    if (w->kept) {
        index_postings_encode(out_buf(&w->out), w->refs.at, n);
        return out_step(&w->out, e);
    }
    struct all_list l = { w, crc32c(0, &n_be, sizeof(n_be)) };
    buf_be32(out_buf(&w->out), 4 + 4 * n);
    buf_be32(out_buf(&w->out), n);
    TRY(walk(w, false, all_add, &l, e));
    buf_be32(out_buf(&w->out), l.crc);
    return OK;
}

struct gathering { struct gathered *names; size_t n; };

static errc gather(void *ctx, uint32_t ref, const struct index_series *s, struct err *e)
{
    struct gathering *g = ctx;
    (void)e;
    for (size_t i = 0, k = 0; i < s->labels.n && k < g->n; i++) {      /* both ascend */
        struct label_num p = s->labels.at[i];
        while (k < g->n && g->names[k].name < p.name) k++;
        if (k < g->n && g->names[k].name == p.name)
            vec_push(&g->names[k].pairs, (uint64_t)p.value << 32 | ref);
    }
    return OK;
}

/* By value; equal ones keep their order, which is that of the refs. */
static void sort_by_value(uint64_t *v, uint64_t *room, size_t n)
{
    uint64_t *from = v, *to = room;
    for (unsigned shift = 32; shift < 64; shift += RADIX_BITS) {
        size_t at[(1 << RADIX_BITS) + 1] = { 0 };
        unsigned mask = (1 << RADIX_BITS) - 1;
        for (size_t i = 0; i < n; i++) at[(from[i] >> shift & mask) + 1]++;
        if (at[(from[0] >> shift & mask) + 1] == n) continue;  /* all the same */
        for (size_t i = 1; i <= mask; i++) at[i] += at[i - 1];
        for (size_t i = 0; i < n; i++) to[at[from[i] >> shift & mask]++] = from[i];
        uint64_t *was = from;
        from = to;
        to = was;
    }
    if (from != v) memcpy(v, from, n * sizeof(*v));
}

/* Uses up pairs and room. */
static errc name_write(
    struct index_writer *w, uint64_t *pairs, size_t n, uint64_t *room, struct err *e)
{
    uint32_t *refs = (uint32_t *)room;         /* free again after the sort */
    if (n) sort_by_value(pairs, room, n);
    for (size_t i = 0, end; i < n; i = end) {
        uint32_t value = (uint32_t)(pairs[i] >> 32);
        for (end = i; end < n && pairs[end] >> 32 == value; end++)
            refs[end - i] = (uint32_t)pairs[end];
        index_postings_encode(out_buf(&w->out), refs, end - i);
        vec_push(&w->lists, ((struct list_len){ value, (uint32_t)(end - i) }));
        TRY(out_step(&w->out, e));
    }
    vec_push(&w->lists_of, w->lists.n);
    return OK;
}

/* The lists of all names, of what was kept. */
static errc kept_write(struct index_writer *w, struct err *e)
{
    size_t most = 0;
    errc rc = OK;
    for (size_t i = 0; i < w->names.n; i++) most = MAX(most, (size_t)w->names.at[i].n);
    account_charge(&index_writer_account, (int64_t)(most * BYTES_PER_POSTING));
    uint64_t *pairs = mem_alloc_array(most, sizeof(*pairs)),
             *room = mem_alloc_array(most, sizeof(*room));
    for (size_t i = 0; rc == OK && i < w->names.n; i++) {
        struct name_pairs *p = &w->names.at[i];
        uint64_t *at = pairs + p->n;
        for (const struct pairs_page *page = p->last; page; page = page->before) {
            at -= page->n;
            memcpy(at, page->at, page->n * sizeof(*at));
        }
        assert(at == pairs);
        pages_free(p);
        rc = name_write(w, pairs, (size_t)p->n, room, e);
    }
    account_charge(&index_writer_account, -(int64_t)(most * BYTES_PER_POSTING));
    mem_free(pairs);
    mem_free(room);
    return rc;
}

/* The lists of the names first … last - 1. */
static errc names_write(struct index_writer *w, size_t first, size_t last, struct err *e)
{
    struct gathering g = { mem_zalloc((last - first) * sizeof(*g.names)), last - first };
    size_t most = 0, total = 0;
    for (size_t i = 0; i < g.n; i++) {
        size_t n = (size_t)w->names.at[first + i].n;
        g.names[i].name = w->names.at[first + i].name;
        vec_reserve(&g.names[i].pairs, n);
        most = MAX(most, n);
        total += n;
    }
    account_charge(&index_writer_account, (int64_t)((total + most) * sizeof(uint64_t)));
    uint64_t *room = mem_alloc_array(most, sizeof(*room));
    errc rc = walk(w, true, gather, &g, e);
    for (size_t i = 0; i < g.n; i++) {
        if (rc == OK) rc = name_write(w, g.names[i].pairs.at, g.names[i].pairs.n, room, e);
        vec_fini(&g.names[i].pairs);
    }
    account_charge(&index_writer_account, -(int64_t)((total + most) * sizeof(uint64_t)));
    mem_free(room);
    mem_free(g.names);
    return rc;
}

static errc lists_write(struct index_writer *w, struct err *e)
{
    out_pad(&w->out, INDEX_POSTINGS_ALIGN);
    TRY(out_flush(&w->out, e));
    TRY(all_write(w, e));
    if (w->kept) return kept_write(w, e);
    for (size_t i = 0, end; i < w->names.n; i = end) {
        size_t bytes = 0;
        for (end = i; end < w->names.n; end++) {
            bytes += (size_t)w->names.at[end].n * BYTES_PER_POSTING;
            if (end > i && bytes > w->postings_bytes_max) break;
        }
        TRY(names_write(w, i, end, e));
    }
    return OK;
}

static uint64_t list_bytes(uint64_t n) { return 4 + 4 + 4 * n + INDEX_CRC_BYTES; }

/* One entry after the other, its checksum counted along: the table may be longer than what waits to
 * be written. */
static errc entry_write(
    struct index_writer *w, const struct index_entry *entry, uint32_t *crc, struct err *e)
{
    size_t from = out_buf(&w->out)->n;
    index_entry_encode(out_buf(&w->out), entry);
    str bytes = str_from(buf_view(out_buf(&w->out)), from);
    *crc = crc32c(*crc, bytes.p, bytes.n);
    return out_step(&w->out, e);
}

static errc table_write(struct index_writer *w, uint64_t offset, struct err *e)
{
    uint64_t at = out_at(&w->out);
    uint32_t n = (uint32_t)w->lists.n + 1, n_be = __builtin_bswap32(n),
             crc = crc32c(0, &n_be, sizeof(n_be));
    buf_be32(out_buf(&w->out), 0);             /* the length, patched below */
    buf_be32(out_buf(&w->out), n);
    TRY(entry_write(w, &(struct index_entry){ .offset = offset }, &crc, e));
    offset += list_bytes(w->n_series);
    for (size_t name = 0, i = 0; name < w->names.n; name++) {
        str name_text = symbol_text(w, w->names.at[name].name);
        for (; i < w->lists_of.at[name]; i++) {
            struct index_entry x = { name_text, symbol_text(w, w->lists.at[i].value), offset };
            TRY(entry_write(w, &x, &crc, e));
            offset += list_bytes(w->lists.at[i].n);
        }
    }
    assert(offset == at);
    uint64_t len = out_at(&w->out) - at - 4;
    if (len > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "index: more than 4 GiB of postings offsets");
    uint32_t len_be = __builtin_bswap32((uint32_t)len);
    buf_be32(out_buf(&w->out), crc);
    return out_patch(&w->out, at, str_of(&len_be, sizeof(len_be)), e);
}

errc index_writer_finish(struct index_writer *w, struct err *e)
{
    if (!w->in_series) TRY(symbols_end(w, e));
    w->series_end = w->toc.label_indices = w->toc.postings = out_at(&w->out);
    uint64_t first_list =
        (out_at(&w->out) + INDEX_POSTINGS_ALIGN - 1) / INDEX_POSTINGS_ALIGN * INDEX_POSTINGS_ALIGN;
    TRY(lists_write(w, e));
    w->toc.label_table = w->toc.postings_table = out_at(&w->out);
    TRY(table_write(w, first_list, e));
    index_toc_encode(out_buf(&w->out), &w->toc);
    return fault_dropped("block.index_fsync") ? out_flush(&w->out, e) : out_sync(&w->out, e);
}
