// What the language makes of functions, types and tables.
struct Shape {
    int width, height;
    float scale;
    unsigned char tag[5];
};

extern "C" __global__ void struct_argument(Shape shape, float *y)
{
    int i = threadIdx.x;
    if (i < shape.width * shape.height) y[i] = i / shape.width * shape.scale + shape.tag[i % 5];
}

__device__ __noinline__ int add(int a, int b) { return a + b; }
__device__ __noinline__ int subtract(int a, int b) { return a - b; }
__device__ __noinline__ int multiply(int a, int b) { return a * b; }
__device__ int (*const table[])(int, int) = {add, subtract, multiply};

extern "C" __global__ void function_table(const int *which, int *y)
{
    int i = threadIdx.x;
    y[i] = table[which[i]](i, 5);
}

struct Solid {
    __device__ virtual int volume() const = 0;
};
struct Cube : Solid {
    int side;
    __device__ Cube(int side) : side(side) {}
    __device__ int volume() const override { return side * side * side; }
};
struct Box : Solid {
    int a, b, c;
    __device__ Box(int a, int b, int c) : a(a), b(b), c(c) {}
    __device__ int volume() const override { return a * b * c; }
};

__device__ __noinline__ int measured(const Solid *solid) { return solid->volume(); }

extern "C" __global__ void virtual_calls(int *y)
{
    int i = threadIdx.x;
    Cube cube(i);
    Box box(i, 2, 3);
    y[i] = measured(i % 2 ? static_cast<const Solid *>(&cube) : &box);
}

// A dense switch becomes a table of jumps.
extern "C" __global__ void __launch_bounds__(64) many_cases(const int *x, int *y)
{
    int i = threadIdx.x, v = x[i];
    switch (v) {
    case 0: v = i * 3; break;
    case 1: v = i ^ 9; break;
    case 2: v = i << 2; break;
    case 3: v = __popc(i); break;
    case 4: v = i % 7; break;
    case 5: v = ~i; break;
    case 6: v = __brev(i); break;
    case 7: v = i / 3; break;
    case 8: v = __clz(i); break;
    default: v = -v;
    }
    y[i] = v;
}

// An array that only memory of the thread can hold, indexed at run time.
extern "C" __global__ void own_array(const int *x, int *y)
{
    int counts[16] = {};
    for (int i = 0; i < 64; i++) counts[x[64 * threadIdx.x + i] & 15]++;
    int best = 0;
    for (int i = 1; i < 16; i++)
        if (counts[i] > counts[best]) best = i;
    y[threadIdx.x] = best;
}

template <int... I> __device__ int weighted(const int *x)
{
    int i = 0;
    return ((x[i++] * I) + ...);
}

template <int N> struct Power {
    static constexpr int value = 3 * Power<N - 1>::value;
};
template <> struct Power<0> {
    static constexpr int value = 1;
};

extern "C" __global__ void templates(const int *x, int *y)
{
    auto scale = [k = Power<5>::value](auto v) { return v * k; };
    y[threadIdx.x] = scale(weighted<1, -2, 3, -4, 5>(x + threadIdx.x)) + (int)scale(0.5);
}

__device__ int counter = 41;
__constant__ float coefficients[4] = {1, -2, 0.5f, 4};
__device__ const char *const words[] = {"zero", "one", "two"};

extern "C" __global__ void module_variables(const float *x, float *y, char *first)
{
    float v = x[threadIdx.x], sum = 0;
    for (int i = 3; i >= 0; i--) sum = sum * v + coefficients[i];
    y[threadIdx.x] = sum + atomicAdd(&counter, 0);
    first[threadIdx.x] = words[threadIdx.x % 3][threadIdx.x % 4];
}

extern "C" __global__ void __launch_bounds__(32) dynamic_memory(const double *x, double *y, int n)
{
    extern __shared__ char memory[];
    double *values = reinterpret_cast<double *>(memory);
    int *order = reinterpret_cast<int *>(values + n);
    int i = threadIdx.x;
    values[i] = x[i];
    order[i] = n - 1 - i;
    __syncthreads();
    y[i] = values[order[i]];
}

struct alignas(8) Pair {
    short a, b;
    int c;
};

__device__ __noinline__ Pair turned(Pair p) { return Pair{p.b, p.a, -p.c}; }

extern "C" __global__ void returned_struct(const Pair *x, Pair *y) { y[threadIdx.x] = turned(x[threadIdx.x]); }
