/* http_request.h — a request as it was written: its method, target and headers, by Go's rules.
 *
 * What        Methods, escapes, parameters; and what makes bytes no request, of which the library
 *             that reads them lets through more than Go's server does: where a request ends, and
 *             whom it is for, must not be read in two ways by us and by a proxy in front.
 * Invariants  a text that is refused is refused for all of its bytes: nothing of it is used
 * Ownership   texts that are decoded lie in the arena, all others are borrowed
 * Threads     pure
 * Errors      ERR_BAD_INPUT (escapes, a semicolon among parameters)
 * Format      HTTP/1.1, URLs and forms as Go's net/http and net/url read them
 */
#ifndef EPI_API_HTTP_REQUEST_H
#define EPI_API_HTTP_REQUEST_H

#include "api/http.h"

enum http_method http_method_of(str name);

/* The path and the raw query of a request's target; of a proxy's whole URL those of its path.
 * False: the path cannot be read, and is none. */
MUST_USE bool http_target_cut(str target, struct arena *a, str *path, str *query);

/* Parameters as Go's url.ParseQuery reads them: '+' is a blank, %XX decoded. ERR_BAD_INPUT names
 * the first bad escape; the other pairs are there all the same. */
MUST_USE errc http_parse_query(http_pairs *out, str query, struct arena *a, struct err *e);

/* What the headers say of where the request ends and whom it is for: each is noted. */
struct http_framing {
    unsigned hosts, encodings;
    bool chunked, bytes_bad, lengths_differ, expects, expects_more;
    str length;
};
void http_framing_note(struct http_framing *f, str name, str value);

/* status 0: none; the text is static */
struct http_refusal { unsigned status; str text; };
/* Of a request whose headers were noted. version: "HTTP/1.1" */
struct http_refusal http_refusal_of(const struct http_framing *f, str method, str version);

#endif
