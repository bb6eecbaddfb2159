#include "base/opts.h"
#include "base/test.h"

struct args {
    str file;
    bool life, off;
    int64_t queue, evals;
    double ratio;
    str_list listen, features, files;
    int level;
    str url;
};
static const char *const levels[] = { "debug", "info", "warn", NULL };
static const struct opt table[] = {
    { "config.file", .help = "Configuration file path.", OPT_AT(struct args, file), &opt_str,
        .def = "prometheus.yml", .letter = 'c' },
    { "web.enable-lifecycle", .help = "Enable it.", OPT_AT(struct args, life), &opt_bool,
        .def = "false", .letter = 'l' },
    { "no-off", .help = "A name with no in it.", OPT_AT(struct args, off), &opt_bool, .def = "true",
        .letter = 'o' },
    { "queue", .help = "Room in the queue.", OPT_AT(struct args, queue), &opt_num, .def = "5e3" },
    { "evals", .help = "At once.", OPT_AT(struct args, evals), &opt_int, .def = "4",
        .flags = OPT_HIDDEN },
    { "ratio", .help = "A part.", OPT_AT(struct args, ratio), &opt_f64, .def = "0.9" },
    { "listen", .help = "Can be repeated.", OPT_AT(struct args, listen), &opt_strs,
        .def = "0.0.0.0:9090,b" },
    { "enable-feature", "",
        "Comma separated names of things that are to be turned on, all of them before anything "
        "else.",
        OPT_AT(struct args, features), &opt_words },
    { "log.level", .help = "Least level.", OPT_AT(struct args, level), &opt_choice, .def = "info",
        .choices = levels },
    { "web.external-url-of-some-length", "<URL>", "Where we are.", OPT_AT(struct args, url),
        &opt_str },
    { "files", .help = "What to look at.", OPT_AT(struct args, files), &opt_strs,
        .flags = OPT_ARG },
};

enum { WORDS_MAX = 8 };
static errc parse(struct args *a, struct opts_run *run, const char *const *words, struct err *e)
{
    char *argv[WORDS_MAX + 1] = { (char *)(uintptr_t)"prog" };
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 1];
    return opts_parse(a, table, ARRAY_LEN(table), argc, argv, run, e);
}

static void add_pair(void *ctx, str name, str value)
{
    buf_fmt(ctx, "%.*s=%.*s\n", STR_ARG(name), STR_ARG(value));
}

#define LISTED(file, feature, evals, listen, level, off, queue, ratio, life, url)                  \
    "config.file=" file "\nenable-feature=" feature "\nevals=" evals "\nlisten=" listen            \
    "\nlog.level=" level "\nno-off=" off "\nqueue=" queue "\nratio=" ratio                         \
    "\nweb.enable-lifecycle=" life "\nweb.external-url-of-some-length=" url "\n"

TEST(opts_values)
{
    static const struct {
        const char *name;
        const char *words[WORDS_MAX];
        const char *want;
    } cases[] = {
        { "none", { NULL },
            LISTED("prometheus.yml", "", "4", "0.0.0.0:9090,b", "info", "true", "5000", "0.9",
                "false", "") },
        { "with =, and apart", { "--config.file=a=b", "--queue", "1e2", "--evals=0x1F" },
            LISTED("a=b", "", "31", "0.0.0.0:9090,b", "info", "true", "100", "0.9", "false", "") },
        { "bools", { "--web.enable-lifecycle", "--no-no-off" },
            LISTED("prometheus.yml", "", "4", "0.0.0.0:9090,b", "info", "false", "5000", "0.9",
                "true", "") },
        { "a name that begins with no-", { "--no-off", "--no-web.enable-lifecycle" },
            LISTED("prometheus.yml", "", "4", "0.0.0.0:9090,b", "info", "true", "5000", "0.9",
                "false", "") },
        { "lists", { "--listen=a", "--listen", "c", "--enable-feature=x,,y", "--enable-feature=z" },
            LISTED("prometheus.yml", "x,y,z", "4", "a,c", "info", "true", "5000", "0.9", "false",
                "") },
        { "an empty value", { "--config.file=", "--web.external-url-of-some-length=" },
            LISTED("", "", "4", "0.0.0.0:9090,b", "info", "true", "5000", "0.9", "false", "") },
        { "choice and fraction", { "--log.level=warn", "--ratio=1e-7", "--queue=-7.9" },
            LISTED("prometheus.yml", "", "4", "0.0.0.0:9090,b", "warn", "true", "-7", "1e-07",
                "false", "") },
        { "letters", { "-lcfile", "-o" },
            LISTED("file", "", "4", "0.0.0.0:9090,b", "info", "true", "5000", "0.9", "true", "") },
    };
    TEST_EACH(c, cases) {
        struct args a = { 0 };
        struct opts_run run = { 0 };
        struct err e = { 0 };
        EXPECT_OK_E(parse(&a, &run, c->words, &e), &e);
        struct buf b = { 0 };
        opts_each(&a, table, ARRAY_LEN(table), add_pair, &b);
        EXPECT_STR(buf_view(&b), str_z(c->want));
        buf_fini(&b);
        opts_fini(&run);
    }
}

