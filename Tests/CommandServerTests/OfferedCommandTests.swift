import Glibc
import Platform
import Support
import Testing

/// A fault, the commands that report it, and how many different commands these offer at least.
struct OfferingFault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// A shell script in the site's directory; `$DATA`, `$REPOSITORY`, `$TIDEMARK`, `$SEGMENT`, `$LABEL`, `$PSQL`.
    let script: String
    /// A shell's words.
    let commands: [String]
    var offers = 1

    init(_ name: String, _ script: String, _ commands: String..., offers: Int = 1) {
        (testDescription, self.script, self.commands, self.offers) = (name, script, commands, offers)
    }

    private static let everything = [
        "check", "list", "plan --target latest", "segments", "window", "status", "verify", "verify --wal", "backup",
        "archive-get $SEGMENT $PWD/got", "recover --target latest --data-directory $PWD/copy --yes", "du", "events",
        "show $LABEL", "recover-table -t postgres.public.t --target latest --to-file $PWD/t.sql", "drill", "expire",
    ]

    private init(_ name: String, _ script: String, all: Int) {
        (testDescription, self.script, commands, offers) = (name, script, OfferingFault.everything, all)
    }

    static let all = [
        OfferingFault("no fault", "", all: 2),
        OfferingFault("no repository", "mv $REPOSITORY away", all: 2),
        OfferingFault("nothing of the cluster", "rm -rf $REPOSITORY/main", all: 1),
        OfferingFault("no incarnation.json", "rm $REPOSITORY/main/*/incarnation.json", all: 1),
        OfferingFault("a damaged incarnation.json", "echo x >$REPOSITORY/main/*/incarnation.json", all: 1),
        OfferingFault("no backup", "rm -rf $REPOSITORY/main/*/backup", all: 2),
        OfferingFault("a damaged backup.json", "echo x >$REPOSITORY/main/*/backup/$LABEL/backup.json", all: 2),
        OfferingFault("a missing pack", "rm $REPOSITORY/main/*/pack/$LABEL/000001", all: 2),
        OfferingFault("a missing segment", "find $REPOSITORY -name $SEGMENT.zst -delete", all: 2),
        OfferingFault("a damaged segment", "echo x >$(find $REPOSITORY -name $SEGMENT.zst)", all: 2),
        OfferingFault("no state, and no place for one", "rm -rf state; echo >state", all: 0),
        OfferingFault("a damaged catalog", "for f in $(find state -name '*.sqlite*'); do echo x >$f; done", all: 0),
        OfferingFault(
            "archiving fails", "$PSQL -c \"alter system set archive_command = 'false'\" -c 'select pg_reload_conf()'",
            "check", "status", "init", "backup --wal-wait-timeout 1s"),
        OfferingFault(
            "wrong names", "", "segments put-aside x", "segments put-back x", "show x", "remove x --yes", "verify x"),
        OfferingFault(
            "nothing in a range", "", "verify --wal --from FF/0 --to FF/10", "verify --wal --from 2030-01-01"),
        OfferingFault(
            "a target out of reach", "", "plan --target-time '2030-01-01 00:00Z'",
            "plan --target-time '2001-01-01 00:00Z'",
            "plan --target-name none", "plan --target-xid 4000000000", "plan --target-lsn FF/0",
            "recover --target-time '2030-01-01 00:00Z' --data-directory $PWD/copy --yes"),
        OfferingFault(
            "an interrupted recovery",
            "TIDEMARK_FAULT=open:.recovery.signal.=kill $TIDEMARK recover --target latest --data-directory $PWD/copy --yes || true",
            "recover --target latest --data-directory $PWD/copy --yes", "check", "recover --resume --target latest"),
        OfferingFault(
            "WAL that was put aside", "rm $DATA/pg_wal/$SEGMENT",
            "segments put-aside $SEGMENT --yes --certain", "check", "segments", "plan --target latest", "window",
            offers: 1),
        OfferingFault(
            "notifications given up",
            "mkdir -p state/main/notify && echo '[{\"receiver\":\"notify/command\",\"time\":'$(date +%s)'000000}]' >state/main/notify/given-up.json",
            "check", "status", offers: 2),
        OfferingFault(
            "another server's WAL",
            "mkdir -p other/pg_wal && head -c 1048576 /dev/zero >other/pg_wal/000000010000000000000099",
            "import $PWD/other/pg_wal", "archive-push $PWD/other/pg_wal/000000010000000000000099", offers: 0),
        OfferingFault(
            "a stray timeline",
            "printf '1\\t0/3000000\\tstray\\n' >00000002.history; $TIDEMARK archive-push $PWD/00000002.history",
            "check", "segments", "plan --target latest", "status", "backup", offers: 1),
        OfferingFault(
            "interruptions",
            """
            hold() {
                TIDEMARK_FAULT="$1=gate:$PWD/gate" env --default-signal=INT $TIDEMARK-main $2 & process=$!
                until [ -e gate.reached ]; do kill -0 $process || exit 1; sleep 0.02; done
                kill -INT $process; wait $process || true; rm gate.reached
            }
            hold 'open:/pack/*/.000001.' 'backup --no-expire'; hold open:/pack/ verify
            $TIDEMARK backup --no-expire; hold unlink:backup.json 'expire --keep-full 1'
            """, "list", offers: 3),
    ]
}

