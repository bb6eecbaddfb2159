/* crc32c.h — CRC-32C (Castagnoli), as every part of the TSDB stores it.
 *
 * What        by the processor's instructions for it, where it has them.
 * Invariants  crc32c(0, "123456789", 9) == 0xe3069283; crc32c(crc32c(0, a), b) == crc32c(0, ab)
 * Ownership   none
 * Threads     pure
 * Errors      none
 * Format      reflected polynomial 0x82F63B78, init and xorout all ones
 */
#ifndef EPI_BASE_CRC32C_H
#define EPI_BASE_CRC32C_H

#include "base/str.h"

/* crc: of what came before; 0 at the start */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
static inline uint32_t crc32c_str(str s) { return crc32c(0, s.p, s.n); }

void crc32c_use_plain(bool plain);         /* tests: isa-l alone; nobody else computes */

#endif
