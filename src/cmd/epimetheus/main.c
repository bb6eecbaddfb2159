/* main.c — epimetheus: the command line, the signals, and the way out. */
#include "cmd/epimetheus/last_resort.h"
#include "cmd/epimetheus/server.h"
#include "cmd/epimetheus/store.h"

#include "base/log.h"
#include "base/version.h"

#include <signal.h>
#include <stdio.h>

/* jemalloc's settings (its documented symbol; without jemalloc nobody reads it). Few arenas and
 * small thread caches of few objects, since a store has hundreds of threads: most memory comes from
 * our own slabs and arenas, what is left are request bodies that come and go. Their pages go back
 * within half a second, by a thread of their own: it is a fifth of the memory at rest, and less
 * CPU. */
extern const char *malloc_conf;
const char *malloc_conf =
    "narenas:2,tcache_max:4096,tcache_nslots_small_max:32,dirty_decay_ms:500,muzzy_decay_ms:0,"
    "background_thread:true";

/* SIGHUP reloads, SIGINT and SIGTERM end. All are blocked in every thread and waited for here. */
static sigset_t signals_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

/* The next signal; 0 when it is time to look at the configuration file. */
static int signal_wait(const sigset_t *set, const struct flags *f)
{
    if (!f->auto_reload) {
        int sig = 0;
        return sigwait(set, &sig) == 0 ? sig : 0;
    }
    struct timespec wait = { f->auto_reload_ms / 1000, f->auto_reload_ms % 1000 * 1000000 };
    int sig = sigtimedwait(set, NULL, &wait);
    return sig > 0 ? sig : 0;
}

static void signals_serve(struct server *s, const struct flags *f, const sigset_t *set)
{
    if (f->auto_reload) server_config_changed(s);              /* remembers what was loaded */
    for (;;) {
        int sig = signal_wait(set, f);
        if (sig == SIGINT || sig == SIGTERM) {
            LOG(WARN, "Received an OS signal, exiting gracefully...",
                kv_z("signal", sig == SIGINT ? "interrupt" : "terminated"));
            return;
        }
        bool changed = f->auto_reload && server_config_changed(s);
        if (sig != SIGHUP && !changed) continue;
        struct err e = { 0 };
        errc rc = server_reload(s, &e);                        /* says itself what went wrong */
        (void)rc;
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && str_eq(str_z(argv[1]), S("store"))) return store_main(argc - 1, argv + 1);
    struct flags f = { 0 };
    struct opts_run run = { 0 };
    struct err e = { 0 };
    bool done;
    if (flags_parse(&f, &run, argc, argv, &done, &e) != OK) {
        fprintf(stderr, "%s%.*s\n",
            f.bare_words ? "" : "Error parsing command line arguments: ", STR_ARG(err_str(&e)));
        opts_fini(&run);
        return f.exit_code;
    }
    if (done) {
        opts_fini(&run);
        return 0;
    }
    sigset_t set = signals_block();
    log_set((enum log_level)f.log_level, (enum log_format)f.log_format);
    log_start();
    LOG(INFO, "Starting Epimetheus", kv_str("version", VERSION_OWN),
        kv_str("serving_as", VERSION_PROMETHEUS));
    flags_tell_unserved(&run);
    struct server *s = NULL;
    int code = 0;
    if (server_start(&s, &f, &code, &e) != OK) {
        LOG(ERROR, "the server did not start", kv_err(&e));
    } else {
        code = 0;
        signals_serve(s, &f, &set);
        struct last_resort *r = last_resort_begin();
        server_stop(s);
        last_resort_end(r);
        LOG(INFO, "See you next time!");
    }
    log_stop();
    opts_fini(&run);
    return code;
}
