/* report.h — what the laboratory found, in three forms.
 *
 * What        A table for a terminal, JSON for programs, and one HTML page that needs nothing else:
 *             drawings are SVG inside of it, light or dark as the reader has it.
 * Invariants  all three say the same rows in the same order; text from outside is escaped
 * Ownership   none
 * Threads     any
 * Errors      none
 * Format      JSON: {"machine": {...}, "rows": [{"part","what","how","unit","value","cpuMicros",
 *             "p50Micros","p99Micros"}], "notes": [...], "recommendation": {"flag", "reasons":
 *             [{"kind","backend","reason"}]}, "directToMmap", "bufferedToMmapCached"}
 */
#ifndef EPI_IOBENCH_REPORT_H
#define EPI_IOBENCH_REPORT_H

#include "base/buf.h"
#include "iobench/lab.h"

/* columns: of the terminal; 0: lines are as long as they are */
void report_table(struct buf *b, const struct lab *l, size_t columns);
void report_json(struct buf *b, const struct lab *l);
void report_html(struct buf *b, const struct lab *l);

/* "index=mmap,chunks=direct,head=mmap,header=buffered" */
void report_flag(struct buf *b, const struct lab_advice *a, size_t n);

#endif
