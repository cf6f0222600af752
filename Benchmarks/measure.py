"""What the benchmark families share: running programs as the server's user, timing them, and reporting figures."""

import json
import os
import pwd
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("TIDEMARK_BIN") or os.path.join(os.path.dirname(__file__), "..", ".build", "release")
TIDEMARK = os.path.realpath(os.path.join(BIN, "tidemark"))
PG = "/usr/lib/postgresql/15/bin"


def server_user():
    """The user who runs the servers: postgres when root starts the benchmark."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def become_server_user():
    """Continues as the server's user; everything a benchmark makes belongs to it."""
    user = server_user()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.environ["HOME"] = "/var/tmp"
    os.environ["PATH"] = PG + ":/usr/local/bin:/usr/bin:/bin"


def sh(command, **options):
    """Runs a shell command, failing loudly."""
    done = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"bench: {command}\n{done.stdout}")
    return done.stdout


class Call:
    """One finished command: seconds of wall clock and CPU, exit status."""

    def __init__(self, wall, usage, status):
        self.wall = wall
        self.cpu = usage.ru_utime + usage.ru_stime
        self.status = status


def peak_memory(command, cwd):
    """The largest resident set, in bytes, of any process of `command`, by time(1): wait4() counts what the benchmark itself
    had when it started the command."""
    with tempfile.NamedTemporaryFile() as file:
        if call(f"/usr/bin/time -q -f %M -o {file.name} {command}", cwd).status != 0:
            sys.exit(f"bench: {command} failed")
        return int(file.read().split()[-1]) * 1024


def call(command, cwd):
    """Starts `command` as PostgreSQL does, through /bin/sh in the data directory, and waits for it."""
    start = time.perf_counter()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"cd {cwd} && exec {command}"], os.environ)
    _, status, usage = os.wait4(pid, 0)
    return Call(time.perf_counter() - start, usage, os.waitstatus_to_exitcode(status))


class Report:
    """Collects figures; prints them last and writes them as JSON."""

    def __init__(self, family):
        self.family = family
        self.figures = []

    def ratio(self, name, value, goal=None):
        self.figures.append({"kind": "ratio", "name": name, "value": round(value, 3), "goal": goal})

    def figure(self, name, value, unit, goal=None):
        self.figures.append({"kind": "figure", "name": name, "value": round(value, 2), "unit": unit, "goal": goal})

    def finish(self):
        machine = {
            "cpu": next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?"),
            "cores": os.cpu_count(),
            "kernel": os.uname().release,
            "load": os.getloadavg()[0],
        }
        print(f"machine: {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load {machine['load']:.1f}")
        for f in self.figures:
            unit = f" {f['unit']}" if "unit" in f else ""
            goal = f" goal {f['goal']}" if f["goal"] is not None else ""
            print(f"{f['kind']} {f['name']} {f['value']}{unit}{goal}")
        results = os.environ.get("BENCH_RESULTS")
        if results:
            with open(os.path.join(results, self.family + ".json"), "w") as file:
                json.dump({"family": self.family, "machine": machine, "figures": self.figures}, file, indent=1)


median = statistics.median
