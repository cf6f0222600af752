import Platform
import WAL

/// A command line that PostgreSQL runs as its `restore_command`, whatever the command in it.
///
/// PostgreSQL takes 0 for "delivered" and 1 to 125 for "there is no such segment", which ends the recovery: no mistake
/// in the line may be answered with one of these.
public enum RestoreCall {
    /// - Parameters:
    ///   - line: without the program's name.
    ///   - isKnown: whether its first word is a command.
    public static func isMeant(_ line: ArraySlice<String>, isKnown: Bool) -> Bool {
        line.contains { word in
            let name = Files.name(word)
            // What `%p` is, in the server's directory (`RestoreArchivedFile`,
            // src/backend/access/transam/xlogarchive.c).
            if name == "RECOVERYXLOG" || name == "RECOVERYHISTORY" { return true }
            // What `%f` is. In an archive_command, the segment's path is there alone.
            return !isKnown && word == name && ArchiveFileName(name) != nil
        }
    }
}
