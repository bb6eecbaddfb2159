/* err.h — the code is returned, the words wait with the caller.
 *
 * What        errc says what kind of failure; struct err, on the stack of who can act, holds the
 *             words.
 * Invariants  err.msg is NUL-ended. After a call that returned OK, e is untouched.
 * Ownership   no heap, nothing to free; a struct err may be copied to another thread. It is large
 *             (2 KiB: two label sets of a match that failed, a line that was not understood), so
 *             there is one per action, not one per series.
 * Threads     values
 * Errors      is them
 * Format      none
 */
#ifndef EPI_BASE_ERR_H
#define EPI_BASE_ERR_H

#include "base/str.h"

typedef enum errc {
    OK = 0,
    ERR_IO,
    ERR_CORRUPT,
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_BAD_INPUT,
    ERR_OUT_OF_ORDER,
    ERR_OUT_OF_BOUNDS,
    ERR_TOO_OLD,
    ERR_DUPLICATE,
    ERR_NO_SPACE,
    ERR_LIMIT,
    ERR_TIMEOUT,
    ERR_CANCELED,
    ERR_UNAVAILABLE,
    ERR_UNSUPPORTED,
    ERR_LOCKED,
    ERRC_COUNT
} errc;

struct err { errc code; unsigned n; char msg[2040]; };

#define TRY(call) do { errc try_rc = (call); if (try_rc != OK) return try_rc; } while (0)
#define TRY_IN(e, call, ...)                                                                       \
    do {                                                                                           \
        errc try_rc = (call);                                                                      \
        if (try_rc != OK) return err_in((e), try_rc, __VA_ARGS__);                                 \
    } while (0)

/* Sets the words and gives rc back, so that a failure is one line: return err_set(e, ERR_CORRUPT,
 * "…"). e may be NULL.
 * Words that do not fit are cut. */
errc err_set(struct err *e, errc rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with words that may hold any byte. */
errc err_set_str(struct err *e, errc rc, str words);

/* Puts "<fmt>: " before the words that are there: a message reads from outside inward. */
errc err_in(struct err *e, errc rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The word of a code ("corrupt"), for logs. */
const char *errc_name(errc rc);

/* The words as a str; the code's name if there are none. */
str err_str(const struct err *e);

#endif
