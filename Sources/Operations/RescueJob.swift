import Archiving
import Configuration
import DataDirectory
import Platform
import Recovery
import Repository

/// Archives the WAL that a dead server left in its pg_wal.
struct RescueJob {
    let cluster: ClusterConfiguration
    let context: JobContext
    /// Whether the directory is changed in place, not renamed: its present contents are lost afterwards.
    let isDelta: Bool

    /// - Returns: whether the segment that the server was writing has been archived, as `.partial`.
    /// - Throws: `NotRescued`, `Contradiction`, `ContradictionUnknown` and `JobCancelled`; then nothing in the
    ///   directory was changed.
    func run(_ directory: String) throws -> Bool {
        let repository = cluster.openRepository()
        let rescue: Rescue
        var owner: ClusterArchive?
        do {
            let identifier = try DataDirectory(directory).controlFile().systemIdentifier
            let archive = try repository.archive(of: cluster.name, systemIdentifier: identifier)
            owner = archive
            // Checked before any file is archived under another name.
            if let archive, let own = try OwnDirectory(directory, of: archive) {
                if let blocked = own.blocked { throw blocked }
                if let contradiction = own.contradiction { throw contradiction }
                if let problem = own.contradictionProblem {
                    throw ContradictionUnknown(dataDirectory: directory, cause: problem)
                }
            }
            rescue = try Rescue(dataDirectory: directory, archive: archive)
        } catch let blocked as NotRescued {
            throw blocked
        } catch let contradiction as Contradiction {
            throw contradiction
        } catch let unknown as ContradictionUnknown {
            throw unknown
        } catch {
            guard !isDelta else { throw NotRescued(directory: directory, files: [], reason: error) }
            context.note(
                .warning, "WAL that the server has not archived could not be looked for", detail: sentences(of: error))
            return false
        }
        let context = context
        let push = Push(
            into: repository, cluster: cluster.name, dataDirectory: directory, owner: owner,
            level: Int(cluster.compressLevel), acceptDiscontinuity: false, warn: { context.note(.warning, $0) })
        let failures = try rescue.carryOut(proceed: context.cancellation.check) { path, name in
            if try push(path, as: name) == .stored { context.note(.log, "archived \"\(name)\" of the old directory") }
        }
        if let first = failures.first {
            throw NotRescued(directory: directory, files: failures.map(\.name), reason: first.reason)
        }
        return rescue.items.contains { item in
            guard case .last = item else { return false }
            return true
        }
    }
}
