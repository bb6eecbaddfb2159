#include "bucket/look_pace.h"

#include "base/defs.h"

enum { CALM = 8 };                             /* so many times the wait: it was another matter */

void look_pace_init(struct look_pace *p, int64_t first_ns, int64_t every_ns)
{
    first_ns = MIN(first_ns, every_ns);
    *p = (struct look_pace){ .first_ns = first_ns, .every_ns = every_ns, .soon_ns = first_ns };
}

bool look_pace_due(const struct look_pace *p, int64_t now_ns, bool amiss)
{
    return !p->looked || now_ns - p->last_ns >= (amiss ? p->soon_ns : p->every_ns);
}

void look_pace_looked(struct look_pace *p, int64_t now_ns, bool amiss)
{
    bool again = amiss && p->looked && (now_ns - p->last_ns) / CALM < p->soon_ns;
    p->soon_ns = again ? MIN(p->every_ns, 2 * p->soon_ns) : p->first_ns;
    p->last_ns = now_ns;
    p->looked = true;
}
