public import Archiving
public import Configuration
import Platform
import Repository

/// Imports an existing archive of WAL files.
public struct ImportJob {
    private let cluster: ClusterConfiguration
    private let context: JobContext

    public init(into cluster: ClusterConfiguration, _ context: JobContext = JobContext()) {
        (self.cluster, self.context) = (cluster, context)
    }

    /// - Parameter directory: an absolute path.
    /// - Throws: `JobCancelled`, and as `ImportArchive`; what was stored by then stays.
    public func run(_ directory: String) throws -> ImportReport {
        let context = context
        let push = Push(
            into: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            level: Int(cluster.compressLevel), warn: { context.note(.warning, $0) })
        let work = ImportArchive(push, scratch: temporaryName(for: cluster.state.importing), jobs: cluster.jobs)
        let report = try work(directory) { done, total in
            context.progress(.importing(done: done, total: total))
            try context.cancellation.check()
        }
        context.notes("stored", report.stored)
        for problem in report.problems { context.note(.error, problem) }
        return report
    }
}
