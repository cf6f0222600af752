import Archiving
public import BaseBackup
public import Configuration
import DataDirectory
import Glibc
import Platform
import Postgres
public import Repository
import WAL

/// Where to look, besides what the cluster's configuration says.
public struct ObservationRequest: Sendable {
    public var cluster: ClusterConfiguration
    /// The configuration file.
    public var configurationPath: String
    public var notifiers: [NotifierConfiguration]
    /// What `archive_command` should be.
    public var pushCommand: String
    /// What may have been expired on purpose.
    public var policy: RetentionPolicy

    public init(
        cluster: ClusterConfiguration, configurationPath: String, notifiers: [NotifierConfiguration],
        pushCommand: String, policy: RetentionPolicy
    ) {
        self.policy = policy
        (self.cluster, self.configurationPath) = (cluster, configurationPath)
        (self.notifiers, self.pushCommand) = (notifiers, pushCommand)
    }
}

/// Looks everything up once. Whatever can't be looked up is left out with its reason: a check must say what it knows.
public func observe(_ request: ObservationRequest, store: any ObjectStore) -> Observation {
    let cluster = request.cluster
    var observation = Observation(cluster: cluster.name, now: Moment(microseconds: Clock.now))
    var server: Connection?
    do {
        let connection = try Connection(cluster.conninfo, applicationName: "tidemark check")
        server = connection
        observation.server = try ServerObservation(of: connection, pushCommand: request.pushCommand)
    } catch {
        let explained = error as? any Explained
        observation.serverProblem =
            (error as? ConnectionFailure).map { $0.reason } ?? explained?.message ?? "\(error)"
        observation.serverHint = explained?.hint
    }

    observation.pushFailure = PushFailure(stateDirectory: "\(cluster.stateDirectory)/\(cluster.name)")
    let directory = DataDirectory(cluster.dataDirectory)
    let control = try? directory.controlFile()
    observation.conninfo = (try? ConnectionString(cluster.conninfo))?.withoutSecrets.description
    do { observation.leftTargets = try LeftTarget.find(in: directory, server) } catch {
        observation.leftTargetsProblem =
            "The configuration files could not be read: \((error as? any Explained)?.message ?? "\(error)")."
    }
    observeArchive(&observation, request, control, store)
    observation.observeTimelines(control, store)

    if let control {
        // The server's own timeline: the control file's is that of the last checkpoint.
        do {
            observation.waiting = try WaitingObservation(
                dataDirectory: cluster.dataDirectory, archived: observation.archive?.newest,
                timeline: observation.archive?.timeline ?? control.timeline, position: observation.server?.position,
                segmentSize: control.segmentSize, now: Moment(microseconds: Clock.now))
        } catch {
            observation.waitingProblem =
                "pg_wal could not be read: \((error as? any Explained)?.message ?? "\(error)")."
        }
    } else {
        observation.waitingProblem = "Data directory \"\(cluster.dataDirectory)\" could not be read."
    }

    do {
        observation.space = try SpaceObservation(
            at: cluster.repository, memory: "\(cluster.stateDirectory)/\(cluster.name)/check/space.json",
            now: observation.now)
    } catch {
        observation.spaceProblem =
            "The repository could not be read: \((error as? any Explained)?.message ?? "\(error)")."
    }
    observation.permissions = PermissionFinding.find(
        repository: cluster.repository, stateDirectory: cluster.stateDirectory,
        configuration: request.configurationPath, secrets: request.notifiers.flatMap(\.secretFiles))
    if !request.notifiers.isEmpty, let waiting = try? Outbox(for: cluster).waiting() {
        let age = waiting.oldest.map { Double(observation.now.microseconds - $0) / 1_000_000 } ?? 0
        observation.undelivered = (waiting.count, age)
    }
    return observation
}

private func observeArchive(
    _ observation: inout Observation, _ request: ObservationRequest, _ control: ControlFile?, _ store: any ObjectStore
) {
    let cluster = request.cluster
    do {
        var incarnation: Incarnation?
        if let control, let major = try? DataDirectory(cluster.dataDirectory).majorVersion() {
            let own = Incarnation(cluster: cluster.name, major: major, systemIdentifier: control.systemIdentifier)
            let isKnown = try store.exists(own.marker)
            observation.ownCluster = (own.folderName, isKnown)
            if isKnown { incarnation = own }
        }
        if incarnation == nil { incarnation = try store.incarnations(of: cluster.name).last }
        guard let incarnation else {
            throw Problem(
                "cluster \"\(cluster.name)\" is not in repository \"\(cluster.repository)\"",
                hint: "Create its place with \"tidemark init\".")
        }
        observation.archive = try ArchiveObservation(
            of: incarnation, in: store, timeline: control?.timeline, segmentSize: control?.segmentSize ?? 16 << 20,
            policy: request.policy, now: observation.now)
        observation.archive?.lookForRemedies(cluster.dataDirectory, request.pushCommand)
        let since = Moment(microseconds: observation.now.microseconds - 400 * 86_400_000_000)
        observation.jobs = try JobJournal(of: incarnation, in: store).contents(since: since).jobs
    } catch {
        let explained = error as? any Explained
        observation.archiveProblem = explained?.message ?? "\(error)"
        observation.archiveHint = explained?.hint
    }
}
