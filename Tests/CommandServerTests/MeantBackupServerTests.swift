import Platform
import Support
import Testing

/// The words by which a backup is named where it is read.
struct MeantBackupServerTests {
    /// With three backups.
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 1...3 { try site.tidemark(["backup"], expectSuccess: true) }
        return site
    }

    private func labels() throws -> [String] { try Self.site.get().backupLabels().sorted() }

    @Test func `oldest, latest, a label and the beginning of one name a backup that is read`() throws {
        let site = try Self.site.get()
        let labels = try labels()
        try #require(labels.count == 3)
        let whole = labels.map { ($0, $0) }
        let beginnings = labels.map { label in
            let length = (1...label.count).first { length in
                labels.filter { $0.hasPrefix(label.prefix(length)) }.count == 1
            }
            return (String(label.prefix(length ?? label.count)), label)
        }
        for (word, label) in [("latest", labels[2]), ("oldest", labels[0])] + whole + beginnings {
            let show = try site.tidemark(["show", word, "--json"], expectSuccess: true)
            #expect(show.output.contains("\"label\" : \"\(label)\""), "\(word): \(show.output)")
            let verify = try site.tidemark(["verify", word, "--json"], expectSuccess: true)
            for other in labels {
                #expect(verify.output.contains(other) == (other == label), "\(word): \(verify.output)")
            }
            for command in [["plan"], ["recover", "--dry-run", "--data-directory", site.scratch.file("copy")]] {
                let plan = try site.tidemark(
                    command + ["--target", "immediate", "--backup", word, "--json"], expectSuccess: true)
                #expect(plan.output.contains("\"\(label)\""), "\(word): \(plan.output)")
            }
        }
    }

    @Test func `a beginning of several labels, and a word that means none, are refused`() throws {
        let site = try Self.site.get()
        let beginning = String(try labels()[0].prefix(4))
        for command in [["show"], ["verify"], ["plan", "--target", "latest", "--backup"]] {
            let several = try site.tidemark(command + [beginning])
            #expect(several.ending == .exited(1), "\(several)")
            #expect(several.errors.contains("the labels of 3 backups begin with \"\(beginning)\""), "\(several)")
            let none = try site.tidemark(command + ["newest"])
            #expect(none.ending != .exited(0), "\(none)")
            #expect(none.errors.contains("newest"), "\(none)")
        }
    }

    @Test func `a backup is removed by its whole label only`() throws {
        let site = try Self.site.get()
        let labels = try labels()
        for word in ["latest", "oldest", String(labels[0].dropLast())] {
            let removal = try site.tidemark(["remove", word, "--force", "--yes"])
            #expect(removal.ending == .exited(1), "\(word): \(removal)")
            #expect(removal.errors.contains("has no complete backup \"\(word)\""), "\(word): \(removal)")
        }
        #expect(try self.labels() == labels)
    }

    /// A backup that is taken meanwhile doesn't change what a recovery is continued with.
    @Test func `an interrupted recovery keeps the backup that a word meant`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        let label = try #require(try site.backupLabels().first)
        let copy = site.scratch.file("copy")
        let recover = ["recover", "--target", "immediate", "--backup", "latest", "--data-directory", copy]
        let killed = try site.tidemark(recover + ["--yes"], environment: ["TIDEMARK_FAULT": "write:60=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed)")
        try site.tidemark(["backup"], expectSuccess: true)
        let resumed = try site.tidemark(
            ["recover", "--resume", "--data-directory", copy, "--yes", "--json"], expectSuccess: true)
        #expect(resumed.output.contains("\"\(label)\""), "\(resumed.output)")
    }
}
