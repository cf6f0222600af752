import Glibc
import Platform
import Repository
import WAL

/// The result of an import.
public struct ImportReport: Sendable {
    public var stored = 0
    /// Files that the repository had already, from an earlier run or a push.
    public var present = 0
    /// Further files of a name with the same content.
    public var duplicates = 0
    /// Files that aren't WAL, relative to the directory.
    public var strangers: [String] = []
    /// Unfinished segments that no timeline history explains, as pg_receivewal leaves them.
    public var unfinished: [String] = []
    /// Files made in advance that hold nothing of their segment, because its timeline was left before it.
    public var unwritten: [String] = []
    public var problems: [ArchiveProblem] = []

    public init() {}
}

/// Imports a plain archive: a directory of WAL files as `cp` or pg_receivewal left them, raw or compressed with gzip,
/// zstd or lz4, in folders or not. Every file is checked and stored as by a push; the directory isn't changed. An
/// interrupted import can be started again.
public struct ImportArchive {
    private let push: Push
    private let scratch: String
    private let jobs: Int

    /// - Parameters:
    ///   - push: stores one file.
    ///   - scratch: a directory for unpacked files; made and removed.
    ///   - jobs: how many files are checked and stored at once.
    public init(_ push: Push, scratch: String, jobs: Int) {
        self.push = push
        self.scratch = scratch
        self.jobs = jobs
    }

    private enum Outcome: Sendable {
        case done(Push.Outcome)
        case failed(ArchiveProblem)
    }

