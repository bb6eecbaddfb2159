/* http_words.h — how a failed transfer is told: in the words that Go's HTTP client has for it.
 *
 * What        Dashboards, alerts and people know lastError of a target from Prometheus, so the
 *             common failures read the same here.
 * Invariants  what failed before the answer's headers came is wrapped as Get "URL": …; what failed
 *             in the body is not
 * Ownership   none
 * Threads     pure
 * Errors      is them
 * Format      none
 */
#ifndef EPI_IO_HTTP_WORDS_H
#define EPI_IO_HTTP_WORDS_H

#include "base/err.h"

enum http_fail {
    HTTP_FAIL_OTHER,
    HTTP_FAIL_URL,
    HTTP_FAIL_SCHEME,
    HTTP_FAIL_RESOLVE,
    HTTP_FAIL_CONNECT,
    HTTP_FAIL_TIMEOUT,
    HTTP_FAIL_EOF,
    HTTP_FAIL_RECEIVE,
    HTTP_FAIL_CUT,
    HTTP_FAIL_HEADERS,                         /* the connection ended among them */
    HTTP_FAIL_TLS,
    HTTP_FAIL_TLS_VERIFY,
    HTTP_FAIL_CA_FILE,
    HTTP_FAIL_CERT,
    HTTP_FAIL_REDIRECTS
};
struct http_failure {
    enum http_fail kind;
    int os_errno;
    bool too_large, canceled, answered;        /* answered: the headers were there */
    str method, url, host;                     /* of the last request */
    str local, remote;                         /* "127.0.0.1:9100"; empty: unknown */
    str detail;                                /* the transfer library's words */
    str ca_file, cert_file, key_file;
    /* the name or address that a certificate must be for */
    str dialled;
    str lookup;                                /* why the host has no address; empty: unknown */
    bool proxied;                              /* it was a proxy that was dialled */
    /* what the proxy answered to CONNECT; 0: nothing, or it was not asked */
    int connect_status;
    str unix_socket;                           /* what was dialled instead; empty: the remote */
};
errc http_failure_words(const struct http_failure *f, struct err *e);
/* What is wrong is a certificate, a file of one, or that it speaks no TLS: asking again brings the
 * same. */
bool http_failure_lasts(const struct http_failure *f);
str http_status_words(int status);     /* "Not Found"; empty if there are none */

#endif
