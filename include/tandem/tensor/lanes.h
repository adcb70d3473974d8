#pragma once
// What the kernels of ours are written in: functions that nvcc compiles for a GPU and any compiler
// for a CPU. A row is worked on by `lanes` threads; what one of them does, and how it loads, rounds
// and stores, stands in headers of such functions. A .cu file adds the places of rows, the
// reductions (tensor/cuda/block.h) and the launch; the tests run the same functions in a loop over
// lanes (tests/support/host_lanes.h) and compare them with the ATen twin. No torch here.

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define TANDEM_HD __host__ __device__ __forceinline__
#else
#define TANDEM_HD inline
#endif

namespace tandem {

// The types of numbers that kernels work on.
enum class Number : std::int32_t { none, f32, bf16, f16 };

// Arithmetic is in fp32: numbers are widened when read, and rounded to the nearest (ties to even)
// where the twin has a tensor of type T.
template <class T>
TANDEM_HD float fp32_of(T value) {
  return static_cast<float>(value);
}
template <class T>
TANDEM_HD float rounded(float value) {
  return static_cast<float>(static_cast<T>(value));
}

// N numbers that are read or written together, 16 bytes an instruction.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T values[N];
};

// `from` and `to` are aligned to the pack (see packed).
template <int N, class T>
TANDEM_HD Pack<T, N> load(const T* from) {
#ifdef __CUDA_ARCH__
  return *reinterpret_cast<const Pack<T, N>*>(from);
#else
  Pack<T, N> pack;
  std::memcpy(&pack, from, sizeof pack);
  return pack;
#endif
}
template <int N, class T>
TANDEM_HD void store(const Pack<T, N>& pack, T* to) {
#ifdef __CUDA_ARCH__
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
#else
  std::memcpy(to, &pack, sizeof pack);
#endif
}

// Whether packs of N numbers of type T may begin at `pointer`; nothing begins at null.
template <class T, int N>
bool packed(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignof(Pack<T, N>) == 0;
}

// Numbers of type T in 16 bytes.
template <class T>
constexpr int pack_of() {
  return static_cast<int>(16 / sizeof(T));
}

// run(T{}) with T the type of these numbers; Bf16 and F16: what the compiler calls them. -1: a type
// that is not served.
template <class Bf16, class F16, class Run>
int by_number(Number type, Run run) {
  if (type == Number::bf16) return run(Bf16{});
  if (type == Number::f16) return run(F16{});
  return type == Number::f32 ? run(float{}) : -1;
}

// Rows of more numbers than this are left to the twins: places within a row are 32 bits wide.
inline constexpr std::int64_t widest_row = std::int64_t{1} << 30;

// Threads for a row of `items` packs: whole warps, at most `most`.
inline int lanes_for(std::int64_t items, int most) {
  const std::int64_t warps = (items + 31) / 32;
  return static_cast<int>(warps < 1 ? 32 : warps * 32 < most ? warps * 32 : most);
}

}  // namespace tandem
