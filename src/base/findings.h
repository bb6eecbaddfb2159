/* findings.h — what is wrong with files: where, and in words.
 *
 * What        A list that grows while files are looked at: path, offset where there is one, words.
 * Invariants  past `max` findings are counted, not kept
 * Ownership   findings_init … findings_fini; texts are copied. NULL takes nothing.
 * Threads     none
 * Errors      none: what cannot be looked at is the looker's error
 * Format      findings_text: "path: at 12: words", one a line
 */
#ifndef EPI_BASE_FINDINGS_H
#define EPI_BASE_FINDINGS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

struct finding { str file; bool has_offset; uint64_t offset; str what; };
struct findings { VEC(struct finding) all; size_t max; uint64_t more; struct arena arena; };

enum { FINDINGS_MAX = 10000 };
void findings_init(struct findings *f, size_t max);            /* 0: FINDINGS_MAX */
void findings_fini(struct findings *f);
void findings_add(struct findings *f, str file, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void findings_add_at(struct findings *f, str file, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* those of `from`, which stays as it is */
void findings_join(struct findings *f, const struct findings *from);
static inline uint64_t findings_count(const struct findings *f) { return f->all.n + f->more; }
void findings_text(struct buf *b, const struct finding *x);    /* without a line's end */

#endif
