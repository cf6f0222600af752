import Platform
import Support
import Testing

/// One archived segment that can't be read: it is named, and commands that don't need it succeed.
@Suite(.serialized) struct UnreadableSegmentServerTests {
    /// A way for a segment to be unreadable.
    private struct Way: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// The script that makes it so; `$0` is the object.
        var script = "true"
        var fault: String?
        /// Whether it counts as missing.
        var isGone = false

        static let all = [
            Way(testDescription: "a file that must not be read", script: "chmod 000 $0"),
            Way(testDescription: "a link that leads nowhere", script: "mv $0 $0.away; ln -s $0.nowhere $0"),
            Way(testDescription: "a directory", script: "mv $0 $0.away; mkdir $0", isGone: true),
            Way(testDescription: "a FIFO", script: "mv $0 $0.away; mkfifo $0"),
            Way(testDescription: "an empty file", script: "cp -p $0 $0.away; : >$0"),
            Way(
                testDescription: "a damaged head",
                script: "cp -p $0 $0.away; printf '\\245\\245' | dd of=$0 bs=1 seek=60 conv=notrunc status=none"),
            Way(testDescription: "an error when it is opened", fault: "open:FILE=EIO"),
            Way(testDescription: "an error when it is read", fault: "read:FILE=EIO"),
            Way(testDescription: "removed since it was listed", fault: "open:FILE=ENOENT", isGone: true),
        ]
        static let undo = """
            if [ -e $0.away ]; then [ -d $0 ] && [ ! -L $0 ] && rmdir $0 || rm -f $0; mv $0.away $0; fi; chmod 0640 $0
            """
    }

    /// Where it is.
    private enum Position: String, CaseIterable { case beforeTheBackup, behindTheBackup, newest }

    private struct Look {
        let words: [String]
        var statuses: [Int32] = [0]
        /// Whether the segment must be named.
        let names: Bool
    }

    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select 1 n")
        for index in 0..<5 {
            try site.cluster.psql("insert into t select generate_series(1, 10000)")
            try site.archiveEverything()
            if index == 1 { try site.tidemark(["backup"], expectSuccess: true) }
        }
        try site.tidemark(["window"], expectSuccess: true)
        return site
    }

    private func objects(_ site: TestSite) throws -> [String] {
        try run("/usr/bin/find", [site.repository, "-name", "0000000100000000????????.zst"]).output
            .split(separator: "\n").map(String.init).sorted()
    }

    @Test(arguments: Way.all) private func `commands that don't need it continue, and those that do name it`(
        _ way: Way
    ) throws {
        let site = try Self.site.get()
        let state = try site.learned()
        for position in Position.allCases {
            let objects = try objects(site)
            let path =
                switch position {
                case .beforeTheBackup: objects[0]
                case .behindTheBackup: objects[objects.count - 3]
                case .newest: objects[objects.count - 1]
                }
            let file = Files.name(path)
            let name = String(file.dropLast(4))
            let isNeeded = position != .beforeTheBackup
            let elsewhere = ["--data-directory", site.scratch.file("new")]
            let (immediate, latest) = (["--target", "immediate"] + elsewhere, ["--target", "latest"] + elsewhere)
            // The newest one may just not have been archived yet.
            let isMissed = isNeeded && !(way.isGone && position == .newest)
            let looks = [
                Look(words: ["plan"] + immediate, names: false),
                Look(words: ["recover", "--dry-run"] + immediate, names: false),
                Look(words: ["plan"] + latest, statuses: isMissed ? [4] : [0], names: isMissed),
                Look(words: ["window"], statuses: isMissed ? [3] : [0], names: isMissed),
                Look(words: ["events"], statuses: [0, 3], names: isMissed),
                Look(words: ["segments"], statuses: [0, 3], names: isMissed || !way.isGone),
                Look(words: ["list"], statuses: [0, 3], names: false),
                Look(words: ["check"], statuses: [3], names: isMissed),
                Look(words: ["status"], statuses: [0, 3], names: isMissed),
            ]
            try runAsServerUser("/bin/bash", ["-ec", way.script, path])
            let environment = way.fault.map {
                ["TIDEMARK_FAULT": $0.replacing("FILE", with: file)]
            }
            for look in looks {
                // Read for the first time, and again.
                try runAsServerUser("/bin/bash", ["-c", "rm -f $0/*.catalog*", state])
                for _ in 0..<2 {
                    let finished = try site.tidemark(look.words, environment: environment ?? [:])
                    let said = "\(position): \(look.words): \(finished.ending) \(finished.output)\(finished.errors)"
                    #expect(look.statuses.contains { finished.ending == .exited($0) }, "\(said)")
                    #expect(!look.names || (finished.output + finished.errors).contains(name), "\(said)")
                    for words in ["repository could not be read", "would lose unknown", "Fatal error"] {
                        #expect(!(finished.output + finished.errors).contains(words), "\(said)")
                    }
                }
            }
            try runAsServerUser("/bin/bash", ["-ec", Way.undo, path])
            // The catalog has recorded that it can't be read.
            for words in [["plan", "--target", "latest"], ["window"], ["check", "--only", "wal_continuity"]] {
                let finished = try site.tidemark(words)
                #expect(finished.ending == .exited(0), "\(position): \(words): \(finished.output)\(finished.errors)")
            }
            #expect(try !site.tidemark(["segments"]).output.contains("cannot be read"), "\(position)")
        }
    }
}
