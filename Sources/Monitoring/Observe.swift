import Archiving
import Backups
import Catalog
public import Configuration
import DataDirectory
import Glibc
import Jobs
import Notifications
import Planning
import Platform
import Postgres
import Recovery
public import Repository
public import Retention
public import Setup
import WAL

/// What to observe, besides the cluster's configuration.
public struct ObservationRequest: Sendable {
    public var cluster: ClusterConfiguration
    /// The configuration file.
    public var configurationPath: String
    public var notifiers: [NotifierConfiguration]
    /// The required `archive_command`.
    public var archiving: ArchivingCall
    /// Decides which segments may be missing on purpose.
    public var policy: RetentionPolicy

    public init(
        cluster: ClusterConfiguration, configurationPath: String, notifiers: [NotifierConfiguration],
        archiving: ArchivingCall, policy: RetentionPolicy
    ) {
        self.policy = policy
        (self.cluster, self.configurationPath) = (cluster, configurationPath)
        (self.notifiers, self.archiving) = (notifiers, archiving)
    }
}

/// Observes everything once. What can't be observed is omitted with the reason: a check must report what is known.
public func observe(_ request: ObservationRequest, in repository: Repository) -> Observation {
    let cluster = request.cluster
    var observation = Observation(cluster: cluster.name, now: Moment(microseconds: Clock.now))
    let directory = DataDirectory(cluster.dataDirectory)
    let control = try? directory.controlFile()
    var server: Connection?
    do {
        let connection = try Connection(
            cluster.conninfo, serverOn: directory, applicationName: "tidemark check", patience: 30)
        // Without a control file there is nothing to compare with, and a query might make the server fail.
        if let own = control?.systemIdentifier, case let served = try connection.systemIdentifier(), own != served {
            observation.foreignServer = "system identifier \(served); the data directory's is \(own)"
        } else if control != nil, try !connection.runs(on: directory) {
            observation.foreignServer = "the same system identifier, but another pg_control, as a standby or a copy has"
        } else {
            server = connection
            let asked = try ServerObservation(of: connection, archiving: request.archiving)
            observation.pausedReplay = try PausedReplay(connection, directory)
            observation.server = asked
        }
    } catch {
        let explained = error as? any Explained
        observation.serverProblem =
            (error as? ConnectionFailure).map { $0.reason } ?? explained?.message ?? "\(error)"
        observation.serverHint = explained?.hint
    }

    observation.pushFailure = PushFailure(in: cluster.state)
    observation.conninfo = (try? ConnectionString(cluster.conninfo, serverOn: directory))?.withoutSecrets.description
    observation.isFollowing = (try? Files.exists(cluster.dataDirectory + "/standby.signal")) == true
    do { observation.leftTargets = try LeftTarget.find(in: directory, server) } catch {
        observation.leftTargetsProblem =
            "The configuration files could not be read: \(explanation(of: error))."
    }
    observeArchive(&observation, request, control, repository)
    observation.observeTimelines(control, directory, repository)

    if let control {
        do {
            observation.waiting = try WaitingObservation(
                dataDirectory: cluster.dataDirectory, archived: observation.archive?.newest,
                timeline: observation.archive?.timeline ?? observation.timeline(control, of: directory),
                position: observation.server?.position, segmentSize: control.segmentSize,
                now: Moment(microseconds: Clock.now),
                isArchived: { path, segment in
                    guard let archive = observation.archive else { return false }
                    let contents = repository.archive(archive.incarnation)
                    do { return try isArchived(path, segment, of: contents) } catch {
                        throw NotCompared(segment: segment, cause: error)
                    }
                })
        } catch let error as NotCompared {
            observation.waitingProblem = error.sentence
        } catch {
            observation.waitingProblem =
                "pg_wal could not be read: \(explanation(of: error))."
        }
    } else {
        observation.waitingProblem = "Data directory \"\(cluster.dataDirectory)\" could not be read."
    }

    do {
        observation.space = try SpaceObservation(
            of: repository.store, memory: cluster.state.space, now: observation.now)
        observation.isSpaceLimited = observation.space != nil
    } catch {
        observation.spaceProblem =
            "The repository could not be read: \(explanation(of: error))."
    }
    do throws(Problem) { _ = try NamedExclusions(cluster.exclude) } catch { observation.excludeProblem = error }
    do { try cluster.places.check() } catch let nested as NestedPlaces { observation.nested = nested } catch {
        observation.placesProblem =
            "The locations of the directories could not be determined: \(explanation(of: error))."
    }
    observation.permissions = PermissionFinding.find(
        repository: repository.localDirectory?.path, stateDirectory: cluster.stateDirectory,
        configuration: request.configurationPath, dataDirectory: cluster.dataDirectory,
        secrets: request.notifiers.flatMap(\.secretFiles))
    if !request.notifiers.isEmpty {
        do {
            let outbox = Outbox(for: cluster)
            let waiting = try outbox.waiting()
            let age = waiting.oldest.map { Double(observation.now.microseconds - $0) / 1_000_000 } ?? 0
            observation.undelivered = (waiting.count, age)
            observation.givenUp = try outbox.givenUp(now: observation.now)
        } catch {
            observation.undeliveredProblem =
                "Which messages wait could not be found out: \(explanation(of: error))."
        }
    }
    return observation
}

extension Observation {
    /// The timeline that the server is on. A standby may have replayed nothing yet of the one that it receives.
    func timeline(_ control: ControlFile, of directory: DataDirectory) -> TimelineID {
        let replayed = server.flatMap { $0.isStandby ? $0.position : nil }
        let known = (try? directory.timeline(control, replayed: replayed)) ?? control.serverTimeline
        return max(known, server?.receivedTimeline ?? known)
    }
}

