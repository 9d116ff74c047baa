"""Functions of libdevice; kernels/elementwise.py has the kernels that apply them."""

import triton
from triton.language.extra import libdevice


@triton.jit
def tan(x):
    return libdevice.tan(x)


@triton.jit
def asin(x):
    return libdevice.asin(x)


@triton.jit
def acos(x):
    return libdevice.acos(x)


@triton.jit
def atan(x):
    return libdevice.atan(x)


@triton.jit
def sinh(x):
    return libdevice.sinh(x)


@triton.jit
def cosh(x):
    return libdevice.cosh(x)


@triton.jit
def tanh(x):
    return libdevice.tanh(x)


@triton.jit
def asinh(x):
    return libdevice.asinh(x)


@triton.jit
def acosh(x):
    return libdevice.acosh(x)


@triton.jit
def atanh(x):
    return libdevice.atanh(x)


@triton.jit
def exp10(x):
    return libdevice.exp10(x)


@triton.jit
def log10(x):
    return libdevice.log10(x)


@triton.jit
def log1p(x):
    return libdevice.log1p(x)


@triton.jit
def expm1(x):
    return libdevice.expm1(x)


@triton.jit
def cbrt(x):
    return libdevice.cbrt(x)


@triton.jit
def rsqrt(x):
    return libdevice.rsqrt(x)


@triton.jit
def erf(x):
    return libdevice.erf(x)


@triton.jit
def erfc(x):
    return libdevice.erfc(x)


@triton.jit
def lgamma(x):
    return libdevice.lgamma(x)


@triton.jit
def tgamma(x):
    return libdevice.tgamma(x)


@triton.jit
def sinpi(x):
    return libdevice.sinpi(x)


@triton.jit
def trunc(x):
    return libdevice.trunc(x)


@triton.jit
def rint(x):
    return libdevice.rint(x)


@triton.jit
def round(x):
    return libdevice.round(x)


@triton.jit
def ceil(x):
    return libdevice.ceil(x)


@triton.jit
def sqrt_rn(x):
    return libdevice.sqrt_rn(x)


@triton.jit
def log2(x):
    return libdevice.log2(x)


@triton.jit
def sin(x):
    return libdevice.sin(x)


@triton.jit
def exp2(x):
    return libdevice.exp2(x)


@triton.jit
def clz(x):
    return libdevice.clz(x)


@triton.jit
def popc(x):
    return libdevice.popc(x)


@triton.jit
def brev(x):
    return libdevice.brev(x)


@triton.jit
def ffs(x):
    return libdevice.ffs(x)


@triton.jit
def pow(x, y):
    return libdevice.pow(x, y)


@triton.jit
def atan2(x, y):
    return libdevice.atan2(x, y)


@triton.jit
def hypot(x, y):
    return libdevice.hypot(x, y)


@triton.jit
def fmod(x, y):
    return libdevice.fmod(x, y)


@triton.jit
def copysign(x, y):
    return libdevice.copysign(x, y)


@triton.jit
def nextafter(x, y):
    return libdevice.nextafter(x, y)


@triton.jit
def fdim(x, y):
    return libdevice.fdim(x, y)


@triton.jit
def remainder(x, y):
    return libdevice.remainder(x, y)


@triton.jit
def isnan(x):
    return libdevice.isnan(x) != 0


@triton.jit
def isinf(x):
    return libdevice.isinf(x) != 0


@triton.jit
def signbit(x):
    return libdevice.signbit(x) != 0


@triton.jit
def fma(x, y, z):
    return libdevice.fma(x, y, z)


@triton.jit
def ldexp(x, y):
    return libdevice.ldexp(x, y)