    public func callAsFunction(
        _ directory: String, progress: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> ImportReport {
        // First of all: without an incarnation in the repository nothing can be stored.
        _ = try push.ownArchive()
        var report = ImportReport()
        let files = try find(in: directory, &report)
        var push = push
        let unknown: (any Explained)?
        (push.owner, unknown) = try ImportArchive.owner(files, push.identity)
        Temporaries.add(scratch)
        try Files.makeDirectories(scratch)
        defer {
            try? Files.removeTree(scratch)
            Temporaries.forget(scratch)
        }
        let (importing, scratch) = (push, scratch)
        // Of files with the same name only one can be stored; their order isn't defined.
        var outcomes: [ArchiveFileName: (stored: Int, confirmed: Int)] = [:]
        var failed: Set<ArchiveFileName> = []
        var done = 0
        // The histories first: they show which segments may end early.
        let isHistory: (Found) -> Bool = { if case .history = $0.name { true } else { false } }
        for part in [files.filter(isHistory), files.filter { !isHistory($0) }] {
            try mapInOrder(
                Array(part.enumerated()), workers: max(1, jobs), ahead: max(1, jobs) * 2,
                transform: { index, file -> (Found, Outcome) in
                    do {
                        if file.isText, let unknown { throw unknown }
                        return (file, .done(try ImportArchive.take(file, importing, scratch + "/\(index)")))
                    } catch let error as any Explained where error.preventsWriting {
                        // Every other file would fail in the same way.
                        throw error
                    } catch {
                        let problem = ArchiveProblem(
                            try ImportArchive.told(error, importing), segment: file.name.place)
                        let text = "could not import \"\(file.path)\": \(problem.message)"
                        return (
                            file,
                            .failed(
                                ArchiveProblem(
                                    text, detail: problem.detail, hint: problem.hint, segment: problem.segment))
                        )
                    }
                },
                consume: { file, outcome in
                    switch outcome {
                    case .done(.stored): outcomes[file.name, default: (0, 0)].stored += 1
                    case .done(.confirmed): outcomes[file.name, default: (0, 0)].confirmed += 1
                    case .done(.unwritten): report.unwritten.append(file.path)
                    case .failed(let problem):
                        failed.insert(file.name)
                        report.problems.append(problem)
                    }
                    done += 1
                    try progress(done, files.count)
                })
        }
        for outcome in outcomes.values {
            report.stored += outcome.stored
            if outcome.stored == 0 { report.present += 1 }
            report.duplicates += outcome.stored + outcome.confirmed - 1
        }
        try checkChain(Set(outcomes.keys).subtracting(failed), push.ownArchive(), &report)
        return report
    }

    /// The incarnation that a directory's histories and backup labels belong to, which its segments show: the
    /// configured data directory may be another one's. Of a version that this program doesn't know only the data
    /// directory can name it.
    private static func owner(
        _ files: [Found], _ identity: Identity
    ) throws -> (archive: ClusterArchive?, unknown: (any Explained)?) {
        var found: Set<UInt64> = []
        var own: Incarnation?
        for file in files where !file.isText {
            guard let page = file.firstPage() else { continue }
            found.insert(page.systemIdentifier)
            own = page.incarnation(of: identity.cluster)
        }
        guard found.count == 1 else { return (nil, UnknownOwner(identifiers: found.sorted())) }
        guard let own else { return (nil, nil) }
        do {
            return (try identity.repository.archive(of: own, named: "its directory"), nil)
        } catch let unknown as NotInitialised { return (nil, unknown) }
    }

    /// A push's error, in the words for a file that no server hands over.
    private static func told(_ error: any Error, _ push: Push) throws -> any Error {
        switch error {
        case let conflict as ArchiveConflict:
            ImportConflict(conflict, in: try push.ownArchive(), dataDirectory: push.identity.dataDirectory)
        case let branch as OtherBranch: ImportedBranch(branch: branch)
        default: error
        }
    }

    /// Pushes a file, after unpacking it if it is compressed.
    private static func take(_ file: Found, _ push: Push, _ scratch: String) throws -> Push.Outcome {
        guard let packing = file.packing else { return try push(file.path) }
        try Files.makeDirectories(scratch)
        defer { try? Files.removeTree(scratch) }
        let raw = scratch + "/" + file.name.description
        try packing.unpack(file.path, to: raw)
        return try push(raw)
    }

    /// Several segments are stored at once, so their links are checked when all are stored.
    private func checkChain(
        _ names: Set<ArchiveFileName>, _ archive: ClusterArchive, _ report: inout ImportReport
    ) throws {
        let segments = names.compactMap(\.completedSegment).sorted()
        guard !segments.isEmpty else { return }
        let listing = try ArchiveListing(of: archive)
        var chain = ChainCheck(archive, listing.genealogy)
        try mapInOrder(
            segments, workers: max(1, jobs), ahead: 32,
            transform: { name -> (SegmentName, SegmentSummary?) in
                do {
                    return (name, try archive.summary(of: name))
                } catch is ObjectAbsent {
                    // It was stored for another incarnation of the cluster.
                    return (name, nil)
                }
            }, consume: { name, summary in report.problems += try chain.add(name, summary) })
        let numbers = segments.map { $0.number(segmentSize: listing.segmentSize) }
        report.problems += try listing.gaps().filter { $0.numbers.overlaps(numbers.min()!...numbers.max()!) }
            .map { ArchiveProblem($0) }
    }
}

extension ArchiveFileName {
    fileprivate var completedSegment: SegmentName? { if case .segment(let name) = self { name } else { nil } }
}

/// A history or backup label in a directory whose segments don't show whose it is.
private struct UnknownOwner: Explained {
    /// The system identifiers in the segments.
    let identifiers: [UInt64]
    var message: String { "cannot tell which cluster it belongs to" }
    var detail: String? {
        identifiers.isEmpty
            ? "The directory has no segment that shows it."
            : "The directory has segments of \(identifiers.count) clusters, with system identifiers "
                + identifiers.map(String.init).joined(separator: " and ") + "."
    }
    var hint: String? {
        identifiers.isEmpty
            ? "If it is of the cluster in the data directory, store it with \"\(runnable("tidemark archive-push PATH"))\"."
            : "Import the files of each cluster from a directory of their own."
    }
}
