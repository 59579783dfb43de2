// CUDA's vector types and their make_ functions, with CUDA's alignments.
#pragma once

#define STRATA_EMULATION_VECTOR2(name, type, align) \
  struct alignas(align) name {                      \
    type x, y;                                      \
  };                                                \
  inline name make_##name(type x, type y) {         \
    return {x, y};                                  \
  }
#define STRATA_EMULATION_VECTOR3(name, type)        \
  struct name {                                     \
    type x, y, z;                                   \
  };                                                \
  inline name make_##name(type x, type y, type z) { \
    return {x, y, z};                               \
  }
#define STRATA_EMULATION_VECTOR4(name, type, align)         \
  struct alignas(align) name {                              \
    type x, y, z, w;                                        \
  };                                                        \
  inline name make_##name(type x, type y, type z, type w) { \
    return {x, y, z, w};                                    \
  }

STRATA_EMULATION_VECTOR2(char2, signed char, 2)
STRATA_EMULATION_VECTOR3(char3, signed char)
STRATA_EMULATION_VECTOR4(char4, signed char, 4)
STRATA_EMULATION_VECTOR2(uchar2, unsigned char, 2)
STRATA_EMULATION_VECTOR3(uchar3, unsigned char)
STRATA_EMULATION_VECTOR4(uchar4, unsigned char, 4)
STRATA_EMULATION_VECTOR2(short2, short, 4)
STRATA_EMULATION_VECTOR3(short3, short)
STRATA_EMULATION_VECTOR4(short4, short, 8)
STRATA_EMULATION_VECTOR2(ushort2, unsigned short, 4)
STRATA_EMULATION_VECTOR3(ushort3, unsigned short)
STRATA_EMULATION_VECTOR4(ushort4, unsigned short, 8)
STRATA_EMULATION_VECTOR2(int2, int, 8)
STRATA_EMULATION_VECTOR3(int3, int)
STRATA_EMULATION_VECTOR4(int4, int, 16)
STRATA_EMULATION_VECTOR2(uint2, unsigned int, 8)
STRATA_EMULATION_VECTOR3(uint3, unsigned int)
STRATA_EMULATION_VECTOR4(uint4, unsigned int, 16)
STRATA_EMULATION_VECTOR2(longlong2, long long int, 16)
STRATA_EMULATION_VECTOR3(longlong3, long long int)
STRATA_EMULATION_VECTOR4(longlong4, long long int, 16)
STRATA_EMULATION_VECTOR2(ulonglong2, unsigned long long int, 16)
STRATA_EMULATION_VECTOR3(ulonglong3, unsigned long long int)
STRATA_EMULATION_VECTOR4(ulonglong4, unsigned long long int, 16)
STRATA_EMULATION_VECTOR2(float2, float, 8)
STRATA_EMULATION_VECTOR3(float3, float)
STRATA_EMULATION_VECTOR4(float4, float, 16)
STRATA_EMULATION_VECTOR2(double2, double, 16)
STRATA_EMULATION_VECTOR3(double3, double)
STRATA_EMULATION_VECTOR4(double4, double, 16)

#undef STRATA_EMULATION_VECTOR2
#undef STRATA_EMULATION_VECTOR3
#undef STRATA_EMULATION_VECTOR4

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int vx = 1, unsigned int vy = 1, unsigned int vz = 1) : x(vx), y(vy), z(vz) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
