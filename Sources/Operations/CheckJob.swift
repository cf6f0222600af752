import Archiving
import Backups
public import Configuration
import Expiring
public import Monitoring
import Retention
import Setup

/// Observes a cluster and judges the observation, for checks, the status and the report.
public struct CheckJob {
    private let cluster: ClusterConfiguration
    private let configuration: Configuration
    private let installation: Installation

    public init(of cluster: ClusterConfiguration, in configuration: Configuration, _ installation: Installation) {
        (self.cluster, self.configuration, self.installation) = (cluster, configuration, installation)
    }

    /// Doesn't fail: what can't be observed is unknown.
    public func run() -> CheckReport {
        let observation = observe(
            ObservationRequest(
                cluster: cluster, configurationPath: installation.configuration, notifiers: configuration.notifiers,
                archiving: installation.archivingCall(for: cluster, in: configuration),
                policy: RetentionPolicy(configuration.retention(for: cluster))),
            in: cluster.openRepository())
        return CheckReport(
            observation: observation, results: judge(observation, by: configuration.checks(for: cluster)))
    }
}

/// An observation of a cluster, and the results of the checks.
public struct CheckReport: Sendable {
    public let observation: Observation
    public let results: [CheckResult]

    public var cluster: String { observation.cluster }
    public var worst: CheckResult.Status { CheckResult.worst(results) }
    public var isGood: Bool { worst.nagios == 0 }

    /// The report with some checks only; all when none is named.
    public func only(_ checks: Set<Check>) -> CheckReport {
        CheckReport(
            observation: observation,
            results: results.filter { checks.isEmpty || checks.contains($0.definition.check) })
    }
}
