/* dump_text.h — the series of a storage as text that people read, or that is read in again.
 *
 * What        Lines as promtool prints them: labels, value, milliseconds; OpenMetrics; or the
 *             labels alone as JSON.
 * Invariants  a line a sample, in the order of the set
 * Ownership   borrows set and stream
 * Threads     one
 * Errors      the set's; ERR_IO when the stream fails
 * Format      promtool tsdb dump, dump-openmetrics
 */
#ifndef EPI_CMD_EPITOOL_DUMP_TEXT_H
#define EPI_CMD_EPITOOL_DUMP_TEXT_H

#include "cmd/epitool/dump.h"

enum dump_text { DUMP_PROM, DUMP_SERIES_JSON, DUMP_OPENMETRICS };
/* One set, or several whose series are sorted and may be the same. */
MUST_USE errc dump_text(struct series_set *const *sets, size_t n, enum dump_text how, FILE *out,
    struct dump_progress *p, struct err *e);

#endif
