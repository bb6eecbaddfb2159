#include "tsdb/image_turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "wal/wal.h"

#define LOG_BYTES (64ull << 20)
/* Of what samples cost on their way in, images add less than a tenth; and what a start has to read
 * takes no longer than making the series anew. */
enum { REST_FOLD = 20, WARN_EVERY_MS = 600000 };
#define AGAIN_NS (60 * 1000000000ll)

void image_turn_init(struct image_turn *t, const struct image_file_of *of, uint64_t log_bytes,
    const struct image_file_written *last)
{
    *t = (struct image_turn){ .of = *of, .log_bytes = log_bytes, .last = *last };
}

/* What a start would have to read. */
static uint64_t behind(const struct image_turn *t)
{
    struct wal_stat now;
    wal_stat(t->of.wal, &now);
    return t->last.place.offset ? image_file_behind(t->of.fs, &now, &t->last.place) : now.bytes;
}

static bool is_due(const struct image_turn *t)
{
    uint64_t image = t->last.bytes;
    if (t->log_bytes == UINT64_MAX) return false;
    return behind(t) >= (t->log_bytes ? MAX(t->log_bytes, image / 2) : MAX(LOG_BYTES, image));
}

static void take(struct image_turn *t)
{
    struct err e = { 0 };
    struct image_file_written done;
    errc rc = image_file_write(&t->of, &done, &e);
    if (rc == ERR_CANCELED) return;
    if (rc == OK) {
        if (done.place.offset) t->last = done;
        t->not_before_ns = clock_mono_ns() + done.cpu_ns * REST_FOLD;
        return;
    }
    t->not_before_ns = clock_mono_ns() + AGAIN_NS;
    LOG_LIMITED(WARN, WARN_EVERY_MS, "no head image", kv_err(&e));
}

void image_turn_take(struct image_turn *t)
{
    if (is_due(t) && clock_mono_ns() >= t->not_before_ns) take(t);
}

void image_turn_renew(struct image_turn *t)
{
    bool (*rest)(void *ctx, int64_t worked_ns) = t->of.rest;
    if (t->log_bytes == UINT64_MAX) return;
    t->of.rest = NULL;
    take(t);
    t->of.rest = rest;
}
