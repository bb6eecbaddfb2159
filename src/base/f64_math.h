/* f64_math.h — elementary functions with the last bits that Prometheus' have.
 *
 * What        Exponentials, logarithms, powers, circular and hyperbolic functions. No library
 *             rounds them all correctly, and PromQL shows their last bits: next to an integer
 *             ceil() and == tell one from the other.
 * Invariants  the same bits on every machine
 * Ownership   none
 * Threads     pure functions
 * Errors      none: NaN outside the domain
 * Format      the approximations of FDLIBM (logarithms, 2^x, log(1+x)) and of Cephes (the circular
 *             functions, tanh), a Taylor series of a sixteenth (e^x) and Hart and Cheney's number
 *             2029 (sinh), each evaluated in the order in which Go's math on amd64 with FMA has it
 */
#ifndef EPI_BASE_F64_MATH_H
#define EPI_BASE_F64_MATH_H

#include "base/f64.h"

double f64_exp(double x);  /* +Inf from 709.437 on, a little before e^x overflows */
double f64_exp2(double x);
double f64_log(double x);  /* a subnormal is taken for a number of the least normal exponent */
double f64_log2(double x); /* exact for powers of two */
double f64_log10(double x);
double f64_pow(double x, double y); /* integer powers by multiplication */

double f64_sin(double x);
double f64_cos(double x);
double f64_tan(double x);
double f64_asin(double x);
double f64_acos(double x);
double f64_atan(double x);
/* The angle of a quotient that underflows is that of zero. */
double f64_atan2(double y, double x);

double f64_sinh(double x);
double f64_cosh(double x);
double f64_tanh(double x);
double f64_asinh(double x);
double f64_acosh(double x);
double f64_atanh(double x);

#endif
