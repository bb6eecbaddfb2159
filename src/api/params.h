/* params.h — the parameters of a request, read as Prometheus' API reads them.
 *
 * What        Form and URL parameters merged (those of the body first), times, durations, limits,
 *             matchers.
 * Invariants  none
 * Ownership   strings lie in the request's arena
 * Threads     one request
 * Errors      ERR_BAD_INPUT with the words that the API shows
 * Format      times: RFC 3339 or Unix seconds with decimals; durations: 1h30m or seconds
 */
#ifndef EPI_API_PARAMS_H
#define EPI_API_PARAMS_H

#include "api/http.h"
#include "promql/parse.h"

/* form: body parameters, then those of the URL, as Go's r.Form. rc: what could not be decoded is
 * missing, and why names the first; most handlers do not care. */
struct params { http_pairs form, url; errc rc; struct err why; };
void params_read(struct params *p, struct http_req *r);
void params_fini(struct params *p);
str param(const struct params *p, str name);                   /* the first, or empty */
str param_url(const struct params *p, str name);               /* only of the URL */

/* An instant: whole seconds and nanoseconds, since Go's two ways of making milliseconds differ far
 * from now. */
struct instant { int64_t s; int64_t ns; };
/* defaults of optional time ranges */
extern const struct instant INSTANT_MIN, INSTANT_MAX;
/* as the storage takes it; wraps like Go's */
int64_t instant_ms(struct instant t);
int64_t instant_query_ms(struct instant t);                    /* as the engine takes it */
bool instant_before(struct instant a, struct instant b);
/* a - b in ns; what does not fit is the greatest or the least */
int64_t instant_sub(struct instant a, struct instant b);

MUST_USE errc parse_instant(str s, struct instant *out, struct err *e);
MUST_USE errc param_instant(
    const struct params *p, str name, struct instant fallback, struct instant *out, struct err *e);
MUST_USE errc parse_api_duration(str s, int64_t *ns_out, struct err *e);
MUST_USE errc parse_limit(str s, uint64_t *out, struct err *e);   /* empty: 0 = none */

/* All match[] parameters; *n may be 0. Free each with matchers_fini_all. why: in the arena, as a
 * whole. */
MUST_USE errc parse_matchers(const struct params *p, const struct parse_opts *o, struct arena *a,
    struct matchers **out, size_t *n, str *why);
void matchers_fini_all(struct matchers *ms, size_t n);

#endif
