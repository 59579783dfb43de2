#!/usr/bin/env bash
# Fuzzes the readers for longer than CTest does.
#
#   test/fuzz/run.sh SECONDS [READER...]      e.g.  test/fuzz/run.sh 600 token_file checkpoint
#
# With clang: libFuzzer, which searches by coverage, with AddressSanitizer (build-fuzz/, preset fuzz); the corpora it gathers stay in
# build-fuzz/corpus/. Without: our own driver on an AddressSanitizer build (build-cpu-asan/), another seed each time. Inputs that fail are
# kept in the build folder and named; `fuzz_<reader> FILE` tries one again.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:?usage: test/fuzz/run.sh SECONDS [READER...]}
shift
readers=("$@")
if [ ${#readers[@]} = 0 ]; then
  for file in test/fuzz/fuzz_*.cpp; do file=${file##*/fuzz_}; readers+=("${file%.cpp}"); done
fi
preset=cpu-asan
command -v clang++ > /dev/null && preset=fuzz
build=$PWD/build-$preset
cmake --preset "$preset" > /dev/null
cmake --build "$build" -j "$(nproc)" --target "${readers[@]/#/fuzz_}" $([ $preset != fuzz ] || for r in "${readers[@]}"; do echo "fuzz_$r.libfuzzer"; done)
export STRATA_SOURCE_DIR=$PWD STRATA_FUZZ_OUT=$build
# What HDF5, Open MPI and sentencepiece keep to the end of the process is no finding.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
status=0
for reader in "${readers[@]}"; do
  if [ $preset = fuzz ]; then
    mkdir -p "$build/corpus/$reader"
    "$build/fuzz_$reader" --write-seeds="$build/corpus/$reader"
    "$build/fuzz_$reader.libfuzzer" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=100000 -print_final_stats=1 \
      -artifact_prefix="$build/fuzz_$reader-" "$build/corpus/$reader" 2> "$build/fuzz_$reader.log" || status=1
    grep -E "^(stat::number_of_executed_units|SUMMARY|==.*ERROR|Test unit written)" "$build/fuzz_$reader.log" | sed "s/^/$reader: /" || true
  else
    "$build/fuzz_$reader" --seconds="$seconds" --inputs=1000000000 --seed="$RANDOM" || status=1
  fi
done
exit $status
