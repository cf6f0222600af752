import Archiving
import Backups
public import Configuration
import Glibc
import Platform
import Recovery
import Repository

/// Removes leftovers of killed processes.
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
        /// Of copies that no longer exist.
        public let socketDirectories: [String]
    }

    /// - Parameter dryRun: removes nothing.
    /// - Throws: `JobCancelled`, and errors of the scratch directory; what was removed by then stays removed.
    public func run(dryRun: Bool = false) throws -> Report {
        let scratch = try ScratchDirectory.reclaim(in: cluster.scratchDirectory, dryRun: dryRun) {
            try context.cancellation.check()
        }
        var temporaries: [String] = []
        // Only a store of files has temporary ones.
        let archived = cluster.openRepository().localDirectory?.part(of: cluster.name)
        for root in [archived, cluster.state.path].compactMap(\.self) {
            let held: HeldDirectory
            do throws(SystemError) { held = try HeldDirectory(confining: root, followsLink: false) } catch {
                if ![ENOENT, ENOTDIR, ELOOP].contains(error.code) { passOver(error) }
                continue
            }
            try clean(Place(".", in: held), dryRun: dryRun, into: &temporaries)
        }
        try context.cancellation.check()
        temporaries += try removeStaleManifests(dryRun: dryRun)
        return Report(
            scratchClusters: scratch, temporaries: temporaries,
            socketDirectories: try CopySocket.removeAbandoned(dryRun: dryRun))
    }

    /// Cleans the directories below a held one; symbolic links are not followed. One that can't be read is reported and
    /// skipped.
    private func clean(_ directory: Place, dryRun: Bool, into found: inout [String]) throws(JobCancelled) {
        try context.cancellation.check()
        let names: [String]
        do throws(SystemError) {
            guard directory.path != cluster.scratchDirectory,
                try FileStatus(ofLinkItself: directory)?.kind == .directory
            else { return }
            found += try removeStaleTemporaries(in: directory, dryRun: dryRun).map(\.path)
            names = try Files.listIfPresent(directory).sorted()
        } catch { return passOver(error) }
        for name in names where !name.hasPrefix(".") {
            try clean(directory.appending(name), dryRun: dryRun, into: &found)
        }
    }

    private func passOver(_ error: SystemError) {
        context.note(.warning, "\(error.message); it is passed over", hint: error.hint)
    }
}
