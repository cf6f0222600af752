import Platform
import Support
import Testing

/// Whoever reads learns when what he reads is protected no more.
@Suite(.serialized) struct LostLeaseTests {
    /// What happens to the lease of a command that stands still before it reads its first object.
    struct Loss: Sendable, CustomTestStringConvertible {
        let name: String
        /// In the shell: `$lease` is the lease's file, `$expire` expires all backups but the newest.
        let script: String
        /// Nil where the command succeeds.
        var says: String?
        var testDescription: String { name }
    }
    static let losses = [
        Loss(name: "its file is removed", script: "rm $lease"),
        Loss(
            name: "its file is removed, and the backup expired", script: "rm $lease; $expire",
            says: "Its file was removed, and the backup has been removed since."),
        Loss(
            name: "its file is made anew, and somebody else has it",
            script: "rm $lease; (exec 9<>$lease; flock 9; sleep 2) & sleep 0.2"),
    ]
    /// A command that reads the first backup, with where it is held.
    struct Reader: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        /// When its lease is lost.
        var failure: Int32 = 1
        var testDescription: String { arguments[0] }
    }
    static let readers = [
        Reader(arguments: ["verify", "%"], failure: 3),
        Reader(arguments: ["recover", "--target", "latest", "--backup", "%", "--data-directory", "^/copy", "--yes"]),
        Reader(arguments: ["drill", "--backup", "%"]),
        Reader(
            arguments: [
                "recover-table", "-t", "postgres.public.t", "--backup", "%", "--target", "latest", "--to-file",
                "^/dump",
            ]),
    ]

    @Test(arguments: readers) func `who reads a backup learns what became of his lease`(_ reader: Reader) throws {
        for loss in Self.losses {
            let site = try TestSite(initdb: ["--wal-segsize=1"])
            try site.cluster.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
            for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
            let label = try #require(site.backupLabels().min())
            let arguments = reader.arguments.map {
                $0.replacing("%", with: label).replacing("^", with: site.scratch.path)
            }
            let program = try Executables.directory.get() + "/tidemark-main"
            let finished = try Gate(at: "open:/pack/\(label)").run(
                program, arguments, environment: ["TIDEMARK_CONFIG": site.configuration],
                meanwhile: """
                    lease=$(ls \(site.repository)/main/*/backup/\(label)/.lease)
                    expire="env -u TIDEMARK_FAULT \(program) expire --keep-full 1"
                    \(loss.script)
                    """)
            if let says = loss.says {
                #expect(finished.ending == .exited(reader.failure), "\(loss): \(finished)")
                #expect(finished.errors.contains("the lease on backup \"\(label)\" has been lost"), "\(finished)")
                #expect(finished.errors.contains(says), "\(loss): \(finished)")
                #expect(!finished.errors.contains("is damaged"), "\(finished)")
            } else {
                #expect(finished.ending == .exited(0), "\(loss): \(finished)")
                #expect(try site.backupLabels().contains(label))
            }
        }
    }

    @Test(arguments: [false, true])
    func `a recovery that stood still says that its WAL was expired, and keeps it otherwise`(expires: Bool) throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("CREATE TABLE t (i int)")
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        try site.cluster.psql("INSERT INTO t VALUES (1); SELECT pg_switch_wal(); INSERT INTO t VALUES (2)")
        try site.archiveEverything()
        try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
        let label = try #require(site.backupLabels().min())
        // Replay waits for its first file.
        let gate = try Gate(at: "restore_command")
        let get = "\(try Executables.tidemark()) archive-get --config \(site.configuration) --cluster main %f %p"
        let (command, copy) = (try gate.restoreCommand(get, after: 0), site.scratch.file("copy"))
        defer {
            _ = try? runAsServerUser(
                site.cluster.server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "stop"], expectSuccess: false)
        }
        let program = try Executables.directory.get() + "/tidemark-main"
        let finished = try gate.run(
            program,
            [
                "recover", "--target", "latest", "--backup", label, "--data-directory", copy, "--start", "--yes",
                "--set", "restore_command=\(command)",
            ], environment: ["TIDEMARK_CONFIG": site.configuration],
            meanwhile: """
                lease=$(ls \(site.repository)/main/*/backup/\(label)/.lease)
                \(expires ? "kill -STOP $process" : "")
                rm $lease
                \(expires ? "" : "until [ -e $lease ]; do sleep 0.05; done")
                \(program) expire --keep-full 1
                kill -CONT $process
                """)
        if expires {
            #expect(finished.ending == .exited(1), "\(finished)")
            #expect(finished.errors.contains("WARNING:  the lease on backup \"\(label)\" has been lost"), "\(finished)")
            #expect(finished.errors.contains("the server stopped before it reached the target"), "\(finished)")
        } else {
            #expect(finished.ending == .exited(0), "\(finished)")
            #expect(finished.output.contains("\(label) kept: in use by a restore or verification"), "\(finished)")
            #expect(!finished.errors.contains("lease"), "\(finished)")
        }
    }
}
