#!/usr/bin/env bash
# The test suite under a sanitizer, or as a processor without AVX-512 runs it.
#
#   test/sanitize.sh asan|tsan|avx2 [ctest arguments...]      e.g.  test/sanitize.sh asan -L fuzz
#
# asan: AddressSanitizer and UndefinedBehaviorSanitizer (build-cpu-asan/). tsan: ThreadSanitizer (build-cpu-tsan/). avx2: the ordinary build
# (build/) with DNNL_MAX_CPU_ISA=AVX2, where bf16 products go through f32. STRATA_BUILD names another build folder, STRATA_TARGETS what to
# build of it. Suppressions, each with its reason: test/support/*.supp.
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/common.sh
kind=${1:?usage: test/sanitize.sh asan|tsan|avx2 [ctest arguments...]}
shift
jobs=$(nproc) chosen=()  # nproc answers OMP_NUM_THREADS once that is set
case $kind in
  asan | tsan) preset=cpu-$kind build=${STRATA_BUILD:-build-cpu-$kind} ;;
  avx2) preset=cpu-release build=${STRATA_BUILD:-build} ;;
  *) echo "test/sanitize.sh: expected asan, tsan or avx2, found $kind" >&2; exit 2 ;;
esac
cmake --preset "$preset" -B "$build" -DBUILD_TESTING=ON > /dev/null
cmake --build "$build" -j "$jobs" ${STRATA_TARGETS:+--target $STRATA_TARGETS}
prepare_mpirun
support=$PWD/test/support
# What a sanitizer reports goes to files, as a test that expects a failure would hide it; a process it ends leaves with code 86. (GCC's
# UndefinedBehaviorSanitizer beside AddressSanitizer prints to stderr all the same: there the code tells.)
reports=$(cd "$build" && pwd)/sanitizer-reports
rm -rf "$reports" && mkdir -p "$reports"
common=log_path=$reports/report:exitcode=86
# oneDNN's OpenMP threads are libgomp's, whose barriers no sanitizer understands: one each. HDF5 and Open MPI keep memory to the end.
case $kind in
  asan)
    export ASAN_OPTIONS=$common:detect_leaks=1:detect_stack_use_after_return=0:allocator_may_return_null=1 OMP_NUM_THREADS=1
    export LSAN_OPTIONS=$common:suppressions=$support/lsan.supp:print_suppressions=0
    export UBSAN_OPTIONS=$common:print_stacktrace=1:halt_on_error=1 ;;
  tsan)
    # A GPU's threads are fibers of one thread in the emulation, which ThreadSanitizer does not know (doc/cuda-emulation.md).
    chosen=(-E '^emulation[.]|^comm[.]gpu_|[.]cuda')
    export TSAN_OPTIONS=$common:suppressions=$support/tsan.supp:halt_on_error=1:second_deadlock_stack=1 OMP_NUM_THREADS=1 ;;
  avx2) export DNNL_MAX_CPU_ISA=AVX2 ;;
esac
status=0
ctest --test-dir "$build" -j "$jobs" --output-on-failure ${chosen[@]+"${chosen[@]}"} "$@" || status=$?
found=$(find "$reports" -type f -size +0)
if [ -n "$found" ]; then
  printf 'The sanitizer reported:\n%s\n' "$found" >&2
  head -n 40 $found >&2
  status=1
fi
exit $status
