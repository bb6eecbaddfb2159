/* The constants are those of the approximations' publications; a sum or product in another order
 * has other last bits. */
#include "base/f64_math.h"

#include <math.h>
#include <stdlib.h>

static const double LN2_HI = 6.93147180369123816490e-01, LN2_LO = 1.90821492927058770002e-10;
static const double NEAR_ZERO = 0x1p-28, LARGE = 0x1p28;

/* c[0] x^(n-1) + … + c[n-1] by Horner's rule. */
static double polynomial(const double *c, size_t n, double x)
{
    double y = c[0];
    for (size_t i = 1; i < n; i++) y = y * x + c[i];
    return y;
}
#define POLYNOMIAL(c, x) polynomial(c, ARRAY_LEN(c), x)

/* e^x, 2^x */

/* The argument's sixteenth is within 0.022 of zero: e^(x/16) - 1 by its series, four times doubled
 * as (1 + y)^2 - 1 = y (2 + y). */
double f64_exp(double x)
{
    static const double SERIES[] = { 2.4801587301587301587e-5, 1.9841269841269841270e-4,
        1.3888888888888888889e-3, 8.3333333333333333333e-3, 4.1666666666666666667e-2,
        1.6666666666666666667e-1, 0.5, 1 };
    static const double LN2_UPPER = 0.69314718055966295651160180568695068359375;
    static const double LN2_LOWER = 0.28235290563031577122588448175013436025525412068e-12;
    static const double OVERFLOW = 7.09782712893384e+02, UNDERFLOW = -746;
    enum { EXPONENT_END = 1024, DOUBLINGS = 4 };
    if (isnan(x)) return x;
    if (x > OVERFLOW) return INFINITY;
    if (x < UNDERFLOW) return 0;
    double k = rint(x * M_LOG2E);
    if (k >= EXPONENT_END) return INFINITY;
    double r = fma(-k, LN2_LOWER, fma(-k, LN2_UPPER, x)) * 0.0625, y = SERIES[0];
    for (size_t i = 1; i < ARRAY_LEN(SERIES); i++) y = fma(y, r, SERIES[i]);
    y *= r;
    for (int i = 1; i < DOUBLINGS; i++) y *= y + 2;
    return ldexp(fma(y, y + 2, 1), (int)k);
}

double f64_exp2(double x)
{
    static const double P[] = { 4.13813679705723846039e-08, -1.65339022054652515390e-06,
        6.61375632143793436117e-05, -2.77777777770155933842e-03, 1.66666666666666657415e-01 };
    static const double OVERFLOW = 1.0239999999999999e+03, UNDERFLOW = -1.0740e+03;
    if (isnan(x)) return x;
    if (x > OVERFLOW) return INFINITY;
    if (x < UNDERFLOW) return 0;
    int k = (int)(x + copysign(0.5, x));
    double part = x - k, hi = part * LN2_HI, lo = -part * LN2_LO;
    double r = hi - lo, t = r * r, c = r - t * POLYNOMIAL(P, t);
    return ldexp(1 - ((lo - (r * c) / (2 - c)) - hi), k);
}

/* Logarithms */

static const double LOG_ODD[] = { 1.479819860511658591e-01, 1.818357216161805012e-01,
    2.857142874366239149e-01, 6.666666666666735130e-01 };
static const double LOG_EVEN[] = { 1.531383769920937332e-01, 2.222219843214978396e-01,
    3.999999999940941908e-01 };
static const double LOG1P[] = { 1.479819860511658591e-01, 1.531383769920937332e-01,
    1.818357216161805012e-01, 2.222219843214978396e-01, 2.857142874366239149e-01,
    3.999999999940941908e-01, 6.666666666666735130e-01 };

enum { FRACTION_BITS = 52, EXPONENT_MASK = 0x7ff, HALF_EXPONENT = 0x3fe, ONE_EXPONENT = 0x3ff };
static const uint64_t FRACTION_MASK = ((uint64_t)1 << FRACTION_BITS) - 1;

/* f with this exponent field and a fraction's bits. */
static double with_exponent(uint64_t fraction, uint64_t exponent)
{
    return f64_of_bits(fraction | exponent << FRACTION_BITS);
}

