#include "bucket/range_reply.h"

errc answer_bad(bool *again, struct err *e, const char *why)
{
    *again = true;
    return err_set(e, ERR_CORRUPT, "the answer cannot be right: %s", why);
}

str range_field(const struct range_ask *p, struct arena *a)
{
    return arena_fmt(a, "bytes=%" PRIu64 "-%" PRIu64, p->off, p->off + p->n - 1);
}

errc range_take(const struct bucket_piece *x, const struct reply *r, size_t *got, struct err *e)
{
    *got = r->got;
    if (x->into.n) return OK;
    buf_str(x->out, buf_view(&r->body));
    return buf_ok(x->out) ? OK : err_set(e, ERR_LIMIT, "more than %zu bytes", x->out->limit);
}

/* "bytes 0-9/100", "bytes * /0" without the blank */
static bool range_parse(str s, uint64_t *from, uint64_t *to, uint64_t *size)
{
    str range, total, first, last;
    *from = *to = UINT64_MAX;
    if (!str_has_prefix(s, S("bytes ")) || !str_cut(str_from(s, 6), '/', &range, &total))
        return false;
    if (!str_u64(total, size)) return false;
    if (str_eq(range, S("*"))) return true;
    return str_cut(range, '-', &first, &last) && str_u64(first, from) && str_u64(last, to) &&
           *from <= *to && *to < *size;
}

static errc version_check(struct bucket_version *v, uint64_t size, str tag, struct err *e)
{
    tag = str_slice(tag, 0, sizeof(v->tag) - 1);
    if (v->known && (v->size_bytes != size || !str_eq(str_z(v->tag), tag)))
        return err_set(e, ERR_IO, "the object was replaced while it was read");
    v->known = true;
    v->size_bytes = size;
    memset(v->tag, 0, sizeof(v->tag));
    if (tag.n) memcpy(v->tag, tag.p, tag.n);
    return OK;
}

errc range_judge(const struct range_ask *p, struct reply *r, str tag, bool *again, struct err *e)
{
    uint64_t from, to, size;
    bool ranged = range_parse(reply_header(r, S("Content-Range")), &from, &to, &size);
    if (r->status == 416) { /* it ends before */
        buf_reset(&r->body);
        r->got = 0;
        if (!ranged) size = p->v->known ? p->v->size_bytes : p->off;
        if (size > p->off) return answer_bad(again, e, "a range that is there is refused");
        return p->v->known ? version_check(p->v, size, str_z(p->v->tag), e) : OK;
    }
    if (r->status == 206) {
        if (!ranged || from != p->off || to - from >= p->n)
            return answer_bad(again, e, "it is of another range");
        if (to - from + 1 != r->got || (r->got < p->n && to + 1 != size))
            return answer_bad(again, e, "it has the wrong length");
        return version_check(p->v, size, tag, e);
    }
    if (r->status == 200 && p->off == 0 && r->got <= p->n)
        return version_check(p->v, r->got, tag, e); /* ranges are not served, or empty */
    return answer_bad(again, e, "a range was asked for");
}
