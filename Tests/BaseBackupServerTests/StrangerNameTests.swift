import Testing

@testable import Restoring

/// Which files a delta restore takes for a server's in a directory that `pg_wal` links to.
@Suite struct StrangerNameTests {
    private static let segment = "0000000100000002000000FE"

    @Test(arguments: [
        segment, "\(segment).partial", "\(segment).00000028.backup", "00000002.history", "\(segment).ready",
        "\(segment).done", "\(segment).deleted", "\(segment).partial.ready", "\(segment).00000028.backup.done",
        "00000002.history.ready", "xlogtemp.4711", "RECOVERYXLOG", "RECOVERYHISTORY", "temp.summary",
        "0000000100000000010000280000000001000138.summary",
    ])
    func `a server's files are removed`(_ name: String) { #expect(ExtraFiles.isServers(name)) }

    @Test(arguments: [
        "work.done", "todo.ready", "year.summary", "old.deleted", ".ready", ".done", ".summary", "done", "xlogtemp.",
        "xlogtemp.notes", "\(segment).done.txt", "\(segment).summary", "backup of \(segment).done",
        "0000000100000000010000280000000001000138x.summary", "000000010000000001000028000000000100013g.summary",
        "0000000100000000010000280000000001000138.summary.gz", "", ".",
    ])
    func `anybody else's files stay`(_ name: String) { #expect(!ExtraFiles.isServers(name)) }
}