/// Whatever is offered where something is wrong is executed as it is printed, and understood. Places of the sources
/// from which nothing was executed are listed by Tests/offers, after the last test.
@Suite(.serialized) struct OfferedCommandTests {
    private static let site = TestSite.shared {
        let site = try TestSite(settings: ["wal_keep_size": "64MB"], initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        for round in 1...3 {
            try site.cluster.psql("create table t\(round) as select 1 n")
            try site.archiveEverything()
        }
        try runAsServerUser(
            "/bin/bash", ["-ec", "cd \(site.scratch.path); mkdir original; cp -a repository state original"])
        return site
    }

    private func shell(_ site: TestSite, _ script: String, expectSuccess: Bool = true) throws -> Finished {
        let label = try Files.list("\(site.scratch.path)/original/repository/main")[0]
        let backups = try Files.list("\(site.scratch.path)/original/repository/main/\(label)/backup")
        let segments = try run("/usr/bin/find", ["\(site.scratch.path)/original", "-name", "0*.zst"]).output
            .split(separator: "\n").map { Files.name(String($0)).dropLast(4) }.sorted()
        let psql = "\(site.cluster.server.bin)/psql -h \(site.cluster.directory) -U postgres -d postgres -XAtq"
        return try runAsServerUser(
            "/bin/bash", ["-c", "cd \(site.scratch.path); " + script],
            environment: [
                "TIDEMARK_CONFIG": site.configuration, "TIDEMARK": Executables.tidemark(), "DATA": site.cluster.data,
                "REPOSITORY": site.repository, "LABEL": backups[0], "PSQL": psql,
                "SEGMENT": String(segments[segments.count - 2]),
            ], expectSuccess: expectSuccess)
    }

    @Test(arguments: OfferingFault.all) func `what is offered is understood as it is printed`(_ fault: OfferingFault)
        throws
    {
        let site = try Self.site.get()
        let putBack =
            "rm -rf repository state away copy* gate* got* t.sql other; cp -a original/* .; "
            + "cp -an \(site.scratch.path)/wal/* $DATA/pg_wal 2>/dev/null; mkdir -p wal; cp -an $DATA/pg_wal/0* wal; "
            + "$PSQL -c 'alter system reset all' -c 'select pg_reload_conf()' >/dev/null"
        _ = try shell(site, putBack)
        let prepared = try shell(site, "set -e; " + fault.script)
        var offered: Set<String> = []
        for command in [nil] + fault.commands {
            let text = try command.map { try shell(site, "$TIDEMARK \($0) 2>&1", expectSuccess: false).output }
            for offer in Set(Self.offers(in: text ?? prepared.errors, site)).sorted() {
                offered.insert(offer)
                let line = offer.replacing("PATH", with: "$DATA/pg_wal/$SEGMENT")
                let finished = try shell(
                    site, "PATH=\(Executables.directory.get()):$PATH; cd $DATA; \(line) </dev/null",
                    expectSuccess: false)
                // Consent and what only the user knows, such as a target, may be missing.
                #expect(
                    finished.ending != .exited(2) || finished.errors.contains("which"),
                    "\(fault): \(offer): \(finished)")
            }
        }
        #expect(offered.count >= fault.offers, "\(fault): \(offered)")
        _ = try shell(site, putBack)
    }

    /// Each begins with the program's name and ends with the option that all of them have.
    private static func offers(in text: String, _ site: TestSite) -> [String] {
        let end = "--config \(site.configuration)"
        // What the server calls is named by its path.
        return text.replacing("/tidemark ", with: "/").split(separator: "tidemark ").dropFirst().compactMap { part in
            guard part.first?.isLowercase == true, let found = part.firstRange(of: end),
                !part[..<found.lowerBound].contains("\n")
            else { return nil }
            return "tidemark " + part[..<found.upperBound]
        }
    }
}
