#include "model/labels.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <xxhash.h>

enum { HASH_ROOM = 1024, SIZE_LONG = 255 };

static const struct label *labels_find(struct labels l, str name)
{
    for (size_t i = 0; i < l.n; i++)
        if (str_eq(l.at[i].name, name)) return &l.at[i];
    return NULL;
}

str labels_get(struct labels l, str name)
{
    const struct label *at = labels_find(l, name);
    return at ? at->value : STR_EMPTY;
}

bool labels_has(struct labels l, str name) { return labels_find(l, name) != NULL; }

int labels_cmp(struct labels a, struct labels b)
{
    size_t n = MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        int c = str_cmp(a.at[i].name, b.at[i].name);
        if (c == 0) c = str_cmp(a.at[i].value, b.at[i].value);
        if (c != 0) return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool labels_eq(struct labels a, struct labels b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (!str_eq(a.at[i].name, b.at[i].name) || !str_eq(a.at[i].value, b.at[i].value))
            return false;
    return true;
}

static str copy_to(uint8_t **at, str s)
{
    str copy = { *at, s.n };
    if (s.n) memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

struct labels labels_copy(struct arena *a, struct labels l)
{
    size_t bytes = 0;
    for (size_t i = 0; i < l.n; i++) bytes += l.at[i].name.n + l.at[i].value.n;
    struct label *pairs = arena_array(a, l.n, sizeof(*pairs));
    uint8_t *at = arena_alloc(a, bytes);
    for (size_t i = 0; i < l.n; i++) {
        pairs[i].name = copy_to(&at, l.at[i].name);
        pairs[i].value = copy_to(&at, l.at[i].value);
    }
    return (struct labels){ pairs, l.n };
}

/* --- hashes: XXH64 over one run of bytes, whose form differs --- */

static uint8_t *put_str(uint8_t *at, str s)
{
    if (s.n) memcpy(at, s.p, s.n);
    return at + s.n;
}

/* Length in a byte, or 255 and three bytes, least first; then the bytes. */
static uint8_t *put_flat(uint8_t *at, str s)
{
    if (s.n < SIZE_LONG) {
        *at++ = (uint8_t)s.n;
    } else {
        *at++ = SIZE_LONG;
        for (unsigned shift = 0; shift < 24; shift += 8) *at++ = (uint8_t)(s.n >> shift);
    }
    return put_str(at, s);
}

static uint8_t *put_separated(uint8_t *at, str s)
{
    at = put_str(at, s);
    *at++ = 0xff;
    return at;
}

static uint64_t labels_hash_form(struct labels l, uint8_t *(*put)(uint8_t *at, str s))
{
    uint8_t room[HASH_ROOM];
    size_t most = 0;
    for (size_t i = 0; i < l.n; i++) most += l.at[i].name.n + l.at[i].value.n + 8;
    SCOPED(mem_freep) uint8_t *heap = most > sizeof(room) ? mem_alloc(most) : NULL;
    uint8_t *start = heap ? heap : room, *at = start;
    for (size_t i = 0; i < l.n; i++) at = put(put(at, l.at[i].name), l.at[i].value);
    return XXH64(start, (size_t)(at - start), 0);
}

uint64_t labels_hash(struct labels l) { return labels_hash_form(l, put_flat); }
uint64_t labels_stable_hash(struct labels l) { return labels_hash_form(l, put_separated); }

void buf_label_name(struct buf *b, str name)
{
    if (label_name_valid_legacy(name)) buf_str(b, name);
    else buf_go_quote(b, name);
}

void buf_labels(struct buf *b, struct labels l)
{
    buf_u8(b, '{');
    for (size_t i = 0; i < l.n; i++) {
        if (i > 0) buf_str(b, S(", "));
        buf_label_name(b, l.at[i].name);
        buf_u8(b, '=');
        buf_go_quote(b, l.at[i].value);
    }
    buf_u8(b, '}');
}

/* --- parts of a set --- */

/* Both are sorted: one walk. */
static struct labels labels_pick(
    struct arena *a, struct labels l, const str *names, size_t n, bool keep)
{
    struct label *at = arena_array(a, l.n, sizeof(*at));
    size_t kept = 0, j = 0;
    for (size_t i = 0; i < l.n; i++) {
        while (j < n && str_cmp(names[j], l.at[i].name) < 0) j++;
        bool named = j < n && str_eq(names[j], l.at[i].name);
        if (named == keep) at[kept++] = l.at[i];
    }
    return (struct labels){ at, kept };
}

struct labels labels_without(struct arena *a, struct labels l, const str *names, size_t n)
{
    return labels_pick(a, l, names, n, false);
}
struct labels labels_only(struct arena *a, struct labels l, const str *names, size_t n)
{
    return labels_pick(a, l, names, n, true);
}

struct labels labels_without_name(struct arena *a, struct labels l)
{
    return labels_has(l, METRIC_NAME) ? labels_without(a, l, &METRIC_NAME, 1) : l;
}

struct labels labels_join(struct arena *a, struct labels first, struct labels second)
{
    if (!second.n) return first;
    struct label *at = arena_array(a, first.n + second.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0, k = 0; i < first.n || k < second.n;) {
        int order = i == first.n    ? 1
                    : k == second.n ? -1
                                    : str_cmp(first.at[i].name, second.at[k].name);
        at[n++] = order <= 0 ? first.at[i] : second.at[k];
        i += order <= 0;
        k += order >= 0;
    }
    return (struct labels){ at, n };
}

/* --- builder --- */

void labels_builder_init(struct labels_builder *lb, struct arena *a)
{
    *lb = (struct labels_builder){ .a = a };
}

void labels_builder_from(struct labels_builder *lb, struct labels base)
{
    lb->pairs.n = 0;
    for (size_t i = 0; i < base.n; i++) avec_push(lb->a, &lb->pairs, base.at[i]);
    lb->n_base = base.n;
}

static size_t builder_index(const struct labels_builder *lb, str name)
{
    size_t i = 0;
    while (i < lb->pairs.n && !str_eq(lb->pairs.at[i].name, name)) i++;
    return i;
}

static void builder_remove(struct labels_builder *lb, size_t i)
{
    struct label *at = &lb->pairs.at[i];
    memmove(at, at + 1, (--lb->pairs.n - i) * sizeof(*at));
    lb->n_base -= i < lb->n_base;
}

void labels_builder_set(struct labels_builder *lb, str name, str value)
{
    if (value.n == 0) {
        labels_builder_del(lb, name);
        return;
    }
    size_t i = builder_index(lb, name);
    if (i < lb->pairs.n && i >= lb->n_base) {
        lb->pairs.at[i].value = value;
        return;
    }
    if (i < lb->pairs.n) builder_remove(lb, i);
    avec_push(lb->a, &lb->pairs, ((struct label){ name, value }));
}

void labels_builder_del(struct labels_builder *lb, str name)
{
    size_t i = builder_index(lb, name);
    if (i < lb->pairs.n) builder_remove(lb, i);
}

str labels_builder_get(const struct labels_builder *lb, str name)
{
    size_t i = builder_index(lb, name);
    return i < lb->pairs.n ? lb->pairs.at[i].value : STR_EMPTY;
}

static int label_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Sets are small and mostly sorted already. */
static void labels_sort(struct label *at, size_t n)
{
    enum { INSERTION_MAX = 32 };
    if (n > INSERTION_MAX) {
        qsort(at, n, sizeof(*at), label_cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct label x = at[i];
        size_t j = i;
        for (; j > 0 && str_cmp(x.name, at[j - 1].name) < 0; j--) at[j] = at[j - 1];
        at[j] = x;
    }
}

struct labels labels_builder_done(struct labels_builder *lb)
{
    struct label *at = arena_array(lb->a, lb->pairs.n, sizeof(*at));
    size_t n = 0;
    for (size_t i = 0; i < lb->pairs.n; i++)
        if (lb->pairs.at[i].value.n > 0) at[n++] = lb->pairs.at[i];
    labels_sort(at, n);
    return (struct labels){ at, n };
}

/* --- validity --- */

static bool name_legacy(str name, bool colons)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i], low = c | 0x20;
        bool letter = (low >= 'a' && low <= 'z') || c == '_' || (colons && c == ':');
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return name.n > 0;
}

bool label_name_valid_legacy(str name) { return name_legacy(name, false); }
bool metric_name_valid_legacy(str name) { return name_legacy(name, true); }
bool label_name_valid_utf8(str name) { return name.n > 0 && utf8_valid(name); }

bool labels_valid(struct labels l, bool utf8)
{
    for (size_t i = 0; i < l.n; i++) {
        str name = l.at[i].name, value = l.at[i].value;
        if (!(utf8 ? label_name_valid_utf8(name) : label_name_valid_legacy(name)) ||
            !utf8_valid(value))
            return false;
        if (!str_eq(name, METRIC_NAME)) continue;
        if (!(utf8 ? label_name_valid_utf8(value) : metric_name_valid_legacy(value))) return false;
    }
    return true;
}