double f64_log(double x)
{
    if (x == 0) return -INFINITY;
    if (x < 0) return NAN;
    if (!isfinite(x)) return x;
    uint64_t bits = f64_bits(x);
    double k = (double)((int)(bits >> FRACTION_BITS & EXPONENT_MASK) - HALF_EXPONENT);
    double m = with_exponent(bits & FRACTION_MASK, HALF_EXPONENT);
    if (m < M_SQRT1_2) {
        m *= 2;
        k--;
    }
    double f = m - 1, s = f / (2 + f), s2 = s * s, s4 = s2 * s2;
    double r = s2 * POLYNOMIAL(LOG_ODD, s4) + s4 * POLYNOMIAL(LOG_EVEN, s4), half = 0.5 * f * f;
    return k * LN2_HI - ((half - (s * (half + r) + k * LN2_LO)) - f);
}

double f64_log10(double x) { return f64_log(x) * M_LOG10E; }

double f64_log2(double x)
{
    int exponent = 0;
    double fraction = frexp(x, &exponent);
    return fraction == 0.5 ? exponent - 1 : f64_log(fraction) * M_LOG2E + exponent;
}

/* 1 + x = 2^k (1 + f); c: what the sum lost, as a share of it. REQUIRES: x >= sqrt(2) - 1 */
struct log1p_parts { double f, c; int k; bool tiny; };

static struct log1p_parts log1p_split(double x)
{
    static const uint64_t SQRT2_FRACTION = 0x0006a09e667f3bcd;
    struct log1p_parts p = { 0 };
    double u = x < 0x1p53 ? 1 + x : x;
    uint64_t bits = f64_bits(u), fraction = bits & FRACTION_MASK;
    p.k = (int)(bits >> FRACTION_BITS) - ONE_EXPONENT;
    if (x < 0x1p53) p.c = (p.k > 0 ? 1 - (u - x) : x - (u - 1)) / u;
    if (fraction < SQRT2_FRACTION) {
        p.f = with_exponent(fraction, ONE_EXPONENT) - 1;
        p.tiny = fraction == 0;
    } else {
        p.k++;
        p.f = with_exponent(fraction, HALF_EXPONENT) - 1;
        p.tiny = ((uint64_t)1 << FRACTION_BITS) - fraction < 4;
    }
    return p;
}

/* log(1 + x) of x >= 0, finite: what the hyperbolic functions need. */
static double log1p_positive(double x)
{
    static const double SQRT2_LESS_1 = 4.142135623730950488017e-01;
    if (x < SQRT2_LESS_1 && x < 0x1p-29) return x < 0x1p-54 ? x : x - x * x * 0.5;
    struct log1p_parts p = { .f = x };
    if (!(x < SQRT2_LESS_1)) p = log1p_split(x);
    double half = 0.5 * p.f * p.f;
    if (p.tiny) {
        if (p.f == 0) return p.k * LN2_HI + (p.c + p.k * LN2_LO);
        double r = half * (1 - 0.66666666666666666 * p.f);
        return p.k * LN2_HI - ((r - (p.k * LN2_LO + p.c)) - p.f);
    }
    double s = p.f / (2 + p.f), z = s * s, r = z * POLYNOMIAL(LOG1P, z);
    if (p.k == 0) return p.f - (half - s * (half + r));
    return p.k * LN2_HI - ((half - (s * (half + r) + (p.k * LN2_LO + p.c))) - p.f);
}

/* Powers */

/* start times a to the n by squares, with the exponents apart, which overflow late. */
static double power_apart(double start, double a, uint64_t n, bool inverse)
{
    enum { BEYOND_ALL = 1 << 12 };
    int e, exponent = 0;
    double result = start, square = frexp(a, &e);
    for (; n; n >>= 1) {
        if (abs(e) > BEYOND_ALL) {
            exponent += e;
            break;
        }
        if (n & 1) {
            result *= square;
            exponent += e;
        }
        square *= square;
        e *= 2;
        if (square < 0.5) {
            square *= 2;
            e--;
        }
    }
    return inverse ? ldexp(1 / result, -exponent) : ldexp(result, exponent);
}

