#include "block/series_merge.h"

#include "base/test.h"
#include "chunk/xor.h"

enum { SETS = 3 };

/* A set of series named by the letters of a text, each with one sample, or an error at '!'. */
struct letters { struct chunk_series_set base; const char *at; uint8_t bytes[64];
    struct label l; struct chunk_view c; struct chunk_series s; int *freed; };

static errc letters_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct letters *s = CONTAINER_OF(base, struct letters, base);
    *out = NULL;
    if (*s->at == '!') return err_set(e, ERR_IO, "gone");
    if (!*s->at) return OK;
    s->l = (struct label){ S("l"), str_of(s->at, 1) };
    s->s = (struct chunk_series){ { &s->l, 1 }, &s->c, 1, NULL };
    s->at++;
    *out = &s->s;
    return OK;
}
static void letters_free(struct chunk_series_set *base)
{
    struct letters *s = CONTAINER_OF(base, struct letters, base);
    ++*s->freed;
    mem_free(s);
}
static const struct chunk_series_set_ops letters_ops = { letters_next, letters_free };

static struct chunk_series_set *letters_new(const char *text, int64_t t, int *freed)
{
    struct letters *s = NEW(struct letters);
    double v = (double)t;
    s->base.ops = &letters_ops;
    s->at = text;
    s->freed = freed;
    s->c = (struct chunk_view){ t, t, 1, str_of(s->bytes, xor_encode(s->bytes, &t, &v, 1)) };
    return &s->base;
}

TEST(series_merge_by_labels)
{
    static const struct { const char *name, *sets[SETS], *want; errc rc; } cases[] = {
        { "none", { "", "", "" }, "", OK },
        { "one after the other", { "ab", "cd", "e" }, "a1b1c1d1e1", OK },
        { "shared", { "ac", "bc", "abc" }, "a2b2c3", OK },
        { "the last fails", { "a", "b", "c!" }, "a1b1c1", ERR_IO },
        { "the first fails at once", { "!", "b", "c" }, "", ERR_IO },
    };
    TEST_EACH(c, cases) {
        struct chunk_series_set *sets[SETS], *all = NULL;
        SCOPED(buf_fini) struct buf got = { 0 };
        int freed = 0;
        for (int i = 0; i < SETS; i++) sets[i] = letters_new(c->sets[i], 10 * i, &freed);
        errc rc = series_merge(&all, sets, SETS, NULL);
        while (rc == OK) {
            const struct chunk_series *s = NULL;
            rc = all->ops->next(all, &s, NULL);
            if (rc != OK || !s) break;
            buf_fmt(&got, "%.*s%zu", STR_ARG(s->labels.at[0].value), s->n);
        }
        chunk_series_set_free(all);
        EXPECT_EQ(rc, c->rc);
        EXPECT_STR(buf_view(&got), str_z(c->want));
        EXPECT_EQ(freed, SETS);
    }
}
