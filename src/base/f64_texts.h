/* f64_texts.h — the texts of eight numbers at once.
 *
 * What        What f64_text_api() writes, and whole seconds. The steps that lead to a number's
 *             digits wait for each other; those of eight numbers go in the lanes of one register.
 * Invariants  the bytes that f64_text_api() writes, and those of whole numbers
 * Ownership   writes into the caller's struct
 * Threads     pure
 * Errors      none
 * Format      as f64_text_api()
 */
#ifndef EPI_BASE_F64_TEXTS_H
#define EPI_BASE_F64_TEXTS_H

#include "base/defs.h"

/* Room for one, and for what is written behind it. */
enum { F64_TEXTS = 8, F64_TEXTS_ROOM = 40, F64_TEXTS_LONGEST = 32 };

struct f64_texts { char at[F64_TEXTS][F64_TEXTS_ROOM]; uint8_t n[F64_TEXTS]; };

void f64_texts_api(struct f64_texts *out, const double v[F64_TEXTS]);

/* Eight times in ms as seconds, all of n digits, which begin at at[i] + from. False: some are not
 * whole, or not of as many digits, or the machine does not do it faster than one by one. */
struct seconds_texts { char at[F64_TEXTS + 1][16]; unsigned from, n; };
bool f64_texts_seconds(struct seconds_texts *out, const int64_t ms[F64_TEXTS]);

void f64_texts_use_plain(bool plain);      /* tests: one after the other; nobody else writes */

#endif
