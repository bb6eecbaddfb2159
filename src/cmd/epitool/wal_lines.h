/* wal_lines.h — what a segment of a log holds, as lines of JSON.
 *
 * What        A record with everything in it, and the fragments and padding of a segment as they
 *             lie in the file.
 * Invariants  a record is shown whole or with a decode_error, never in part
 * Ownership   appends to the caller's buf
 * Threads     none
 * Errors      none: what does not decode says so in its line
 * Format      {"k":"frag","file","off","hdr":header byte,"len","crc32c","ok"}
 *             {"k":"pad","file","off","len","all_zero"} {"k":"short",…}
 *             {"k":"rec","seg","i","end","len","sha256_8","type","name","data":[…]}
 */
#ifndef EPI_CMD_EPITOOL_WAL_LINES_H
#define EPI_CMD_EPITOOL_WAL_LINES_H

#include "base/buf.h"
#include "wal/wal_reader.h"

/* up to the first fragment that does not check */
void wal_lines_fragments(struct buf *b, str file, str bytes);
void wal_lines_record(struct buf *b, const struct wal_rec *r, size_t index);

#endif
