import Archiving
import Backups
public import Configuration
import Glibc
import Platform
import Recovery
import Repository

/// Removes what killed processes left behind.
public struct CleanJob {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    public init(of cluster: ClusterConfiguration, _ context: JobContext = JobContext()) {
        (self.cluster, self.context) = (cluster, context)
    }

    /// What was removed, or would be.
    public struct Report: Sendable {
        public let scratchClusters: [String]
        public let temporaries: [String]
    }

    /// - Parameter dryRun: remove nothing.
    public func run(dryRun: Bool = false) throws -> Report {
        let scratch = try ScratchDirectory.reclaim(in: cluster.scratchDirectory, dryRun: dryRun)
        var temporaries: [String] = []
        for root in ["\(cluster.repository)/\(cluster.name)", cluster.state.path] {
            do throws(SystemError) {
                let held = try HeldDirectory(confining: root, followsLink: false)
                clean(Place(".", in: held), dryRun: dryRun, into: &temporaries)
            } catch  where [ENOENT, ENOTDIR, ELOOP].contains(error.code) {
                continue
            } catch { context.note(.warning, "\(error.message); it is passed over", hint: error.hint) }
        }
        temporaries += try removeStaleManifests(dryRun: dryRun)
        return Report(scratchClusters: scratch, temporaries: temporaries)
    }

    /// Goes through the directories below a held one; symbolic links are not followed. One that can't be read is named, and
    /// passed over.
    private func clean(_ directory: Place, dryRun: Bool, into found: inout [String]) {
        do {
            guard directory.path != cluster.scratchDirectory,
                try FileStatus(ofLinkItself: directory)?.kind == .directory
            else { return }
            found += try removeStaleTemporaries(in: directory, dryRun: dryRun).map(\.path)
            for name in try Files.listIfPresent(directory).sorted() where !name.hasPrefix(".") {
                clean(directory.appending(name), dryRun: dryRun, into: &found)
            }
        } catch { context.note(.warning, "\(error.message); it is passed over", hint: error.hint) }
    }
}
