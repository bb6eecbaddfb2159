/* f64_texts.h — the texts of many numbers, each with a time.
 *
 * What        Pairs as JSON has them: the time in seconds, the number as text by f64_text_api().
 *             The steps that lead to a number's digits wait for each other; those of eight numbers
 *             go in the lanes of a register.
 * Invariants  the bytes are those of the numbers one by one
 * Ownership   writes into the caller's bytes
 * Threads     pure
 * Errors      none
 * Format      ,[1700000000.5,"1.5"]: three digits behind the point of a time, or none
 */
#ifndef EPI_BASE_F64_TEXTS_H
#define EPI_BASE_F64_TEXTS_H

#include "base/defs.h"

/* Room for one: behind its end others are written over, and bytes of no meaning left. */
enum { F64_TEXTS_ROOM = 96, F64_TEXTS_LONGEST = 32 };

/* `,[time,"number"]` of each: where they end. Times in ms. */
char *f64_texts_pairs(char *to, const int64_t *ms, const double *v, size_t n);

void f64_texts_use_plain(bool plain);      /* tests: one after the other; nobody else writes */

#endif
