#include "base/spans.h"

size_t spans_bytes(struct spans s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.at[i].n;
    return n;
}

void spans_put(struct spans s, size_t off, str bytes)
{
    for (size_t i = 0; i < s.n && bytes.n; i++) {
        const struct byte_span *x = &s.at[i];
        if (off >= x->n) {
            off -= x->n;
            continue;
        }
        size_t step = MIN(x->n - off, bytes.n);
        if (x->p) memcpy(x->p + off, bytes.p, step);
        bytes = str_from(bytes, step);
        off = 0;
    }
}

struct spans spans_slice(struct spans s, size_t off, size_t n, struct byte_span *out)
{
    size_t k = 0;
    for (size_t i = 0; i < s.n && n; i++) {
        struct byte_span x = s.at[i];
        if (off >= x.n) {
            off -= x.n;
            continue;
        }
        size_t step = MIN(x.n - off, n);
        out[k++] = (struct byte_span){ x.p ? x.p + off : NULL, step };
        n -= step;
        off = 0;
    }
    return (struct spans){ out, k };
}
