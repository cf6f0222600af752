import Archiving
import Configuration
import DataDirectory
import Planning
import Platform
public import Recovery
import Setup
import WAL

/// What to recover, where to, and the properties of the recovered server.
public struct RecoveryOrder: Sendable {
    public var target: TargetRequest
    /// Becomes the data directory: an absolute path without a slash at its end.
    public var directory: String
    /// Absolute paths: the original place of a tablespace → the new one.
    public var tablespaces: [String: String] = [:]
    public var action: TargetAction = .promote
    /// Set up a standby that follows the archive, instead of ending recovery.
    public var isStandby = false
    /// The user's own settings for the recovered server.
    public var settings: [RecoverySetting] = []
    /// Bring existing files in the directory to the backup's state, rewriting only what differs.
    public var isDelta = false
    /// Whether a directory that isn't empty may be renamed; the cluster's own always is.
    public var keepsOld = false
    /// Start the server, and wait until the target is reached.
    public var starts = false
    /// The absolute path of the started server's log; nil for a file in the directory.
    public var logFile: String?
    /// Settings of tidemark that hold for this recovery instead of the configuration's, by their names. They are
    /// recorded for whoever resumes the recovery, without passwords; the jobs take their settings from the cluster's
    /// configuration.
    public var overrides: [String: String] = [:]
    /// What the caller wants to know when it resumes the recovery. The jobs don't use it.
    public var remarks: [String] = []

    /// - Parameter directory: an absolute path.
    public init(_ target: TargetRequest, directory: String) {
        (self.target, self.directory) = (target, directory.withoutTrailingSlash)
    }
}

extension RecoveryOrder {
    /// The target, on the timeline that PostgreSQL will follow: a standby is told none, and takes the newest in the
    /// archive, wherever the cluster was.
    var followed: TargetRequest {
        var request = target
        if isStandby, case .own = request.timeline { request.timeline = .latest }
        return request
    }

    /// A recovery's place has nothing to do with any other of the cluster's, but is perhaps its own.
    /// - Throws: `NestedPlaces`.
    func checkPlaces(of cluster: ClusterConfiguration) throws {
        try cluster.places.check(recovery: directory, mapped: tablespaces.values.sorted())
        // The server adds to it. Its own directory is where it belongs otherwise.
        if let logFile,
            !Files.lies(Files.resolvedAsFarAsPossible(logFile), in: Files.resolvedAsFarAsPossible(directory))
        {
            try cluster.places.check(file: logFile)
        }
    }

    /// Whether the recovery replaces the cluster itself.
    func isInPlace(of cluster: ClusterConfiguration) -> Bool {
        Files.isSamePlace(directory, cluster.dataDirectory)
    }

    func setup(
        of cluster: ClusterConfiguration, _ installation: Installation, putAside: TimelineID?
    ) -> RecoverySetup {
        let isOwn = isInPlace(of: cluster)
        let commands = installation.commands(for: cluster)
        var setup = RecoverySetup(
            restoreCommand: commands.restore(putAside: putAside?.description, isCopy: !isOwn),
            endCommand: commands.recoveryEnd, isOwnDirectory: isOwn)
        (setup.isStandby, setup.action, setup.extra) = (isStandby, action, settings)
        return setup
    }
}

extension String {
    /// `/a/b` for `/a/b/`.
    public var withoutTrailingSlash: String {
        var text = self
        while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
        return text
    }
}
