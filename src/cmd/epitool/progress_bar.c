#include "cmd/epitool/progress_bar.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { WIDTH = 40, WHAT_WIDTH = 26, REDRAW_NS = 100000000, QUIET_NS = 300000000, PERCENT = 100 };

void progress_bar_draw(struct buf *out, str what, uint64_t done, uint64_t total)
{
    uint64_t full = total ? MIN(done, total) : 0;
    size_t filled = total ? (size_t)((double)full / (double)total * WIDTH) : 0;
    what = str_slice(what, 0, WHAT_WIDTH);
    buf_fmt(out, "%-*.*s [", WHAT_WIDTH, STR_ARG(what));
    for (size_t i = 0; i < WIDTH; i++) buf_u8(out, i < filled ? '=' : i == filled ? '>' : ' ');
    buf_fmt(out, "] %3.0f %% (%" PRIu64 "/%" PRIu64 ")",
        total ? (double)full / (double)total * PERCENT : 0.0, full, total);
}

/* Work that is done at once draws nothing. */
static void tell(void *ctx, str what, uint64_t done, uint64_t total)
{
    struct progress_bar *b = ctx;
    int64_t now = clock_mono_ns();
    if (!b->on || now < b->next_ns || now - b->began_ns < QUIET_NS) return;
    SCOPED(buf_fini) struct buf line = { 0 };
    b->next_ns = now + REDRAW_NS;
    b->drawn = true;
    progress_bar_draw(&line, what, done, total);
    fprintf(stderr, "\r\033[K%.*s", STR_ARG(buf_view(&line)));
    fflush(stderr);
}

void progress_bar_begin(struct progress_bar *b)
{
    *b = (struct progress_bar){ .on = isatty(STDERR_FILENO), .began_ns = clock_mono_ns() };
    b->base = (struct progress){ tell, b };
}

void progress_bar_end(struct progress_bar *b)
{
    if (b->drawn) fprintf(stderr, "\r\033[K");
    b->drawn = false;
}
