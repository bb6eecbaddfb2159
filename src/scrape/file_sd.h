/* file_sd.h — targets that lie in files.
 *
 * What        Reads target groups from JSON or YAML files named by paths and globs.
 * Invariants  a file that cannot be read or parsed leaves the groups that it gave before; one whose
 *             bytes are the same is not parsed again
 * Ownership   file_sd_new/free; groups are counted: they outlive the file_sd that read them
 * Threads     one at a time
 * Errors      counted and logged here: a bad file is an operator's business, not the caller's
 * Format      a list of {"targets": ["host:port", …], "labels": {"name": "value", …}}
 */
#ifndef EPI_SCRAPE_FILE_SD_H
#define EPI_SCRAPE_FILE_SD_H

#include "base/vec.h"
#include "scrape/scrape_config.h"

#include <stdatomic.h>

typedef VEC(struct target_group) target_groups;

/* The groups of one file's content; its labels get __meta_filepath. Everything is copied into the
 * arena. Fuzzed. */
MUST_USE errc file_sd_parse(
    target_groups *out, str path, str content, struct arena *a, struct err *e);

/* What one file holds; const once made, shared by those who hold a reference. */
struct file_groups { _Atomic unsigned refs; struct arena a; target_groups groups; uint64_t hash; };
typedef VEC(struct file_groups *) file_groups_list;
void file_groups_unref(struct file_groups *g);

struct file_sd;
struct file_sd *file_sd_new(const struct file_sd_config *c);   /* copies the configuration */
void file_sd_free(struct file_sd *f);                          /* NULL is fine */
/* of the same configuration */
bool file_sd_same(const struct file_sd *f, const struct file_sd *g);
int64_t file_sd_refresh_ms(const struct file_sd *f);
/* does any file hold something else; how many could not be read */
struct file_scan { bool changed; unsigned failed; };
struct file_scan file_sd_scan(struct file_sd *f);              /* reads all files again */
/* a reference to each file's; appends with vec_push */
void file_sd_groups(const struct file_sd *f, file_groups_list *out);
/* what to watch; with avec_push, each once */
void file_sd_folders(const struct file_sd *f, struct arena *a, str_list *out);
/* does it name files in this folder? */
bool file_sd_in(const struct file_sd *f, str folder);

#endif
