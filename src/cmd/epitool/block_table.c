#include "cmd/epitool/block_table.h"

#include "base/rfc3339.h"
#include "model/duration.h"
#include "model/size.h"

enum { COLUMNS = 8, CELL_MIN = 13, GAP = 2, NS_PER_MS = 1000000, MS_PER_S = 1000 };

static str time_text(struct arena *a, int64_t ms, bool human)
{
    if (!human) return arena_fmt(a, "%" PRId64, ms);
    struct civil c = civil_of(ms / MS_PER_S);
    return arena_fmt(a, "%04d-%02u-%02u %02u:%02u:%02u +0000 UTC", c.year, c.month, c.day, c.hour,
        c.minute, c.second);
}

static str bytes_text(struct arena *a, uint64_t bytes, bool human)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    if (human) buf_size(&b, (int64_t)bytes);
    else buf_u64_text(&b, bytes);
    return arena_str(a, buf_view(&b));
}

static str duration_text(struct arena *a, const struct block_meta *m)
{
    SCOPED(buf_fini) struct buf b = { 0 };
    buf_go_duration(&b, (int64_t)(((uint64_t)m->maxt - (uint64_t)m->mint) * NS_PER_MS));
    return arena_str(a, buf_view(&b));
}

static void row_text(struct arena *a, const struct block_row *r, bool human, str cells[COLUMNS])
{
    const struct block_meta *m = &r->meta;
    const str all[COLUMNS] = { arena_fmt(a, "%s", ulid_text(m->id).z), time_text(a, m->mint, human),
        time_text(a, m->maxt, human), duration_text(a, m),
        arena_fmt(a, "%" PRIu64, m->stats.samples), arena_fmt(a, "%" PRIu64, m->stats.chunks),
        arena_fmt(a, "%" PRIu64, m->stats.series), bytes_text(a, r->bytes, human) };
    memcpy(cells, all, sizeof(all));
}

void block_table(
    struct buf *b, const struct block_row *rows, size_t n, bool header, bool human_readable)
{
    static const str names[COLUMNS] = { S("BLOCK ULID"), S("MIN TIME"), S("MAX TIME"),
        S("DURATION"), S("NUM SAMPLES"), S("NUM CHUNKS"), S("NUM SERIES"), S("SIZE") };
    SCOPED(arena_fini) struct arena a = { 0 };
    str(*cells)[COLUMNS] = arena_array(&a, n + 1, sizeof(*cells));
    size_t lines = 0, width[COLUMNS];
    if (header) memcpy(cells[lines++], names, sizeof(names));
    for (size_t i = 0; i < n; i++) row_text(&a, &rows[i], human_readable, cells[lines++]);
    for (size_t c = 0; c < COLUMNS; c++) {
        width[c] = CELL_MIN;
        for (size_t i = 0; i < lines; i++) width[c] = MAX(width[c], cells[i][c].n + GAP);
    }
    for (size_t i = 0; i < lines; i++)
        for (size_t c = 0; c < COLUMNS; c++) {
            if (c + 1 == COLUMNS) buf_fmt(b, "%.*s\n", STR_ARG(cells[i][c]));
            else buf_fmt(b, "%-*.*s", (int)width[c], STR_ARG(cells[i][c]));
        }
}
