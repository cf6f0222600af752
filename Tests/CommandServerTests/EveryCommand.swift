import Glibc
import Platform
import Support
import Testing

/// A command whose system calls fail in turn, what it works on, and what is there whatever has failed.
struct EveryCommand: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// `LABEL`, `SEGMENT`, `COPY` and `SEGMENTS` stand for what the site has.
    let arguments: [String]
    /// Statuses that tell of the failure.
    var failures: Set<Int32> = [1]
    /// What a further call may end with: check and verify judge what they find.
    var successes: Set<Int32> = [0]
    /// Whether it recovers the cluster, whose server has died.
    var isRecovery = false
    /// Whether the repository stays as it is.
    var isReading = false
    /// A shell script executed once, in the site's directory, with the repository and the data directory in
    /// `$REPOSITORY` and `$DATA`, and the other words as in `arguments`.
    var script = ""
    /// Commands executed after it.
    var before: [[String]] = []
    /// A script executed after these.
    var lastScript = ""

    /// Those that change nothing work on the same site. `TIDEMARK_TEST_COMMANDS` names some of them, separated by
    /// commas.
    static let groups = {
        let groups =
            (changing + recovering).map { Group(testDescription: $0.testDescription, commands: [$0]) }
            + [Group(testDescription: "what only reads", commands: reading)]
        guard let wanted = getenv("TIDEMARK_TEST_COMMANDS").map({ String(cString: $0).split(separator: ",") }) else {
            return groups
        }
        return groups.filter { group in wanted.contains { $0 == group.testDescription } }
    }()

    struct Group: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let commands: [EveryCommand]
    }

    private static let reading = [
        ("list", []), ("plan", ["--target", "latest"]), ("window", []), ("segments", []), ("show", ["LABEL"]),
        ("events", []), ("history", []), ("du", []), ("status", []), ("around", ["--target-time", "TIME"]),
        ("catalog", ["rebuild"]), ("verify", ["--wal"]), ("check", []), ("clean", []), ("notify", []),
    ].map { name, options in
        EveryCommand(
            testDescription: name, arguments: [name] + options, failures: [1, 2, 3, 4],
            successes: ["check", "status"].contains(name) ? [0, 1, 2, 3] : [0], isReading: true)
    }

    private static let changing = [
        EveryCommand(
            testDescription: "init", arguments: ["init"], failures: [1, 2], script: "rm -rf $REPOSITORY state"),
        EveryCommand(testDescription: "remove", arguments: ["remove", "LABEL", "--yes"], failures: [1, 3]),
        EveryCommand(
            testDescription: "import", arguments: ["import", "SEGMENTS"], failures: [1, 3],
            script: """
                mkdir segments
                for name in $(find $REPOSITORY -path '*/wal/*' -name '0*.zst' -printf '%f\\n'); do
                    cp $DATA/pg_wal/${name%.zst} segments
                done
                find $REPOSITORY -path '*/wal/*' -name '0*.zst' | sort | tail -4 | head -3 | xargs rm
                """),
        // 200 before the whole program is found: a segment's name may be a restore_command's.
        EveryCommand(
            testDescription: "segments put-aside",
            arguments: ["segments", "put-aside", "SEGMENT", "--yes", "--certain"], failures: [1, 200],
            script: "rm $DATA/pg_wal/$SEGMENT"),
        EveryCommand(
            testDescription: "segments put-back", arguments: ["segments", "put-back", "SEGMENT", "--yes"],
            failures: [1, 200],
            script: "rm $DATA/pg_wal/$SEGMENT", before: [["segments", "put-aside", "SEGMENT", "--yes", "--certain"]]),
        // The first delivery, by the job itself, fails.
        EveryCommand(
            testDescription: "notify --deliver", arguments: ["notify", "--deliver"], failures: [1, 2, 3],
            before: [["backup", "--conninfo", "host=/nonexistent"], ["drill", "--bin-directory", "/nonexistent"]],
            lastScript: "until [ $(wc -l <tried) -ge 2 ]; do sleep 0.05; done; touch open"),
        EveryCommand(
            testDescription: "clean of what a killed push left", arguments: ["clean"], failures: [1, 3],
            script: """
                find $REPOSITORY -name "$SEGMENT.zst" -delete
                TIDEMARK_FAULT=fsync:1=kill $TIDEMARK archive-push $DATA/pg_wal/$SEGMENT || true
                find $REPOSITORY -name '.*.tmp' | grep -q .
                """),
    ]

    /// A target isn't reached, either, if a segment can't be read.
    private static let refusals: Set<Int32> = [1, 4]

    private static let recovering = [
        EveryCommand(
            testDescription: "recover in place", arguments: ["recover", "--target", "latest", "--yes"],
            failures: refusals, isRecovery: true),
        EveryCommand(
            testDescription: "recover --delta", arguments: ["recover", "--target", "latest", "--delta", "--yes"],
            failures: refusals, isRecovery: true,
            script: "echo 'not as in the backup' >>$DATA/base/5/PG_VERSION; touch $DATA/base/5/99999"),
        EveryCommand(
            testDescription: "recover --resume", arguments: ["recover", "--resume", "--yes"], failures: refusals,
            isRecovery: true,
            script:
                "TIDEMARK_FAULT=write:60=kill $TIDEMARK recover --target latest --yes || true; test -e $DATA/tidemark.restoring"
        ),
    ]
}

