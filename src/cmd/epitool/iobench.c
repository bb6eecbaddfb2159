/* iobench.c — `epitool iobench`: what mapping, reading and reading past the cache cost here. */
#include "base/log.h"
#include "base/opts.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "iobench/report.h"
#include "model/opt_kinds.h"

struct iobench_args {
    str dir, json, report;
    bool quick;
    int64_t memory_limit, file_bytes;
};
static const struct opt iobench_opts[] = {
    { "dir", "DIR",
        "The folder to measure in: a data folder with blocks, or any with room for a file.",
        OPT_AT(struct iobench_args, dir), &opt_str, .def = "." },
    { "quick", .help = "Less than a minute: a smaller file, shorter measurements.",
        OPT_AT(struct iobench_args, quick), &opt_bool },
    { "memory-limit", "BYTES",
        "Memory in the measurements with less of it than data, 32MB at the least; default: a "
        "quarter of the file.",
        OPT_AT(struct iobench_args, memory_limit), &opt_size, .def = "0B" },
    { "file-size", "BYTES", "Of the file that is made; default: 1GB, 192MB with --quick.",
        OPT_AT(struct iobench_args, file_bytes), &opt_size, .def = "0B" },
    { "json", "FILE", "Write the figures as JSON.", OPT_AT(struct iobench_args, json), &opt_str },
    { "report", "FILE.html", "Write a page with plots.", OPT_AT(struct iobench_args, report),
        &opt_str },
};

/* A file that the user named: opened before anything is measured, and written in place, be it a
 * device. */
struct target { struct fs *fs; struct file *f; str name; bool is_new; };

static errc target_open(struct target *t, str path, struct err *e)
{
    if (!path.n) return OK;
    t->fs = fs_real_of(path, &t->name);
    t->is_new = !fs_exists(t->fs, t->name);
    return fs_open(&t->f, t->fs, t->name, FS_WRITE | FS_CREATE, e);
}

static errc target_write(struct target *t, const struct buf *b, struct err *e)
{
    str text = buf_view(b);
    uint64_t done, was;
    TRY(file_size(t->f, &was, e));
    TRY(file_pwrite(t->f, &text, 1, 0, &done, e));
    t->is_new = false;
    return was > text.n ? file_truncate(t->f, text.n, e) : OK;
}

/* One that was made and has nothing to say goes. */
static void target_close(struct target *t)
{
    errc rc = t->f && t->is_new ? fs_unlink(t->fs, t->name, NULL) : OK;
    (void)rc; /* it is empty */
    file_close(t->f);
    fs_free(t->fs);
}

static errc show(struct target *json, struct target *page, const struct lab *l, struct err *e)
{
    SCOPED(buf_fini) struct buf table = { 0 };
    SCOPED(buf_fini) struct buf figures = { 0 };
    SCOPED(buf_fini) struct buf html = { 0 };
    report_table(&table, l);
    TRY(cmd_write(stdout, buf_view(&table), e));
    if (json->f) {
        report_json(&figures, l);
        TRY(target_write(json, &figures, e));
    }
    if (!page->f) return OK;
    report_html(&html, l);
    return target_write(page, &html, e);
}

static errc measure(
    const struct iobench_args *a, struct target *json, struct target *page, struct err *e)
{
    struct progress_bar bar;
    struct lab l;
    progress_bar_begin(&bar);
    struct lab_opts o = { .dir = a->dir,
        .quick = a->quick,
        .file_bytes = (uint64_t)MAX(a->file_bytes, 0),
        .memory_limit = (uint64_t)MAX(a->memory_limit, 0),
        .progress = &bar.base };
    errc rc = lab_run(&l, &o, e);
    progress_bar_end(&bar);
    if (rc == OK) rc = show(json, page, &l, e);
    lab_fini(&l);
    return rc;
}

static errc iobench(const struct iobench_args *a, struct err *e)
{
    struct target json = { 0 }, page = { 0 };
    errc rc = target_open(&json, a->json, e);
    if (rc == OK) rc = target_open(&page, a->report, e);
    if (rc == OK) rc = measure(a, &json, &page, e);
    target_close(&json);
    target_close(&page);
    return rc;
}

static int iobench_run(int argc, char **argv)
{
    SCOPED(buf_fini) struct buf text = { 0 };
    struct iobench_args a = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    int code = EXIT_FINE;
    log_set(LOG_WARN, LOG_LOGFMT);
    errc rc = opts_parse(&a, iobench_opts, ARRAY_LEN(iobench_opts), argc, argv, &run, &e);
    if (rc != OK || run.help) {
        opts_help(&text, "epitool iobench",
            "Measure what mapping files, reading them and reading past the kernel's cache cost "
            "here, and recommend a --storage.io.",
            iobench_opts, ARRAY_LEN(iobench_opts));
        if (rc != OK) fprintf(stderr, "epitool: %.*s\n", STR_ARG(err_str(&e)));
        cmd_print(rc == OK ? stdout : stderr, buf_view(&text));
        code = rc == OK ? EXIT_FINE : EXIT_USAGE;
    } else {
        rc = iobench(&a, &e);
        if (rc != OK) code = cmd_failed(rc, &e);
    }
    opts_fini(&run);
    return code;
}

const struct cmd cmd_iobench = { "iobench",
    "[--dir=DIR] [--quick] [--memory-limit=BYTES] [--json=FILE] [--report=FILE.html]",
    "measure mmap, read and direct I/O here, with queries, and recommend", iobench_run };
