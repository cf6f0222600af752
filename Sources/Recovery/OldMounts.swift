import DataDirectory
import Planning
public import Platform

/// What is mounted below a directory that a recovery renames. The mounts go with the old directory; what makes them
/// again, for example fstab at a reboot or a container's start, finds the new one under the name.
public struct OldMounts: Sendable {
    private let directory: String
    /// Relative to the directory.
    private let points: [String]

    public init(in directory: String) throws {
        self.directory = directory
        points = try MountTable().points(below: Files.resolved(directory))
    }

    /// Why the directory can't be renamed: a file system with a part of the old cluster would be mounted over the same
    /// part of the new one, which would not start any more. Nil when nothing else than files, the administrator's
    /// directories and those that a server empties at its start are mounted.
    public var needed: Problem? {
        let harmless = BackupExclusions.emptiedDirectories.subtracting(["pg_wal"])
        guard
            let point = points.first(where: { point in
                NamedExclusions.isServers(point) && !harmless.contains { Files.lies(point, in: $0) }
            })
        else { return nil }
        return Problem(
            "cannot rename directory \"\(directory)\"",
            detail:
                "Something is mounted on \"\(point)\" in it. When it is mounted there again, for example at the next "
                + "reboot, the new cluster would have the old one's \"\(point)\", and not start.",
            hint:
                "Use --delta, which leaves what is mounted where it is, rewrites only what differs and keeps nothing of what "
                + "was there; or first put a directory with the same contents in the mount point's place, for good.")
    }

    /// Sentences for a plan.
    ///
    /// - Parameter isDelta: whether existing files in the directory are used.
    public func remarks(isDelta: Bool) -> [String] {
        if isDelta {
            return points.filter { !NamedExclusions.isServers($0) }.map { point in
                "Something is mounted on \"\(point)\" in \"\(directory)\": it will not be changed, and nothing will be "
                    + "restored there."
            }
        }
        if let needed { return ["\(capitalized(needed.message)). \(needed.detail ?? "")"] }
        return points.map { point in
            "Something is mounted on \"\(point)\" in \"\(directory)\", and will go with the old directory. "
                + OldMounts.afterwards(point)
        }
    }

    /// Sentences for the end of a recovery.
    ///
    /// - Parameter old: the old directory's new name.
    public func told(_ old: String) -> [String] {
        points.map { point in
            "What was mounted on \"\(point)\" is in \"\(old)\" now. " + OldMounts.afterwards(point)
        }
    }

    private static func afterwards(_ point: String) -> String {
        "When it is mounted there again, for example at the next reboot, it hides the new directory's \"\(point)\"."
    }
}
