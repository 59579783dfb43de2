#!/usr/bin/env bash
# From nothing to a trained model: installs the packages, builds Strata, and trains a small Qwen3 on Debian's fortunes with two MPI ranks.
#
#   jobs/quickstart.sh [--no-install]      --no-install: use the libraries that are there (environment modules, for example)
#
# Takes a few minutes the first time, about one of them for the training. Writes build/ and runs/quickstart/, nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/common.sh

install=1
for argument; do
  case $argument in
    --no-install) install=0 ;;
    -h|--help) sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) fail "unknown argument $argument; see jobs/quickstart.sh --help" ;;
  esac
done

cat <<'TEXT'
Strata quickstart
  1. installs the distribution's packages that are missing (compiler, Open MPI, HDF5, oneDNN, ...; fortunes as text to train on)
  2. builds build/strata
  3. prepare: trains a vocabulary on the fortunes and tokenizes them            mpirun -n 2 build/strata prepare  input/quickstart.in
  4. train: a Qwen3 of a few million parameters, with validation and checkpoints mpirun -n 2 build/strata train    input/quickstart.in
  5. generate: a fortune from the trained model                                            build/strata generate input/quickstart.in
TEXT

((install)) && install_packages "${strata_packages[@]}" fortunes fortunes-min
[ -e /usr/share/games/fortunes/fortunes ] || fail "/usr/share/games/fortunes is missing: install the package 'fortunes', or name other text in input/quickstart.in (prepare.input)"

# A new compiler's new warnings must not stop a user; the tests build with warnings as errors.
strata_cmake_options=(-DSTRATA_WERROR=OFF -DBUILD_TESTING=OFF)
build_strata strata
prepare_mpirun

rm -rf runs/quickstart
say "Preparing the data"
"${mpi[@]}" -n 2 build/strata prepare input/quickstart.in
say "Training"
[ -t 2 ] && progress=on || progress=off
"${mpi[@]}" -n 2 build/strata train input/quickstart.in --run.progress=$progress
checkpoint=runs/quickstart/checkpoints/$(cat runs/quickstart/checkpoints/latest)
say "The checkpoint is plain HDF5: h5dump -n $checkpoint"
h5dump -n "$checkpoint" | awk '/dataset +\/model\// && n++ < 8'
say "A generated fortune"
build/strata generate input/quickstart.in
say "Done. The run is in runs/quickstart: log.txt, metrics.csv, checkpoints/. Next: README.md, the five-minute tour."
