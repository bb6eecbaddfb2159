#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static void err_print(struct err *e, const char *fmt, va_list ap)
{
    int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    e->n = n < 0 ? 0 : (unsigned)MIN((size_t)n, sizeof(e->msg) - 1);
}

errc err_set(struct err *e, errc rc, const char *fmt, ...)
{
    assert(rc != OK);
    if (!e) return rc;
    va_list ap;
    va_start(ap, fmt);
    err_print(e, fmt, ap);
    va_end(ap);
    e->code = rc;
    return rc;
}

static void err_append(struct err *e, str words)
{
    size_t n = MIN(words.n, sizeof(e->msg) - 1 - e->n);
    if (n) memcpy(e->msg + e->n, words.p, n);
    e->n += (unsigned)n;
    e->msg[e->n] = 0;
}

errc err_set_str(struct err *e, errc rc, str words)
{
    assert(rc != OK);
    if (!e) return rc;
    e->n = 0;
    err_append(e, words);
    e->code = rc;
    return rc;
}

errc err_in(struct err *e, errc rc, const char *fmt, ...)
{
    assert(rc != OK);
    if (!e) return rc;
    struct err inner = *e;
    if (inner.code == OK)
        inner.n = (unsigned)snprintf(inner.msg, sizeof(inner.msg), "%s", errc_name(rc));
    va_list ap;
    va_start(ap, fmt);
    err_print(e, fmt, ap);
    va_end(ap);
    err_append(e, S(": "));
    err_append(e, str_of(inner.msg, inner.n));
    e->code = rc;
    return rc;
}

static const char *const errc_names[] = {
    [OK] = "ok",
    [ERR_IO] = "i/o error",
    [ERR_CORRUPT] = "corrupt",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists",
    [ERR_BAD_INPUT] = "bad input",
    [ERR_OUT_OF_ORDER] = "out of order",
    [ERR_OUT_OF_BOUNDS] = "out of bounds",
    [ERR_TOO_OLD] = "too old",
    [ERR_DUPLICATE] = "duplicate",
    [ERR_NO_SPACE] = "no space left",
    [ERR_LIMIT] = "limit exceeded",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELED] = "canceled",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_LOCKED] = "locked",
};
_Static_assert(ARRAY_LEN(errc_names) == ERRC_COUNT, "a name for each code");

const char *errc_name(errc rc)
{
    assert(rc < ERRC_COUNT);
    return errc_names[rc];
}

str err_str(const struct err *e)
{
    if (e->n) return str_of(e->msg, e->n);
    return str_z(errc_name(e->code));
}
