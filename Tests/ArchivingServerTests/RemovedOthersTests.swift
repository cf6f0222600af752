import Archiving
import Platform
import Repository
import Support
import Testing
import WAL

/// Files that are removed with the segments around them while the archive is verified.
@Suite struct RemovedOthersTests {
    @Test(arguments: ["partial", "backup"])
    func `a file that is removed while the archive is verified is no damage`(_ kind: String) throws {
        let archive = try Archive()
        let (origin, store) = (archive.origin, archive.store)
        let history = try #require(ArchiveFileName(origin.backupHistory))
        try archive.push(origin.wal(origin.backupHistory), expectSuccess: true)
        let partial = ArchiveFileName.partial(try #require(history.place))
        try store.createFile(origin.incarnation.key(for: partial), bytes: [1])
        try archive.giveToServer(archive.repository)
        let key = origin.incarnation.key(for: kind == "partial" ? partial : history)
        let verified = try Gate(at: "open:\(key.name)").run(
            Executables.tidemark(), ["verify", "--wal", "--config", archive.configuration],
            meanwhile: "rm '\(store.path(key))'")
        #expect(!verified.errors.contains("is not in repository"), "\(verified)")
        #expect(verified.ending == .exited(0), "\(verified)")
    }
}
