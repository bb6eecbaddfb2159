/* log.h — one line a thought: a constant sentence and typed pairs.
 *
 * What        LOG(INFO, "block written", kv_str("ulid", ulid), kv_i64("series", n)). Lines are
 *             formatted by the caller into a ring and written to stderr by one thread, so that a
 *             blocked stderr stalls nobody; lines lost to a full ring are counted.
 * Invariants  a line is written whole or not at all; lines of one thread stay in order
 * Ownership   values are copied before LOG returns
 * Threads     any
 * Errors      none
 * Format      logfmt or JSON as Prometheus' slog prints them: time=2026-01-02T15:04:05.000Z
 *             level=INFO source=… msg="…" k=v
 */
#ifndef EPI_BASE_LOG_H
#define EPI_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct kv {
    const char *key;
    enum { KV_STR, KV_I64, KV_U64, KV_F64, KV_BOOL } kind;
    union {
        str s;
        int64_t i;
        uint64_t u;
        double f;
        bool b;
    };
};
static inline struct kv kv_str(const char *key, str v)
{
    return (struct kv){ .key = key, .kind = KV_STR, .s = v };
}
static inline struct kv kv_z(const char *key, const char *v) { return kv_str(key, str_z(v)); }
static inline struct kv kv_i64(const char *key, int64_t v)
{
    return (struct kv){ .key = key, .kind = KV_I64, .i = v };
}
static inline struct kv kv_u64(const char *key, uint64_t v)
{
    return (struct kv){ .key = key, .kind = KV_U64, .u = v };
}
static inline struct kv kv_f64(const char *key, double v)
{
    return (struct kv){ .key = key, .kind = KV_F64, .f = v };
}
static inline struct kv kv_bool(const char *key, bool v)
{
    return (struct kv){ .key = key, .kind = KV_BOOL, .b = v };
}
static inline struct kv kv_err(const struct err *e) { return kv_str("err", err_str(e)); }

#define LOG(level, sentence, ...) \
    do { \
        if (log_on(LOG_##level)) { \
            const struct kv log_kv[] = { __VA_ARGS__ __VA_OPT__(,) { 0 } }; \
            log_line(LOG_##level, __FILE__, __LINE__, (sentence), log_kv, ARRAY_LEN(log_kv) - 1); \
        } \
    } while (0)

/* The same, at most once per `every_ms` at this place; what was left out is counted on the next
 * line (suppressed=n). */
#define LOG_LIMITED(level, every_ms, sentence, ...)                                                \
    do {                                                                                           \
        static _Atomic int64_t log_next_ns, log_skipped;                                           \
        int64_t log_n = 0;                                                                         \
        if (log_on(LOG_##level) && log_allowed(&log_next_ns, &log_skipped, (every_ms), &log_n)) {  \
            const struct kv log_kv[] = { __VA_ARGS__ __VA_OPT__(, ) kv_i64("suppressed", log_n) }; \
            log_line(LOG_##level, __FILE__, __LINE__, (sentence), log_kv,                          \
                ARRAY_LEN(log_kv) - (log_n == 0));                                                 \
        }                                                                                          \
    } while (0)

bool log_on(enum log_level level);
bool log_allowed(
    _Atomic int64_t *next_ns, _Atomic int64_t *skipped, int64_t every_ms, int64_t *n_out);
void log_line(enum log_level level, const char *file, int line, const char *sentence,
    const struct kv *kv, size_t n);

/* before threads start; the default is INFO, logfmt, unbuffered */
void log_set(enum log_level level, enum log_format format);
/* from here on lines go through the ring and its thread */
void log_start(void);
/* drains the ring, ends the thread */
void log_stop(void);
uint64_t log_dropped(void);

/* Tests: lines go to fn instead (NULL: back to stderr). */
void log_capture(void (*fn)(void *ctx, enum log_level level, str line), void *ctx);

#endif
