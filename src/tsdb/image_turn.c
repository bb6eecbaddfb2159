#include "tsdb/image_turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "wal/wal.h"

#define LOG_BYTES (64ull << 20)
/* Of what samples cost on their way in, images add less than a tenth; and what a start has to read
 * takes no longer than making the series anew. */
enum { LOG_FOLD = 2, REST_FOLD = 20, WARN_EVERY_MS = 600000 };
#define AGAIN_NS (60 * 1000000000ll)

void image_turn_init(struct image_turn *t, const struct image_file_of *of, uint64_t log_bytes,
    uint64_t segment_bytes)
{
    *t = (struct image_turn){ .of = *of,
        .log_bytes = log_bytes,
        .segment_bytes = segment_bytes ? segment_bytes : WAL_SEGMENT_BYTES };
}

/* What was logged since the last image; a bound from above, since segments may end early. */
static uint64_t logged(const struct image_turn *t)
{
    struct wal_stat now;
    const struct image_place *last = &t->last.place;
    wal_stat(t->of.wal, &now);
    if (!last->offset) return now.bytes;
    uint64_t segments = now.segment - last->segment;
    return segments ? segments * t->segment_bytes + now.offset : now.offset - last->offset;
}

static bool is_due(const struct image_turn *t)
{
    uint64_t image = t->last.bytes;
    if (t->log_bytes == UINT64_MAX) return false;
    return logged(t) >=
           (t->log_bytes ? MAX(t->log_bytes, image / 2) : MAX(LOG_BYTES, LOG_FOLD * image));
}

void image_turn_take(struct image_turn *t)
{
    struct err e = { 0 };
    struct image_file_written done;
    if (!is_due(t) || clock_mono_ns() < t->not_before_ns) return;
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
