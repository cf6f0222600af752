"""WAL that looks like work: made once by a real PostgreSQL, kept for later runs."""

import fcntl
import os
import random
import shutil
import sys

from measure import PG, sh

VERSION = "3"
SEGMENTS = 264


class Corpus:
    """base/: a data directory as it was before the WAL began. wal/: the segments, in order. kinds: what made each."""

    def __init__(self, root="/var/tmp/tidemark-bench-corpus"):
        self.root = root
        self.base = root + "/base"
        self.wal = root + "/wal"
        stamp = root + "/stamp"
        lock = open(root + ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(stamp) or open(stamp).read() != VERSION:
            shutil.rmtree(root, ignore_errors=True)
            os.makedirs(self.wal, exist_ok=True)
            self.build()
            open(stamp, "w").write(VERSION)
        self.kinds = dict(line.split() for line in open(root + "/kinds"))
        self.segments = sorted(self.kinds)

    def build(self):
        data, socket = self.root + "/data", self.root
        print("building a corpus of WAL (once, a few minutes)", flush=True)
        sh(f"{PG}/initdb -D {data} -A trust -U postgres -N --locale=C.UTF-8 -E UTF8")
        with open(data + "/postgresql.conf", "a") as conf:
            conf.write(
                f"listen_addresses = ''\nunix_socket_directories = '{socket}'\nfsync = off\nsynchronous_commit = off\n"
                "wal_level = replica\nshared_buffers = 512MB\nmax_wal_size = 1GB\ncheckpoint_timeout = 30s\n"
                f"archive_mode = on\narchive_command = 'cp %p {self.wal}/%f'\nautovacuum = off\n")
        self.start(data)
        self.sentences()
        sh(f"{PG}/pgbench -h {socket} -U postgres -i -q -s 10 postgres")
        self.sql("create table note (id bigserial primary key, at timestamptz, author int, path text, body text)")
        self.sql("checkpoint; select pg_switch_wal()")
        self.stop(data)
        # Everything archived so far belongs to the past of the base.
        for name in os.listdir(self.wal):
            os.remove(f"{self.wal}/{name}")
        sh(f"cp -a {data} {self.base}")
        self.start(data)
        kinds = {}
        for kind, share, work in [
            ("load", 60, self.load), ("text", 80, self.text), ("images", 64, self.images), ("small", 60, self.small),
        ]:
            before = set(self.names())
            while len(set(self.names()) - before) < share:
                work()
            for name in set(self.names()) - before:
                kinds[name] = kind
            print(f"  {kind}: {len(set(self.names()) - before)} segments", flush=True)
        self.sql("select pg_switch_wal()")
        self.stop(data)
        for name in self.names():
            kinds.setdefault(name, "small")
        for name in os.listdir(self.wal):
            if len(name) != 24:
                os.remove(f"{self.wal}/{name}")
        shutil.rmtree(data)
        with open(self.root + "/kinds", "w") as file:
            file.writelines(f"{name} {kinds[name]}\n" for name in sorted(kinds))

    def names(self):
        return [name for name in os.listdir(self.wal) if len(name) == 24]

    def start(self, data):
        sh(f"{PG}/pg_ctl -D {data} -l {self.root}/log -w start")

    def stop(self, data):
        sh(f"{PG}/pg_ctl -D {data} -m fast -w stop")

    def sql(self, text):
        return sh(f'{PG}/psql -h {self.root} -U postgres -d postgres -XAtq -v ON_ERROR_STOP=1 -f -', input=text)

    def load(self):
        self.sql("drop table if exists bulk; create table bulk as select g as id, g % 97 as kind, now() + g * interval '1 s' as at, "
                 "md5(g::text) as hash, 0 as filler from generate_series(1, 1500000) g; alter table bulk add primary key (id)")

    def sentences(self):
        """Thirty thousand of them, of words that are as unequally frequent as in real text; more than a zstd window."""
        dice = random.Random(1)
        words = ["".join(dice.choice("etaoinshrdlucmfwyp") for _ in range(dice.randint(2, 11))) for _ in range(4000)]
        rows = (
            f"{number}\t" + " ".join(words[int(4000 * dice.random() ** 3)] for _ in range(dice.randint(10, 70)))
            for number in range(30000))
        self.sql("create table sentence (id int primary key, text text);\ncopy sentence from stdin;\n" + "\n".join(rows) + "\n\\.\n")

    def text(self):
        self.sql("insert into note (at, author, path, body) select now() + g * interval '1 ms', g % 531, '/' || g % 300 || '/' || g % 1717, "
                 "a.text || '. ' || b.text from (select g, (random() * 29999)::int as one, (random() * 29999)::int as two "
                 "from generate_series(1, 100000) g) x join sentence a on a.id = one join sentence b on b.id = two")

    def images(self):
        sh(f"{PG}/pgbench -h {self.root} -U postgres -n -c 4 -T 3 -M prepared postgres")
        self.sql("checkpoint; update pgbench_accounts set abalance = abalance + 1 where aid % 61 = (random() * 60)::int")

    def small(self):
        self.sql("alter system set full_page_writes = off; select pg_reload_conf()")
        script = self.root + "/small.sql"
        with open(script, "w") as file:
            file.write("\\set a random(1, 999000)\n\\set d random(-500, 500)\n"
                       "update pgbench_accounts set abalance = abalance + :d where aid between :a and :a + 40;\n"
                       "insert into pgbench_history values (1, 2, :a, :d, now());\n")
        sh(f"{PG}/pgbench -h {self.root} -U postgres -n -c 4 -T 5 -M prepared -f {script} postgres")
