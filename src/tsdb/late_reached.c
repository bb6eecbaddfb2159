#include "tsdb/late_reached.h"

#include "head/ooo_compact.h"
#include "io/fs.h"
#include "tsdb/recover.h"

#define REACHED_FILE S("late.reached")
enum { REACHED_MAX_BYTES = 128 };

errc late_reached_note(struct fs *fs, const struct ooo_span *s, struct err *e)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    if (s->mint > s->maxt) return OK;
    buf_u64_text(&text, s->last_ref);
    buf_u8(&text, ' ');
    buf_u64_text(&text, s->last.series);
    buf_u8(&text, ' ');
    buf_i64_text(&text, s->last.mint);
    buf_u8(&text, ' ');
    buf_i64_text(&text, s->last.maxt);
    buf_u8(&text, '\n');
    return fs_write_durable(fs, REACHED_FILE, buf_view(&text), e);
}

static str word_take(str *rest)
{
    size_t n = str_index(*rest, ' ');
    str word = str_slice(*rest, 0, MIN(n, rest->n));
    *rest = str_from(*rest, MIN(word.n + 1, rest->n));
    return word;
}

uint64_t late_reached(struct fs *fs, const struct recover_chunks *chunks)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str text;
    uint64_t ref, series;
    int64_t mint, maxt;
    if (!fs_exists(fs, REACHED_FILE) ||
        fs_read_all(fs, REACHED_FILE, &a, REACHED_MAX_BYTES, &text, NULL) != OK)
        return 0;
    text = str_trim(text);
    if (!str_u64(word_take(&text), &ref) || !str_u64(word_take(&text), &series) ||
        !str_i64(word_take(&text), &mint) || !str_i64(word_take(&text), &maxt))
        return 0;
    for (size_t i = 0; i < chunks->all.n; i++) {
        const struct chunk_found *c = &chunks->all.at[i];
        if (c->ooo && c->ref == ref)
            return c->series == series && c->mint == mint && c->maxt == maxt ? ref : 0;
    }
    return 0;
}
