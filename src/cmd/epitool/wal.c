/* wal.c — `epitool wal`: the segments of a log, one after the other, each read by itself: what
 * damage one holds ends that one only. */
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/jsonl.h"
#include "cmd/epitool/wal_lines.h"

#include "base/opts.h"

#include <stdio.h>

struct wal_args { str dir; int64_t first, last; bool salvage, fragments; };
static const struct opt wal_opts[] = {
    { "first", "N", "First segment.", OPT_AT(struct wal_args, first), &opt_int, .def = "0" },
    { "last", "N", "Last segment; the newest if it is not given.", OPT_AT(struct wal_args, last),
        &opt_int },
    { "salvage", .help = "Read on behind damage, and list each.", OPT_AT(struct wal_args, salvage),
        &opt_bool, .def = "false" },
    { "fragments", .help = "Show fragments and padding as they lie in the file.",
        OPT_AT(struct wal_args, fragments), &opt_bool, .def = "true" },
    { "dir", .help = "The folder wal, wbl or checkpoint.N.", OPT_AT(struct wal_args, dir), &opt_str,
        .flags = OPT_ARG | OPT_REQUIRED },
};

struct walk { const struct wal_args *args; struct fs *fs; str dir; struct buf line; FILE *out; };

static errc walk_write(struct walk *w, struct err *e)
{
    enum { PIECE_BYTES = 1 << 20 };
    /* text without NUL: what is below a space was escaped */
    str left = buf_view(&w->line);
    for (; left.n > 0; left = str_from(left, PIECE_BYTES))
        if (fprintf(w->out, "%.*s", STR_ARG(str_slice(left, 0, PIECE_BYTES))) < 0)
            return err_set(e, ERR_IO, "the output cannot be written");
    buf_reset(&w->line);
    return OK;
}

static void walk_error(struct walk *w, uint32_t seg, size_t records, str why)
{
    buf_fmt(&w->line, "{\"k\":\"error\",\"seg\":%" PRIu32 ",\"after_records\":%zu,\"err\":", seg,
        records);
    jsonl_str(&w->line, why);
    buf_str(&w->line, S("}\n"));
}

static errc walk_fragments(struct walk *w, uint32_t seg, struct err *e)
{
    enum { SEGMENT_BYTES_MAX = 1 << 30 };
    SCOPED(arena_fini) struct arena a = { 0 };
    str path = wal_segment_path(&a, w->dir, seg), bytes;
    TRY(fs_read_all(w->fs, path, &a, SEGMENT_BYTES_MAX, &bytes, e));
    buf_fmt(&w->line, "{\"k\":\"segment\",\"seg\":%" PRIu32 ",\"size\":%zu}\n", seg, bytes.n);
    if (w->args->fragments) wal_lines_fragments(&w->line, path, bytes);
    return walk_write(w, e);
}

/* Damage that the salvaging reader has passed since the last look. */
static void walk_damage(struct walk *w, const struct wal_reader *r, size_t *seen, size_t records)
{
    size_t n;
    const struct wal_corruption *bad = wal_reader_corruptions(r, &n);
    for (; *seen < n; (*seen)++) {
        const struct wal_corruption *c = &bad[*seen];
        SCOPED(buf_fini) struct buf why = { 0 };
        buf_fmt(&why, "corruption in segment %.*s/%08" PRIu32 " at %" PRIu64 ": %s",
            STR_ARG(w->dir), c->seg, c->off, c->why);
        walk_error(w, c->seg, records, buf_view(&why));
    }
}

static void reader_freep(struct wal_reader **r) { wal_reader_close(*r); }

static errc walk_records(struct walk *w, uint32_t seg, struct err *e)
{
    struct wal_reader_opts o = { .fs = w->fs,
        .dir = w->dir,
        .backend = IO_AUTO,
        .mode = w->args->salvage ? WAL_SALVAGE : WAL_STRICT,
        .first = seg,
        .last = seg };
    SCOPED(reader_freep) struct wal_reader *r = NULL;
    TRY(wal_reader_open(&r, &o, e));
    size_t seen = 0;
    struct wal_rec rec;
    for (size_t n = 0;; n++) {
        bool got = false;
        struct err why = { 0 };
        errc rc = wal_reader_next(r, &rec, &got, &why);
        walk_damage(w, r, &seen, n);
        if (rc != OK && rc != ERR_CORRUPT) return err_set(e, rc, "%s", why.msg);
        if (rc == ERR_CORRUPT) walk_error(w, seg, n, err_str(&why));
        else if (got) wal_lines_record(&w->line, &rec, n);
        TRY(walk_write(w, e));
        if (!got) return OK;
    }
}

static errc walk_segments(struct walk *w, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    if (!fs_exists(w->fs, w->dir))
        return err_set(e, ERR_NOT_FOUND, "%.*s: no such folder", STR_ARG(w->args->dir));
    TRY(wal_dir_list(&d, w->fs, w->dir, e));
    bool begun = false;
    uint32_t expect = 0;
    for (size_t i = 0; i < d.segments.n; i++) {
        uint32_t seg = d.segments.at[i];
        if (seg < w->args->first || seg > w->args->last) continue;
        for (; begun && expect < seg; expect++)
            buf_fmt(&w->line, "{\"k\":\"nosegment\",\"seg\":%" PRIu32 "}\n", expect);
        begun = true;
        expect = seg + 1;
        TRY(walk_fragments(w, seg, e));
        TRY(walk_records(w, seg, e));
    }
    return OK;
}

static errc wal_show(const struct wal_args *args, struct err *e)
{
    str path = args->dir;
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    struct walk w = { .args = args, .out = stdout };
    w.fs = fs_real_of(path, &w.dir);
    errc rc = walk_segments(&w, e);
    buf_fini(&w.line);
    fs_free(w.fs);
    return rc;
}

static int wal_run(int argc, char **argv)
{
    struct wal_args args = { .last = UINT32_MAX };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    errc rc = opts_parse(&args, wal_opts, ARRAY_LEN(wal_opts), argc, argv, &run, &e);
    int code = EXIT_FINE;
    if (rc != OK) {
        fprintf(stderr, "epitool: %.*s\n", STR_ARG(err_str(&e)));
        code = cmd_usage(&cmd_wal);
    } else if (run.help) {
        SCOPED(buf_fini) struct buf text = { 0 };
        opts_help(&text, "epitool wal", cmd_wal.help, wal_opts, ARRAY_LEN(wal_opts));
        fprintf(stdout, "%.*s", STR_ARG(buf_view(&text)));
    } else if ((rc = wal_show(&args, &e)) != OK) {
        code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

const struct cmd cmd_wal = { "wal", "[--first=N] [--last=N] [--salvage] [--no-fragments] DIR",
    "what the segments of a log hold, line by line", wal_run };