/// What the catalog tells: the segments that end a recovery and, on request, the timelines that one follows.
private func catalogued(
    _ archive: ClusterArchive, _ cluster: ClusterConfiguration, followed: Bool
) throws -> (breaks: [WALBreak], followed: FollowedTimelines?) {
    let catalog = try Catalog(
        at: cluster.state.catalog(of: archive.incarnation), archive: archive,
        mayBeInMemory: false, note: { _ in })
    // The check of known damage reports what it could not examine.
    catalog.undelivered = KnownDamage.undelivered(of: archive) { _ in }
    return try catalog.current(jobs: cluster.jobs) { catalog in
        let source = followed ? try RecoveryArchive(of: cluster, archive.incarnation) : nil
        return (try catalog.breaks(), try source?.followedTimelines(catalog))
    }
}

private func observeArchive(
    _ observation: inout Observation, _ request: ObservationRequest, _ control: ControlFile?, _ repository: Repository
) {
    let cluster = request.cluster
    do {
        let known = try ClusterIncarnations(of: cluster.name, dataDirectory: cluster.dataDirectory, in: repository)
        if let control, let major = try? DataDirectory(cluster.dataDirectory).majorVersion() {
            let own = Incarnation(cluster: cluster.name, major: major, systemIdentifier: control.systemIdentifier)
            observation.ownCluster = (own.folderName, known?.current.incarnation == own)
        }
        guard let known else {
            throw Problem(
                "cluster \"\(cluster.name)\" is not in repository \"\(repository.location)\"",
                hint: "Create its place with \"\(runnable("tidemark init"))\".")
        }
        let archive = known.current
        observation.doubtedMarker = known.doubted.first { $0.incarnation == archive.incarnation }?.reason
        var found: [WALBreak] = []
        var followed: FollowedTimelines?
        // A standby may follow a newer timeline than its own, and where no data directory tells one, it isn't known.
        let asks = control == nil || observation.server?.isStandby == true
        do { (found, followed) = try catalogued(archive, cluster, followed: asks) } catch {
            observation.breaksProblem =
                "It is not known whether each segment continues the one before: \(explanation(of: error))."
        }
        let directory = DataDirectory(cluster.dataDirectory)
        if control == nil { observation.branches = followed?.timelines ?? [] }
        let timeline = control.map { observation.timeline($0, of: directory) }
        if let timeline, control?.systemIdentifier == archive.incarnation.systemIdentifier {
            do {
                observation.damagedHistories = try DamagedOwnHistory.all(in: directory, of: archive)
                observation.contradiction = try Contradiction.find(in: directory.path, timeline: timeline, of: archive)
            } catch {
                observation.contradictionProblem = ContradictionUnknown(dataDirectory: directory.path, cause: error)
            }
        }
        observation.archive = try ArchiveObservation(
            of: archive, timeline: followed?.timeline ?? timeline, segmentSize: control?.segmentSize ?? 16 << 20,
            policy: request.policy, now: observation.now, dataDirectory: directory.path,
            acknowledged: observation.server?.lastArchived, breaks: found, contradiction: observation.contradiction)
        observation.archive?.lookForRemedies(in: archive, cluster.dataDirectory, request.archiving.command)
        (observation.former, observation.formerProblems) = FormerIncarnation.all(known.former)
        observation.formerProblems += known.lost.map {
            "What was before initdb or pg_upgrade, incarnation \($0.incarnation.folderName), cannot be used: \($0.message)."
        }
        observation.formerProblems += known.doubted.filter { $0.incarnation != archive.incarnation }.map {
            "Of what was before initdb or pg_upgrade, incarnation \($0.incarnation.folderName): \($0.reason.message)."
        }
        let since = Moment(microseconds: observation.now.microseconds - 400 * 86_400_000_000)
        observation.jobs =
            try JobJournal(of: archive, kept: KeptJobs(of: cluster)).contents(since: since).jobs
        do {
            observation.knownDamage = try KnownDamage.find(
                in: observation.jobs, and: observation.archive?.backups.complete ?? [], of: archive,
                former: known.former, now: observation.now)
            observation.knownGaps = try KnownGap.find(
                in: observation.jobs.ended(by: observation.now), of: archive, former: known.former
            ) { place in
                let listing = try place.listBackups()
                let size = listing.complete.last?.segmentSize ?? control?.segmentSize ?? 16 << 20
                let expired = try expiredSegments(
                    of: place, listing: listing, policy: request.policy,
                    dataDirectory: cluster.dataDirectory, now: observation.now,
                    segmentSize: size)
                return (expired, listing.all.map(\.startLSN).min())
            }
        } catch {
            observation.knownDamageProblem =
                "Known damage could not be examined: \(explanation(of: error))."
        }
    } catch {
        // Failures because the repository is away are known from the local records.
        if observation.jobs.isEmpty { observation.jobs = ((try? KeptJobs(of: cluster).all()) ?? []).map(\.job) }
        let explained = error as? any Explained
        observation.archiveProblem = explained?.message ?? "\(error)"
        observation.archiveHint = explained?.hint ?? repository.store.absenceHint
    }
}

/// It could not be determined whether the archive has a segment: it can't be compared with the server's.
private struct NotCompared: Error {
    let segment: SegmentName
    let cause: any Error

    var sentence: String {
        let explained = cause as? any Explained
        let reason = [explained?.message ?? "\(cause)", explained?.detail].compactMap { $0 }.joined(separator: ". ")
        return "Segment \"\(segment)\" could not be compared with the archive's: \(reason)"
            + (reason.hasSuffix(".") ? "" : ".")
    }
}
