import FoundationEssentials
import Platform
import Support
import Testing

/// `tidemark import` of files from a real server's `cp` and pg_receivewal, and `tidemark verify --wal` of the result.
@Suite(.serialized) struct ImportCommandTests {
    private struct Imported: Decodable {
        struct Problem: Decodable { let message: String }
        let stored, present, duplicates: Int
        let strangers, unfinished: [String]
        let problems: [Problem]
    }
    private struct Verified: Decodable {
        struct Problem: Decodable { let segment: String?, message: String }
        let segments, records: Int
        let problems: [Problem]
    }

    private func imported(_ site: TestSite, _ directory: String) throws -> (
        ending: Finished.TerminationStatus, report: Imported
    ) {
        let finished = try site.tidemark(["import", directory, "--json"])
        return (
            finished.ending, try JSONDecoder().decode(Imported.self, from: Data(finished.output.utf8))
        )
    }

    private func verified(_ site: TestSite, _ words: String...) throws -> (
        ending: Finished.TerminationStatus, report: Verified
    ) {
        let finished = try site.tidemark(["verify", "--wal", "--json"] + words)
        return (
            finished.ending, try JSONDecoder().decode(Verified.self, from: Data(finished.output.utf8))
        )
    }

    @Test func `a plain archive is imported and verified`() throws {
        let plain = try Scratch()
        let (copied, received) = (plain.file("copied"), plain.file("received"))
        try runAsServerUser("/bin/mkdir", [copied, received])
        let site = try TestSite(
            settings: ["archive_command": "'cp %p \(copied)/%f'", "wal_compression": "lz4"],
            initdb: ["--wal-segsize=1"], initialize: false)
        // The archive_command that it complains about is intended.
        try site.tidemark(["init"])
        let cluster = site.cluster
        let receiver = [
            "-h", cluster.directory, "-U", "postgres", "-D", received, "--slot", "receiver", "--no-loop",
        ]
        try cluster.psql("select pg_create_physical_replication_slot('receiver', true)")
        try cluster.psql("create table t as select g, md5(g::text) from generate_series(1, 40000) g")
        try site.archiveEverything()
        let end = try cluster.psql("insert into t values (0, 'late') returning pg_current_wal_lsn()")
        // Received files: compressed whole segments, and the one being written.
        try runAsServerUser(
            cluster.server.bin + "/pg_receivewal", receiver + ["--compress=lz4", "--endpos", end],
            expectSuccess: true)
        let twins = try Files.list(received).filter { $0.hasSuffix(".lz4") }
        try #require(twins.count >= 3)
        let names = try Files.list(copied).sorted()
        try #require(names.count >= twins.count)
        try runAsServerUser(
            "/bin/sh",
            ["-c", "gzip \"$1\"; zstd -q --rm \"$2\"; echo hello > \"$3\"/notes.txt", "sh"]
                + [copied + "/" + names[0], copied + "/" + names[1], copied])

        func content() throws -> String {
            try runAsServerUser("/bin/sh", ["-c", "find \"$1\" -type f | sort | xargs md5sum", "sh", plain.path]).output
        }
        let before = try content()
        // With one thread the first rename is done when the second begins.
        let killed = try site.tidemark(
            ["import", plain.path, "--jobs", "1"], environment: ["TIDEMARK_FAULT": "rename:2=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed)")
        #expect(try content() == before)
        var (ending, report) = try imported(site, plain.path)
        #expect(ending == .exited(0), "\(report)")
        #expect(report.present >= 1 && report.stored + report.present == names.count, "\(report)")
        #expect(report.duplicates == twins.count)
        #expect(report.strangers == ["copied/notes.txt"])
        #expect(report.unfinished.count == 1)
        #expect(report.unfinished.first?.hasSuffix(".lz4.partial") == true)
        #expect(try content() == before)
        (ending, report) = try imported(site, plain.path)
        #expect(ending == .exited(0))
        #expect((report.stored, report.present) == (0, names.count))

        var (verdict, verification) = try verified(site)
        #expect(verdict == .exited(0), "\(verification)")
        #expect(verification.segments == names.count)
        #expect(verification.records > 40_000)

        // A byte of one stored segment; ranges with and without it.
        let folder = try #require(try Files.list(site.repository + "/main").first { $0.hasPrefix("15-") })
        let stored = "\(site.repository)/main/\(folder)/wal/00000001/0000000100000000/\(names[2]).zst"
        let size = try FileStatus(of: stored).size
        try runAsServerUser("/bin/chmod", ["u+w", stored])
        try flipByte(of: stored, at: size / 2)
        (verdict, verification) = try verified(site)
        #expect(verdict == .exited(3))
        #expect(verification.problems.contains { $0.message.contains(names[2]) })
        let number = try #require(Int(names[2].suffix(8), radix: 16))
        func lsn(_ segment: Int) -> String { "0/" + String(segment << 20, radix: 16, uppercase: true) }
        (verdict, verification) = try verified(site, "--from", lsn(number + 1))
        #expect(verdict == .exited(0), "\(verification)")
        #expect(verification.segments == names.count - 3)
        (verdict, verification) = try verified(site, "--from", lsn(number), "--to", lsn(number))
        #expect(verdict == .exited(3))
        #expect(verification.segments == 1)
        #expect(try site.tidemark(["verify", "--wal", "--from", "0/2000000", "--to", "0/1"]).ending == .exited(2))
    }

    @Test func `faults of a plain archive are reported, and the rest is imported`() throws {
        let plain = try Scratch()
        let site = try TestSite(
            settings: ["archive_command": "'cp %p \(plain.path)/%f'"], initdb: ["--wal-segsize=1"],
            initialize: false)
        try site.tidemark(["init"])
        try site.cluster.psql("create table t as select g, md5(g::text) from generate_series(1, 60000) g")
        try site.archiveEverything()
        let names = try Files.list(plain.path).sorted()
        try #require(names.count > 4)
        // One is missing, one was truncated when gzip was killed, one isn't an LZ4 file.
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                "cd \"$1\" && rm \"$2\" && gzip \"$3\" && truncate -s -30 \"$3.gz\" && mv \"$4\" \"$4.lz4\"",
                "sh", plain.path, names[1], names[2], names[3],
            ])
        func sums() throws -> String {
            try run("/bin/sh", ["-c", "cd \"$0\" && stat -c '%n %s %Y' * && sha256sum *", plain.path]).output
        }
        let before = try sums()
        // Killed in the middle, it is run again.
        let killed = try site.tidemark(
            ["import", plain.path, "--jobs", "1"], environment: ["TIDEMARK_FAULT": "rename:3=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed)")
        let (ending, report) = try imported(site, plain.path)
        #expect(ending == .exited(3))
        #expect(report.stored + report.present == names.count - 3 && report.present > 0, "\(report)")
        #expect(try sums() == before)
        let said = report.problems.map(\.message)
        #expect(said.contains { $0.contains("\(names[2]).gz") && $0.contains("ends too early") }, "\(said)")
        #expect(said.contains { $0.contains("\(names[3]).lz4") && $0.contains("could not decompress") }, "\(said)")
        #expect(said.contains { $0.contains(names[1]) && $0.contains("missing") }, "\(said)")
    }

