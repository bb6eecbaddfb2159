/* page_file.h — pages that memory has no room for, in a file of this machine.
 *
 * What        Slots of one size. The kernel keeps of them what it has room for, and takes it back
 *             where memory is short. It may fill half of what is free on the disk, no more.
 * Invariants  (1) The file outlives nobody: it is made anew, and removed at the end. (2) After a
 *             write that fails nothing is written for a while.
 * Ownership   page_file_open allocates, page_file_close frees; it borrows fs. Who gives bytes keeps
 *             their checksum: what comes back is not looked at here
 * Threads     take and give: the owner locks. All others: any
 * Errors      of opening: those of fs. Later: false
 * Format      page N at (N - 1) * page_bytes
 */
#ifndef EPI_BUCKET_PAGE_FILE_H
#define EPI_BUCKET_PAGE_FILE_H

#include "io/fs.h"

struct page_file;
MUST_USE errc page_file_open(struct page_file **out, struct fs *fs, str path, size_t page_bytes,
    uint64_t max_bytes, struct err *e);
void page_file_close(struct page_file *f); /* NULL is fine */

/* A write failed a short time ago. */
bool page_file_rests(const struct page_file *f);
/* A slot that is free, from 1 on; 0: none is. Those that were never used come in a row. */
uint32_t page_file_take(struct page_file *f);
void page_file_give(struct page_file *f, uint32_t slot);

/* Pages, each of page_bytes but for the last, into slots in a row. */
MUST_USE bool page_file_put(struct page_file *f, uint32_t slot, const str *pages, size_t n);
MUST_USE bool page_file_get(struct page_file *f, uint32_t slot, uint8_t *to, size_t n);

#endif
