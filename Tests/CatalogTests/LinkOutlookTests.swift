import Backups
import DataDirectory
import Platform
import Recovery
import Support
import Testing

/// What a plan says of the symbolic links in a directory that a recovery makes use of.
@Suite struct LinkOutlookTests {
    @Test func `what can't be looked into is named, and not passed over`() throws {
        let repository = try FixtureRepository()
        try AsideBranchTests.store("own", "000000010000000000000008", "000000010000000000000008", in: repository)
        let backup = try repository.archive.backup("own")
        let directory = repository.scratch.file("data")
        func remarks() throws -> [String] {
            LinkOutlook(backup, directory: directory, exclude: NamedExclusions(), isCopy: false).remarks(isDelta: true)
        }
        // There is nothing yet.
        #expect(try remarks() == [])
        try Files.makeDirectories(directory + "/base")
        let made = try run("/bin/ln", ["-s", "/nowhere", directory + "/base/link"])
        #expect(made.ending == .exited(0))
        let one = try remarks()
        #expect(one.count == 1 && one[0].hasPrefix("Symbolic link \"base/link\""), "\(one)")
        // So deep that a path has more bytes than the kernel takes: nobody's rights make that listable.
        let deep = try run(
            "/bin/bash",
            [
                "-c",
                "cd -P \"$0\" && n=$(printf 'x%.0s' {1..250}) && for i in {1..20}; do mkdir $n && cd -P $n || exit 1; done",
                directory,
            ])
        #expect(deep.ending == .exited(0), "\(deep)")
        let told = try remarks()
        #expect(told.count == 2 && told.contains { $0.contains("cannot be looked into") }, "\(told)")
        _ = try run("/bin/rm", ["-rf", directory])
    }
}
