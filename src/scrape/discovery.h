/* discovery.h — the targets that files name, kept fresh beside the scraping.
 *
 * What        One thread reads the discovery files of all jobs: when a configuration is taken over,
 *             when a folder of theirs changes, and by refresh_interval. What a job's files name is
 *             replaced as a whole.
 * Invariants  (1) No lock is held while files are read. (2) A file_sd_config that stays the same
 *             goes on with what it knew: a file that is broken at a reload keeps its targets. (3)
 *             Without a watch of the kernel the refresh goes on.
 * Ownership   discovery_new/free; a found is counted and outlives everything else
 * Threads     any; `changed` is called on the discovery's thread with no lock held
 * Errors      logged and counted here
 * Format      file_sd.h
 */
#ifndef EPI_SCRAPE_DISCOVERY_H
#define EPI_SCRAPE_DISCOVERY_H

#include "io/watch.h"
#include "scrape/file_sd.h"

struct discovery;
struct discovery_opts {
    watch_maker watch;                     /* NULL: folders are not watched */
    void (*changed)(void *ctx);            /* a job has found something else */
    void *ctx;
};
struct discovery *discovery_new(const struct discovery_opts *o);
void discovery_free(struct discovery *d);                      /* NULL is fine */

/* The jobs of a configuration, which is copied. Returns when their files are read, or after
 * patience_ms: then `changed` follows. */
void discovery_apply(struct discovery *d, const struct scrape_configs *c, int64_t patience_ms);
void discovery_look(struct discovery *d);                      /* reads all files again, soon */

/* What the files of a job name: const, of all its files. */
struct found { _Atomic unsigned refs; file_groups_list files; };
/* a reference to the newest; NULL: nothing was read yet */
struct found *discovery_found(struct discovery *d, str job);
void found_unref(struct found *f);                             /* NULL is fine */

#endif
