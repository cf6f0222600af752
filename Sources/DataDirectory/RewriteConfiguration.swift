import Glibc
import Platform

extension ConfigurationFiles {
    /// Replaces a file by `change` of its content, atomically, with its owner and mode. If the server rewrites it at
    /// the same time (ALTER SYSTEM), it is read again.
    public static func rewrite(_ path: String, by change: ([UInt8]) -> [UInt8]) throws {
        struct Rewritten: Error {}
        var attemptsLeft = 20
        while true {
            let before = try FileStatus(of: path)
            let old = try Files.read(path)
            let new = change(old)
            guard new != old else { return }
            do {
                try replaceDurably(path, mode: before.mode) { file, temporary in
                    try new.withUnsafeBytes { try file.write($0, path: temporary) }
                    _ = try retrying(.changeMode, temporary) { chmod(temporary, before.mode) }
                    if before.owner != geteuid() {
                        _ = try retrying(.changeOwner, temporary) { chown(temporary, before.owner, before.group) }
                    } else {
                        // A group of which this user isn't a member can't be kept.
                        _ = chown(temporary, before.owner, before.group)
                    }
                    guard try FileStatus(of: path) == before else { throw Rewritten() }
                }
                return
            } catch is Rewritten {
                attemptsLeft -= 1
                guard attemptsLeft > 0 else { throw Problem("\"\(path)\" is rewritten all the time") }
            }
        }
    }
}
