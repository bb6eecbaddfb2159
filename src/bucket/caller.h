/* caller.h — requests that are waited for, and made again where that helps.
 *
 * What        One HTTP request and its answer, signed anew for each attempt. What may pass (no
 *             connection, a cut or garbled answer, 408, 429, 5xx) is asked again, after waits that
 *             double, with chance in them so that many do not ask at once.
 * Invariants  (1) at most attempts_max attempts. (2) After caller_stop nothing waits.
 * Ownership   caller_new/free; an answer's body belongs to the call, its texts to the arena
 * Threads     any
 * Errors      of the last attempt; ERR_CANCELED after caller_stop
 * Format      HTTP
 */
#ifndef EPI_BUCKET_CALLER_H
#define EPI_BUCKET_CALLER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/spans.h"
#include "bucket/bucket_config.h"

enum { CALL_FIELDS_MAX = 24 };
struct call_fields {
    struct http_field at[CALL_FIELDS_MAX];
    size_t n;
};

struct caller;
struct reply;
struct call {
    str method, url, body;
    size_t body_max; /* of the answer */
    struct spans into; /* where the body of a 200 or 206 goes; empty: into the reply's */
    /* Puts headers; called for each attempt (a signature holds for minutes only). What it makes
     * lies in the arena. */
    errc (*sign)(
        void *ctx, const struct call *c, struct call_fields *f, struct arena *a, struct err *e);
    void *sign_ctx;
    struct call_fields fields; /* of the caller's own */
    /* Looks at an answer that came: OK, or why not. *again: asking once more may help. */
    errc (*judge)(void *ctx, struct reply *r, bool *again, struct err *e);
    void *judge_ctx;
};
struct reply {
    int status;
    struct buf body;
    size_t got; /* bytes of the body, wherever they are */
    const struct http_field *headers; /* in the arena of the call */
    size_t n_headers;
};

MUST_USE errc caller_new(
    struct caller **out, const struct bucket_http_config *o, str kind, struct err *e);
void caller_free(struct caller *c); /* NULL is fine */
void caller_stop(struct caller *c);

/* The arena is reset to where it was between attempts. r->body: buf_fini() in any case. */
MUST_USE errc caller_ask(
    struct caller *c, const struct call *q, struct arena *a, struct reply *r, struct err *e);
str reply_header(const struct reply *r, str name);
/* What a store says, as it can be shown: on one line, without what drives a terminal. */
str reply_words(str told, struct arena *a);
/* Last-Modified; false: there is none that can be read. */
bool reply_modified(const struct reply *r, int64_t *ms);
/* Statuses that may pass. */
bool reply_may_pass(int status);

#endif
