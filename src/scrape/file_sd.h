/* file_sd.h — targets that lie in files.
 *
 * What        Reads target groups from JSON or YAML files named by paths and globs.
 * Invariants  a file that cannot be read or parsed leaves the groups that it gave before
 * Ownership   file_sd_new/free; the groups handed out live until the next file_sd_scan
 * Threads     one at a time
 * Errors      counted and logged here: a bad file is an operator's business, not the caller's
 * Format      a list of {"targets": ["host:port", …], "labels": {"name": "value", …}}
 */
#ifndef EPI_SCRAPE_FILE_SD_H
#define EPI_SCRAPE_FILE_SD_H

#include "base/vec.h"
#include "scrape/scrape_config.h"

typedef VEC(struct target_group) target_groups;

/* The groups of one file's content; its labels get __meta_filepath. Everything is copied into the arena. Fuzzed. */
MUST_USE errc file_sd_parse(target_groups *out, str path, str content, struct arena *a, struct err *e);

struct file_sd;
struct file_sd *file_sd_new(const struct file_sd_config *c);   /* borrows the configuration */
void file_sd_free(struct file_sd *f);                          /* NULL is fine */
void file_sd_scan(struct file_sd *f);                          /* reads all files again */
void file_sd_groups(const struct file_sd *f, target_groups *out);   /* appends with vec_push */
void file_sd_folders(const struct file_sd_config *c, struct arena *a, str_list *out);   /* what to watch; with avec_push */

/* Does the name fit the pattern ('*' any run, '?' any one, [a-z] classes, \ quotes)? As Go's filepath.Match for one segment. */
bool file_glob_match(str pattern, str name);

#endif
