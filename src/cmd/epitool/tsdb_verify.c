/* tsdb_verify.c — `epitool tsdb verify` and `repair`: what is wrong with a data folder, and what
 * became of it. */
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/jsonl.h"
#include "cmd/epitool/progress_bar.h"
#include "cmd/epitool/tsdb_commands.h"
#include "tsdb/repair.h"
#include "tsdb/verify.h"

#include <stdio.h>

struct look_args { str dir; int format; };
enum { FORMAT_TEXT, FORMAT_JSON };
static const char *const formats[] = { "text", "json", NULL };
static const struct opt look_opts[] = {
    { "format", .help = "How the report is printed: text or json.",
        OPT_AT(struct look_args, format), &opt_choice, .def = "text", .choices = formats },
    { "dir", .help = "The data folder.", OPT_AT(struct look_args, dir), &opt_str, .def = "data/",
        .flags = OPT_ARG },
};

static void put_text(struct buf *b, const struct findings *f, const char *before)
{
    for (size_t i = 0; i < f->all.n; i++) {
        buf_str(b, str_z(before));
        findings_text(b, &f->all.at[i]);
        buf_u8(b, '\n');
    }
    if (f->more) buf_fmt(b, "%s%" PRIu64 " more\n", before, f->more);
}

static void put_json(struct buf *b, const char *name, const struct findings *f)
{
    buf_fmt(b, ",\"%s\":[", name);
    for (size_t i = 0; i < f->all.n; i++) {
        const struct finding *x = &f->all.at[i];
        buf_str(b, i ? S(",{\"file\":") : S("{\"file\":"));
        jsonl_str(b, x->file);
        if (x->has_offset) buf_fmt(b, ",\"offset\":%" PRIu64, x->offset);
        buf_str(b, S(",\"what\":"));
        jsonl_str(b, x->what);
        buf_u8(b, '}');
    }
    buf_u8(b, ']');
    if (f->more) buf_fmt(b, ",\"%s_more\":%" PRIu64, name, f->more);
}

static void verified_text(struct buf *b, const struct verified *v)
{
    put_text(b, &v->findings, "");
    put_text(b, &v->notes, "note: ");
    buf_fmt(b,
        "%" PRIu64 " blocks with %" PRIu64 " series, %" PRIu64 " chunks, %" PRIu64 " samples; %"
        PRIu64 " segments of logs with %" PRIu64 " records; %" PRIu64
        " chunks of the head%s: %" PRIu64 " findings\n",
        v->blocks, v->series, v->chunks, v->samples, v->segments, v->records, v->head_chunks,
        v->live ? "; a server has the folder" : "", findings_count(&v->findings));
}

static void verified_json(struct buf *b, const struct verified *v)
{
    buf_fmt(b,
        "{\"live\":%s,\"blocks\":%" PRIu64 ",\"series\":%" PRIu64 ",\"chunks\":%" PRIu64
        ",\"samples\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"records\":%" PRIu64
        ",\"head_chunks\":%" PRIu64 ",\"bytes\":%" PRIu64,
        v->live ? "true" : "false", v->blocks, v->series, v->chunks, v->samples, v->segments,
        v->records, v->head_chunks, v->bytes);
    put_json(b, "findings", &v->findings);
    put_json(b, "notes", &v->notes);
    buf_str(b, S("}\n"));
}

static errc verify(const struct look_args *a, struct verified *v, struct err *e)
{
    struct fs *fs = NULL;
    struct progress_bar bar;
    TRY(tsdb_folder(&fs, a->dir, e));
    progress_bar_begin(&bar);
    struct verify_opts vo = { .fs = fs, .backend = IO_AUTO, .progress = &bar.base };
    errc rc = folder_verify(v, &vo, e);
    progress_bar_end(&bar);
    fs_free(fs);
    return rc;
}

