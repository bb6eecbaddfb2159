/* bucket_look.c — `epitool bucket ls`, `inspect` and `verify`: what is there, and whether it is
 * whole. */
#include "base/rfc3339.h"
#include "block/verify.h"
#include "cmd/epitool/bucket_commands.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "model/duration.h"

#include <unistd.h>

/* ---- ls, inspect */

struct ls_args {
    struct bucket_where where;
    int output;
};
enum { OUTPUT_IDS, OUTPUT_WIDE, OUTPUT_JSON };
static const char *const outputs[] = { "ids", "wide", "json", NULL };
static const struct opt ls_opts[] = {
    BUCKET_WHERE_OPTS,
    { "output", .help = "What is printed of each block: ids, wide or json.",
        OPT_AT(struct ls_args, output), &opt_choice, .def = "ids", .choices = outputs },
};

static void put_time(struct buf *b, int64_t ms) { buf_rfc3339_ms(b, ms); }

static void put_wide(struct buf *b, const struct remote_meta *m)
{
    buf_fmt(b, "%s -- ", ulid_text(m->meta.id).z);
    put_time(b, m->meta.mint);
    buf_str(b, S(" - "));
    put_time(b, m->meta.maxt);
    buf_str(b, S(" Diff: "));
    buf_duration(b, m->meta.maxt - m->meta.mint);
    buf_fmt(b, ", Compaction: %u, Downsample: %" PRId64 ", Source: %.*s\n", m->meta.level,
        m->thanos.resolution_ms, STR_ARG(m->thanos.source));
}

/* meta.json again, labels and all. */
static void put_json(struct buf *b, const struct remote_meta *m, struct arena *a)
{
    struct block_meta all = m->meta;
    all.more = thanos_section_more(&m->thanos, all.more, a);
    meta_encode(b, &all);
    buf_u8(b, '\n');
}

/* A store that has no answer for one object may have one for others. */
static bool answers(struct bucket *b, ulid id)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    bucket_entries all = { 0 };
    errc rc = bucket_list(b, arena_fmt(&a, "%s/", ulid_text(id).z), false, &a, &all, NULL);
    vec_fini(&all);
    return rc == OK;
}

/* Block by block, into out. What is wrong with one block is told on standard error, and fails the
 * command when the others were told; a store that does not answer ends it. */
typedef errc (*block_tell)(
    struct bucket *b, ulid id, int output, struct arena *a, struct buf *out, struct err *e);
static errc blocks_tell(const struct bucket_where *w, const char *head, block_tell tell, int output,
    struct err *e)
{
    SCOPED(bucket_closep) struct bucket *b = NULL;
    SCOPED(buf_fini) struct buf out = { 0 };
    ulid_list ids = { 0 };
    size_t bad = 0;
    struct progress_bar bar;
    TRY(bucket_where_open(&b, w, e));
    progress_bar_begin(&bar);
    errc rc = remote_blocks(b, &ids, e);
    if (rc == OK) buf_str(&out, str_z(head));
    for (size_t i = 0; rc == OK && i < ids.n; i++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        size_t before = out.n;
        progress_tell(&bar.base, S("blocks"), i, ids.n);
        rc = tell(b, ids.at[i], output, &a, &out, e);
        if (rc == OK) continue;
        out.n = before;
        if (rc == ERR_CANCELED || !answers(b, ids.at[i])) break;
        cmd_print(stderr, arena_fmt(&a, "epitool: %.*s\n", STR_ARG(err_str(e))));
        bad++;
        rc = OK;
    }
    progress_bar_end(&bar);
    vec_fini(&ids);
    errc wrote = cmd_write(stdout, buf_view(&out), rc == OK ? e : NULL);
    if (rc != OK || wrote != OK) return rc != OK ? rc : wrote;
    return bad ? err_set(e, ERR_CORRUPT, "%zu blocks cannot be read", bad) : OK;
}

/* A block without meta.json is being brought or taken away: it is named, nothing is said of it. */
static errc ls_one(
    struct bucket *b, ulid id, int output, struct arena *a, struct buf *out, struct err *e)
{
    struct remote_meta m;
    if (output == OUTPUT_IDS) {
        buf_fmt(out, "%s\n", ulid_text(id).z);
        return OK;
    }
    errc rc = remote_block_meta(b, id, a, &m, e);
    if (rc == ERR_NOT_FOUND) {
        if (output == OUTPUT_WIDE) buf_fmt(out, "%s -- no meta.json\n", ulid_text(id).z);
        return OK;
    }
    TRY(rc);
    if (output == OUTPUT_WIDE) put_wide(out, &m);
    else put_json(out, &m, a);
    return OK;
}