/* x to the y is e^(fraction log x) times x to an integer; the fraction is within a half of zero.
 * Exponents need not be taken apart where all numbers are normal. */
double f64_pow(double x, double y)
{
    static const double ENDLESS = 0x1p63;
    if (y == 0 || x == 1) return 1;
    if (!isfinite(x) || x == 0) return pow(x, y);
    if (y == 0.5) return sqrt(x);
    if (y == -0.5) return 1 / sqrt(x);
    double whole = 0, fraction = modf(fabs(y), &whole), start = 1;
    if (!(whole < ENDLESS) || (fraction != 0 && x < 0)) return pow(x, y);
    if (y == 1) return x;
    if (fraction > 0.5) {
        fraction--;
        whole++;
    }
    if (fraction != 0) start = f64_exp(fraction * f64_log(x));
    double r = start, square = x;
    bool exact = true;
    for (uint64_t i = (uint64_t)whole; i; i >>= 1) {
        if (i & 1) {
            r *= square;
            exact = exact && isnormal(square);
        }
        square *= square;
    }
    double result = y < 0 ? 1 / r : r;
    return exact && isnormal(r) && isnormal(result)
               ? result
               : power_apart(start, x, (uint64_t)whole, y < 0);
}

/* Circular functions */

static const double PI_4 = M_PI_4;

/* The binary digits of 4/pi, 64 at a time, from its 1 on. */
static const uint64_t FOUR_BY_PI[] = { 0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81,
    0xb6c52b3278872083, 0xfca2c757bd778ac3, 0x6e48dc74849ba5c0, 0x0c925dd413a32439,
    0xfc3bd63962534e7d, 0xd1046bea5d768909, 0xd338e04d68befc82, 0x7323ac7306a673e9,
    0x3908bf177bf25076, 0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e,
    0x9e8c7ecd3cbfd45a, 0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10,
    0xac06608df8f6d757 };

/* x = octant pi/4 + rest, the octant even, modulo eight. */
struct octant { unsigned n; double rest; };

/* 64 digits of 4/pi from bit `at` on. */
static uint64_t digits_at(unsigned at)
{
    enum { DIGIT = 64 };
    unsigned i = at / DIGIT, shift = at % DIGIT;
    uint64_t next = shift ? FOUR_BY_PI[i + 1] >> (DIGIT - shift) : 0;
    return FOUR_BY_PI[i] << shift | next;
}

/* Of numbers that have more digits than pi/4 in three parts: Payne and Hanek's reduction, which
 * multiplies by those digits of 4/pi that matter. REQUIRES: x >= 2^29, finite */
static struct octant octant_of_large(double x)
{
    enum { DIGIT = 64, OCTANT_BITS = 3, LEAD = 61, BIAS = ONE_EXPONENT };
    uint64_t bits = f64_bits(x);
    int exponent = (int)(bits >> FRACTION_BITS & EXPONENT_MASK) - BIAS - FRACTION_BITS;
    uint64_t m = (bits & FRACTION_MASK) | (uint64_t)1 << FRACTION_BITS;
    unsigned at = (unsigned)(exponent + LEAD);
    unsigned __int128 low = (unsigned __int128)digits_at(at + 2 * DIGIT) * m >> DIGIT;
    unsigned __int128 all = (unsigned __int128)digits_at(at + DIGIT) * m + low;
    all += (unsigned __int128)(digits_at(at) * m) << DIGIT;
    struct octant o = { .n = (unsigned)(all >> (DIGIT + LEAD)) };
    uint64_t behind = (uint64_t)all;
    all <<= OCTANT_BITS;
    /* no double is so near to a multiple of pi/4 that these are zeros; the digits behind them are
     * those that the reference takes, three too early */
    uint64_t hi = (uint64_t)(all >> DIGIT);
    unsigned zeros = (unsigned)__builtin_clzll(hi) + 1;
    hi = zeros < DIGIT ? hi << zeros | behind >> (DIGIT - zeros) : behind;
    o.rest = with_exponent(hi >> (DIGIT - FRACTION_BITS), (uint64_t)BIAS - zeros);
    if (o.n & 1) {
        o.n++;
        o.rest--;
    }
    o.n &= 7;
    o.rest *= PI_4;
    return o;
}

