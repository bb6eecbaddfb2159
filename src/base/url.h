/* url.h — %XX escapes of URLs as Go's net/url writes them.
 *
 * What        Escapes a text for the place of a URL where it goes.
 * Invariants  what is written is ASCII
 * Ownership   writes into the caller's buffer
 * Threads     any
 * Errors      none
 * Format      RFC 3986 as net/url reads it; URL_QUERY is url.QueryEscape: a blank becomes '+'
 */
#ifndef EPI_BASE_URL_H
#define EPI_BASE_URL_H

#include "base/buf.h"

enum url_place { URL_QUERY, URL_PATH, URL_HOST };
void buf_url_escape(struct buf *b, str s, enum url_place place);

#endif
