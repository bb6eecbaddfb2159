/* far_redis.c — commands are arrays of texts with their lengths; answers begin with their kind. */
#include "io/far_protocol.h"

static void put_text(struct buf *b, str s)
{
    buf_fmt(b, "$%zu\r\n", s.n);
    buf_str(b, s);
    buf_str(b, S("\r\n"));
}

static void put_command(struct buf *b, const str *words, size_t n)
{
    buf_fmt(b, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) put_text(b, words[i]);
}

/* The line that an answer begins with, without its kind. */
static errc answer(
    struct far_wire *w, char *kind, str *rest, int64_t until_ns, struct err *e)
{
    str line;
    TRY(far_wire_line(w, until_ns, &line, e));
    *kind = line.n ? (char)line.p[0] : '\0';
    *rest = str_from(line, MIN(line.n, (size_t)1));
    if (*kind == '-') return err_set(e, ERR_IO, "%.*s", STR_ARG(*rest));
    if (*kind && strchr("+:$_", *kind)) return OK;
    return err_set(e, ERR_CORRUPT, "the answer cannot be right");
}

static errc one_get(struct far_wire *w, struct far_item *x, int64_t until_ns, far_take take,
    void *ctx, struct err *e)
{
    char kind;
    str rest, value;
    uint64_t n;
    TRY(answer(w, &kind, &rest, until_ns, e));
    if (kind == '_' || (kind == '$' && str_eq(rest, S("-1")))) return OK; /* it is not there */
    if (kind != '$' || !str_u64(rest, &n))
        return err_set(e, ERR_CORRUPT, "the answer cannot be right");
    TRY(far_wire_value(w, n, x->n + FAR_HEAD_BYTES, until_ns, &value, e));
    take(ctx, x, value);
    return OK;
}

static errc redis_get(struct far_wire *w, struct far_item *const *items, size_t n,
    int64_t until_ns, far_take take, void *ctx, struct err *e)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    for (size_t i = 0; i < n; i++) put_command(&all, (str[]){ S("GET"), items[i]->key }, 2);
    TRY(far_wire_send(w, buf_view(&all), until_ns, e));
    for (size_t i = 0; i < n; i++) TRY(one_get(w, items[i], until_ns, take, ctx, e));
    return OK;
}

/* A command that is answered by a word. */
static errc tell(struct far_wire *w, const str *words, size_t n, int64_t until_ns, struct err *e)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    char kind;
    str rest;
    put_command(&all, words, n);
    TRY(far_wire_send(w, buf_view(&all), until_ns, e));
    TRY(answer(w, &kind, &rest, until_ns, e));
    return kind == '+' ? OK : err_set(e, ERR_CORRUPT, "the answer cannot be right");
}

static errc redis_put(
    struct far_wire *w, str key, str value, int64_t ttl_s, int64_t until_ns, struct err *e)
{
    SCOPED(buf_fini) struct buf ttl = { 0 };
    buf_i64_text(&ttl, ttl_s);
    const str words[] = { S("SET"), key, value, S("EX"), buf_view(&ttl) };
    return tell(w, words, ARRAY_LEN(words), until_ns, e);
}

static errc redis_greet(
    struct far_wire *w, const struct far_cache_opts *o, int64_t until_ns, struct err *e)
{
    SCOPED(buf_fini) struct buf db = { 0 };
    if (o->username.n)
        TRY(tell(w, (str[]){ S("AUTH"), o->username, o->password }, 3, until_ns, e));
    else if (o->password.n) TRY(tell(w, (str[]){ S("AUTH"), o->password }, 2, until_ns, e));
    buf_i64_text(&db, o->db);
    return o->db ? tell(w, (str[]){ S("SELECT"), buf_view(&db) }, 2, until_ns, e) : OK;
}

const struct far_protocol far_redis = { "redis", redis_greet, redis_get, redis_put };
