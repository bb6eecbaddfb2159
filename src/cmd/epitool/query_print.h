/* query_print.h — answers of a server as text.
 *
 * What        The two forms of promtool: PromQL's (a line a sample) and JSON.
 * Invariants  none
 * Ownership   borrows the answer
 * Threads     one
 * Errors      what an answer lacks is printed as empty
 * Format      value types of prometheus/common/model
 */
#ifndef EPI_CMD_EPITOOL_QUERY_PRINT_H
#define EPI_CMD_EPITOOL_QUERY_PRINT_H

#include "base/buf.h"

#include <jansson.h>

/* {"resultType":…,"result":…} */
void put_value(struct buf *b, const json_t *data, bool json);
/* explain: a tree of nodes, a line each, with what it cost. width: of a line, in characters; 0: as
 * long as it is. ascii: lines and dots of it alone. */
void put_plan(struct buf *b, const json_t *explain, size_t width, bool ascii);
/* a list of label sets */
void put_series(struct buf *b, const json_t *list, bool json);
/* a list of texts */
void put_words(struct buf *b, const json_t *list, bool json);
/* a label set as a metric: name{a="b"} */
void put_metric(struct buf *b, const json_t *labels);

#endif