int tsdb_verify_run(int argc, char **argv)
{
    struct look_args a = { 0 };
    struct opts_run run = { 0 };
    struct verified v;
    struct err e = { 0 };
    int code = EXIT_FINE;
    verified_init(&v);
    if (tsdb_line(&a, look_opts, ARRAY_LEN(look_opts),
            "Check every byte of a data folder, whether a server has it or not.", argc, argv, &run,
            &code)) {
        SCOPED(buf_fini) struct buf text = { 0 };
        errc rc = verify(&a, &v, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
        else if (a.format == FORMAT_JSON) verified_json(&text, &v);
        else verified_text(&text, &v);
        cmd_print(stdout, buf_view(&text));
        if (rc == OK && findings_count(&v.findings)) code = EXIT_FAILED;
    }
    verified_fini(&v);
    opts_fini(&run);
    return code;
}

static void repaired_text(struct buf *b, const struct repaired *r)
{
    const struct db_opened *h = &r->head;
    put_text(b, &r->found, "found: ");
    put_text(b, &r->done, "done: ");
    buf_fmt(b,
        "blocks: %" PRIu64 " whole, %" PRIu64 " mended in place, %" PRIu64 " salvaged, %" PRIu64
        " set aside\nhead: %" PRIu64 " series, %" PRIu64 " samples, %" PRIu64
        " chunks; %u segments with %" PRIu64 " records, %" PRIu64 " corruptions, %" PRIu64
        " unknown refs; the last stop was %s\n",
        r->blocks_whole, r->blocks_mended, r->blocks_salvaged, r->blocks_aside, h->series,
        h->samples, h->chunks, h->segments, h->records, h->corruptions, h->unknown_refs,
        h->unclean ? "unclean" : "clean");
}

static void repaired_json(struct buf *b, const struct repaired *r)
{
    const struct db_opened *h = &r->head;
    buf_fmt(b,
        "{\"blocks\":{\"whole\":%" PRIu64 ",\"mended\":%" PRIu64 ",\"salvaged\":%" PRIu64
        ",\"set_aside\":%" PRIu64 "},\"series\":%" PRIu64 ",\"samples\":%" PRIu64
        ",\"chunks\":%" PRIu64 ",\"segments\":%u,\"records\":%" PRIu64 ",\"corruptions\":%" PRIu64
        ",\"unknown_refs\":%" PRIu64 ",\"unclean\":%s",
        r->blocks_whole, r->blocks_mended, r->blocks_salvaged, r->blocks_aside, h->series,
        h->samples, h->chunks, h->segments, h->records, h->corruptions, h->unknown_refs,
        h->unclean ? "true" : "false");
    put_json(b, "found", &r->found);
    put_json(b, "done", &r->done);
    buf_str(b, S("}\n"));
}

static errc repair(const struct look_args *a, struct repaired *r, struct err *e)
{
    struct fs *fs = NULL;
    struct progress_bar bar;
    TRY(tsdb_folder(&fs, a->dir, e));
    progress_bar_begin(&bar);
    struct repair_opts ro = { .fs = fs, .backend = IO_AUTO, .progress = &bar.base };
    errc rc = folder_repair(r, &ro, e);
    progress_bar_end(&bar);
    fs_free(fs);
    return rc;
}

int tsdb_repair_run(int argc, char **argv)
{
    struct look_args a = { 0 };
    struct opts_run run = { 0 };
    struct repaired r;
    struct err e = { 0 };
    int code = EXIT_FINE;
    repaired_init(&r);
    if (tsdb_line(&a, look_opts, ARRAY_LEN(look_opts),
            "Mend a data folder that no server has: what is damaged is set aside, what survives is "
            "kept.",
            argc, argv, &run, &code)) {
        SCOPED(buf_fini) struct buf text = { 0 };
        errc rc = repair(&a, &r, &e);
        bool begun = rc == OK || findings_count(&r.found) || findings_count(&r.done);
        if (begun) (a.format == FORMAT_JSON ? repaired_json : repaired_text)(&text, &r);
        cmd_print(stdout, buf_view(&text));
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    repaired_fini(&r);
    opts_fini(&run);
    return code;
}