/// What the commands work on, put back as it was before each of them.
final class FaultedSite {
    let site: TestSite
    var command: EveryCommand
    var arguments: [String] { command.arguments.map { words[$0] ?? $0 } }
    private let places: [String]
    private let words: [String: String]
    private var original: String { site.scratch.file("original") }
    var data: String { site.cluster.data }

    /// - Parameter command: the first of those that the site is for.
    init(_ command: EveryCommand) throws {
        site = try TestSite(
            settings: ["wal_keep_size": "64MB", "max_wal_size": "64MB"], initdb: ["--wal-segsize=1"],
            configuration: [
                "[notify]",
                "command = 'test -e DIRECTORY/open && cat >>DIRECTORY/told || { echo >>DIRECTORY/tried; false; }'",
                "events = all", "attempts = 1",
            ])
        self.command = command
        let directory = site.scratch.path
        let text = try Files.readText(site.configuration).replacing("DIRECTORY", with: directory)
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        let (cluster, data) = (site.cluster, site.cluster.data)
        // Few files make few calls.
        for name in ["template1", "template0"] {
            try cluster.psql("update pg_database set datistemplate = false where datname = '\(name)'")
            try cluster.psql("drop database \(name)")
        }
        try cluster.psql("create table t as select generate_series(1, 1000) n")
        if command.testDescription == "remove" { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let label = try site.backupLabels().min() ?? ""
        let time = try cluster.psql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS+00')")
        let segment = try cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        for round in 1...3 {
            try cluster.psql("create table t\(round) as select generate_series(1, 100) n")
            try site.archiveEverything()
        }
        if command.isRecovery {
            try cluster.psql("insert into t values (1001)")
            try cluster.stop(mode: "immediate")
        }
        words = [
            "LABEL": label, "SEGMENT": segment, "SEGMENTS": site.scratch.file("segments"), "TIME": time,
        ]
        places = ["repository", "state", "told"].map(site.scratch.file) + (command.isRecovery ? [data] : [])
        try shell(command.script)
        for call in command.before { try site.tidemark(call.map { words[$0] ?? $0 }) }
        try shell(command.lastScript)
        // What notifies in the background.
        try wait(for: "the last process") { try running().isEmpty }
        try shell(
            "mkdir original; for place in \(places.joined(separator: " ")); do [ ! -e $place ] || cp -a $place original; done"
        )
    }

    @discardableResult
    func shell(_ script: String) throws -> String {
        try runAsServerUser(
            "/bin/bash", ["-ec", "cd \(site.scratch.path); " + script],
            environment: [
                "REPOSITORY": site.repository, "DATA": data, "TIDEMARK_CONFIG": site.configuration,
                "TIDEMARK": Executables.tidemark(),
            ].merging(words) { $1 }
        ).output
    }

    func putBack() throws {
        let script = places.map { place in
            let kept = "original/\(Files.name(place))"
            return "rm -rf \(place) \(place).before-*; [ ! -e \(kept) ] || cp -a \(kept) \(place)"
        }
        try shell(script.joined(separator: "\n"))
    }

    /// The command's processes.
    func running() throws -> String {
        try run("/usr/bin/pgrep", ["-fa", "tidemark-main.*\(site.scratch.path)|\(site.scratch.path)/state"]).output
    }

    func call(_ arguments: [String], fault: String? = nil) throws -> Finished {
        try site.tidemark(arguments, environment: fault.map { ["TIDEMARK_FAULT": $0] } ?? [:])
    }

    /// The contents of objects, whatever their keys: how often each is there isn't counted.
    func contents() throws -> Set<Substring> {
        Set(
            try shell("find repository -type f ! -name '.*' ! -path '*/job/*' | xargs -r md5sum").split(separator: "\n")
                .map {
                    $0.prefix(32)
                })
    }

    /// The files of a directory and their contents.
    func files(of directory: String) throws -> String {
        try shell("cd \(directory) && find . -type f | LC_ALL=C sort | xargs -r md5sum")
    }
}
