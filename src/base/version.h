/* version.h — who we are, and whose surface we have.
 *
 * What        Our version comes from the build; the version of Prometheus is the one whose API,
 *             flags and formats are served.
 * Invariants  none
 * Ownership   static
 * Threads     const
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_VERSION_H
#define EPI_BASE_VERSION_H

#include "base/str.h"

#define VERSION_OWN S(EPI_VERSION)
#define VERSION_PROMETHEUS S("3.14.0")

#endif
