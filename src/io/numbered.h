/* numbered.h — folders of files that are named by number: logs and chunk files.
 *
 * What        Finds the names that stand for a number, brings those that are not written as they
 *             should be in order, and gives names to what is set aside.
 * Invariants  (1) After numbered_settle every name in the folder that Prometheus takes for a number
 *             is a file with the name that the number has, and can be opened. (2)
 *             Nothing is overwritten or removed: what cannot stay is renamed to DIR.NAME.bad in the
 *             data folder (a slash in DIR becomes a dot), .bad.1 and so on if that is taken.
 * Ownership   none
 * Threads     one at a time per folder
 * Errors      ERR_IO, ERR_EXISTS (1000 things of that name are set aside)
 * Format      none
 *
 * Durability steps for fault_dropped(): numbered.dir_fsync, numbered.copy_dir_fsync.
 */
#ifndef EPI_IO_NUMBERED_H
#define EPI_IO_NUMBERED_H

#include "io/fs.h"

enum { NUMBERED_DIGITS_MAX = 9 };

/* The number that a file's name stands for, however it is written: false if it is none, or has more
 * than NUMBERED_DIGITS_MAX digits. */
bool numbered_parse(str name, uint32_t *out);

/* Signs and leading zeros are numbers to other programs: so is a folder of such a name. An absent
 * folder is in order. width: of the names. */
MUST_USE errc numbered_settle(struct fs *fs, str dir, int width, uint32_t *moved, struct err *e);

/* What is there with the name of a folder and is none is set aside. */
MUST_USE errc numbered_want_folder(
    struct fs *fs, str dir, str name, uint32_t *moved, struct err *e);

/* A free name in the data folder for DIR/NAME (DIR may be empty). */
MUST_USE errc numbered_aside_name(
    str *out, struct arena *a, struct fs *fs, str dir, str name, struct err *e);

/* Renames DIR/NAME, a file or a folder, to such a name and logs it. Syncs neither folder:
 * numbered_sync does. */
MUST_USE errc numbered_set_aside(struct fs *fs, str dir, str name, const char *why, struct err *e);
/* A copy of DIR/NAME, a file, has such a name when this returns, for good and whole: before that it
 * is called …bad.tmp or …bad.N.tmp. */
MUST_USE errc numbered_copy_aside(struct fs *fs, str dir, str name, struct err *e);
/* Removes what an interrupted numbered_copy_aside() left in the data folder. */
MUST_USE errc numbered_tidy_copies(struct fs *fs, struct err *e);
/* the folder and the data folder */
MUST_USE errc numbered_sync(struct fs *fs, str dir, struct err *e);

#endif
