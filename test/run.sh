#!/usr/bin/env bash
# Installs what is missing, builds Strata with warnings as errors, and runs the test suite.
#
#   test/run.sh [--no-install] [ctest arguments...]      e.g.  test/run.sh --no-install -L unit
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/common.sh

install=1
[ "${1:-}" != --no-install ] || { install=0; shift; }
cat <<'TEXT'
Strata tests
  1. installs the distribution's packages that are missing
  2. builds everything into build/, warnings as errors
  3. runs ctest; a test that cannot run here (no reference data, no mount permission) is reported as skipped, with its reason
TEXT
((install)) && install_packages "${strata_packages[@]}" libgtest-dev libgmock-dev libboost-context-dev python3 zstd procps

strata_cmake_options=(-DSTRATA_WERROR=ON -DBUILD_TESTING=ON)
build_strata all
prepare_mpirun
say "Running the tests"
ctest --test-dir build -j "$(nproc)" --output-on-failure "$@"
