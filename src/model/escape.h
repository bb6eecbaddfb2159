/* escape.h — UTF-8 names for those who know only the legacy character set.
 *
 * What        The escaping schemes of content negotiation: how a name is written in [a-zA-Z0-9_:],
 *             and read back where the scheme allows.
 * Invariants  what name_escape writes is a valid legacy metric name (unless the scheme is
 *             ESCAPE_NONE or the name is empty)
 * Ownership   none
 * Threads     pure
 * Errors      unescaping: a name that the scheme cannot have written is given as it is
 * Format      escaping=allow-utf-8 | underscores | dots | values
 */
#ifndef EPI_MODEL_ESCAPE_H
#define EPI_MODEL_ESCAPE_H

#include "base/buf.h"

enum escape_scheme { ESCAPE_NONE, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES, ESCAPE_SCHEMES };

str escape_scheme_name(enum escape_scheme s);                  /* "allow-utf-8", … */
MUST_USE bool escape_scheme_parse(str word, enum escape_scheme *out);

void buf_name_escape(struct buf *b, str name, enum escape_scheme s);
void buf_name_unescape(struct buf *b, str name, enum escape_scheme s);

#endif
