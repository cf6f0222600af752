import Archiving
public import Configuration
import Platform
import Repository

/// Records of jobs that the repository could not take because it was unreachable, unmounted or full. Meanwhile, each is
/// a file in the cluster's state directory (`StateDirectory.jobs`).
public struct KeptJobs: Sendable {
    public let directory: String
    /// How many records are kept at most; the oldest go first.
    static let limit = 500

    public init(of cluster: ClusterConfiguration) {
        directory = cluster.state.jobs
    }

    /// Stores a record durably.
    public func keep(_ job: JobRecord) throws {
        try Files.makeDirectories(directory)
        let name = JobJournal.name(of: job)
        try createDurably("\(directory)/\(name).json", bytes: try job.document().bytes)
        for name in try Files.list(directory).filter({ $0.hasSuffix(".json") }).sorted().dropLast(KeptJobs.limit) {
            try Files.removeIfPresent(directory + "/" + name)
        }
    }

    /// Moves the kept records into the journal. A crash at any point neither loses a record nor stores it twice.
    /// Records from before the creation of the journal's incarnation stay: they belong to another repository.
    public func carryOver(to journal: JobJournal) throws {
        for (name, job) in try all(of: journal) {
            try journal.record(job, as: name)
            try Files.removeIfPresent("\(directory)/\(name).json")
        }
        _ = try? removeStaleTemporaries(in: directory)
    }

    /// The kept records that belong to a journal's repository, with the names they will have in it.
    func all(of journal: JobJournal) throws -> [(name: String, job: JobRecord)] {
        let kept = try all()
        guard !kept.isEmpty, let created = try journal.created() else { return kept }
        return kept.filter { $0.job.finished >= created }
    }

    /// The kept records, with the names they will have in the journal; files that can't be read are skipped.
    public func all() throws -> [(name: String, job: JobRecord)] {
        try Files.listIfPresent(directory).sorted().compactMap { file in
            guard file.hasSuffix(".json"), let bytes = try? Files.read(directory + "/" + file, limit: 1 << 20),
                let job = try? JobRecord(stored: bytes)
            else { return nil }
            return (String(file.dropLast(5)), job)
        }
    }
}
