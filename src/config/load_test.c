#include "config/config.h"

#include "base/test.h"
#include "io/fs.h"

struct file_in { const char *name, *text; };

static void put(struct fs *fs, const char *name, const char *text)
{
    struct file *f = NULL;
    struct err e = { 0 };
    uint64_t done;
    str content = str_z(text);
    EXPECT_OK_E(fs_open(&f, fs, str_z(name), FS_WRITE | FS_CREATE | FS_TRUNC, &e), &e);
    if (content.n) EXPECT_OK_E(file_pwrite(f, &content, 1, 0, &done, &e), &e);
    file_close(f);
}

static const char *env_none(const char *name)
{
    (void)name;
    return NULL;
}

/* Words without the folder of this test. */
static str words_of(struct arena *a, const struct err *e, str dir)
{
    str words = err_str(e), out = STR_EMPTY;
    for (size_t at; (at = str_find(words, dir)) != SIZE_MAX; words = str_from(words, at + dir.n))
        out = arena_fmt(a, "%.*s%.*s@", STR_ARG(out), (int)at, (const char *)words.p);
    return arena_fmt(a, "%.*s%.*s", STR_ARG(out), STR_ARG(words));
}

/* The main file, files beside it, and what comes of them: the names of the jobs, or words. */
static const struct job_files {
    const char *name, *main;
    struct file_in files[2];
    const char *jobs, *words;
} job_cases[] = {
    { "none", "scrape_configs: [{job_name: a}]\n", { { 0 } }, "a", NULL },
    { "two", "scrape_configs: [{job_name: a}]\nscrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: x}]\n" },
            { "y.yml", "scrape_configs: [{job_name: y}, {job_name: z}]\n" } },
        "a x y z", NULL },
    { "that fit no pattern", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.json", "nonsense: [" } }, "", NULL },
    { "empty", "scrape_config_files: [jobs/*.yml]\n", { { "x.yml", "" } }, "", NULL },
    { "by name", "scrape_config_files: [jobs/x.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: x}]\n" } }, "x", NULL },
    { "a job of the main file again",
        "scrape_configs: [{job_name: a}]\nscrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: a}]\n" } }, NULL,
        "\"@/jobs/x.yml\": found multiple scrape configs with job name \"a\", first found in "
        "main config file" },
    { "a job of another file", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: a}]\n" },
            { "y.yml", "scrape_configs: [{job_name: a}]\n" } },
        NULL,
        "\"@/jobs/y.yml\": found multiple scrape configs with job name \"a\", first found in "
        "\"@/jobs/x.yml\"" },
    { "a field that is none", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: a, foo: 1}]\n" } }, NULL,
        "\"@/jobs/x.yml\": yaml: unmarshal errors:\n  line 1: field foo not found in type "
        "config.ScrapeConfig" },
    { "a section that is none", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "global: {}\n" } }, NULL,
        "\"@/jobs/x.yml\": yaml: unmarshal errors:\n  line 1: field global not found in type "
        "config.ScrapeConfigs" },
    { "no YAML", "scrape_config_files: [jobs/*.yml]\n", { { "x.yml", "scrape_configs: [\n" } },
        NULL, "\"@/jobs/x.yml\": yaml: line 1: did not find expected node content" },
    { "no name", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{}]\n" } }, NULL,
        "\"@/jobs/x.yml\": job_name is empty" },
    { "nothing", "scrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [null]\n" } }, NULL,
        "\"@/jobs/x.yml\": empty or null scrape config section" },
    { "globals hold", "global: {scrape_interval: 5s}\nscrape_config_files: [jobs/*.yml]\n",
        { { "x.yml", "scrape_configs: [{job_name: a, scrape_timeout: 6s}]\n" } }, NULL,
        "\"@/jobs/x.yml\": scrape timeout greater than scrape interval for scrape config with "
        "job name \"a\"" },
    { "a pattern that is none", "scrape_config_files: ['jobs/[.yml']\n", { { 0 } }, NULL,
        "error retrieving scrape config files for \"@/jobs/[.yml\": syntax error in pattern" },
};

