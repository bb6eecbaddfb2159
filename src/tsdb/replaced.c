#include "tsdb/replaced.h"

#include "io/fs.h"

enum { FILE_MAX_BYTES = 16 << 20, KEPT_BYTES = 1 << 20 };

static str word_take(str *rest, char end)
{
    size_t n = str_index(*rest, end);
    str word = str_slice(*rest, 0, MIN(n, rest->n));
    *rest = str_from(*rest, MIN(word.n + 1, rest->n));
    return word;
}

static void put_line(struct buf *b, const struct block_meta *m)
{
    buf_fmt(b, "%s %" PRIu32, ulid_text(m->id).z, m->level);
    for (size_t i = 0; i < m->n_sources; i++) buf_fmt(b, " %s", ulid_text(m->sources[i]).z);
    buf_u8(b, '\n');
}

static bool line_parse(struct block_meta *out, str line, struct arena *a)
{
    uint64_t level;
    *out = (struct block_meta){ 0 };
    if (!ulid_parse(word_take(&line, ' '), &out->id)) return false;
    if (!str_u64(word_take(&line, ' '), &level) || level > UINT32_MAX) return false;
    ulid *sources = arena_array(a, line.n / ULID_CHARS + 1, sizeof(*sources));
    size_t n = 0;
    while (line.n)
        if (!ulid_parse(word_take(&line, ' '), &sources[n++])) return false;
    out->level = (uint32_t)level;
    out->sources = sources;
    out->n_sources = n;
    return true;
}

static errc read_text(str *out, struct fs *fs, str path, struct arena *a, struct err *e)
{
    *out = STR_EMPTY;
    if (!fs_exists(fs, path)) return OK;
    return fs_read_all(fs, path, a, FILE_MAX_BYTES, out, e);
}

/* The newest lines that there is room for. */
static str newest(str text)
{
    size_t over = text.n > KEPT_BYTES ? text.n - KEPT_BYTES : 0, n;
    if (!over) return text;
    text = str_from(text, over);
    n = str_index(text, '\n');
    return n == SIZE_MAX ? STR_EMPTY : str_from(text, n + 1);
}

errc replaced_note(
    struct fs *fs, const struct block_meta *const *all, size_t n, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(buf_fini) struct buf text = { 0 };
    str before;
    if (!n) return OK;
    TRY(read_text(&before, fs, REPLACED_FILE, &a, e));
    buf_str(&text, newest(before));
    if (text.n && text.p[text.n - 1] != '\n') buf_u8(&text, '\n');
    for (size_t i = 0; i < n; i++) put_line(&text, all[i]);
    return fs_write_durable(fs, REPLACED_FILE, buf_view(&text), e);
}

errc replaced_read(replaced_list *out, struct fs *fs, str path, struct arena *a, struct err *e)
{
    str text;
    struct block_meta m;
    TRY(read_text(&text, fs, path, a, e));
    while (text.n)
        if (line_parse(&m, word_take(&text, '\n'), a)) vec_push(out, m);
    return OK;
}

static bool has(const struct block_meta *m, ulid id)
{
    for (size_t i = 0; i < m->n_sources; i++)
        if (ulid_eq(m->sources[i], id)) return true;
    return false;
}

bool replaced_by(const struct block_meta *y, const struct block_meta *x)
{
    for (size_t i = 0; i < x->n_sources; i++)
        if (!has(y, x->sources[i])) return false;
    return x->n_sources > 0 && y->level > x->level;
}