TEST(opts_args_between_flags)
{
    static const char *const words[] = { "one", "--config.file", "-", "two", "-", "--", "--three",
        NULL };
    struct args a = { 0 };
    struct opts_run run = { 0 };
    EXPECT_OK(parse(&a, &run, words, NULL));
    EXPECT_EQ(a.files.n, 4);
    EXPECT_STR(a.files.at[1], S("two"));
    EXPECT_STR(a.files.at[2], S("-"));
    EXPECT_STR(a.files.at[3], S("--three"));
    EXPECT_STR(a.file, S("-"));
    EXPECT(opts_given(&run, table, ARRAY_LEN(table), "config.file"));
    EXPECT(!opts_given(&run, table, ARRAY_LEN(table), "listen"));
    opts_fini(&run);
}

TEST(opts_refused)
{
    static const struct {
        const char *name;
        const char *words[WORDS_MAX];
        const char *want;
    } cases[] = {
        { "unknown", { "--foo" }, "unknown long flag '--foo'" },
        { "unknown, with a value", { "--foo=1" }, "unknown long flag '--foo'" },
        { "unknown no", { "--no-foo" }, "unknown long flag '--no-foo'" },
        { "no of a value", { "--no-queue" }, "unknown long flag '--no-queue'" },
        { "unknown letter", { "-lx" }, "unknown short flag '-x'" },
        { "no value", { "--queue" }, "expected argument for flag '--queue'" },
        { "a flag for a value", { "--queue", "--ratio=1" },
            "expected argument for flag '--queue'" },
        { "a negative number apart", { "--queue", "-5" }, "expected argument for flag '--queue'" },
        { "no value of a letter", { "-c" }, "expected argument for flag '-c'" },
        { "twice", { "--queue=1", "--queue=2" }, "flag 'queue' cannot be repeated" },
        { "a bool twice", { "--no-off", "--no-no-off" }, "flag 'no-off' cannot be repeated" },
        { "a word for a number", { "--queue=x\"" },
            "strconv.ParseFloat: parsing \"x\\\"\": invalid syntax" },
        { "too large a number", { "--ratio=1e999" },
            "strconv.ParseFloat: parsing \"1e999\": value out of range" },
        { "too large a hex number", { "--ratio=0x1p5000" },
            "strconv.ParseFloat: parsing \"0x1p5000\": value out of range" },
        { "an exponent without digits", { "--ratio=1e+" },
            "strconv.ParseFloat: parsing \"1e+\": invalid syntax" },
        { "a word for an integer", { "--evals=5e3" },
            "strconv.ParseInt: parsing \"5e3\": invalid syntax" },
        { "an underscore at the end", { "--evals=5_" },
            "strconv.ParseInt: parsing \"5_\": invalid syntax" },
        { "too large an integer", { "--evals=9223372036854775808" },
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range" },
        { "choice", { "--log.level=loud" },
            "enum value must be one of debug,info,warn, got 'loud'" },
        { "help beside an unknown flag", { "--help", "--foo" }, "unknown long flag '--foo'" },
    };
    TEST_EACH(c, cases) {
        struct args a = { 0 };
        struct opts_run run = { 0 };
        struct err e = { 0 };
        EXPECT_EQ(parse(&a, &run, c->words, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(c->want));
        opts_fini(&run);
    }
}

TEST(opts_integers)
{
    static const struct { const char *name; const char *text; int64_t want;
    } cases[] = {
        { "zero", "--evals=0", 0 },
        { "octal", "--evals=017", 15 },
        { "octal with o", "--evals=0o17", 15 },
        { "binary", "--evals=-0b101", -5 },
        { "gaps", "--evals=1_000_000", 1000000 },
        { "least", "--evals=-9223372036854775808", INT64_MIN },
        { "hex gap", "--evals=0x_f", 15 },
    };
    TEST_EACH(c, cases) {
        struct args a = { 0 };
        struct opts_run run = { 0 };
        const char *words[] = { c->text, NULL };
        EXPECT_OK(parse(&a, &run, words, NULL));
        EXPECT_EQ(a.evals, c->want);
        opts_fini(&run);
    }
}

TEST(opts_required)
{
    static const struct opt need[] = {
        { "a", .help = "A.", .offset = 0, &opt_str, .flags = OPT_REQUIRED },
        { "b", .help = "B.", .offset = sizeof(str), &opt_str, .flags = OPT_REQUIRED },
        { "folder", .help = "Where.", .offset = 2 * sizeof(str), &opt_str,
            .flags = OPT_ARG | OPT_REQUIRED },
    };
    static const struct {
        const char *name;
        char words[3][8];
        int argc;
        const char *want;
    } cases[] = {
        { "both flags", { "x" }, 2, "required flag(s) '--a', '--b' not provided" },
        { "the argument", { "--a=1", "--b=2" }, 3, "required argument 'folder' not provided" },
        { "one word too many", { "x", "y" }, 3, "unexpected y" },
    };
    TEST_EACH(c, cases) {
        str out[3];
        struct opts_run run = { 0 };
        struct err e = { 0 };
        char *argv[4] = { NULL, (char *)(uintptr_t)c->words[0], (char *)(uintptr_t)c->words[1],
            NULL };
        EXPECT_EQ(opts_parse(out, need, ARRAY_LEN(need), c->argc, argv, &run, &e), ERR_BAD_INPUT);
        EXPECT_STR(err_str(&e), str_z(c->want));
        opts_fini(&run);
    }
}

TEST(opts_help_and_version)
{
    static const struct {
        const char *name;
        const char *words[WORDS_MAX];
        bool help, version;
    } cases[] = {
        { "help", { "--help" }, true, false },
        { "letter, beside a bad value", { "--queue=x", "-h" }, true, false },
        { "long", { "--help-long" }, true, false },
        { "man", { "--help-man" }, true, false },
        { "version, before what is unknown", { "--version", "--foo" }, false, true },
    };
    TEST_EACH(c, cases) {
        struct args a = { 0 };
        struct opts_run run = { 0 };
        EXPECT_OK(parse(&a, &run, c->words, NULL));
        EXPECT_EQ(run.help, c->help);
        EXPECT_EQ(run.version, c->version);
        opts_fini(&run);
    }
}

TEST(opts_help_text)
{
    static const char want[] =
        "usage: prog [<flags>] [<files>...]\n"
        "\n"
        "What it does\n"
        "\n"
        "\n"
        "Flags:\n"
        "  -h, --[no-]help            Show context-sensitive help (also try --help-long\n"
        "                             and --help-man).\n"
        "      --[no-]version         Show application version.\n"
        "  -c, --config.file=\"prometheus.yml\"  \n"
        "                             Configuration file path.\n"
        "  -l, --[no-]web.enable-lifecycle  \n"
        "                             Enable it.\n"
        "  -o, --[no-]no-off          A name with no in it.\n"
        "      --queue=5e3            Room in the queue.\n"
        "      --ratio=0.9            A part.\n"
        "      --listen=0.0.0.0:9090... ...  \n"
        "                             Can be repeated.\n"
        "      --enable-feature= ...  Comma separated names of things that are to be\n"
        "                             turned on, all of them before anything else.\n"
        "      --log.level=info       Least level.\n"
        "      --web.external-url-of-some-length=<URL>  \n"
        "                             Where we are.\n"
        "\n"
        "Args:\n"
        "  [<files>]  What to look at.\n";
    struct buf b = { 0 };
    opts_help(&b, "prog", "What it does", table, ARRAY_LEN(table));
    EXPECT_STR(buf_view(&b), str_z(want));
    buf_fini(&b);
}
