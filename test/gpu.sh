#!/usr/bin/env bash
# The tests labelled cuda on this machine's GPU instead of the emulation, then the benchmark: time per op beside its floor, and tokens/s.
#
#   test/gpu.sh BUILD [tests|bench]        e.g.  test/gpu.sh build-cuda-release        (both parts unless one is named)
#
# BUILD holds strata, libstrata_cuda.so and the tests. The benchmark trains Qwen3-0.6B from random weights on made-up text; it needs python3 for that
# and 20 GB of GPU memory.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:?usage: test/gpu.sh BUILD [tests|bench]}" && pwd)
part=${2:-both}
export STRATA_CUDA_LIBRARY=$build/libstrata_cuda.so OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
[ -e "$STRATA_CUDA_LIBRARY" ] || { echo "test/gpu.sh: $STRATA_CUDA_LIBRARY is missing: configure with STRATA_CUDA=ON" >&2; exit 2; }
status=0
if [ "$part" != bench ]; then
  ctest --test-dir "$build" -L cuda --output-on-failure || status=$?
fi
[ "$part" = tests ] && exit $status

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Tokens with the spread of a real text are enough to time a step: ids in lines, no tokenizer.
python3 - "$work/ids.jsonl" <<'PYTHON'
import json, random, sys
random.seed(1)
with open(sys.argv[1], "w") as out:
    for _ in range(400):
        print(json.dumps({"input_ids": [int(151000 * random.random() ** 4) for _ in range(4097)]}), file=out)
PYTHON
cp input/models/qwen3-0.6b.json "$work/config.json"
"$build/strata" prepare --prepare.input="$work/ids.jsonl" --prepare.format=ids --prepare.vocabulary=151936 \
  --prepare.separator=none --prepare.pack=stream --prepare.output="$work/ids.h5" > "$work/prepare.log" 2>&1 || { cat "$work/prepare.log" >&2; exit 1; }
for shape in "512 16" "2048 4" "4096 2"; do
  set -- $shape
  for profile in true false; do
    "$build/strata" train --device.kind=cuda --run.folder="$work/run" --run.resume=never --run.profile=$profile --model.config="$work/config.json" \
      --model.weights=random --data.train="$work/ids.h5" --data.sequence="$1" --batch.micro="$2" --batch.global=$((32768 / $1)) --precision.compute=bf16 \
      --optimizer.lr=1e-4 --schedule.kind=constant --train.max_steps=$([ $profile = true ] && echo 6 || echo 20) --checkpoint.every=0 \
      --checkpoint.asynchronous=false > "$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; status=1; continue; }
    if [ $profile = true ]; then
      echo "== T = $1, micro-batches of $2, 32768 tokens a step: time per op"
      sed -n '/^Profile of/,/^  step/p' "$work/log"
    else
      echo "== T = $1: tokens/s of steps 6 to 20 (least, median, most)"
      awk -F, 'NR > 6 { print $8 }' "$work/run/metrics.csv" | sort -g | awk '{ v[NR] = $1 } END { print v[1], v[int((NR + 1) / 2)], v[NR] }'
    fi
    rm -rf "$work/run"
  done
done
exit $status
