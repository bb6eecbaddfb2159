/* iobench.c — `epitool iobench`: what mapping, reading and reading past the cache cost here.
 *
 * A child measures. So whatever ends it (Ctrl-C, or the kernel where memory is short), somebody is
 * left who takes away its files and its control group.
 */
#include "base/log.h"
#include "base/opts.h"
#include "cmd/epitool/cmd.h"
#include "cmd/epitool/progress_bar.h"
#include "iobench/limit.h"
#include "iobench/report.h"
#include "iobench/target.h"
#include "model/opt_kinds.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct iobench_args {
    str dir, json, report;
    bool quick, fill_memory;
    int64_t memory_limit, file_bytes, slice_ms;
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
    { "slice", "DURATION", "How long one figure is measured; default: 1s, 250ms with --quick.",
        OPT_AT(struct iobench_args, slice_ms), &opt_duration, .def = "0s" },
    { "fill-memory",
        .help = "Fill the machine's memory, too, and see kswapd evict. What is cached goes.",
        OPT_AT(struct iobench_args, fill_memory), &opt_bool },
    { "json", "FILE", "Write the figures as JSON; to where the table would go: in its place.",
        OPT_AT(struct iobench_args, json), &opt_str },
    { "report", "FILE.html", "Write a page with plots.", OPT_AT(struct iobench_args, report),
        &opt_str },
};

static size_t table_columns(void)
{
    return isatty(STDOUT_FILENO) ? terminal_columns(STDOUT_FILENO) : 0;
}

static errc show_table(const struct lab *l, struct err *e)
{
    SCOPED(buf_fini) struct buf table = { 0 };
    report_table(&table, l, table_columns());
    TRY(cmd_write(stdout, buf_view(&table), e));
    return fflush(stdout) == 0 ? OK : err_set(e, ERR_IO, "the output cannot be written");
}

static errc show_json(struct target *json, const struct lab *l, struct err *e)
{
    SCOPED(buf_fini) struct buf figures = { 0 };
    report_json(&figures, l);
    if (!target_is_stdout(json)) return target_write(json, buf_view(&figures), e);
    TRY(cmd_write(stdout, buf_view(&figures), e));
    return fflush(stdout) == 0 ? OK : err_set(e, ERR_IO, "the output cannot be written");
}

static errc show_page(struct target *page, const struct lab *l, struct err *e)
{
    SCOPED(buf_fini) struct buf html = { 0 };
    report_html(&html, l);
    return target_write(page, buf_view(&html), e);
}

/* Each of them, whether or not another could be written; the first error. */
static errc show(struct target *json, struct target *page, const struct lab *l, struct err *e)
{
    signal(SIGPIPE, SIG_IGN); /* who has read enough of one may want the others */
    errc rc = json->f ? show_json(json, l, e) : OK;
    errc of_page = page->f ? show_page(page, l, rc == OK ? e : NULL) : OK;
    if (rc == OK) rc = of_page;
    errc of_table = target_is_stdout(json) ? OK : show_table(l, rc == OK ? e : NULL);
    return rc == OK ? of_table : rc;
}

static errc measure(
    const struct iobench_args *a, struct target *json, struct target *page, struct err *e)
{
    struct progress_bar bar;
    struct lab l;
    progress_bar_begin(&bar);
    struct lab_opts o = { .dir = a->dir,
        .quick = a->quick,
        .fill_memory = a->fill_memory,
        .file_bytes = (uint64_t)MAX(a->file_bytes, 0),
        .memory_limit = (uint64_t)MAX(a->memory_limit, 0),
        .slice_ns = MAX(a->slice_ms, 0) * INT64_C(1000000),
        .progress = &bar.base };
    errc rc = lab_run(&l, &o, e);
    progress_bar_end(&bar);
    if (rc == OK) rc = show(json, page, &l, e);
    lab_fini(&l);
    return rc;
}

/* ---- who watches over it ---- */

static void watched_signals(sigset_t *out)
{
    static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
    sigemptyset(out);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) sigaddset(out, all[i]);
}

/* The child's status; *by: the signal that asked for its end, 0: none did. */
static int child_await(pid_t child, const sigset_t *signals, int *by)
{
    int sig, status = 0;
    *by = 0;
    while (waitpid(child, &status, WNOHANG) != child) {
        if (sigwait(signals, &sig) != 0 || sig == SIGCHLD) continue;
        *by = sig;
        kill(child, SIGKILL);
    }
    return status;
}

/* What a child left behind that could not do so itself. */
static void clean_up(const struct iobench_args *a, pid_t child)
{
    static const char *const files[] = { LAB_FILE, LAB_HOLE };
    struct fs *fs = fs_real_new(a->dir);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        errc rc = fs_unlink(fs, str_z(files[i]), NULL);
        (void)rc; /* mostly it is not there */
    }
    fs_free(fs);
    limit_forget((int)child);
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
}

/* As the child ended: it said why, unless it was killed. */
static int child_ended(const struct iobench_args *a, pid_t child, int status, int by)
{
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    clean_up(a, child);
    if (by) {
        signal(by, SIG_DFL);
        raise(by); /* blocked until the mask is as it was */
    } else {
        fprintf(stderr, "epitool: the measurement was ended by signal %d%s\n", WTERMSIG(status),
            WTERMSIG(status) == SIGKILL ? ": is there too little memory?" : "");
    }
    return EXIT_FAILED;
}

static int measure_in_child(const struct iobench_args *a, struct target *json, struct target *page)
{
    sigset_t signals, before;
    struct err e = { 0 };
    int by;
    watched_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &before);
    fflush(NULL);
    pid_t child = fork();
    if (child <= 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
        errc rc = child < 0 ? err_set(&e, ERR_IO, "no process can be made")
                            : measure(a, json, page, &e);
        int code = rc == OK ? EXIT_FINE : cmd_failed(rc, &e);
        if (child == 0) {
            fflush(NULL);
            _exit(code);
        }
        return code;
    }
    int status = child_await(child, &signals, &by);
    int code = child_ended(a, child, status, by);
    bool failed = code != EXIT_FINE;
    target_close(json, failed);
    target_close(page, failed);
    *json = *page = (struct target){ 0 };
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}

static int iobench(const struct iobench_args *a)
{
    struct target json = { 0 }, page = { 0 };
    struct err e = { 0 };
    errc rc = target_open(&json, a->json, &e);
    if (rc == OK) rc = target_open(&page, a->report, &e);
    int code = rc == OK ? measure_in_child(a, &json, &page) : cmd_failed(rc, &e);
    target_close(&json, true);
    target_close(&page, true);
    return code;
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
        code = iobench(&a);
    }
    opts_fini(&run);
    return code;
}

const struct cmd cmd_iobench = { "iobench",
    "[--dir=DIR] [--quick] [--memory-limit=BYTES] [--json=FILE] [--report=FILE.html]",
    "measure mmap, read and direct I/O here, with queries, and recommend", iobench_run };
