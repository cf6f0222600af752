import Testing

/// Trouble, a message that offers a command for it, and what that command does. The scripts run in the directory of the
/// site; see `OfferedRemedyTests` for their variables and functions.
struct OfferedRemedy: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Causes it.
    let trouble: String
    /// Reports it, and offers the command.
    let report: String
    /// How the offered command begins, after the program's name.
    let offer: String
    /// What the message leaves to the user: consent, a target.
    var further = ""
    /// What the user knows as `PATH`.
    var path = ""
    var ends: Int32 = 0
    /// What the command has to print.
    var says = ""
    /// Succeeds once the trouble is over.
    var afterwards = ""

    init(
        _ name: String, _ trouble: String, _ report: String, offers offer: String, further: String = "",
        path: String = "", ends: Int32 = 0, says: String = "", afterwards: String = ""
    ) {
        (testDescription, self.trouble, self.report, self.offer) = (name, trouble, report, offer)
        (self.further, self.path, self.ends, self.says, self.afterwards) = (further, path, ends, says, afterwards)
    }

    static let all = archiving + backups + checks + recoveries

    private static let stray = "printf '1\\t0/3000000\\tstray\\n' >00000002.history; "
    /// The server goes on to timeline 2, which then is put aside while nobody can see the server.
    private static let aside =
        "promote; finishSegment; stop; mv $DATA away; tidemark segments put-aside 2 --yes --certain; mv away $DATA; start"
    private static let check = "tidemark check --only "

    private static let archiving = [
        OfferedRemedy(
            "a history that is archived again",
            stray + "tidemark archive-push $PWD/00000002.history; "
                + "tidemark segments put-aside 2 --yes", "tidemark archive-push $PWD/00000002.history",
            offers: "segments put-back", further: "--yes", afterwards: "ls $REPOSITORY/main/*/wal/00000002.history.zst"),
        OfferedRemedy(
            "a server on a timeline that was put aside, at its archiver", aside + "; finishSegment",
            "cd $DATA; tidemark archive-push pg_wal/$(ls pg_wal | grep '^00000002[0-9A-F]*$' | head -1)",
            offers: "segments put-back", further: "--yes", afterwards: check + "timelines"),
        OfferedRemedy(
            "a server on a timeline that was put aside, at its backup", aside, "tidemark backup",
            offers: "segments put-back", further: "--yes", afterwards: "tidemark backup"),
        OfferedRemedy(
            "a server on a timeline that was put aside, at its check", aside, check + "timelines",
            offers: "segments put-back", further: "--yes", afterwards: check + "timelines"),
        OfferedRemedy(
            "a history that nothing says the owner of", "mkdir lone; cd lone; " + stray, "tidemark import $PWD/lone",
            offers: "archive-push PATH", path: "$SITE/lone/00000002.history",
            afterwards: "ls $REPOSITORY/main/*/wal/00000002.history.zst"),
        OfferedRemedy(
            "nothing of that name to put aside", "", "tidemark segments put-aside 9", offers: "segments",
            says: "There are no gaps"),
        OfferedRemedy(
            "a repository without the cluster, at its archiver", "rm -rf $REPOSITORY/main",
            "tidemark archive-push $DATA/pg_wal/$SEGMENT", offers: "init",
            afterwards: "tidemark archive-push $DATA/pg_wal/$SEGMENT; tidemark archive-get $SEGMENT $PWD/got; "
                + "cmp got $DATA/pg_wal/$SEGMENT"),
        OfferedRemedy(
            "a segment that is damaged on the server",
            "sql \"alter system set archive_command = 'false'\"; sql 'select pg_reload_conf()'; "
                + "sql 'create table u as select 1 n'; s=$(sql 'select pg_walfile_name(pg_switch_wal())'); "
                + "mkdir standby; cp $DATA/pg_wal/$s standby/waiting; "
                + "printf xxxx | dd of=$DATA/pg_wal/$s bs=1 seek=1000 conv=notrunc; mv standby/waiting standby/$s; "
                + "sql 'alter system reset archive_command'; sql 'select pg_reload_conf()'; "
                + "until tidemark check --only archiving | grep stuck; do sleep 0.1; done",
            check + "archiving", offers: "archive-push PATH", path: "$(ls $SITE/standby/*)",
            afterwards: "finishSegment; " + check + "archiving"),
        OfferedRemedy(
            "a standby whose primary archives nothing",
            "sql \"alter system set archive_command = 'false'\"; sql 'select pg_reload_conf()'; "
                + "for n in 1 2 3 4; do sql \"create table u$n as select 1 n\"; sql 'select pg_switch_wal()'; done; "
                + "sql checkpoint; cp -a $DATA primary; touch $DATA/standby.signal; stop; start",
            // On the primary's machine.
            check + "archiving; stop; rm $DATA/standby.signal; start", offers: "check --only archiving",
            says: "The last failure was with"),
    ]

    private static let backups = [
        OfferedRemedy(
            "wal_level = minimal",
            "sql 'alter system set wal_level = minimal'; sql 'alter system set archive_mode = off'; "
                + "sql 'alter system set max_wal_senders = 0'; stop; start",
            "tidemark backup", offers: "init --write", ends: 3, says: "wal_level = 'replica'",
            afterwards: "sql 'alter system reset max_wal_senders'; stop; start; tidemark backup"),
        OfferedRemedy(
            "archive_mode = off", "sql 'alter system set archive_mode = off'; stop; start", "tidemark backup",
            offers: "init", ends: 3, says: "archive_mode = 'on'"),
        OfferedRemedy(
            "a repository without the cluster, at a backup", "rm -rf $REPOSITORY/main",
            "tidemark backup 2>&1 | tail -1", offers: "init", afterwards: "tidemark backup"),
        OfferedRemedy(
            "a repository without the cluster, at a listing", "rm -rf $REPOSITORY/main", "tidemark list",
            offers: "init", afterwards: "tidemark list"),
        OfferedRemedy(
            "no backup to verify", "rm -rf $REPOSITORY/main/*/backup", "tidemark verify --latest", offers: "backup",
            afterwards: "tidemark verify --latest"),
        OfferedRemedy(
            "no backup that could be recovered", "rm -rf $REPOSITORY/main/*/backup", "tidemark plan --target latest",
            offers: "backup", afterwards: "tidemark plan --target latest"),
        OfferedRemedy(
            "a repository from before format 1 was final",
            "f=$(ls $REPOSITORY/main/*/incarnation.json); chmod u+w $f; echo '{\"format\":1}' >$f",
            "tidemark archive-push $DATA/pg_wal/$SEGMENT; sed -i \"s#^repository.*#repository = '$PWD/new'#\" own.conf",
            offers: "init",
            afterwards: "tidemark backup --wal-wait-timeout 0 & "
                + "until ls new/main/*/backup/*/* 2>/dev/null; do kill -0 $!; sleep 0.1; done; kill $!; wait || true"),
        OfferedRemedy(
            "a damaged manifest", "damage $(find $REPOSITORY -name manifest.sqlite.zst)", "tidemark show $LABEL",
            offers: "verify", ends: 3, says: "manifest.sqlite.zst\" of the repository is damaged"),
    ]

    private static func limit(_ line: String) -> String { "printf '[check]\\n\(line)\\n' >>own.conf" }
    private static let notify =
        "printf '%s\\n' '[notify]' 'events = all' \"command = 'test -e $PWD/works'\" 'attempts = 1' >>own.conf; "

    private static let checks = [
        OfferedRemedy(
            "nothing archived",
            "rm -rf $REPOSITORY/main/*/wal/* $REPOSITORY/main/*/backup; "
                + "sql \"alter system set archive_command = 'false'\"; sql 'select pg_reload_conf()'",
            check + "wal_continuity", offers: "init", ends: 3, says: "archive-push"),
        OfferedRemedy(
            "another cluster in the data directory",
            "stop; mv $DATA old; $BIN/initdb -D $DATA -A trust -U postgres -N --wal-segsize=1 >/dev/null; "
                + "cp old/postgresql.conf $DATA; start",
            check + "rpo", offers: "init", afterwards: "tidemark backup; " + check + "rpo"),
        OfferedRemedy(
            "a window that is too short", limit("recovery_window_warning = 10d"), check + "recovery_window",
            offers: "list", says: "-full"),
        OfferedRemedy(
            "no drill yet", limit("rto_warning = 10h"), check + "rto", offers: "drill", says: "The drill passed",
            afterwards: check + "rto"),
        OfferedRemedy(
            "a drill that found something", "echo \"drill_sql = 'select false'\" >>own.conf; tidemark drill || true",
            check + "drill", offers: "history --job drill", says: "problems"),
        OfferedRemedy(
            "a backup without its WAL",
            "stop; mv $DATA away; tidemark segments put-aside $FIRST --yes --certain; mv away $DATA; start",
            check + "backup_age", offers: "backup", afterwards: check + "backup_age"),
        OfferedRemedy(
            "pages that the server's disk has damaged",
            "f=$DATA/$(sql \"select pg_relation_filepath('t')\"); sql checkpoint; "
                + "printf xxxxxxxx | dd of=$f bs=1 seek=5000 conv=notrunc; tidemark backup || true",
            check + "backup_health", offers: "show", says: "block 0 of postgres.public.t"),
        OfferedRemedy(
            "WAL that was damaged and is whole again",
            "f=$(find $REPOSITORY -name $SEGMENT.zst); cp $f kept; damage $f; tidemark verify || true; cat kept >$f",
            check + "verify_wal", offers: "verify --wal", afterwards: check + "verify_wal"),
        OfferedRemedy(
            "a backup that was damaged and is whole again",
            "f=$(find $REPOSITORY -path '*/pack/*/000001'); cp $f kept; damage $f; tidemark verify || true; cat kept >$f",
            check + "verify", offers: "verify --backups", afterwards: check + "verify"),
        OfferedRemedy(
            "a lost segment", "find $REPOSITORY -name $SEGMENT.zst -delete; rm $DATA/pg_wal/$SEGMENT",
            check + "recovery_window", offers: "backup", afterwards: check + "recovery_window"),
        OfferedRemedy(
            "a segment that cannot be compared with the server's",
            "s=$(sql 'select pg_walfile_name(pg_current_wal_insert_lsn())'); finishSegment; "
                + "chmod 000 $(find $REPOSITORY -name $s.zst)",
            check + "timelines", offers: "verify --wal", ends: 3, says: "Permission denied"),
        OfferedRemedy(
            "a disk that is too small", limit("repository_space_warning = 100"), check + "repository_space",
            offers: "expire --dry-run", says: "-full kept"),
        OfferedRemedy(
            "a disk that fills up",
            check + "repository_growth; f=$(find $STATE -name '*space*'); "
                + "echo \"{\\\"samples\\\":[{\\\"time\\\":$(($(date +%s) - 172800)),\\\"free\\\":4000000000000,"
                + "\\\"total\\\":$(($(stat -f -c '%b*%S' $REPOSITORY)))}]}\" >$f",
            check + "repository_growth", offers: "expire --dry-run", says: "-full kept"),
        OfferedRemedy(
            "a message that waits", notify + "tidemark verify",
            "touch -d '-1 hour' $STATE/main/notify/queue/*; " + check + "notifications; touch works",
            offers: "notify --deliver", afterwards: check + "notifications"),
        OfferedRemedy(
            "a message that was given up: what happened", notify + givenUp, check + "notifications", offers: "history",
            says: "backup"),
        OfferedRemedy(
            "a message that was given up: who can be reached", notify + givenUp, check + "notifications",
            offers: "notify --test", says: "Notified"),
    ]
    private static let givenUp =
        "touch works; mkdir -p $STATE/main/notify; echo '[{\"receiver\":\"notify/command\",\"time\":'$(date +%s)'000000}]' "
        + ">$STATE/main/notify/given-up.json"

    /// Once a second server has begun timeline 2, the first goes on with timeline 1.
    private static let left = leaves("")
    private static let leftWithCommit = leaves("sql 'create table p as select 1 n'; ")
    private static func leaves(_ work: String) -> String {
        "stop; cp -a $DATA away; start; promote; \(work)finishSegment; stop; rm -rf $DATA; mv away $DATA; "
    }
    private static func interrupted(_ command: String, first: String) -> String {
        "TIDEMARK_FAULT=open:/pack/=gate:$PWD/gate env --default-signal=INT tidemark-main \(command) 2>&1 & "
            + "until [ -e gate.reached ]; do kill -0 $! || exit; sleep 0.02; done; \(first); kill -INT $!; wait"
    }
    private static let table = "tidemark recover-table -t postgres.public.t --to-file $PWD/t.sql "
    private static let copy = "--data-directory $PWD/copy"

    private static let recoveries = [
        OfferedRemedy(
            "a repository without the cluster, at a plan", "rm -rf $REPOSITORY/main", "tidemark plan --target latest",
            offers: "init", afterwards: "tidemark backup; tidemark plan --target latest"),
        OfferedRemedy(
            "a target on a timeline that was put aside", aside, "tidemark plan --target latest --target-timeline 2",
            offers: "segments put-back", further: "--yes",
            afterwards: "tidemark plan --target latest --target-timeline 2 | not 'put aside'"),
        OfferedRemedy(
            "a standby where another timeline is newer", left + "start",
            "tidemark plan --standby --backup $LABEL --target-timeline 1 --target latest \(copy)",
            offers: "segments put-aside", further: "--yes",
            afterwards: "tidemark plan --standby --backup $LABEL --target-timeline 1 --target latest \(copy) "
                + "| not 'A standby follows'"),
        OfferedRemedy(
            "a number that segments without a history have", left + "rm $(find $REPOSITORY -name '00000002.history*')",
            "tidemark plan --target latest --target-timeline 1", offers: "segments put-aside", further: "--yes",
            afterwards: "tidemark plan --target latest --target-timeline 1 | not 'will take number'"),
        OfferedRemedy(
            "a newer timeline that the server is not on", leftWithCommit + "start", "tidemark plan --target latest",
            offers: "segments put-aside", further: "--yes",
            afterwards: "tidemark plan --target latest | not 'Timeline 2 is not followed'"),
        OfferedRemedy(
            "a damaged history", left + "mv $DATA away; damage $(find $REPOSITORY -name 00000002.history.zst)",
            "tidemark plan --target latest", offers: "segments put-aside", further: "--yes --certain",
            afterwards: "tidemark plan --target latest"),
        OfferedRemedy(
            "another directory in place of the recovered one",
            "TIDEMARK_FAULT=unlink:tidemark.restoring=kill tidemark recover --target latest \(copy) --yes --start || true; "
                + "mv copy first; cp -a first copy; rm copy/tidemark.restoring",
            "tidemark recover --resume \(copy) --yes 2>&1", offers: "recover --keep-old",
            further: "--target latest --yes",
            afterwards: "ls copy/PG_VERSION copy?*/PG_VERSION; [ -z \"$(find $STATE -path '*recover*json')\" ]"),
        OfferedRemedy(
            "a recovery that a newer version began",
            "TIDEMARK_FAULT=write:60=kill tidemark recover --target latest \(copy) --yes || true; "
                + "sed -i 's/\"version\" *: *3/\"version\":4/' $(find $STATE -path '*recover*json')",
            "tidemark recover --resume \(copy) --yes", offers: "recover --keep-old", further: "--target latest --yes",
            afterwards: "ls copy/PG_VERSION; [ -z \"$(find $STATE -path '*recover*json')\" ]"),
        OfferedRemedy(
            "WAL that is lost between plan and replay",
            "lsn=$(sql 'select pg_current_wal_lsn()'); finishSegment; echo $lsn >lsn",
            "TIDEMARK_FAULT=unlink:tidemark.restoring=gate:$PWD/gate tidemark recover --target-lsn $(cat lsn) \(copy) --yes "
                + "--start 2>&1 & until [ -e gate.reached ]; do kill -0 $! || exit; sleep 0.02; done; "
                + "find $REPOSITORY -name $SEGMENT.zst -delete; touch gate; wait",
            offers: "plan", ends: 4, says: "$SEGMENT"),
        OfferedRemedy(
            "an incomplete segment that leads further, for a table", left + "start",
            table + "--target latest --target-timeline 1 --dry-run", offers: "recover --target",
            further: "--yes --data-directory $SITE/copy", afterwards: "ls copy/PG_VERSION"),
        OfferedRemedy(
            "a target in an incomplete segment, for a table", left + "start",
            table + "--target-lsn $(sql 'select pg_current_wal_lsn()') --target-timeline 1",
            offers: "recover --target", further: "--yes --data-directory $SITE/copy", afterwards: "ls copy/PG_VERSION"),
        OfferedRemedy(
            "a table whose file the server's disk had lost before the backup",
            "sql checkpoint; rm $DATA/$(sql \"select pg_relation_filepath('t')\"); tidemark backup --no-expire",
            table + "--target latest", offers: "verify", afterwards: table + "--target latest --backup $LABEL"),
        OfferedRemedy(
            "a table of whose file the server's disk had lost pages before the backup",
            "echo full_page_writes=off >>$DATA/postgresql.conf; stop; start; "
                + "sql 'create table m as select n, repeat(md5(n::text), 20) x from generate_series(1, 3000) n'; "
                // In the server's buffers, and clean.
                + "sql 'alter table m add primary key (n)'; sql 'vacuum (freeze) m'; sql checkpoint; "
                + "truncate -s 8192 $DATA/$(sql \"select pg_relation_filepath('m')\"); tidemark backup --no-expire; "
                + "sql 'set enable_seqscan = off; delete from m where n = 2990'; finishSegment",
            "tidemark recover-table -t postgres.public.m --to-file $PWD/m.sql --target latest 2>&1 | tail -1",
            offers: "verify",
            afterwards: "tidemark recover-table -t postgres.public.m --to-file $PWD/m.sql --target latest "
                + "--backup $LABEL"),
        OfferedRemedy(
            "a temporary cluster that an interrupted command cannot remove",
            "mkdir s; echo \"scratch_directory = '$PWD/s'\" >>own.conf",
            interrupted("drill", first: "chmod 555 s") + "; chmod 755 s", offers: "clean", afterwards: "rmdir s"),
        OfferedRemedy(
            "an interrupted command that the kernel does not execute again", "",
            "export A=$(printf %0100000d 1) B=$(printf %0100000d 1); "
                // More than the new program's limit for arguments and environment, which depends on that of the stack.
                + interrupted("drill", first: "prlimit --pid $! --stack=65536"),
            offers: "clean", afterwards: "[ -z \"$(ls $STATE/scratch)\" ]"),
    ]
}
