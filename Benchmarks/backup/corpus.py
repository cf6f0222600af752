"""A server with 3 to 5 GB of pgbench tables and real-looking text, made once and kept in /var/tmp."""

import itertools
import os
import random
import shutil
import subprocess

from measure import PG, sh

HOME = "/var/tmp/tidemark-bench-cluster"


class Cluster:
    def __init__(self, scale, letters):
        self.data = HOME + "/data"
        self.socket = HOME
        self.port = 5487
        mark = f"{HOME}/made-{scale}-{letters}"
        if not os.path.exists(mark):
            shutil.rmtree(HOME, ignore_errors=True)
            os.makedirs(HOME)
            sh(f"{PG}/initdb -D {self.data} -k -A trust -U postgres -N --locale=C.UTF-8 -E UTF8")
            with open(self.data + "/postgresql.conf", "a") as file:
                file.write(
                    f"listen_addresses = ''\nport = {self.port}\nunix_socket_directories = '{HOME}'\nfsync = off\n"
                    "shared_buffers = 256MB\nmax_wal_size = 8GB\nwal_level = replica\narchive_mode = on\n"
                    "archive_command = 'true'\ncheckpoint_timeout = 1h\nautovacuum = off\n")
            self.start()
            sh(f"{PG}/pgbench -h {HOME} -p {self.port} -U postgres -i -q -s {scale} postgres")
            self.psql("CREATE TABLE letters (id bigint, written timestamptz, sender text, subject text, body text, amount numeric)")
            self.fill(letters)
            for sql in ["CREATE INDEX ON letters (id)", "CREATE INDEX ON letters (sender)", "VACUUM ANALYZE", "CHECKPOINT"]:
                self.psql(sql)
            self.stop()
            open(mark, "w").close()
        self.start()

    def fill(self, count):
        """Letters of sentences, whose words are as unequally frequent as in a language: compresses about 2.8 : 1."""
        draw = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        words = ["".join(draw.choice(letters[:8 + int(18 * draw.random())]) for _ in range(draw.randint(2, 10)))
                 for _ in range(20_000)]
        weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
        sentences = [" ".join(draw.choices(words, cum_weights=weights, k=12)).capitalize() + "." for _ in range(100_000)]
        copy = subprocess.Popen(
            [f"{PG}/psql", "-h", HOME, "-p", str(self.port), "-U", "postgres", "-Xqc", "COPY letters FROM STDIN", "postgres"],
            stdin=subprocess.PIPE, text=True)
        for i in range(count):
            text = " ".join(draw.choices(sentences, k=8))
            copy.stdin.write(
                f"{i}\t2026-{i % 12 + 1:02}-{i % 28 + 1:02} {i % 24:02}:{i % 60:02}:00+00\t"
                f"{draw.getrandbits(64):016x}@example.org\t{text[:40]}\t{text}\t{draw.random() * 1e5:.2f}\n")
        copy.stdin.close()
        if copy.wait() != 0:
            raise SystemExit("bench: could not fill the cluster")

    def small_tables(self, count):
        """Tables of a page or none: `count` files at least."""
        for start in range(0, count, 2000):
            self.psql(
                "DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE 'CREATE TABLE IF NOT EXISTS small_' || i || ' AS SELECT ' || i || ' AS x'; "
                "END LOOP; END $$" % (start, min(start + 1999, count - 1)))
        self.psql("CHECKPOINT")

    def start(self):
        subprocess.run([f"{PG}/pg_ctl", "-D", self.data, "-m", "immediate", "stop"], capture_output=True)
        sh(f"{PG}/pg_ctl -D {self.data} -l {HOME}/log -w -t 120 start")

    def stop(self):
        sh(f"{PG}/pg_ctl -D {self.data} -m fast -w stop")

    def psql(self, sql):
        return subprocess.run(
            [f"{PG}/psql", "-h", HOME, "-p", str(self.port), "-U", "postgres", "-XAtqv", "ON_ERROR_STOP=1", "-c", sql,
             "postgres"], check=True, capture_output=True, text=True).stdout.strip()

    def archive_with(self, command):
        self.psql(f"ALTER SYSTEM SET archive_command = '{command}'")
        self.psql("SELECT pg_reload_conf()")
