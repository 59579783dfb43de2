"""compare.py checkpoint: a save and a load of a training state beside dd writing and reading a file of the same size in the same folder."""
import glob
import os
import re
import shutil
import sys

from compare_tools import pairs, run, spread, summary

INTO_MEMORY = """
import mmap, os, sys, time
size = os.path.getsize(sys.argv[1])
begin = time.monotonic()
memory = mmap.mmap(-1, size)
memory.madvise(mmap.MADV_HUGEPAGE)
view = memoryview(memory)
with open(sys.argv[1], "rb", buffering=0) as file:
    at = 0
    while at < size:
        at += file.readinto(view[at:at + (16 << 20)])
print(time.monotonic() - begin)
"""


def timed_dd(o, *flags):
    """dd under the lock: GB/s from its start to its end."""
    done = run(["dd", "bs=16M", *flags], o.lock)
    return done.wall, dict(seconds=round(done.wall, 3), others_cores=round(done.others_cores, 2))


def sync_all(o):
    run(["sync"], o.lock)


def compare(o, model_config, train_flags, path, drop_cache):
    model, folder, file = model_config(o, o.layers), path(o, "checkpoint"), path(o, "dd.bin")
    state = {}

    def save():
        """One training step, then the save at the run's end; Strata says what writing took (creation, bytes on disk) and what reading back took."""
        shutil.rmtree(folder, ignore_errors=True)
        sync_all(o)
        done = run([o.strata, *train_flags(o, folder, model, 1, 1, 1)], o.lock)
        gigabytes, seconds, verify = re.search(r"written: ([0-9.]+) GB in ([0-9.]+) s,.*read back in ([0-9.]+) s", done.err).groups()
        state["file"] = glob.glob(f"{folder}/checkpoints/*.h5")[0]
        state["bytes"] = os.path.getsize(state["file"])
        return state["bytes"] / 1e9 / float(seconds), dict(gigabytes=float(gigabytes), write_s=float(seconds), read_back_s=float(verify),
                                                          others_cores=round(done.others_cores, 2))

    def dd_write(direct=False):
        if os.path.exists(file):
            os.remove(file)
        sync_all(o)
        seconds, about = timed_dd(o, "if=/dev/zero", f"of={file}", f"count={state['bytes'] // 2**24}", "conv=fsync", *(["oflag=direct"] if direct else []))
        return state["bytes"] // 2**24 * 2**24 / 1e9 / seconds, about

    def dd_best():
        (plain, about), (direct, about_direct) = dd_write(), dd_write(True)
        return plain, {**about, "direct_gb_per_s": round(direct, 3), "direct": about_direct}

    def load():
        """Strata's restore, which verifies every hash on the way, as its log gives it; the file is not cached before."""
        drop_cache(o, state["file"])
        os.remove(os.path.join(folder, "log.txt"))  # what an earlier run said is not to be taken for this one's
        flags = [f for f in train_flags(o, folder, model, 1, 1, 2) if not f.startswith("--run.resume")]
        done = run([o.strata, *flags, "--run.resume=auto"], o.lock, until=lambda: restored(folder))
        log = open(os.path.join(folder, "log.txt")).read()
        filled = float(re.findall(r"Weights from .*\.h5: .* in ([0-9.]+) s", log)[-1])
        return state["bytes"] / 1e9 / filled, dict(restore_s=filled, others_cores=round(done.others_cores, 2))

    def restored(folder):
        if not os.path.exists(os.path.join(folder, "log.txt")):
            return False
        with open(os.path.join(folder, "log.txt")) as f:
            return bool(re.search(r"Weights from .*\.h5: ", f.read()))

    def dd_read():
        drop_cache(o, state["file"])
        seconds, about = timed_dd(o, f"if={state['file']}", "of=/dev/null")
        return state["bytes"] / 1e9 / seconds, about

    def read_into_memory():
        """The same file into memory of its size that was not used before, as every loader needs it: reading alone, without hashes."""
        drop_cache(o, state["file"])
        done = run([sys.executable, "-c", INTO_MEMORY, state["file"]], o.lock)
        return state["bytes"] / 1e9 / float(done.out)

    def dd_and_memory():
        rate, about = dd_read()
        return rate, {**about, "into_memory_gb_per_s": round(read_into_memory(), 3)}

    rows = pairs(o, "save", save, dd_best)
    summary(o, "save", "GB/s: creation, writing, hashing and fsync beside dd conv=fsync (read-back apart)", rows,
            dict(state_gb=round(state["bytes"] / 1e9, 2), read_back_s=spread([r["strata_run"]["read_back_s"] for r in rows]),
                 dd_direct_gb_per_s=spread([r["baseline_run"]["direct_gb_per_s"] for r in rows])))
    os.remove(file)
    rows = pairs(o, "load", load, dd_and_memory)
    in_memory = [r["baseline_run"]["into_memory_gb_per_s"] for r in rows]
    summary(o, "load", "GB/s: verifying and restoring beside dd of=/dev/null, neither cached", rows,
            dict(state_gb=round(state["bytes"] / 1e9, 2), into_memory_gb_per_s=spread(in_memory),
                 ratio_to_into_memory=spread([r["strata"] / m for r, m in zip(rows, in_memory)])))
    shutil.rmtree(folder, ignore_errors=True)
