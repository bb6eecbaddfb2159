/* expose.h — the server's own metrics as a page.
 *
 * What        What base/metric collects, written as text format 0.0.4 or OpenMetrics 1.0.
 * Invariants  a family's lines stand together; the page is one that the parsers of this room accept
 * Ownership   appends to the caller's buf
 * Threads     any
 * Errors      the buf's sticky flag
 * Format      prometheus.io/docs/instrumenting/exposition_formats
 */
#ifndef EPI_INGEST_EXPOSE_H
#define EPI_INGEST_EXPOSE_H

#include "base/buf.h"
#include "base/metric.h"
#include "ingest/exposition.h"

#define EXPOSE_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
#define EXPOSE_OPENMETRICS_TYPE                                                                    \
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"

void expose_metrics(struct buf *out, enum expo_format format);

/* One point at a time; metric_each gives them family by family. */
struct expose { struct buf *out; enum expo_format format; const struct metric_family *family; };
void expose_begin(struct expose *x, struct buf *out, enum expo_format format);
void expose_point(struct expose *x, const struct metric_point *p);
void expose_end(struct expose *x);

#endif
