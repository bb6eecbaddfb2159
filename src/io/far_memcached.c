/* far_memcached.c
 *
 *   get KEY KEY … -> VALUE KEY FLAGS LENGTH, the bytes, for each that is there; END
 *   set KEY FLAGS SECONDS LENGTH, the bytes -> STORED */
#include "base/clock.h"
#include "io/far_protocol.h"

enum { KEY_BYTES_MAX = 250, RELATIVE_MAX_S = 30 * 24 * 3600 };

/* Others would be read as something else. */
static bool key_fine(str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] == 0x7f) return false;
    return key.n > 0 && key.n <= KEY_BYTES_MAX;
}

static errc refused(str line, struct err *e)
{
    static const str words[] = { S("SERVER_ERROR"), S("CLIENT_ERROR"), S("ERROR"),
        S("NOT_STORED") };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_has_prefix(line, words[i])) return err_set(e, ERR_IO, "%.*s", STR_ARG(line));
    return err_set(e, ERR_CORRUPT, "the answer cannot be right");
}

/* "VALUE KEY FLAGS LENGTH" */
static bool value_line(str line, str *key, uint64_t *n)
{
    str rest, flags, bytes;
    if (!str_has_prefix(line, S("VALUE "))) return false;
    return str_cut(str_from(line, 6), ' ', key, &rest) && str_cut(rest, ' ', &flags, &bytes) &&
           str_u64(bytes, n);
}

/* Answers come in the order of the keys, some are left out; other keys are another's answers. */
static errc memcached_get(struct far_wire *w, struct far_item *const *items, size_t n,
    int64_t until_ns, far_take take, void *ctx, struct err *e)
{
    SCOPED(buf_fini) struct buf ask = { 0 };
    buf_str(&ask, S("get"));
    size_t first = ask.n;
    for (size_t i = 0; i < n; i++)
        if (key_fine(items[i]->key)) buf_fmt(&ask, " %.*s", STR_ARG(items[i]->key));
    if (ask.n == first) return OK;
    buf_str(&ask, S("\r\n"));
    TRY(far_wire_send(w, buf_view(&ask), until_ns, e));
    for (size_t i = 0;; i++) {
        str line, key, value;
        uint64_t bytes;
        TRY(far_wire_line(w, until_ns, &line, e));
        if (str_eq(line, S("END"))) return OK;
        if (!value_line(line, &key, &bytes)) return refused(line, e);
        while (i < n && !str_eq(items[i]->key, key)) i++;
        if (i == n) return err_set(e, ERR_CORRUPT, "the answer is of a key that nobody asked for");
        TRY(far_wire_value(w, bytes, items[i]->n + FAR_HEAD_BYTES, until_ns, &value, e));
        take(ctx, items[i], value);
    }
}

/* More than a month would be read as a moment. */
static int64_t expiry(int64_t ttl_s)
{
    return ttl_s > RELATIVE_MAX_S ? clock_wall_ms() / 1000 + ttl_s : ttl_s;
}

static errc memcached_put(
    struct far_wire *w, str key, str value, int64_t ttl_s, int64_t until_ns, struct err *e)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    str line;
    if (!key_fine(key)) return OK;
    buf_fmt(&all, "set %.*s 0 %" PRId64 " %zu\r\n", STR_ARG(key), expiry(ttl_s), value.n);
    buf_str(&all, value);
    buf_str(&all, S("\r\n"));
    TRY(far_wire_send(w, buf_view(&all), until_ns, e));
    TRY(far_wire_line(w, until_ns, &line, e));
    return str_eq(line, S("STORED")) ? OK : refused(line, e);
}

const struct far_protocol far_memcached = { "memcached", NULL, memcached_get, memcached_put };
