#!/usr/bin/env bash
# Kills a small run again and again - a random rank, or mpirun, with SIGKILL, at random instants, saves included - and starts it again on other
# ranks and under another strategy each time; at last lets it finish, and compares its end bit for bit with a run that nobody disturbed.
#
#   test/torture.sh [KILLS] [SEED]      100 kills by default; the seed of the instants is printed
#
# STRATA_BINARY names the program (default: build/strata or build-dev/strata). Takes one to two seconds per kill. STRATA_TEST_PATIENCE: how many
# times slower a sanitizer makes it.
set -uo pipefail
cd "$(dirname "$0")/.."
kills=${1:-100} seed=${2:-$(date +%s)}
case $kills in *[!0-9]*|'') sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;; esac
strata=${STRATA_BINARY:-$(ls -t "$PWD"/build*/strata 2>/dev/null | head -n 1)}
[ -x "$strata" ] || { echo "no strata program: build it, or set STRATA_BINARY" >&2; exit 2; }
. jobs/common.sh
prepare_mpirun
support=$PWD/test/support
export OMPI_MCA_odls_base_sigkill_timeout=0  # mpirun would wait a second before it ends the ranks of a killed one
folder=$(mktemp -d "${TMPDIR:-/tmp}/strata-torture-XXXXXX")
trap 'kill -9 $(ranks) ${pid:-} 2>/dev/null; rm -rf "$folder"' EXIT
RANDOM=$seed
cd "$folder" || exit 2
echo "torture: $kills kills, seed $seed, $strata"

# The processes of the tortured run that are neither launcher nor shell.
ranks() {
  local p
  for p in $(pgrep -x strata); do grep -qsz -- "--run.folder=$folder/run" "/proc/$p/cmdline" && echo "$p"; done
}
# start RANKS FOLDER OPTION...: trains in the background; $pid is the launcher, or the rank itself without one.
start() {
  local n=$1 run=$2
  shift 2
  local command=("$strata" train t.in --run.folder="$folder/$run" "$@")
  ((n)) && command=("${mpi[@]}" -n "$n" "${command[@]}")
  "${command[@]}" >>"$run.log" 2>&1 &
  pid=$!
}
give_up() {
  echo "torture: $1 (seed $seed, kill $kill)" >&2
  tail -n 25 "$folder/run.log" >&2
  exit 1
}

. "$support/small_run.sh"

strategies=(ddp zero1 zero2 fsdp hybrid)
declare -A hit=([rank]=0 [mpirun]=0)
for ((kill = 1; kill <= kills; ++kill)); do
  n=$((RANDOM % 4))
  # Half of the runs save while they train, half wait. The record of a checkpoint tells which: the last stretch decides that.
  ((RANDOM % 2)) && asynchronous=true || asynchronous=false
  size=$(stat -c %s run.log 2>/dev/null || echo 0)
  start $n run --checkpoint.asynchronous=$asynchronous --parallel.strategy=${strategies[RANDOM % 5]}
  # One kill in four falls into the start-up, the others into the half second (times that) after the first step: steps, validations and saves. Waiting for the
  # step, not for a time, gives a busy machine the same kills.
  ((RANDOM % 4 == 0)) || for ((i = 0; i < 1500; ++i)); do tail -c +$((size + 1)) run.log | grep -q '  Loss ' && break; sleep 0.02; done
  sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", 0.5 * '"${STRATA_TEST_PATIENCE:-1}"' * r / 32768 }')"
  if ((n && RANDOM % 3 == 0)); then
    hit[mpirun]=$((hit[mpirun] + 1)); kill -9 $pid
  else
    victims=($(ranks))
    ((${#victims[@]})) || victims=($pid)  # mpirun has not started any yet
    hit[rank]=$((hit[rank] + 1)); kill -9 "${victims[RANDOM % ${#victims[@]}]}" 2>/dev/null
  fi
  wait $pid 2>/dev/null; status=$?
  ((status == 137)) || give_up "a killed run ended with $status, expected 137"
  for ((i = 0; i < 200; ++i)); do [ -z "$(ranks)" ] && break; sleep 0.05; done
  [ -z "$(ranks)" ] || give_up "ranks live on ten seconds after the kill: $(ranks)"
done
reached=$(sed -n 's/.*step_0*\([0-9]*\).h5.*/\1/p' run/checkpoints/latest 2>/dev/null)
((${reached:-0} > 0)) || give_up "no checkpoint was ever finished"

last=$((reached + 20))
start 3 run --train.max_steps=$last; wait $pid || give_up "the last stretch failed"
pid=
start 2 plain --train.max_steps=$last; wait $pid || { tail -n 25 plain.log >&2; exit 1; }
pid=
name=$(cat plain/checkpoints/latest)
[ "$name" = "$(cat run/checkpoints/latest)" ] || give_up "the run ended at $(cat run/checkpoints/latest), undisturbed at $name"
h5diff --exclude-path /run/launch "plain/checkpoints/$name" "run/checkpoints/$name" || give_up "the ends differ"
for run in plain run; do sed 's/,[^,]*,[^,]*$//' $run/metrics.csv >$run.metrics; done
cmp plain.metrics run.metrics || give_up "the rows of metrics.csv differ"
left=$(find run -name '*.tmp')
[ -z "$left" ] || give_up "left behind: $left"
echo "torture: $kills kills (${hit[rank]} of a rank, ${hit[mpirun]} of mpirun) up to step $reached; after $last steps the run equals the undisturbed one, bit for bit"
