// Floats: what is exact, and functions of the library within their error.
extern "C" __global__ void exact(const float *x, const float *y, float *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = x[i] / y[i];
    out[n + i] = sqrtf(fabsf(x[i]));
    out[2 * n + i] = fmaf(x[i], y[i], 1.0f);
    out[3 * n + i] = __fmul_rn(x[i], y[i]) + truncf(x[i]);
    out[4 * n + i] = rintf(x[i]) + ceilf(y[i]);
    out[5 * n + i] = copysignf(x[i], y[i]);
    out[6 * n + i] = fmaxf(x[i], y[i]) - fminf(x[i], y[i]);
    out[7 * n + i] = (float)((double)x[i] * y[i]);
}

extern "C" __global__ void exact_f64(const double *x, const double *y, double *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = x[i] / y[i];
    out[n + i] = sqrt(fabs(x[i]));
    out[2 * n + i] = fma(x[i], y[i], -1.0);
    out[3 * n + i] = floor(x[i]) + (double)(long long)y[i];
    out[4 * n + i] = fmod(x[i], y[i]);
}

extern "C" __global__ void functions(const float *x, float *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = expf(x[i]);
    out[n + i] = logf(x[i]);
    out[2 * n + i] = sinf(x[i]);
    out[3 * n + i] = tanhf(x[i]);
    out[4 * n + i] = rsqrtf(x[i]);
    out[5 * n + i] = erff(x[i]);
}

extern "C" __global__ void functions_f64(const double *x, double *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = exp(x[i]);
    out[n + i] = log(x[i]);
    out[2 * n + i] = pow(x[i], 1.5);
    out[3 * n + i] = cbrt(x[i]);
}

// A row's softmax by a warp.
extern "C" __global__ void softmax(const float *x, float *y)
{
    int at = 32 * blockIdx.x + threadIdx.x;
    float v = x[at], most = v;
    for (int step = 16; step > 0; step /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, step));
    float e = __expf(v - most), sum = e;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    y[at] = __fdividef(e, sum);
}
