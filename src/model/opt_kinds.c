#include "model/opt_kinds.h"

#include "model/duration.h"
#include "model/size.h"

static errc opt_duration_set(
    void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem;
    return duration_parse(text, at, e);
}

static void opt_duration_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_duration(b, *(const int64_t *)at);
}

static errc opt_size_set(void *at, const struct opt *o, str text, struct arena *mem, struct err *e)
{
    (void)o, (void)mem;
    return size_parse(text, at, e);
}

static void opt_size_show(struct buf *b, const struct opt *o, const void *at)
{
    (void)o;
    buf_size(b, *(const int64_t *)at);
}

const struct opt_kind opt_duration = { .set = opt_duration_set, .show = opt_duration_show };
const struct opt_kind opt_size = { .set = opt_size_set, .show = opt_size_show };
