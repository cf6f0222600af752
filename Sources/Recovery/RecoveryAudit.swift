import Documents
import Glibc
public import Planning
public import Platform
public import Repository
public import WAL

/// The record of a recovery: who recovered what, from where, to where, and with what result. Two small objects in the
/// repository, one written before the first file is touched and one at the end. The first without the second is a
/// recovery that died.
public struct RecoveryAudit: Sendable {
    public struct Subject: Codable, Sendable {
        public var kind: String
        public var target: String
        public var backup: String
        public var directory: String
        public var predictedEnd: String
        public var predictedLast: String?

        public init(kind: String, plan: Plan, directory: String) {
            self.kind = kind
            target = plan.target.summary
            backup = plan.backup.label
            self.directory = directory
            predictedEnd = plan.end.description
            predictedLast = plan.lastIncluded.map { "\($0.xid) at \($0.time)" }
        }
    }

    private struct Begin: Codable {
        var began: String
        var user: String
        var host: String
        var remote: String?
        var subject: Subject
    }

    private struct End: Codable {
        var ended: String
        var result: String
        var detail: String?
        var reached: String?
        var seconds: Double
        var rates: RecoveryRates?
    }

    private let store: any ObjectStore
    /// Nil where the repository can't be written.
    private let folder: RepositoryKey?
    /// Why there is no record in the repository.
    public let obstacle: SystemError?
    private let began: UInt64
    /// What another process needs to write the second object.
    public struct Reference: Codable, Sendable {
        let folder: String
        /// By the machine's monotonic clock.
        let began: UInt64
    }
    public var reference: Reference? { folder.map { Reference(folder: $0.description, began: began) } }
    /// Who does what, in one line.
    public let line: String

    /// Writes the first object. A repository that is read-only from here, or full, doesn't prevent a recovery.
    public init(_ subject: Subject, of archive: ClusterArchive) throws {
        let now = Moment(microseconds: Clock.now)
        store = archive.store
        began = Clock.monotonic
        let environment = { (name: String) in getenv(name).map { String(cString: $0) } }
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let own = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "\(getuid())"
        let user = environment("SUDO_USER").map { "\($0) as \(own)" } ?? own
        let remote = environment("SSH_CONNECTION")?.split(separator: " ").first.map(String.init)
        line =
            "\(user) on \(host)\(remote.map { " from \($0)" } ?? "") recovers \(archive.incarnation) to \(subject.target) from backup "
            + "\(subject.backup) into \"\(subject.directory)\""
        // A process may begin several recoveries within a second.
        var named = now
        while true {
            let folder = archive.incarnation.recoveryFolder.appending("\(named.compact)-\(subject.kind)-\(getpid())")
            do {
                try RecoveryAudit.write(
                    Begin(began: now.iso8601, user: user, host: host, remote: remote, subject: subject),
                    .recoveryBegin, to: folder.appending("begin.json"), store)
                (self.folder, obstacle) = (folder, nil)
                return
            } catch let error as SystemError where error.preventsWriting || [EACCES, EPERM].contains(error.code) {
                (self.folder, obstacle) = (nil, error)
                return
            } catch is ObjectExists {
                named = Moment(microseconds: named.microseconds + 1_000_000)
            }
        }
    }

    /// A record that another process began; nil when the reference isn't valid.
    public init?(_ reference: Reference, in store: any ObjectStore) {
        guard let folder = RepositoryKey(reference.folder) else { return nil }
        (self.store, self.folder, began, line, obstacle) = (store, folder, reference.began, "", nil)
    }

    /// Writes the second object.
    public func end(result: String, detail: String? = nil, reached: LSN? = nil, rates: RecoveryRates? = nil) throws {
        guard let folder else { return }
        try RecoveryAudit.write(
            End(
                ended: Moment(microseconds: Clock.now).iso8601, result: result, detail: detail.map(withoutSecrets),
                reached: reached?.description, seconds: Double(Clock.monotonic - began) / 1e9,
                rates: rates),
            .recoveryEnd, to: folder.appending("end.json"), store)
    }

    private static func write(
        _ record: some Encodable, _ kind: SealedDocument.Kind, to key: RepositoryKey, _ store: any ObjectStore
    ) throws {
        try store.create(key, SealedDocument(kind, of: record))
    }
}
