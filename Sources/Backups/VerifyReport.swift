import Documents
public import Platform
public import Repository
public import WAL

/// A problem of a backup in the repository.
public struct BackupProblem: Explained, Equatable, Hashable {
    /// How to see later whether it is still there, without reading the whole backup.
    public enum Trace: Hashable, Sendable {
        /// An object as it was stored doesn't have it.
        case object(RepositoryKey)
        /// Every listing of the backups shows it.
        case listing
        case none
    }
    public let message: String
    public let detail: String?
    public let trace: Trace
    public init(_ message: String, detail: String? = nil, trace: Trace = .none) {
        (self.message, self.detail, self.trace) = (message, detail, trace)
    }
}

/// The result of verifying one backup.
public struct VerifyReport: Sendable {
    public var label: String
    /// Empty when the backup is good.
    public var problems: [BackupProblem] = []
    public var packs = 0
    /// Packs that an interrupted verification had already found good.
    public var skippedPacks = 0
    public var frames = 0
    /// Bytes of content that were decompressed and compared.
    public var bytes: Int64 = 0
    public var pages: Int64 = 0
    /// WAL segments read.
    public var segments = 0
    public var seconds = 0.0
    /// Set when the backup's branch was put aside.
    public var aside: AsideBackup?

    public init(label: String) { self.label = label }
}

/// When a backup was verified last, and with what result.
public struct RecordedVerification: Sendable, Equatable {
    public var time: Moment
    public var problems: Int
    /// The objects that have all of them, but those that every listing shows; nil when another verification has to tell
    /// whether they are still there.
    public var objects: [RepositoryKey]?
    /// Why the record of it can't be read; then nobody knows what it found.
    public var fault: DocumentFault?
    /// One of the objects, if a later version of tidemark wrote it: nothing is known to be wrong with it.
    public var later: UnsupportedFormat?
}

/// The form of `backup/<label>/verified-<time>.json`.
private struct Record: Codable {
    var time: String
    var problems: Int
    var messages: [String]
    /// Relative to the incarnation's folder. Absent when some problem is of no object, or of more than these.
    var objects: [String]?
    var frames: Int
    var bytes: Int64
    var seconds: Double
}

/// The objects of which a record names the problems, at most: they may be read again.
private let mostObjects = 20

/// Nil when they don't tell about all problems.
private func objects(of problems: [BackupProblem]) -> [RepositoryKey]? {
    var found: Set<RepositoryKey> = []
    for problem in problems {
        switch problem.trace {
        case .object(let key): found.insert(key)
        case .listing: break
        case .none: return nil
        }
    }
    return found.count > mostObjects ? nil : found.sorted()
}

/// Writes a verification's result beside the backup.
public func recordVerification(_ report: VerifyReport, of archive: ClusterArchive) throws {
    let now = Moment(microseconds: Clock.now)
    let record = Record(
        time: now.iso8601, problems: report.problems.count, messages: report.problems.prefix(20).map(\.message),
        objects: objects(of: report.problems)?.map {
            String($0.description.dropFirst(archive.incarnation.folder.description.count + 1))
        }, frames: report.frames, bytes: report.bytes, seconds: report.seconds)
    // To the microsecond: a second verification may find what the first, a moment ago, didn't. The order of the names
    // is the order of the verifications, whatever the clock says.
    let newest = try verificationNames(of: report.label, archive).max().map { moment(named: $0).microseconds } ?? 0
    let ordered = Moment(microseconds: max(now.microseconds, newest + 1))
    let fraction = String(ordered.microseconds % 1_000_000 + 1_000_000).dropFirst()
    let name = "verified-\(ordered.compact.dropLast()).\(fraction)Z.json"
    try archive.store.create(archive.incarnation.backup(report.label, name), SealedDocument(.verification, of: record))
}

/// The newest result; nil when the backup was never verified. A record that can't be read has no result, and hides the
/// older ones.
public func lastVerification(of label: String, of archive: ClusterArchive) throws
    -> RecordedVerification?
{
    guard let newest = try verificationNames(of: label, archive).max() else { return nil }
    do {
        guard let document = try archive.store.document(.verification, at: archive.incarnation.backup(label, newest))
        else {
            return nil
        }
        let record = try document.value(Record.self)
        guard let time = Moment(iso8601: record.time), record.problems >= 0 else {
            throw DocumentFault.impossible("A time or a number in it is impossible.")
        }
        let folder = archive.incarnation.folder
        let objects = record.objects?.map { RepositoryKey("\(folder)/\($0)") }
        return RecordedVerification(
            time: time, problems: record.problems,
            objects: objects.flatMap { $0.contains(nil) || $0.count > mostObjects ? nil : $0.compactMap(\.self) })
    } catch let refused as DocumentRefused {
        return RecordedVerification(time: moment(named: newest), problems: 0, fault: refused.fault)
    } catch let fault as DocumentFault {
        return RecordedVerification(time: moment(named: newest), problems: 0, fault: fault)
    } catch let failure as any Explained
        where failure is SystemError || failure is UnreachableObject || failure is NotAnObject
    {
        return RecordedVerification(
            time: moment(named: newest), problems: 0, fault: .impossible("\(failure.message)."))
    }
}

private func verificationNames(of label: String, _ archive: ClusterArchive) throws -> [String] {
    try archive.store.list(archive.incarnation.backupFolder(label)).filter { !$0.isFolder }.map(\.name)
        .filter { $0.hasPrefix("verified-") && $0.hasSuffix(".json") }
}

/// The time in a record's name; the earliest time for any other name. A name without a fraction sorts after those of
/// the same second that have one.
private func moment(named name: String) -> Moment {
    let text = name.dropFirst("verified-".utf8.count)
    guard let second = Moment(compact: text.prefix(15) + "Z") else { return Moment(microseconds: 0) }
    let digits = text.dropFirst(15).prefix(7)
    guard digits.first == ".", digits.utf8.count == 7, let fraction = Int64(digits.dropFirst()), fraction >= 0 else {
        return Moment(microseconds: second.microseconds + 999_999)
    }
    return Moment(microseconds: second.microseconds + fraction)
}
