import Platform
import Support
import Testing

/// Nothing is removed through a symbolic link below the folders of an incarnation.
@Suite(.serialized) struct LinkedFolderTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        for _ in 0..<2 {
            try site.tidemark(["backup", "--no-expire"], expectSuccess: true)
            try site.archiveEverything()
        }
        try runAsServerUser("/bin/cp", ["-a", site.repository, site.repository + ".kept"])
        return site
    }

    private struct Place {
        let site: TestSite
        let label: String
        let folder: String
    }

    /// The repository as it was.
    private func fresh() throws -> Place {
        let site = try Self.site.get()
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "rm -rf $1 $2 $3; cp -a $1.kept $1", "sh", site.repository, site.scratch.file("state"),
                site.scratch.file("out"),
            ])
        let incarnation = try #require(Files.list(site.repository + "/main").first { $0.hasPrefix("15-") })
        return Place(
            site: site, label: try #require(site.backupLabels().min()),
            folder: "\(site.repository)/main/\(incarnation)")
    }

    private func listing(_ directory: String) throws -> String {
        try run("/bin/sh", ["-c", "find $0 ! -name '.*' | sort", directory]).output
    }

    @Test(arguments: [
        (["expire", "--keep-full", "1"], "backup/LABEL"), (["expire", "--keep-full", "1"], "pack/LABEL"),
        (["expire", "--keep-full", "1", "--dry-run"], "backup/LABEL"),
        (["remove", "LABEL", "--yes"], "backup/LABEL"), (["remove", "LABEL", "--yes"], "pack/LABEL"),
        (["expire", "--keep-full", "1"], "wal/00000001"),
        (["expire", "--keep-full", "1"], "wal/00000001/0000000100000000"),
    ]) func `a folder that is a link keeps what it leads to`(_ arguments: [String], _ path: String) throws {
        let place = try fresh()
        let there = place.folder + "/" + path.replacing("LABEL", with: place.label)
        let out = place.site.scratch.file("out")
        try runAsServerUser("/bin/sh", ["-c", "mv $1 $2 && ln -s $2 $1", "sh", there, out])
        let before = try listing(out)
        try #require(before.contains("/"))
        let finished = try place.site.tidemark(arguments.map { $0 == "LABEL" ? place.label : $0 })
        #expect(finished.ending == .exited(arguments[0] == "expire" ? 3 : 1), "\(finished)")
        #expect((finished.errors + finished.output).contains("symbolic link"), "\(finished)")
        #expect(try listing(out) == before, "\(finished)")
        // What is left is whole.
        if !path.hasPrefix("wal") { #expect(try place.site.backupLabels().contains(place.label), "\(finished)") }
    }

    @Test(arguments: ["backup", "pack", "wal"]) func `a part of a repository may be elsewhere`(_ path: String) throws {
        let place = try fresh()
        let out = place.site.scratch.file("out")
        try runAsServerUser("/bin/sh", ["-c", "mv $1 $2 && ln -s $2 $1", "sh", "\(place.folder)/\(path)", out])
        try place.site.tidemark(["expire", "--keep-full", "1"], expectSuccess: true)
        #expect(try !place.site.backupLabels().contains(place.label))
    }

    @Test func `what has a name that is not UTF-8 goes with the backup's folder`() throws {
        let place = try fresh()
        for folder in ["backup", "pack"] {
            try runAsServerUser(
                "/bin/bash",
                [
                    "-c", "cd $1 && : >$'caf\\xe9' && mkdir $'d\\xff' && : >$'d\\xff/\\xfe' && ln -s /etc $'l\\xff'",
                    "bash",
                    "\(place.folder)/\(folder)/\(place.label)",
                ])
        }
        let finished = try place.site.tidemark(["expire", "--keep-full", "1"])
        #expect(finished.ending == .exited(0), "\(finished)")
        for folder in ["backup", "pack"] {
            #expect(try !Files.exists("\(place.folder)/\(folder)/\(place.label)"), "\(folder): \(finished)")
        }
    }
}
