#include "model/exemplar.h"

#include "base/utf8.h"

bool exemplar_same(const struct exemplar *a, const struct exemplar *b)
{
    if (!labels_eq(a->labels, b->labels)) return false;
    return ((!a->has_t && !b->has_t) || a->t == b->t) && a->v == b->v;
}

static size_t runes(str s)
{
    size_t n = 0, width;
    for (size_t at = 0; at < s.n; at += width, n++) (void)utf8_rune(str_from(s, at), &width);
    return n;
}

errc exemplar_check(const struct exemplar *x, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < x->labels.n; i++) {
        n += runes(x->labels.at[i].name) + runes(x->labels.at[i].value);
        if (n > EXEMPLAR_RUNES_MAX)
            return err_set(e, ERR_LIMIT,
                "label length for exemplar exceeds maximum of %d UTF-8 characters",
                EXEMPLAR_RUNES_MAX);
    }
    return OK;
}
