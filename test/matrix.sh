#!/usr/bin/env bash
# The whole matrix of same bits: {ddp, zero1, zero2, fsdp, hybrid} x {1, 2, 3, 4, 8 ranks} x {Qwen3, Llama} x {fp32, bf16} x {1, 4 micro-batches per
# rank of four} x {clipping, none}, and each strategy's run gone on with by the next one on other ranks. Every end is compared with that of ddp on one
# rank: h5diff but for /run/launch, and metrics.csv but for its two columns of timing. A covering subset is test/commands/test_strategies.cpp.
#
#   test/matrix.sh [quick]      quick: one of the sixteen decks. Prints a table; exit code 1 where anything differs.
#
# STRATA_BINARY names the program (default: the newest build*/strata). About 450 runs, a second or two each.
set -uo pipefail
cd "$(dirname "$0")/.."
strata=${STRATA_BINARY:-$(ls -t "$PWD"/build*/strata 2>/dev/null | head -n 1)}
[ -x "$strata" ] || { echo "no strata program: build it, or set STRATA_BINARY" >&2; exit 2; }
. jobs/common.sh
prepare_mpirun
support=$PWD/test/support
folder=$(mktemp -d "${TMPDIR:-/tmp}/strata-matrix-XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
. "$support/small_run.sh"

runs=0 wrong=0
# train FOLDER RANKS STRATEGY OPTION...
train() {
  local run=$1 n=$2 strategy=$3 group=()
  shift 3
  # One machine is one host: groups of half the ranks stand for hosts, and of eight ranks pairs.
  [ "$strategy" = hybrid ] && group=(--parallel.group=$((n % 2 ? 1 : n / 2)))
  [ "$n" = 8 ] && [ "$strategy" != hybrid ] && group=(--parallel.node=2)
  runs=$((runs + 1))
  "${mpi[@]}" -n "$n" "$strata" train t.in --run.folder="$run" --parallel.strategy="$strategy" "${group[@]}" "$@" >"$run.log" 2>&1 && return
  tail -n 20 "$run.log" >&2
  return 1
}
# same A B STEP
same() {
  local name
  name=checkpoints/$(printf 'step_%06d.h5' "$3")
  h5diff --exclude-path /run/launch "$1/$name" "$2/$name" >/dev/null 2>&1 &&
    cmp -s <(sed 's/,[^,]*,[^,]*$//' "$1/metrics.csv") <(sed 's/,[^,]*,[^,]*$//' "$2/metrics.csv")
}
mark() {
  if "$@"; then printf ' same'; else printf ' DIFFERS'; wrong=$((wrong + 1)); fi
}

strategies=(ddp zero1 zero2 fsdp hybrid) counts=(1 2 3 4 8)
printf '%-34s %-8s %s\n' deck strategy "ranks ${counts[*]}, and gone on with under the next strategy on 3 ranks"
for model in config llama; do for type in fp32 bf16; do for leaves in 4 16; do for clip in 0 0.5; do
  deck="$model, $type, $leaves micro-batches, clip $clip"
  options=(--model.config=$model.json --precision.compute=$type --batch.global=$((2 * leaves)) --train.clip=$clip --train.max_steps=4 --schedule.steps=4
    --train.validate_every=2 --checkpoint.every=2)
  rm -rf run* reference*
  train reference 1 ddp "${options[@]}" || { wrong=$((wrong + 1)); continue; }
  for s in "${!strategies[@]}"; do
    strategy=${strategies[s]}
    printf '%-34s %-8s' "$deck" "$strategy"
    for n in "${counts[@]}"; do
      train "run-$strategy-$n" "$n" "$strategy" "${options[@]}"
      mark same reference "run-$strategy-$n" 4
    done
    train "run-$strategy-on" 2 "$strategy" "${options[@]}" --train.max_steps=2
    train "run-$strategy-on" 3 "${strategies[(s + 1) % 5]}" "${options[@]}"
    mark same reference "run-$strategy-on" 4
    echo
  done
  [ "${1:-}" = quick ] && break 4
done; done; done; done
echo "$runs runs, $wrong that differ"
[ "$wrong" = 0 ]
