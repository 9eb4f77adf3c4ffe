// printf, assert and trap.
#include <cassert>
#include <cstdio>

extern "C" __global__ void print_each(const int *x)
{
    if (threadIdx.x == 0) printf("block %d of %u: %d\n", blockIdx.x, gridDim.x, x[blockIdx.x]);
}

extern "C" __global__ void print_types(double d, long long l, unsigned char c)
{
    printf("%5.2f|%-8lld|%08x|%c|%s|%e|%%\n", d, l, (unsigned)l, c, l < 0 ? "negative" : "positive", d);
}

extern "C" __global__ void asserted(const int *x, int *y)
{
    int v = x[threadIdx.x];
    assert(v >= 0 && "values are roots");
    y[threadIdx.x] = v * v;
    if (v > 1000) __trap();
}
