"""What the comparisons of compare.py share: running a program under the lock and watching it, pairs, ratios, the machine's description."""
import contextlib
import fcntl
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time


def say(*words):
    print(*words, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(path):
    """Holds the lock file, so that no two programs are measured at once; without a path nothing is held."""
    if not path:
        yield
        return
    with open(path, "a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def busy_seconds():
    """CPU seconds of the whole machine, stolen ones included."""
    f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(f) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")


class Outcome:
    """What a program said and used. marks: seconds from its start to the first line of stderr that holds a wanted text."""

    def __init__(self):
        self.out, self.err, self.marks = "", "", {}
        self.wall = self.cpu = self.peak_gib = self.others_cores = 0.0
        self.code = 0

    def result(self):
        """The JSON object of the last line on stdout."""
        return json.loads(self.out.strip().splitlines()[-1])


def run(command, lock=None, env=None, cwd=None, marks=(), until=None, limit=1800):
    """Runs a program in a session of its own. `until`, called every 50 ms, ends it by SIGKILL when true: no unwanted end is waited for."""
    done = Outcome()
    with locked(lock):
        busy, begin = busy_seconds(), time.time()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, start_new_session=True,
                                 env={**os.environ, **(env or {})})

        def read_err():
            lines = []
            for line in child.stderr:
                now = time.time() - begin
                lines.append(line)
                for mark in marks:
                    if mark in line:
                        done.marks.setdefault(mark, now)
            done.err = "".join(lines)

        def read_out():
            done.out = child.stdout.read()

        signal.signal(signal.SIGTERM, lambda *_: (os.killpg(child.pid, signal.SIGKILL), os._exit(143)))  # nothing measured lives on
        readers = [threading.Thread(target=read_err), threading.Thread(target=read_out)]
        for reader in readers:
            reader.start()
        pid = 0
        while not pid:
            pid, status, used = os.wait4(child.pid, os.WNOHANG if until or limit else 0)
            if pid:
                break
            late = time.time() - begin > limit
            if late or (until and until()):
                os.killpg(child.pid, signal.SIGKILL)
                pid, status, used = os.wait4(child.pid, 0)
                status = -1 if late else 0
                break
            time.sleep(0.002 if not until else 0.05)
        done.wall = time.time() - begin
        child.returncode = done.code = os.waitstatus_to_exitcode(status) if status >= 0 else 124
        for reader in readers:
            reader.join()
        done.cpu, done.peak_gib = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
        done.others_cores = max(0.0, busy_seconds() - busy - done.cpu) / max(done.wall, 1e-3)
    if done.code:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {done.code}:\n{(done.out + done.err)[-3000:]}")
    return done


def need(options, *names):
    for name in names:
        path = getattr(options, name)
        if not path or not os.path.exists(path):
            raise SystemExit(f"--{name} {path}: not found")


def machine(options):
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    version = subprocess.run([options.strata, "--version"], capture_output=True, text=True).stdout.strip()
    versions = ""
    if options.python and os.path.exists(options.python):
        code = "import importlib.metadata as m; print(', '.join(f'{p} {m.version(p)}' for p in ('torch','transformers','tokenizers')))"
        versions = subprocess.run([options.python, "-c", code], capture_output=True, text=True).stdout.strip()
    return dict(cpu=model, cores=len(os.sched_getaffinity(0)), kernel=platform.release(), strata=version, baseline=versions)


def spread(values, digits=3):
    return [round(f(values), digits) for f in (min, statistics.median, max)]


def pairs(options, name, ours, theirs, better="higher"):
    """A B A B ...: each pair's ratio, so that above 1 means Strata is ahead. ours() and theirs() give (figure, details)."""
    rows = []
    for i in range(options.pairs):
        a, about_a = ours()
        b, about_b = theirs()
        ratio = a / b if better == "higher" else b / a
        row = dict(comparison=name, pair=i + 1, strata=a, baseline=b, ratio=ratio, strata_run=about_a, baseline_run=about_b)
        rows.append(row)
        print(json.dumps(row), flush=True)
        say(f"{name}: pair {i + 1}: strata {a:.4g}, baseline {b:.4g}, ratio {ratio:.3f}"
            f" (other programs: {about_a.get('others_cores', 0):.2f} / {about_b.get('others_cores', 0):.2f} cores)")
    return rows


def summary(options, name, unit, rows, extra=None):
    """The table on stderr and the closing JSON line."""
    ratios = [r["ratio"] for r in rows]
    line = dict(comparison=name, unit=unit, pairs=len(rows), ratio=spread(ratios), strata=spread([r["strata"] for r in rows], 4),
                baseline=spread([r["baseline"] for r in rows], 4),
                others_cores=round(max(max(r[s].get("others_cores", 0) for s in ("strata_run", "baseline_run")) for r in rows), 2),
                machine=machine(options), **(extra or {}))
    print(json.dumps(line), flush=True)
    show = lambda v: " / ".join(f"{x:10.4g}" for x in v)
    say(f"\n{name} [{unit}], {len(rows)} pairs       min /     median /        max")
    say(f"  strata    {show(line['strata'])}\n  baseline  {show(line['baseline'])}\n  ratio     {show(line['ratio'])}")
    for key, value in (extra or {}).items():
        say(f"  {key}: {value}")