int bucket_ls_run(int argc, char **argv)
{
    struct ls_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&a, ls_opts, ARRAY_LEN(ls_opts), "bucket", "List the blocks of a bucket.", argc,
            argv, &run, &code)) {
        errc rc = blocks_tell(&a.where, "", ls_one, a.output, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

static const struct opt inspect_opts[] = { BUCKET_WHERE_OPTS };

static errc marks_put(struct bucket *b, ulid id, struct arena *a, struct buf *out, struct err *e)
{
    bool any = false;
    for (int k = 0; k < MARK_KINDS; k++) {
        bool there;
        str file = block_mark_file((enum block_mark_kind)k);
        TRY(bucket_exists(b, arena_fmt(a, "%s/%.*s", ulid_text(id).z, STR_ARG(file)), &there, e));
        if (there)
            buf_fmt(out, "%s%.*s", any ? "," : "", (int)(file.n - S("-mark.json").n),
                (const char *)file.p);
        any = any || there;
    }
    if (!any) buf_u8(out, '-');
    return OK;
}

static errc inspect_one(
    struct bucket *b, ulid id, int output, struct arena *a, struct buf *out, struct err *e)
{
    struct remote_meta m;
    (void)output;
    buf_fmt(out, "%s\t", ulid_text(id).z);
    errc rc = remote_block_meta(b, id, a, &m, e);
    if (rc == ERR_NOT_FOUND) {
        buf_str(out, S("no meta.json\n"));
        return OK;
    }
    TRY(rc);
    put_time(out, m.meta.mint);
    buf_u8(out, '\t');
    put_time(out, m.meta.maxt);
    buf_u8(out, '\t');
    buf_duration(out, m.meta.maxt - m.meta.mint);
    buf_fmt(out, "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%u\t%" PRId64 "\t", m.meta.stats.series,
        m.meta.stats.samples, m.meta.stats.chunks, m.meta.level, m.thanos.resolution_ms);
    buf_labels(out, m.thanos.labels);
    buf_fmt(out, "\t%.*s\t", STR_ARG(m.thanos.source));
    TRY(marks_put(b, id, a, out, e));
    buf_u8(out, '\n');
    return OK;
}

static const char inspect_head[] =
    "ULID\tFROM\tUNTIL\tRANGE\t#SERIES\t#SAMPLES\t#CHUNKS\tCOMP-LEVEL\tRESOLUTION\tLABELS\tSRC\t"
    "MARKS\n";

int bucket_inspect_run(int argc, char **argv)
{
    struct bucket_where w = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&w, inspect_opts, ARRAY_LEN(inspect_opts), "bucket",
            "Print what meta.json says of each block, columns by tabs.", argc, argv, &run, &code)) {
        errc rc = blocks_tell(&w, inspect_head, inspect_one, 0, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

/* ---- verify */

struct verify_args {
    struct bucket_where where;
    bool deep;
    str tmp;
    str_list blocks;
};
static const struct opt verify_opts[] = {
    BUCKET_WHERE_OPTS,
    { "deep", .help = "Fetch each block and check every byte of it.",
        OPT_AT(struct verify_args, deep), &opt_bool },
    { "tmp-dir", "DIR", "Where blocks are put meanwhile.", OPT_AT(struct verify_args, tmp),
        &opt_str, .def = "." },
    { "block", .help = "Blocks; none: all.", OPT_AT(struct verify_args, blocks), &opt_strs,
        .flags = OPT_ARG },
};

static errc verify_deep(struct bucket *b, ulid id, struct fs *fs, struct findings *f,
    const struct progress *p, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct block_verify_opts o = { .fs = fs, .backend = IO_AUTO, .aggregates = true };
    struct block_verified v;
    uint64_t before = findings_count(f);
    str parent = arena_fmt(&a, "epitool-bucket-verify-%d", (int)getpid());
    str dir = arena_fmt(&a, "%.*s/%s", STR_ARG(parent), ulid_text(id).z);
    errc rc = fs_mkdir(fs, parent, e);
    if (rc == OK) rc = remote_block_objects(b, id, fs, dir, p, f, e);
    if (rc == OK && findings_count(f) == before) rc = block_verify(&v, &o, dir, f, e);
    errc left = fs_remove_tree(fs, parent, rc == OK ? e : NULL);
    return rc == OK ? left : rc;
}

static errc verify_all(const struct verify_args *a, struct bucket *b, struct findings *f,
    size_t *blocks, struct err *e)
{
    ulid_list ids = { 0 };
    struct progress_bar bar;
    struct fs *fs = fs_real_new(a->tmp);
    errc rc = a->blocks.n ? bucket_ids(&a->blocks, &ids, e) : remote_blocks(b, &ids, e);
    progress_bar_begin(&bar);
    for (size_t i = 0; rc == OK && i < ids.n; i++) {
        uint64_t before = findings_count(f);
        if (!a->deep) progress_tell(&bar.base, S("blocks"), i, ids.n);
        rc = remote_block_check(b, ids.at[i], f, e);
        if (rc == OK && a->deep && findings_count(f) == before)
            rc = verify_deep(b, ids.at[i], fs, f, &bar.base, e);
    }
    progress_bar_end(&bar);
    *blocks = ids.n;
    vec_fini(&ids);
    fs_free(fs);
    return rc;
}

static errc verify(const struct verify_args *a, bool *whole, struct err *e)
{
    SCOPED(bucket_closep) struct bucket *b = NULL;
    SCOPED(findings_fini) struct findings f = { 0 };
    SCOPED(buf_fini) struct buf out = { 0 };
    size_t blocks = 0;
    findings_init(&f, 0);
    TRY(bucket_where_open(&b, &a->where, e));
    errc rc = verify_all(a, b, &f, &blocks, e);
    for (size_t i = 0; i < f.all.n; i++) {
        findings_text(&out, &f.all.at[i]);
        buf_u8(&out, '\n');
    }
    if (rc == OK) buf_fmt(&out, "%zu blocks: %" PRIu64 " findings\n", blocks, findings_count(&f));
    *whole = findings_count(&f) == 0;
    errc wrote = cmd_write(stdout, buf_view(&out), rc == OK ? e : NULL);
    return rc != OK ? rc : wrote;
}

int bucket_verify_run(int argc, char **argv)
{
    struct verify_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code;
    if (cmd_line(&a, verify_opts, ARRAY_LEN(verify_opts), "bucket",
            "Check that blocks in a bucket are whole.", argc, argv, &run, &code)) {
        bool whole = false;
        errc rc = verify(&a, &whole, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
        else if (!whole) code = EXIT_FAILED;
    }
    opts_fini(&run);
    return code;
}
