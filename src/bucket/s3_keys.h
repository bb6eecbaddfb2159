/* s3_keys.h — with whose keys S3 is asked.
 *
 * What        Keys of the settings, else of the environment, else of the file of AWS' tools. Keys
 *             that a machine in Amazon's cloud is given by its host are not asked for.
 * Invariants  both keys, or none: then requests are not signed
 * Ownership   texts lie in the arena
 * Threads     any
 * Errors      ERR_BAD_INPUT: a file that names one key without the other
 * Format      AWS_ACCESS_KEY_ID and its kin; ~/.aws/credentials (INI)
 */
#ifndef EPI_BUCKET_S3_KEYS_H
#define EPI_BUCKET_S3_KEYS_H

#include "bucket/sigv4.h"

MUST_USE errc s3_keys_find(
    struct sigv4_keys *out, const struct bucket_config *c, struct arena *a, struct err *e);
/* The keys of a section; none of it: they are empty. */
struct sigv4_keys s3_keys_of_file(str text, str profile);

#endif
