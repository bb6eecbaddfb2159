/* opts.h — a command line by a table.
 *
 * What        Flags, their values, defaults and help stand in one table; parsing fills a struct by
 *             offsets, and help text and the listing of current values are printed from the same
 *             rows. Reads a line as Prometheus' flags library does: --x=v, --x v, --x and --no-x of
 *             a bool (never --x=true), -h, -- ends the flags, flags and arguments in any order.
 * Invariants  a default is text and goes the way of a given value; a flag that may be repeated
 *             starts from nothing when given.
 *             What has no default and is not given stays as it was in the struct.
 * Ownership   texts borrow the table and argv; lists lie in run->mem: opts_fini() ends them.
 * Threads     none; what was parsed is const after
 * Errors      ERR_BAD_INPUT with the library's words; the struct is then filled in part and not to
 *             be used
 * Format      github.com/alecthomas/kingpin/v2, without @file
 *
 *     static const struct opt table[] = {
 *         { "config.file", .help = "Configuration file.", OPT_AT(struct args, file), &opt_str, .def
 *         = "prometheus.yml" }, { "log.level", .help = "Least level.", OPT_AT(struct args, level),
 *         &opt_choice, .def = "info", .choices = levels }, { "files", .help = "Files to check.",
 *         OPT_AT(struct args, files), &opt_strs, .flags = OPT_ARG | OPT_REQUIRED },
 *     };
 *
 * --help (-h), --help-long and --version are known without a row; the caller answers run.help and
 * run.version first: then errors of values and what is missing are not reported.
 */
#ifndef EPI_BASE_OPTS_H
#define EPI_BASE_OPTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

struct opt;

/* How a value is read, kept and shown. Rooms above add theirs: model/opt_kinds.h has durations and
 * sizes. */
struct opt_kind {
    bool bare;                         /* takes no value: --x, --no-x */
    /* may be given again; the default is then a list with commas */
    bool many;
    bool quoted;                       /* help shows the default as a quoted string */
    errc (*set)(void *at, const struct opt *o, str text, struct arena *mem, struct err *e);
    void (*show)(struct buf *b, const struct opt *o, const void *at);
};

extern const struct opt_kind opt_bool;   /* bool */
extern const struct opt_kind opt_str;    /* str */
extern const struct opt_kind opt_strs;   /* str_list: --x=a --x=b */
extern const struct opt_kind opt_words;  /* str_list: --x=a,b --x=c; empty words fall away */
extern const struct opt_kind opt_num;    /* int64_t, also written 5e7; a fraction is cut off */
extern const struct opt_kind opt_int;    /* int64_t, also 0x1f, 0b1, 0o7, 1_000 */
extern const struct opt_kind opt_f64;    /* double */
extern const struct opt_kind opt_choice; /* int: index in choices */

/* OPT_ARG: by its place, not by --name; a `many` one is the last */
enum { OPT_HIDDEN = 1, OPT_REQUIRED = 2, OPT_ARG = 4 };

struct opt {
    const char *name;                  /* without -- */
    const char *arg;                   /* the value's word in help; NULL: the default, else NAME */
    const char *help;
    size_t offset;
    const struct opt_kind *kind;
    const char *def;                   /* NULL: none */
    unsigned flags;
    const char *const *choices;        /* NULL ends them */
    char letter;                       /* -l; 0: none */
};
#define OPT_AT(type, field) .offset = offsetof(type, field)

/* given[row]; zero before opts_parse */
struct opts_run { struct arena mem; bool help, version; bool *given; };

/* argv[0] is a name and not looked at. */
MUST_USE errc opts_parse(void *out, const struct opt *table, size_t n, int argc, char **argv,
    struct opts_run *run, struct err *e);
void opts_fini(struct opts_run *run);
bool opts_given(const struct opts_run *run, const struct opt *table, size_t n, const char *name);

/* "usage: prog [<flags>] <arg>", what it is about, flags and arguments in two columns. */
void opts_help(
    struct buf *b, const char *prog, const char *about, const struct opt *table, size_t n);

/* Every flag with its value as text, hidden ones too, sorted by name. */
typedef void opts_each_fn(void *ctx, str name, str value);
void opts_each(const void *out, const struct opt *table, size_t n, opts_each_fn *fn, void *ctx);

#endif