TEST(load_files_of_jobs)
{
    str dir = str_z(test_tmpdir());
    TEST_EACH(c, job_cases) {
        struct arena a = { 0 };
        arena_init(&a, NULL, 0);
        struct fs *fs = fs_real_new(dir);
        struct err e = { 0 };
        EXPECT_OK_E(fs_mkdir(fs, S("jobs"), &e), &e);
        put(fs, "prometheus.yml", c->main);
        for (size_t i = 0; i < ARRAY_LEN(c->files) && c->files[i].name; i++)
            put(fs, arena_cstr(&a, arena_fmt(&a, "jobs/%s", c->files[i].name)), c->files[i].text);
        struct config_opts o = { .env = env_none, .read_files = true };
        struct config *loaded = NULL;
        errc rc = config_load(&loaded, arena_fmt(&a, "%.*s/prometheus.yml", STR_ARG(dir)), &o, &e);
        if (c->words) {
            EXPECT(rc != OK);
            EXPECT_STR(words_of(&a, &e, dir), str_z(c->words));
        } else {
            EXPECT_OK_E(rc, &e);
            str names = STR_EMPTY;
            for (size_t i = 0; i < loaded->scrape.n; i++)
                names = arena_fmt(&a, "%.*s%s%.*s", STR_ARG(names), i ? " " : "",
                    STR_ARG(loaded->scrape.at[i].job_name));
            EXPECT_STR(names, str_z(c->jobs));
        }
        config_free(loaded);
        EXPECT_OK_E(fs_remove_tree(fs, S("jobs"), &e), &e);
        fs_free(fs);
        arena_fini(&a);
    }
}

TEST(load_one_file)
{
    static const char text[] =
        "scrape_configs:\n- job_name: a\n  basic_auth: {password_file: secret, username: u}\n  "
        "tls_config: {ca_file: /abs/ca.pem, cert_file: ../c.pem, key_file: k}\n";
    struct arena a = { 0 };
    arena_init(&a, NULL, 0);
    str dir = str_z(test_tmpdir());
    struct fs *fs = fs_real_new(dir);
    struct config_opts o = { .env = env_none, .read_files = true };
    struct config *c = NULL;
    struct err e = { 0 };
    EXPECT_EQ(config_load(&c, arena_fmt(&a, "%.*s/none.yml", STR_ARG(dir)), &o, &e), ERR_NOT_FOUND);
    EXPECT(c == NULL);
    put(fs, "prometheus.yml", text);
    EXPECT_OK_E(config_load(&c, arena_fmt(&a, "%.*s/prometheus.yml", STR_ARG(dir)), &o, &e), &e);
    static const struct { const char *name, *part; bool beside;
    } paths[] = {
        { "beside the file", "password_file: @/secret\n", true },
        { "absolute", "ca_file: /abs/ca.pem\n", false },
        { "key", "key_file: @/k\n", true },
    };
    TEST_EACH(p, paths) {
        str want = str_z(p->part);
        size_t at = str_index(want, '@');
        if (p->beside)
            want = arena_fmt(&a, "%.*s%.*s%.*s", (int)at, p->part, STR_ARG(dir),
                STR_ARG(str_from(want, at + 1)));
        if (str_find(c->text, want) == SIZE_MAX)
            test_fail(__FILE__, __LINE__, "no %.*s in %.*s", STR_ARG(want), STR_ARG(c->text));
    }
    config_free(c);
    fs_free(fs);
    arena_fini(&a);
}

/* What features change of the defaults: shown, too, and never what the file says itself. */
TEST(load_with_features)
{
    static const struct {
        const char *name, *text;
        bool first;
        enum scrape_protocol want;
        size_t n;
    } cases[] = {
        { "off", "scrape_configs: [{job_name: a}]\n", false, PROTO_OPENMETRICS_1_0_0, 4 },
        { "native histograms", "scrape_configs: [{job_name: a, scrape_native_histograms: true}]\n",
            false, PROTO_PROTOBUF, 5 },
        { "on", "scrape_configs: [{job_name: a}]\n", true, PROTO_PROTOBUF, 5 },
        { "on, with a global section",
            "global: {scrape_interval: 5s}\nscrape_configs: [{job_name: a}]\n", true,
            PROTO_PROTOBUF, 5 },
        { "on, but not wanted",
            "scrape_configs: [{job_name: a, scrape_protocols: [PrometheusText0.0.4]}]\n", true,
            PROTO_TEXT_0_0_4, 1 },
    };
    TEST_EACH(c, cases) {
        struct config_opts o = { .env = env_none,
            .protobuf_first = c->first,
            .scrape = { .start_times = c->first } };
        struct config *loaded = NULL;
        struct err e = { 0 };
        EXPECT_OK_E(config_parse(&loaded, str_z(c->text), S("prometheus.yml"), &o, &e), &e);
        const struct scrape_config *job = &loaded->scrape.at[0];
        EXPECT_EQ(job->n_protocols, c->n);
        EXPECT_EQ(job->protocols[0], c->want);
        EXPECT_EQ(job->features.start_times, c->first);
        bool shown = str_find(loaded->text, S("PrometheusProto")) != SIZE_MAX;
        EXPECT_EQ(shown, c->want == PROTO_PROTOBUF || c->first);
        config_free(loaded);
    }
}
