#include "base/findings.h"

#include <stdarg.h>
#include <stdio.h>

enum { WORDS_MAX = 512 };

void findings_init(struct findings *f, size_t max)
{
    *f = (struct findings){ .max = max ? max : FINDINGS_MAX };
}

void findings_fini(struct findings *f)
{
    vec_fini(&f->all);
    arena_fini(&f->arena);
}

static void keep(struct findings *f, struct finding x)
{
    if (f->all.n >= f->max) {
        f->more++;
        return;
    }
    x.file = arena_str(&f->arena, x.file);
    x.what = arena_str(&f->arena, x.what);
    vec_push(&f->all, x);
}

static void __attribute__((format(printf, 3, 0))) keep_fmt(
    struct findings *f, struct finding x, const char *fmt, va_list ap)
{
    char words[WORDS_MAX];
    int n = vsnprintf(words, sizeof(words), fmt, ap);
    x.what = str_of(words, (size_t)MIN(MAX(n, 0), WORDS_MAX - 1));
    keep(f, x);
}

void findings_add(struct findings *f, str file, const char *fmt, ...)
{
    va_list ap;
    if (!f) return;
    va_start(ap, fmt);
    keep_fmt(f, (struct finding){ .file = file }, fmt, ap);
    va_end(ap);
}

void findings_add_at(struct findings *f, str file, uint64_t offset, const char *fmt, ...)
{
    va_list ap;
    if (!f) return;
    va_start(ap, fmt);
    keep_fmt(f, (struct finding){ .file = file, .has_offset = true, .offset = offset }, fmt, ap);
    va_end(ap);
}

void findings_join(struct findings *f, const struct findings *from)
{
    for (size_t i = 0; i < from->all.n; i++) keep(f, from->all.at[i]);
    f->more += from->more;
}

void findings_text(struct buf *b, const struct finding *x)
{
    buf_str(b, x->file);
    if (x->has_offset) buf_fmt(b, ": at %" PRIu64, x->offset);
    buf_str(b, S(": "));
    buf_str(b, x->what);
}
