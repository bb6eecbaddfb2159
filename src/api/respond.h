/* respond.h — the envelope of the API's answers.
 *
 * What        {"status":…,"data":…,"errorType":…,"error":…,"warnings":[…],"infos":[…]}, and the one
 *             table from errc to HTTP status.
 * Invariants  an answer is valid JSON
 * Ownership   writes into the response
 * Threads     one request
 * Errors      none
 * Format      surface.md 1 of the reference: Prometheus' API
 */
#ifndef EPI_API_RESPOND_H
#define EPI_API_RESPOND_H

#include "api/http.h"
#include "base/json.h"

enum api_error {
    API_BAD_DATA,
    API_EXECUTION,
    API_CANCELED,
    API_TIMEOUT,
    API_INTERNAL,
    API_UNAVAILABLE,
    API_NOT_FOUND,
    API_NOT_ACCEPTABLE
};

/* Begins a success: {"status":"success","data": … the caller writes one value … then api_end. */
struct json api_begin(struct http_resp *w);
void api_end(struct json *j, struct http_resp *w, const str *warnings, size_t n_warnings,
    const str *infos, size_t n_infos);
/* "key":[…] among an object's members; nothing if there are no notes */
void api_notes(struct json *j, str key, const str *notes, size_t n);

void api_error(struct http_resp *w, enum api_error type, str words);
void api_error_fmt(struct http_resp *w, enum api_error type, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* by the table errc -> error type */
void api_error_of(struct http_resp *w, errc rc, const struct err *e);
/* invalid parameter "name": words */
void api_invalid_param(struct http_resp *w, const char *name, const struct err *e);
/* The same with words of any length and any bytes. */
void api_invalid_param_str(struct http_resp *w, const char *name, str words);
void api_text(struct http_resp *w, unsigned status, str text);              /* plain text */
/* the same as Go's http.Error makes it: nosniff */
void api_http_error(struct http_resp *w, unsigned status, str text);

#endif
