import Platform
import Support

/// SQL that makes a server write nearly every kind of record this project cares about.
struct Workload {
    let cluster: TestCluster
    /// Kinds of `wal_compression` to go through.
    let compressions: [String]

    private func sql(_ statements: String..., database: String = "bench") throws {
        // Each statement in a transaction of its own, all in one session.
        let finished = try runAsServerUser(
            cluster.server.bin + "/psql",
            ["-h", cluster.directory, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"]
                + statements.flatMap { ["-c", $0] })
        guard finished.ending == .exited(0) else { throw Problem(finished.errors) }
    }

    func run() throws {
        try cluster.psql("create database bench")
        try cluster.pgbench(["-i", "-q", "-s", "1"], database: "bench")
        try sql(
            "create table plain (id int primary key, t text)",
            "insert into plain select g, repeat(md5(g::text), 3) from generate_series(1, 3000) g",
            "create table doomed (id int, t text)", "insert into doomed select g, 'x' from generate_series(1, 500) g",
            "create table emptied as table doomed", "create table rewritten as table doomed",
            "create index on rewritten (id)",
            "create table tail as select g id, md5(g::text) t from generate_series(1, 8000) g",
            "create table toasted (id serial primary key, b text)",
            "insert into toasted (b) select string_agg(md5((g * i)::text), '') from generate_series(1, 20) g, "
                + "generate_series(1, 200) i group by g",
            "create table shapes as select g id, point(g, g % 7) p, array[g % 10] a, int4range(g, g + 9) r "
                + "from generate_series(1, 800) g",
            "create index on shapes using gist (p)", "create index on shapes using gin (a)",
            "create index on shapes using spgist (p)", "create index on shapes using brin (id)",
            "create index on shapes using hash (id)", "create sequence numbers",
            "create unlogged table volatile (id int primary key)", "insert into volatile values (1)",
            "create table keys (id int primary key, v int)",
            "insert into keys select g, 0 from generate_series(1, 200) g",
            "vacuum freeze plain", "vacuum analyze")
        try cluster.psql("select pg_create_restore_point('start')")
        try cluster.pgbench(["-c", "2", "-t", "150"], database: "bench")
        for compression in compressions {
            try sql(
                "set wal_compression = \(compression)", "checkpoint",
                "update plain set t = t || 'u' where id % 13 = 0", "update toasted set b = b || 'z' where id % 3 = 0",
                "update shapes set p = point(1, 1) where id % 9 = 0")
        }
        try copy()
        try destroy()
        try transactions()
        try databases()
        try sql(
            "select pg_logical_emit_message(true, 'big', repeat('B', 2400000))",
            "select pg_logical_emit_message(false, 'small', repeat('m', 70000))",
            "select nextval('numbers') from generate_series(1, 100)", "vacuum", "vacuum freeze keys",
            "select lo_create(7777)", "select lo_put(7777, 0, decode(repeat('ab', 20000), 'hex'))",
            "select pg_create_restore_point('quoted \"end\"')", "select pg_switch_wal()",
            "insert into plain values (-1, 'after the switch')")
        try cluster.pgbench(["-c", "2", "-t", "80", "-M", "prepared"], database: "bench")
        try sql("select pg_backup_start('b', true)", "select lsn from pg_backup_stop(false)", "checkpoint")
    }

    private func copy() throws {
        try sql(#"copy plain from program 'seq 10000 13999 | sed "s/$/\tsome words for this row/"'"#)
    }

    private func destroy() throws {
        try sql(
            "drop table doomed", "begin", "truncate emptied", "insert into emptied select 1, 'new'", "commit",
            "begin", "create table fresh (i int)", "insert into fresh select generate_series(1, 3000)",
            "truncate fresh",
            "insert into fresh values (1)", "commit", "vacuum full rewritten", "cluster plain using plain_pkey",
            "reindex table plain", "alter table keys alter column v type bigint", "delete from tail where id > 2000",
            "vacuum tail", "begin", "create table undone as select generate_series(1, 500) i", "rollback",
            "create materialized view view as select * from plain", "refresh materialized view view",
            "drop materialized view view", "alter table volatile set logged", "alter table volatile set unlogged")
        var many = "do $$ begin for i in 1..150 loop execute format('create table d%s (i int)', i); end loop; end $$"
        try sql(many)
        many = many.replacing("create table d%s (i int)", with: "drop table d%s")
        try sql(many)
    }

    private func transactions() throws {
        var nested = ["begin"]
        for id in 1...80 {
            nested += ["savepoint s\(id)", "insert into keys values (\(1000 + id), 1)", "release s\(id)"]
        }
        nested += ["savepoint z", "create table gone (i int)", "rollback to z", "commit"]
        try sql(nested.joined(separator: ";"))
        try sql("create table first (i int)", "create table second (i int)")
        try sql("begin", "drop table first", "create table third (i int)", "prepare transaction 'drop first'")
        try sql("checkpoint", "commit prepared 'drop first'")
        try sql("begin", "create table fourth (i int)", "drop table second", "prepare transaction 'undo'")
        try sql("rollback prepared 'undo'")
        try sql("begin", "select * from keys where id = 1 for share", "prepare transaction 'lock'")
        try sql("begin", "select * from keys where id = 1 for share", "commit", "rollback prepared 'lock'")
    }

    private func databases() throws {
        try sql("create database copied template template0 strategy file_copy", database: "postgres")
        try sql("create database logged template template0 strategy wal_log", database: "postgres")
        try sql("create table x as select generate_series(1, 300) i", database: "copied")
        try sql("drop database logged", database: "postgres")
        let place = cluster.directory + "/place"
        try runAsServerUser("/bin/mkdir", [place])
        try sql("create tablespace place location '\(place)'", database: "postgres")
        try sql(
            "create table there (i int) tablespace place", "insert into there select generate_series(1, 500)",
            "alter table keys set tablespace place", "drop table there")
    }
}
