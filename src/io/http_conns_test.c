#include "io/http_conns.h"

#include "base/metric.h"
#include "base/test.h"

struct sums { double attempted, established, failed, refused, closed; };

static void sum(void *ctx, const struct metric_point *p)
{
    struct sums *s = ctx;
    if (!str_has_prefix(str_z(p->family->name), S("net_conntrack_dialer_")) ||
        strcmp(p->values[0], "job") != 0)
        return;
    if (strstr(p->family->name, "attempted")) s->attempted += p->value;
    if (strstr(p->family->name, "established")) s->established += p->value;
    if (strstr(p->family->name, "closed")) s->closed += p->value;
    if (strstr(p->family->name, "failed")) s->failed += p->value;
    if (strstr(p->family->name, "failed") && strcmp(p->values[1], "refused") == 0)
        s->refused += p->value;
}

TEST(http_conns_are_counted)
{
    struct http_conns *c = http_conns_new();
    http_conns_dialled(c, S("job"), DIAL_FINE, 7);
    http_conns_dialled(c, S("job"), DIAL_FINE, -1);            /* closed before one looked */
    http_conns_dialled(c, S("job"), DIAL_REFUSED, -1);
    http_conns_dialled(c, S("job"), DIAL_TIMEOUT, -1);
    http_conns_dialled(c, STR_EMPTY, DIAL_FINE, 8);            /* nobody's */
    http_conns_closed(c, 8);
    http_conns_closed(c, 9);
    struct sums s = { 0 };
    metric_each(sum, &s);
    EXPECT(
        s.attempted == 4 && s.established == 2 && s.failed == 2 && s.refused == 1 && s.closed == 1);
    http_conns_closed(c, 7);
    http_conns_closed(c, 7);
    memset(&s, 0, sizeof(s));
    metric_each(sum, &s);
    EXPECT(s.closed == 2);
    http_conns_free(c);
}
