/* watch.h — tells when something in a folder is other than before.
 *
 * What        A list of folders is watched; a file that is created, written, renamed or removed in
 *             one of them, another folder in its place (a symbolic link on its path that was
 *             exchanged, too), its coming and its going are told. Bursts are told once.
 * Invariants  (1) What happens to a folder after `changed` was called for it is told again. (2) A
 *             folder that is not there is waited for.
 *             (3) It is told that something changed, never what: look anew. Mode and times of files
 *                 are no change.
 * Ownership   watch_new/watch_free; folders are copied; the sink's ctx outlives the watch
 * Threads     any; the sink is called on the watch's own thread (the fake's: on the caller's), with
 *             no lock held
 * Errors      ERR_IO from watch_new: the kernel gives no watch; per folder through the sink: that
 *             folder is not watched, the others are
 * Format      none
 */
#ifndef EPI_IO_WATCH_H
#define EPI_IO_WATCH_H

#include "base/err.h"
#include "base/str.h"

struct watch;
struct watch_sink {
    void (*changed)(void *ctx, str folder);                    /* the folder as it was given */
    /* once, until it can be watched again */
    void (*failed)(void *ctx, str folder, const struct err *why);
    void *ctx;
};

/* What makes a watch: the kernel's, or a test double. */
typedef errc (*watch_maker)(struct watch **out, const struct watch_sink *sink, struct err *e);
MUST_USE errc watch_new(struct watch **out, const struct watch_sink *sink, struct err *e);
/* after it the sink is not called; NULL is fine */
void watch_free(struct watch *w);

/* These folders and no others, soon. `changed` follows for each that was not watched before. Again
 * with the same: looks whether a path leads elsewhere by now, and tries again what failed. */
void watch_folders(struct watch *w, const str *folders, size_t n);

/* The test double: nothing happens by itself. */
MUST_USE errc watch_fake_new(struct watch **out, const struct watch_sink *sink, struct err *e);
/* as if something happened there; ignored if it is not watched */
void watch_fake_change(struct watch *w, str folder);
bool watch_fake_has(struct watch *w, str folder);

#endif
