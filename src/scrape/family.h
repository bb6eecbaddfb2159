/* family.h — whose metadata a scraped series gets.
 *
 * What        The metric family that the page named last, and whether a series belongs to it: with
 *             metadata-wal-records a series is told its family's metadata when it is new and when
 *             they changed.
 * Invariants  none
 * Ownership   borrows the family's name until the next one is named; init/fini
 * Threads     one scrape
 * Errors      none: metadata that cannot be stored fail no scrape
 * Format      none
 */
#ifndef EPI_SCRAPE_FAMILY_H
#define EPI_SCRAPE_FAMILY_H

#include "scrape/meta_cache.h"
#include "storage/appender.h"

struct family {
    struct meta_cache *cache;
    str name;                              /* empty: none, or nobody wants to know */
    bool changed, found;
    struct arena a;
    struct meta_family meta;               /* if found */
};

void family_init(struct family *f, struct meta_cache *cache);
void family_fini(struct family *f);                            /* the zero value is fine */

/* The page says something of this family; changed: something else than before. */
void family_named(struct family *f, str name, bool changed);
/* its known series have to be told as well */
static inline bool family_changed(const struct family *f) { return f->changed; }
/* The series behind the handle, whose name this is, if it is one of the family. */
void family_tell(struct family *f, str series_name, struct appender *app, series_handle h);

/* foo_total belongs to the counter foo, foo_bucket to the histogram foo. */
bool family_has(str family, enum metric_type type, str series_name);

#endif
