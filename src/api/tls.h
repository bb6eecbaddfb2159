/* tls.h — the server's side of TLS: certificate, client certificates, versions and ciphers of each
 * handshake.
 *
 * What        Keys made of web_options, and a box that holds those in use: a handshake that begins
 *             takes what the box holds then, so that a new certificate needs no restart.
 * Invariants  keys outlive the handshakes that took them: they are freed KEYS_KEPT_S after others
 *             took their place
 * Ownership   tls_keys_new/free; the box owns what was put into it
 * Threads     a box: any (LOCK_LEAF); keys: const
 * Errors      ERR_BAD_INPUT: certificate, key or authority cannot be used
 * Format      PEM. Go names suites of TLS 1.2 and leaves those of 1.3 alone; the library's ciphers
 *             are those of both: a list of suites without a cipher of TLS 1.3 offers 1.2 only.
 *
 * This header and http.c see the library's types; nobody else does.
 */
#ifndef EPI_API_TLS_H
#define EPI_API_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "model/web_options.h"

struct tls_keys;
struct tls_box;
MUST_USE errc tls_keys_new(struct tls_keys **out, const struct web_options *o, struct err *e);
void tls_keys_free(struct tls_keys *k);        /* NULL is fine */

struct tls_box *tls_box_new(struct tls_keys *first);
void tls_box_set(struct tls_box *b, struct tls_keys *k);
void tls_box_free(struct tls_box *b);          /* NULL is fine; after the server */

/* What the library is told of versions, key exchanges, ciphers and curves. */
void tls_priorities(struct buf *out, const struct web_options *o);

/* For the server alone. session: gnutls_session_t, before its handshake. */
void tls_session_begin(struct tls_box *b, void *session);
void *tls_retrieve_function(void);             /* gnutls_certificate_retrieve_function2 * */

#endif
