#include "grpc/flood.h"

#include "base/defs.h"

void flood_init(struct flood *f, int64_t now_ns)
{
    *f = (struct flood){ FLOOD_FRAMES, FLOOD_ENDS, now_ns, now_ns };
}

static bool take(double *left, int64_t *at_ns, int64_t now_ns, int most, int a_second)
{
    double passed_s = (double)(now_ns - *at_ns) / 1e9;
    *left = MIN(*left + passed_s * a_second, (double)most);
    *at_ns = now_ns;
    if (*left < 1) return false;
    *left -= 1;
    return true;
}

bool flood_frame(struct flood *f, int64_t now_ns)
{
    return take(&f->frames, &f->frames_ns, now_ns, FLOOD_FRAMES, FLOOD_FRAMES_A_SECOND);
}

bool flood_end(struct flood *f, int64_t now_ns)
{
    return take(&f->ends, &f->ends_ns, now_ns, FLOOD_ENDS, FLOOD_ENDS_A_SECOND);
}

void flood_answered(struct flood *f) { f->frames = FLOOD_FRAMES; }
