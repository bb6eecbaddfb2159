/* negotiate.h — which format a target is asked for, and which one it answered with.
 *
 * What        Scrape protocols and name escaping; the Accept header made of them; the format that a
 *             Content-Type header names.
 * Invariants  none
 * Ownership   none
 * Threads     pure
 * Errors      ERR_BAD_INPUT with Prometheus' words: no format can be told
 * Format      conformance/exposition/content_type.jsonl, conformance/api/live_scrape_requests.json
 */
#ifndef EPI_INGEST_NEGOTIATE_H
#define EPI_INGEST_NEGOTIATE_H

#include "base/buf.h"
#include "ingest/exposition.h"
#include "model/escape.h"

enum scrape_protocol {
    PROTO_PROTOBUF,
    PROTO_TEXT_0_0_4,
    PROTO_TEXT_1_0_0,
    PROTO_OPENMETRICS_0_0_1,
    PROTO_OPENMETRICS_1_0_0,
    SCRAPE_PROTOCOLS
};

str scrape_protocol_name(enum scrape_protocol p);              /* "OpenMetricsText1.0.0" */
MUST_USE bool scrape_protocol_parse(str word, enum scrape_protocol *out);
str scrape_protocol_media_type(enum scrape_protocol p);        /* "application/openmetrics-text" */

/* The value of the Accept header. */
void buf_accept_header(
    struct buf *b, const enum scrape_protocol *protocols, size_t n, enum escape_scheme esc);

/* The format of an answer. fallback: a media type, may be empty. *warn is set when the fallback had
 * to be used; its words are in e.
 * Without a format: ERR_BAD_INPUT. */
MUST_USE errc expo_format_of(
    str content_type, str fallback, enum expo_format *out, bool *warn, struct err *e);

#endif
