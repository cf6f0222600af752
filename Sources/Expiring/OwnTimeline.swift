import DataDirectory
import Glibc
import Platform
public import Repository
public import WAL

/// The timeline that the cluster's own data directory is on. Of a server that has just left a timeline nothing may be
/// archived yet; what leads to where it is now is kept all the same.
public struct OwnTimeline: Sendable {
    public let timeline: TimelineID
    /// Nil when the directory has no history file of it.
    public let history: TimelineHistory?

    public init(_ timeline: TimelineID, _ history: TimelineHistory?) {
        (self.timeline, self.history) = (timeline, history)
    }

    /// Nil when the directory isn't here, is closed to whoever runs this, or is another incarnation's.
    /// - Throws: `DamagedControlFile`, `SystemError`.
    public init?(in dataDirectory: String, of incarnation: Incarnation) throws {
        do {
            let directory = DataDirectory(dataDirectory)
            guard try Files.exists(dataDirectory + "/" + ControlFile.path) else { return nil }
            let control = try directory.controlFile()
            guard control.systemIdentifier == incarnation.systemIdentifier else { return nil }
            let timeline = try directory.timeline(control)
            self.init(timeline, try TimelineHistory(timeline, inWAL: dataDirectory + "/pg_wal"))
        } catch let error as SystemError where [EACCES, ENOENT, ENOTDIR].contains(error.code) { return nil }
    }
}