    /// Its data directory belongs to the present one.
    @Test func `a former incarnation's histories and labels are not taken for the present one's`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let plain = try Scratch()
        try runAsServerUser("/bin/mkdir", [plain.file("former"), plain.file("both"), plain.file("texts")])
        let former = try TestCluster(
            settings: ["archive_mode": "on", "archive_command": "'cp %p \(plain.file("former"))/%f'"],
            initdb: ["--wal-segsize=1"])
        try former.psql("select \(former.server.startBackup("x")); select \(former.server.stopBackup(waiting: false))")
        try former.psql("select pg_switch_wal()")
        try former.waitForArchiver()
        let own = try #require(try Files.list(site.cluster.data + "/pg_wal").first { $0.utf8.count == 24 })
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                cp "$1"/former/* "$1"/both; cp "$2" "$1"/both/0000000100000000000000FE
                printf '1\t0/3000000\tbefore\n' | tee "$1"/texts/00000002.history >"$1"/former/00000002.history
                cp "$1"/former/*.history "$1"/both
                """, "sh", plain.path, site.cluster.data + "/pg_wal/" + own,
            ], expectSuccess: true)
        let folder = "\(site.repository)/main/\(try Files.list(site.repository + "/main")[0])"
        func texts() throws -> [String] {
            try runAsServerUser(
                "/usr/bin/find", [folder, "-name", "*.history*", "-o", "-name", "*.backup*"], expectSuccess: true
            ).output.split(separator: "\n").map(String.init)
        }
        let before = try texts()
        for (directory, says) in [
            ("former", "has not been initialised"), ("both", "cannot tell which cluster it belongs to"),
            ("texts", "cannot tell which cluster it belongs to"),
        ] {
            let (ending, report) = try imported(site, plain.file(directory))
            #expect(ending == .exited(3), "\(directory): \(report)")
            #expect(
                report.problems.contains { $0.message.contains("00000002.history") && $0.message.contains(says) },
                "\(directory): \(report)")
            #expect(try texts() == before, "\(directory)")
        }
    }

    @Test func `a partial segment that a packed history explains is taken`() throws {
        let plain = try Scratch()
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        let wal = site.cluster.data + "/pg_wal/"
        let own = try #require(try Files.list(wal).filter { $0.utf8.count == 24 }.sorted().first)
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                chmod a+rwx "$1" || true; cp "$2" "$1/$3.partial"; cp "$2" "$1/$3"
                printf '1\t0/FF00000\tbefore\n' >"$1"/00000002.history; gzip "$1"/00000002.history; rm "$1/$3"
                """, "sh", plain.path, wal + own, own,
            ])
        let (_, report) = try imported(site, plain.path)
        #expect(report.unfinished.isEmpty && report.stored == 2, "\(report)")
    }

    @Test func `no link leads an import out of its directory, or in a circle`() throws {
        let site = try TestSite(settings: ["archive_command": "'/bin/true'"], initialize: false)
        try site.tidemark(["init"])
        try site.cluster.psql("select pg_switch_wal()")
        let plain = try Scratch()
        let names = ["000000010000000000000001", "000000010000000000000002"]
        try runAsServerUser(
            "/bin/sh",
            [
                "-c",
                """
                set -e; cd "$1"; mkdir -p dir/a/b/c/d/e/f/g/h out; cp "$2/$3" dir/a/b/c/d/e/f/g/h/
                cp "$2/$3" "out/$4"; ln -s . dir/loop; ln -s .. dir/a/up; ln -s ../out dir/away; ln -s "../out/$4" dir/
                ln -s nowhere dir/nowhere; ln -s /etc/passwd dir/notes; ln -s dir link
                """, "sh", plain.path, site.cluster.data + "/pg_wal", names[0], names[1],
            ])
        // The directory itself may be named by a link.
        for directory in ["dir", "link"] {
            let (ending, report) = try imported(site, plain.file(directory))
            #expect(ending == .exited(3), "\(report)")
            #expect(report.stored + report.present == 1, "\(report)")
            let links = report.problems.map(\.message).filter { $0.contains("is a symbolic link; it is passed over") }
            #expect(links.count == 4 && report.problems.count == 4, "\(report)")
            for name in ["loop", "up", "away", names[1]] {
                #expect(links.contains { $0.contains("/\(name)\" is") }, "\(name): \(report)")
            }
            #expect(report.strangers.sorted() == ["notes", "nowhere"], "\(report)")
        }
    }
}
