/* intern.h — strings that many hold, each once in the process.
 *
 * What        Label names recur in every block that is open: who keeps one takes it here, and the
 *             bytes are there once, however many hold them.
 * Invariants  equal strings that are held are the same pointer
 * Ownership   counted: the last intern_unref frees. The empty string is nobody's.
 * Threads     any; one lock, held for a look-up
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_INTERN_H
#define EPI_BASE_INTERN_H

#include "base/str.h"

str intern_ref(str s);
void intern_unref(str s); /* REQUIRES: of intern_ref */
size_t intern_count(void); /* different strings that are held */

#endif
