/* target.h — a file that the user named, for what was found.
 *
 * What        Opened before anything is measured, and written in place, be it a device or a pipe.
 * Invariants  one that was made here and says nothing in the end, since something failed, goes
 * Ownership   target_open opens, target_close closes; the path is borrowed until then
 * Threads     one
 * Errors      ERR_IO and the like; of a pipe whose reader has gone, too, where SIGPIPE is ignored
 * Format      none
 */
#ifndef EPI_IOBENCH_TARGET_H
#define EPI_IOBENCH_TARGET_H

#include "io/fs.h"

struct target { struct fs *fs; struct file *f; str name; bool is_new; };

MUST_USE errc target_open(struct target *t, str path, struct err *e); /* empty: none */
MUST_USE errc target_write(struct target *t, str text, struct err *e); /* all that there is */
void target_close(struct target *t, bool failed); /* the zero value is fine */
bool target_is_stdout(const struct target *t);

#endif
