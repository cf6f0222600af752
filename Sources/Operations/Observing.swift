import Archiving
public import Configuration
import Expiring
public import Monitoring
import Retention
import Setup

/// Everything there is to know of a cluster: what checks, the status and the report are made from.
public func observe(
    _ cluster: ClusterConfiguration, in configuration: Configuration, _ installation: Installation
) -> Observation {
    observe(
        ObservationRequest(
            cluster: cluster, configurationPath: installation.configuration, notifiers: configuration.notifiers,
            archiving: installation.archivingCall(for: cluster, in: configuration),
            policy: RetentionPolicy(configuration.retention(for: cluster))),
        in: cluster.openRepository())
}