/* REQUIRES: x >= 0, finite */
static struct octant octant_of(double x)
{
    static const double PI_4A = 7.85398125648498535156e-1, PI_4B = 3.77489470793079817668e-8,
                        PI_4C = 2.69515142907905952645e-15, THREE_PARTS = 0x1p29;
    if (x >= THREE_PARTS) return octant_of_large(x);
    uint64_t n = (uint64_t)(x * (2 * M_2_PI));
    n += n & 1;
    double y = (double)n;
    return (struct octant){ (unsigned)(n & 7), ((x - y * PI_4A) - y * PI_4B) - y * PI_4C };
}

static double sine_near_zero(double z)
{
    static const double S[] = { 1.58962301576546568060e-10, -2.50507477628578072866e-8,
        2.75573136213857245213e-6, -1.98412698295895385996e-4, 8.33333333332211858878e-3,
        -1.66666666666666307295e-1 };
    double z2 = z * z;
    return z + z * z2 * POLYNOMIAL(S, z2);
}

static double cosine_near_zero(double z)
{
    static const double C[] = { -1.13585365213876817300e-11, 2.08757008419747316778e-9,
        -2.75573141792967388112e-7, 2.48015872888517045348e-5, -1.38888888888730564116e-3,
        4.16666666666665929218e-2 };
    double z2 = z * z;
    return 1 - 0.5 * z2 + z2 * z2 * POLYNOMIAL(C, z2);
}

double f64_sin(double x)
{
    if (x == 0 || isnan(x)) return x;
    if (isinf(x)) return NAN;
    struct octant o = octant_of(fabs(x));
    double y = o.n & 2 ? cosine_near_zero(o.rest) : sine_near_zero(o.rest);
    return (o.n >= 4) != (x < 0) ? -y : y;
}

double f64_cos(double x)
{
    if (!isfinite(x)) return NAN;
    struct octant o = octant_of(fabs(x));
    double y = o.n & 2 ? sine_near_zero(o.rest) : cosine_near_zero(o.rest);
    return o.n == 2 || o.n == 4 ? -y : y;
}

double f64_tan(double x)
{
    static const double P[] = { -1.30936939181383777646e4, 1.15351664838587416140e6,
        -1.79565251976484877988e7 };
    static const double Q[] = { 1, 1.36812963470692954678e4, -1.32089234440210967447e6,
        2.50083801823357915839e7, -5.38695755929454629881e7 };
    static const double LEAST_SQUARE = 1e-14;
    if (x == 0 || isnan(x)) return x;
    if (isinf(x)) return NAN;
    struct octant o = octant_of(fabs(x));
    double z = o.rest, z2 = z * z, y = z;
    if (z2 > LEAST_SQUARE) y = z + z * (z2 * POLYNOMIAL(P, z2) / POLYNOMIAL(Q, z2));
    if (o.n & 2) y = -1 / y;
    return x < 0 ? -y : y;
}

/* REQUIRES: 0 <= x <= 0.66 */
static double atan_near_zero(double x)
{
    static const double P[] = { -8.750608600031904122785e-01, -1.615753718733365076637e+01,
        -7.500855792314704667340e+01, -1.228866684490136173410e+02, -6.485021904942025371773e+01 };
    static const double Q[] = { 1, 2.485846490142306297962e+01, 1.650270098316988542046e+02,
        4.328810604912902668951e+02, 4.853903996359136964868e+02, 1.945506571482613964425e+02 };
    double z = x * x;
    return x * (z * POLYNOMIAL(P, z) / POLYNOMIAL(Q, z)) + x;
}

static double atan_positive(double x)
{
    static const double PI_2_REST = 6.123233995736765886130e-17, NEAR = 0.66,
                        TAN_3_PI_8 = 2.41421356237309504880;
    if (x <= NEAR) return atan_near_zero(x);
    if (x > TAN_3_PI_8) return M_PI_2 - atan_near_zero(1 / x) + PI_2_REST;
    return M_PI_4 + atan_near_zero((x - 1) / (x + 1)) + 0.5 * PI_2_REST;
}

