import Archiving
public import Configuration
import DataDirectory
public import Platform
import Postgres
public import Repository
public import Setup

/// Creates a cluster's incarnation in the repository, and compares the server's settings with what archiving needs.
public struct InitJob {
    private let cluster: ClusterConfiguration
    private let archiving: ArchivingCall

    /// What the configuration names for it; root may have to make them for the cluster's owner.
    public var directories: [String] {
        [cluster.openRepository().localDirectory?.path, cluster.stateDirectory].compactMap(\.self)
    }

    /// - Throws: `NestedPlaces`, and `Problem` when the cluster's data directory doesn't exist.
    public init(
        of cluster: ClusterConfiguration, in configuration: Configuration, _ installation: Installation
    ) throws {
        guard try Files.exists(cluster.dataDirectory) else {
            throw Problem(
                "data directory \"\(cluster.dataDirectory)\" does not exist",
                hint: "Correct data_directory in \"\(configuration.path)\".")
        }
        try cluster.places.check()
        self.cluster = cluster
        archiving = installation.archivingCall(for: cluster, in: configuration)
    }

    public enum Change: Sendable {
        /// Only report wrong settings.
        case nothing
        /// Change them, unless another archive would get no more WAL.
        case settings
        /// Change them in any case.
        case everything
    }

    /// - Parameters:
    ///   - change: what to set at the server.
    ///   - rebuilding: whether a lost or damaged `incarnation.json` is written anew.
    /// A server that waits for files from the archive before it accepts connections gets its place all the same.
    /// - Throws: `OtherArchive`, as `initializeCluster`, and what connecting throws.
    public func run(_ change: Change = .nothing, rebuilding: Bool = false) throws -> InitReport {
        let connection: Connection?
        do {
            connection = try Connection(cluster.conninfo, serverOn: DataDirectory(cluster.dataDirectory))
        } catch {
            guard case .nothing = change, try recovers() else { throw error }
            connection = nil
        }
        for directory in directories { try Files.makeDirectories(directory) }
        let repository = cluster.openRepository()
        let (incarnation, outcome) = try initializeCluster(
            named: cluster.name, dataDirectory: DataDirectory(cluster.dataDirectory), connection: connection,
            in: repository, rebuilding: rebuilding)
        guard let connection else {
            return InitReport(
                cluster: cluster.name, repository: repository.location, incarnation: incarnation, outcome: outcome,
                inspection: nil, isWritten: false, needsRestart: false)
        }
        let inspection = try ServerInspection(of: connection, archiving: archiving)
        var needsRestart = inspection.findings.contains(where: \.needsRestart)
        switch change {
        case .nothing: break
        case .settings, .everything:
            if case .settings = change, let foreign = inspection.foreignArchiving {
                throw OtherArchive(what: foreign.what, setting: foreign.setting.current)
            }
            needsRestart = try !inspection.apply(to: connection).isEmpty
        }
        let isWritten = if case .nothing = change { false } else { true }
        return InitReport(
            cluster: cluster.name, repository: repository.location, incarnation: incarnation, outcome: outcome,
            inspection: inspection, isWritten: isWritten, needsRestart: needsRestart)
    }

    /// Whether the cluster's server is a standby or in recovery, so that restore_command may stop it before it can be
    /// queried.
    private func recovers() throws -> Bool {
        try ["standby.signal", "recovery.signal"].contains { try Files.exists("\(cluster.dataDirectory)/\($0)") }
    }
}

/// The result of `init`.
public struct InitReport: Sendable {
    public let cluster: String
    public let repository: String
    public let incarnation: Incarnation
    /// Whether it was there, or was made now.
    public let outcome: InitOutcome
    /// How the server's settings were; nil when it doesn't accept connections.
    public let inspection: ServerInspection?
    /// Whether the wrong settings were changed.
    public let isWritten: Bool
    /// Whether a setting takes effect only after a restart.
    public let needsRestart: Bool

    /// Whether nothing remains to be done for archiving.
    public var isGood: Bool { isWritten ? !needsRestart : inspection?.isGoodEnough ?? false }
}

/// The server archives to another archive, which would get no more WAL.
public struct OtherArchive: Explained, Equatable {
    let what: String
    let setting: String
    public var message: String { what }
    public var detail: String? { "It is: \(setting)" }
    public var hint: String? {
        "If tidemark is to take over, add --replace; the other archive then gets no more WAL."
    }
}
