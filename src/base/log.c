#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/f64.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { RING_BYTES = 1 << 20, LINE_MAX_BYTES = 16 << 10 };

static struct {
    _Atomic int level;                                         /* relaxed */
    enum log_format format;                                    /* const once threads run */
    void (*capture)(void *ctx, enum log_level level, str line);/* tests only, threads at rest */
    void *capture_ctx;
    struct mtx mu;                                             /* LOCK_LEAF */
    struct cond changed;
    uint8_t *ring;                                             /* GUARDED_BY(mu): whole lines */
    size_t head, n;                                            /* GUARDED_BY(mu) */
    bool running, stop;                                        /* GUARDED_BY(mu) */
    uint64_t dropped;                                          /* GUARDED_BY(mu) */
    pthread_t thread;
} logger = { .level = LOG_INFO, .mu = { PTHREAD_MUTEX_INITIALIZER, LOCK_LEAF } };

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

void log_set(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&logger.level, (int)level, memory_order_relaxed);
    logger.format = format;
}

void log_capture(void (*fn)(void *ctx, enum log_level level, str line), void *ctx)
{
    logger.capture = fn;
    logger.capture_ctx = ctx;
}

bool log_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

bool log_allowed(
    _Atomic int64_t *next_ns, _Atomic int64_t *skipped, int64_t every_ms, int64_t *n_out)
{
    int64_t now = clock_mono_ns(), next = atomic_load_explicit(next_ns, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong_explicit(next_ns, &next,
                          now + every_ms * 1000000, memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(skipped, 1, memory_order_relaxed);
        return false;
    }
    *n_out = atomic_exchange_explicit(skipped, 0, memory_order_relaxed);
    return true;
}

/* ---- lines */

static bool plain(str s)
{
    if (!s.n) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] >= 0x7f)
            return false;
    return true;
}

static void put_logfmt(struct buf *b, const struct kv *kv)
{
    buf_fmt(b, " %s=", kv->key);
    switch (kv->kind) {
    case KV_STR:
        if (plain(kv->s)) buf_str(b, kv->s);
        else buf_go_quote(b, kv->s);
        break;
    case KV_I64: buf_i64_text(b, kv->i); break;
    case KV_U64: buf_u64_text(b, kv->u); break;
    case KV_F64: buf_f64_g(b, kv->f); break;
    case KV_BOOL: buf_str(b, kv->b ? S("true") : S("false")); break;
    }
}

static void put_json(struct json *j, const struct kv *kv)
{
    json_key(j, str_z(kv->key));
    switch (kv->kind) {
    case KV_STR: json_str(j, kv->s); break;
    case KV_I64: json_i64(j, kv->i); break;
    case KV_U64: json_u64(j, kv->u); break;
    case KV_F64: json_f64(j, kv->f); break;
    case KV_BOOL: json_bool(j, kv->b); break;
    }
}

/* The last folder and name of __FILE__: "tsdb/db.c". */
static str short_file(const char *file)
{
    str f = str_z(file);
    size_t src = str_find(f, S("src/"));
    return src == SIZE_MAX ? f : str_from(f, src + 4);
}

static void line_format(struct buf *b, enum log_level level, const char *file, int line,
    const char *sentence, const struct kv *kv, size_t n)
{
    struct buf time = { 0 };
    buf_rfc3339_ms(&time, clock_wall_ms());
    str source = short_file(file);
    if (logger.format == LOG_JSON) {
        struct json j = json_to(b);
        json_obj(&j);
        json_kstr(&j, S("time"), buf_view(&time));
        json_kstr(&j, S("level"), str_z(level_names[level]));
        json_key(&j, S("source"));
        struct buf at = { 0 };
        buf_fmt(&at, "%.*s:%d", STR_ARG(source), line);
        json_str(&j, buf_view(&at));
        buf_fini(&at);
        json_kstr(&j, S("msg"), str_z(sentence));
        for (size_t i = 0; i < n; i++) put_json(&j, &kv[i]);
        json_obj_end(&j);
    } else {
        buf_fmt(b, "time=%.*s level=%s source=%.*s:%d msg=", STR_ARG(buf_view(&time)),
            level_names[level], STR_ARG(source), line);
        if (plain(str_z(sentence))) buf_str(b, str_z(sentence));
        else buf_go_quote(b, str_z(sentence));
        for (size_t i = 0; i < n; i++) put_logfmt(b, &kv[i]);
    }
    buf_u8(b, '\n');
    buf_fini(&time);
}

/* ---- the ring and its thread */

static void write_all(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, p, n);
        /* nobody reads: what else could be said, and to whom */
        if (done <= 0) return;
        p += done;
        n -= (size_t)done;
    }
}

static void ring_put(str line)
{
    mtx_lock(&logger.mu);
    if (logger.running && !logger.stop) {
        if (RING_BYTES - logger.n < line.n) logger.dropped++;
        else {
            for (size_t i = 0, at = (logger.head + logger.n) % RING_BYTES; i < line.n;
                 i++, at = at + 1 == RING_BYTES ? 0 : at + 1)
                logger.ring[at] = line.p[i];
            logger.n += line.n;
            cond_signal(&logger.changed);
        }
        mtx_unlock(&logger.mu);
        return;
    }
    mtx_unlock(&logger.mu);
    write_all(line.p, line.n);
}

static void *ring_run(void *arg)
{
    (void)arg;
    uint8_t *room = mem_alloc(RING_BYTES);
    mtx_lock(&logger.mu);
    for (;;) {
        while (!logger.n && !logger.stop) cond_wait(&logger.changed, &logger.mu);
        size_t n = logger.n;
        if (!n) break;
        size_t first = MIN(n, RING_BYTES - logger.head);
        memcpy(room, logger.ring + logger.head, first);
        memcpy(room + first, logger.ring, n - first);
        logger.head = (logger.head + n) % RING_BYTES;
        logger.n = 0;
        mtx_unlock(&logger.mu);
        write_all(room, n);
        mtx_lock(&logger.mu);
    }
    mtx_unlock(&logger.mu);
    mem_free(room);
    return NULL;
}

void log_start(void)
{
    assert(!logger.running);
    cond_init(&logger.changed);
    logger.ring = mem_alloc(RING_BYTES);
    logger.head = logger.n = 0;
    logger.stop = false;
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    logger.running = pthread_create(&logger.thread, NULL, ring_run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}

void log_stop(void)
{
    mtx_lock(&logger.mu);
    bool running = logger.running;
    logger.stop = true;
    if (running) cond_signal(&logger.changed);
    mtx_unlock(&logger.mu);
    if (!running) return;
    pthread_join(logger.thread, NULL);
    mtx_lock(&logger.mu);
    logger.running = false;
    mem_free(logger.ring);
    logger.ring = NULL;
    mtx_unlock(&logger.mu);
    cond_fini(&logger.changed);
}

uint64_t log_dropped(void)
{
    mtx_lock(&logger.mu);
    uint64_t n = logger.dropped;
    mtx_unlock(&logger.mu);
    return n;
}

void log_line(enum log_level level, const char *file, int line, const char *sentence,
    const struct kv *kv, size_t n)
{
    struct buf b;
    buf_init(&b, NULL, LINE_MAX_BYTES);
    line_format(&b, level, file, line, sentence, kv, n);
    if (!buf_ok(&b)) {                                         /* too long: its sentence alone */
        buf_reset(&b);
        line_format(&b, level, file, line, sentence, NULL, 0);
    }
    if (logger.capture) logger.capture(logger.capture_ctx, level, buf_view(&b));
    else ring_put(buf_view(&b));
    buf_fini(&b);
}
