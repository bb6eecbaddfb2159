#include "api/respond.h"

#include <stdarg.h>
#include <stdio.h>

static const struct { const char *name; unsigned status;
} error_types[] = {
    [API_BAD_DATA] = { "bad_data", 400 },
    [API_EXECUTION] = { "execution", 422 },
    [API_CANCELED] = { "canceled", 499 },
    [API_TIMEOUT] = { "timeout", 503 },
    [API_INTERNAL] = { "internal", 500 },
    [API_UNAVAILABLE] = { "unavailable", 500 },
    [API_NOT_FOUND] = { "not_found", 404 },
    [API_NOT_ACCEPTABLE] = { "not_acceptable", 406 },
};

static const enum api_error error_of[ERRC_COUNT] = {
    [OK] = API_INTERNAL,
    [ERR_IO] = API_INTERNAL,
    [ERR_CORRUPT] = API_INTERNAL,
    [ERR_NOT_FOUND] = API_NOT_FOUND,
    [ERR_EXISTS] = API_INTERNAL,
    [ERR_BAD_INPUT] = API_BAD_DATA,
    [ERR_OUT_OF_ORDER] = API_BAD_DATA,
    [ERR_OUT_OF_BOUNDS] = API_BAD_DATA,
    [ERR_TOO_OLD] = API_BAD_DATA,
    [ERR_DUPLICATE] = API_BAD_DATA,
    [ERR_NO_SPACE] = API_INTERNAL,
    [ERR_LIMIT] = API_EXECUTION,
    [ERR_TIMEOUT] = API_TIMEOUT,
    [ERR_CANCELED] = API_CANCELED,
    [ERR_UNAVAILABLE] = API_UNAVAILABLE,
    [ERR_UNSUPPORTED] = API_EXECUTION,
    [ERR_LOCKED] = API_INTERNAL,
};

struct json api_begin(struct http_resp *w)
{
    struct json j = json_to(&w->body);
    j.html = true;
    w->status = 200;
    w->compress = w->vary = true;
    http_resp_header(w, S("Content-Type"), S("application/json"));
    json_obj(&j);
    json_kstr(&j, S("status"), S("success"));
    JSON_KEY(&j, "data");
    return j;
}

void api_notes(struct json *j, str key, const str *notes, size_t n)
{
    if (!n) return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < n; i++) json_str(j, notes[i]);
    json_arr_end(j);
}

void api_end(struct json *j, struct http_resp *w, const str *warnings, size_t n_warnings,
    const str *infos, size_t n_infos)
{
    api_notes(j, S("warnings"), warnings, n_warnings);
    api_notes(j, S("infos"), infos, n_infos);
    json_obj_end(j);
    if (!buf_ok(&w->body)) api_error(w, API_INTERNAL, S("the answer is too large"));
}

void api_error(struct http_resp *w, enum api_error type, str words)
{
    buf_reset(&w->body);
    w->status = error_types[type].status;
    w->compress = w->vary = true;
    http_resp_header(w, S("Content-Type"), S("application/json"));
    struct json j = json_to(&w->body);
    j.html = true;
    json_obj(&j);
    json_kstr(&j, S("status"), S("error"));
    json_kstr(&j, S("errorType"), str_z(error_types[type].name));
    json_kstr(&j, S("error"), words);
    json_obj_end(&j);
}

void api_error_fmt(struct http_resp *w, enum api_error type, const char *fmt, ...)
{
    char words[2 * sizeof(((struct err *)0)->msg)];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    api_error(w, type, str_of(words, n < 0 ? 0 : MIN((size_t)n, sizeof(words) - 1)));
}

void api_error_of(struct http_resp *w, errc rc, const struct err *e)
{
    api_error(w, error_of[rc], err_str(e));
}

void api_invalid_param(struct http_resp *w, const char *name, const struct err *e)
{
    api_invalid_param_str(w, name, err_str(e));
}

void api_invalid_param_str(struct http_resp *w, const char *name, str words)
{
    SCOPED(buf_fini) struct buf all = { 0 };
    buf_fmt(&all, "invalid parameter \"%s\": ", name);
    buf_str(&all, words);
    api_error(w, API_BAD_DATA, buf_view(&all));
}

void api_text(struct http_resp *w, unsigned status, str text)
{
    buf_reset(&w->body);
    w->status = status;
    http_resp_header(w, S("Content-Type"), S("text/plain; charset=utf-8"));
    buf_str(&w->body, text);
}

void api_http_error(struct http_resp *w, unsigned status, str text)
{
    api_text(w, status, text);
    http_resp_header(w, S("X-Content-Type-Options"), S("nosniff"));
}
