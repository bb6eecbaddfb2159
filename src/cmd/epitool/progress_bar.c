#include "cmd/epitool/progress_bar.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    WIDTH = 40,
    WIDTH_MIN = 6,
    WHAT_WIDTH = 26,
    COLUMNS = 80,
    REDRAW_NS = 100000000,
    QUIET_NS = 300000000,
    PERCENT = 100
};

size_t terminal_columns(int fd)
{
    struct winsize size = { 0 };
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS;
}

/* A line that reaches the last column may end on the next one, and then stays there: words give way
 * first, then the bar. */
void progress_bar_draw(struct buf *out, size_t columns, str what, uint64_t done, uint64_t total)
{
    enum { AROUND = 4 }; /* blank, brackets, the last column */
    char figures[64];
    uint64_t full = total ? MIN(done, total) : 0;
    snprintf(figures, sizeof(figures), " %3.0f %% (%" PRIu64 "/%" PRIu64 ")",
        total ? (double)full / (double)total * PERCENT : 0.0, full, total);
    size_t taken = strlen(figures) + AROUND, room = columns > taken ? columns - taken : 0;
    size_t words = MIN((size_t)WHAT_WIDTH, room > WIDTH_MIN ? room - WIDTH_MIN : 0);
    size_t bar = MIN((size_t)WIDTH, MAX(room - words, (size_t)WIDTH_MIN));
    size_t filled = total ? (size_t)((double)full / (double)total * (double)bar) : 0;
    what = str_slice(what, 0, words);
    buf_fmt(out, "%-*.*s [", (int)words, STR_ARG(what));
    for (size_t i = 0; i < bar; i++) buf_u8(out, i < filled ? '=' : i == filled ? '>' : ' ');
    buf_fmt(out, "]%s", figures);
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
    progress_bar_draw(&line, terminal_columns(STDERR_FILENO), what, done, total);
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
