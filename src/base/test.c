#include "base/test.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct test *tests, *running;
static const char *current_case;
static bool was_skipped;
static char tmp[256], shared[256];
static uint64_t secrets;                       /* what the secrets of a test follow from */

void test_register(struct test *t)
{
    t->next = tests;
    tests = t;
}

void test_case(const char *name) { current_case = name; }

void test_fail(const char *file, int line, const char *fmt, ...)
{
    char words[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s:%d: ", file, line);
    if (current_case) fprintf(stderr, "case \"%s\": ", current_case);
    fprintf(stderr, "%s (SEED=%" PRIu64 " SECRETS=%" PRIu64 ")\n", words, test_seed(), secrets);
    _fail(file, line);
    abort();
}

void test_skip(const char *why)
{
    fprintf(stderr, "skipped: %s\n", why);
    was_skipped = true;
    skip();
    abort();
}

uint64_t test_seed(void)
{
    const char *seed = getenv("SEED");
    return seed ? strtoull(seed, NULL, 10) : 1;
}

static bool shared_is_there(void)
{
    const char *dir = getenv("EPI_SHARED");
    snprintf(shared, sizeof(shared), "%s", dir && *dir ? dir : "../shared");
    struct stat st;
    return stat(shared, &st) == 0;
}

/* Before the test begins: one that left in the middle would leave all that it holds. */
static void shared_or_skip(void)
{
    if (shared_is_there()) return;
    const char *ci = getenv("CI");
    if (ci && strcmp(ci, "true") == 0)
        test_fail(__FILE__, __LINE__, "CI=true and %s is absent", shared);
    test_skip("the shared vectors are absent (EPI_SHARED)");
}

const char *test_shared(void)
{
    if (!running->shared)
        test_fail(running->file, 0, "%s reads shared vectors: TEST_SHARED(%s)", running->name,
            running->name);
    return shared;
}

bool test_aborts(void (*step)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        step();
        _exit(0);
    }
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    assert(ended == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

const char *test_tmpdir(void)
{
    if (tmp[0]) return tmp;
    const char *base = getenv("TMPDIR");
    snprintf(tmp, sizeof(tmp), "%s/epi-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(tmp)) test_fail(__FILE__, __LINE__, "mkdtemp %s", tmp);
    return tmp;
}

static void tmp_remove(void)
{
    if (!tmp[0]) return;
    char cmd[320];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", tmp);
    if (system(cmd) != 0) fprintf(stderr, "could not remove %s\n", tmp);
    tmp[0] = 0;
}

/* The runner sets handlers of its own around each test; the one for bus errors that the code under
 * test has installed once (io/guard) goes on from test to test. */
static struct sigaction bus;
static bool bus_kept;
static void bus_restore(void)
{
    if (bus_kept) sigaction(SIGBUS, &bus, NULL);
}
static void bus_keep(void) { bus_kept = sigaction(SIGBUS, NULL, &bus) == 0; }

static void run_one(void **state)
{
    struct test *t = *state;
    running = t;
    current_case = NULL;
    if (t->shared) shared_or_skip();
    prng_fake_set(secrets);
    bus_restore();
    t->run();
    bus_keep();
    tmp_remove();
}

/* Own loop around cmocka's runner: one test a group, so that counts are ours and a name can be
 * chosen. */
static int run_quiet(struct test *t)
{
    struct CMUnitTest unit = { .name = t->name, .test_func = run_one, .initial_state = t };
    return _cmocka_run_group_tests(t->name, &unit, 1, NULL, NULL);
}

/* Hash tables and names differ from run to run; SECRETS=n makes a run as another was. */
static void secrets_draw(void)
{
    const char *given = getenv("SECRETS");
    prng_secret(&secrets, sizeof(secrets));
    if (given) secrets = strtoull(given, NULL, 10);
}

/* A whole name means that test, a part all that have it. */
static bool is_meant(const struct test *t, const char *name)
{
    for (const struct test *one = tests; one; one = one->next)
        if (strcmp(one->name, name) == 0) return strcmp(t->name, name) == 0;
    return strstr(t->name, name) != NULL;
}

/* No name asks for all. */
static bool is_asked(const struct test *t, int n, char **names)
{
    bool any = n == 0;
    for (int i = 0; i < n && !any; i++) any = is_meant(t, names[i]);
    return any;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0, skipped = 0;
    mallopt(M_MMAP_THRESHOLD, 128 << 10); /* else calloc writes zeroes over 10 MB a head */
    secrets_draw();
    setvbuf(stdout, NULL, _IOLBF, 0);
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    if (!getenv("TEST_VERBOSE") && !freopen("/dev/null", "w", stdout)) return 2;
    for (struct test *t = tests; t; t = t->next) {
        if (!is_asked(t, argc - 1, argv + 1)) continue;
        was_skipped = false;
        int bad = run_quiet(t);
        if (bad) fprintf(stderr, "FAILED %s (%s)\n", t->name, t->file);
        if (bad) failed++;
        else if (was_skipped) skipped++;
        else passed++;
        tmp[0] = 0;
    }
    fprintf(stderr, "%u passed, %u failed, %u skipped\n", passed, failed, skipped);
    return failed ? 1 : 0;
}