double f64_atan(double x) { return x == 0 ? x : copysign(atan_positive(fabs(x)), x); }

double f64_asin(double x)
{
    static const double NEAR = 0.7;
    double a = fabs(x);
    if (x == 0) return x;
    if (!(a <= 1)) return NAN;
    double other = sqrt(1 - a * a);
    double y = a > NEAR ? M_PI_2 - atan_positive(other / a) : atan_positive(a / other);
    return copysign(y, x);
}

double f64_acos(double x) { return M_PI_2 - f64_asin(x); }

double f64_atan2(double y, double x)
{
    if (y == 0 || x == 0 || !isfinite(y) || !isfinite(x)) return atan2(y, x);
    double q = f64_atan(y / x);
    if (x > 0) return q;
    return q <= 0 ? q + M_PI : q - M_PI;
}

/* Hyperbolic functions */

static const double HYPERBOLIC_LARGE = 21; /* from here on e^-x is lost beside e^x */

double f64_sinh(double x)
{
    static const double P[] = { -0.2630563213397497062819489e+2, -0.2894211355989563807284660366e+4,
        -0.8991272022039509355398013511e+5, -0.6307673640497716991184787251e+6 };
    static const double Q[] = { 1, -0.173678953558233699533450911e+3,
        0.1521517378790019070696485176e+5, -0.6307673640497716991212077277e+6 };
    double a = fabs(x), square = a * a;
    if (a <= 0.5) return copysign(POLYNOMIAL(P, square) * a / POLYNOMIAL(Q, square), x);
    double e = f64_exp(a);
    return copysign((a > HYPERBOLIC_LARGE ? e : e - 1 / e) * 0.5, x);
}

double f64_cosh(double x)
{
    double e = f64_exp(fabs(x));
    return fabs(x) > HYPERBOLIC_LARGE ? e * 0.5 : (e + 1 / e) * 0.5;
}

double f64_tanh(double x)
{
    static const double P[] = { -9.64399179425052238628e-1, -9.92877231001918586564e1,
        -1.61468768441708447952e3 };
    static const double Q[] = { 1, 1.12811678491632931402e2, 2.23548839060100448583e3,
        4.84406305325125486048e3 };
    static const double LOG_2_127 = 8.8029691931113054295988e+01, NEAR = 0.625;
    double a = fabs(x), square = x * x;
    if (a > 0.5 * LOG_2_127) return copysign(1, x);
    if (a >= NEAR) return copysign(1 - 2 / (f64_exp(2 * a) + 1), x);
    return x == 0 ? x : x + x * square * POLYNOMIAL(P, square) / POLYNOMIAL(Q, square);
}

double f64_asinh(double x)
{
    double a = fabs(x), y = a;
    if (!isfinite(x)) return x;
    if (a > LARGE) y = f64_log(a) + M_LN2;
    else if (a > 2) y = f64_log(2 * a + 1 / (sqrt(a * a + 1) + a));
    else if (a >= NEAR_ZERO) y = log1p_positive(a + a * a / (1 + sqrt(1 + a * a)));
    return copysign(y, x);
}

double f64_acosh(double x)
{
    if (!(x >= 1)) return NAN;
    if (x == 1) return 0;
    if (x >= LARGE) return f64_log(x) + M_LN2;
    if (x > 2) return f64_log(2 * x - 1 / (x + sqrt(x * x - 1)));
    double t = x - 1;
    return log1p_positive(t + sqrt(2 * t + t * t));
}

double f64_atanh(double x)
{
    double a = fabs(x), y = a;
    if (!(a <= 1)) return NAN;
    if (a == 1) return copysign(INFINITY, x);
    if (a >= 0.5) y = 0.5 * log1p_positive((a + a) / (1 - a));
    else if (a >= NEAR_ZERO) y = 0.5 * log1p_positive(a + a + (a + a) * a / (1 - a));
    return copysign(y, x);
}
