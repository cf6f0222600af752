public import Configuration
import Postgres

/// The effective value of a setting, with secrets masked.
public struct EffectiveSetting: Encodable, Sendable {
    /// The cluster, or the section it belongs to.
    public let cluster: String
    public let name: String
    public let value: String?
    /// Where it comes from.
    public let source: String
}

/// Every setting of some clusters, and of the sections that apply to them.
public func effectiveSettings(
    of clusters: [ClusterConfiguration], in configuration: Configuration
) -> [EffectiveSetting] {
    var rows = clusters.flatMap { cluster in
        Setting.all.map {
            EffectiveSetting(
                cluster: cluster.name, name: $0.name, value: shown($0.name, cluster.value($0.name)),
                source: "\(cluster.source($0.name))")
        }
    }
    for cluster in clusters {
        let retention = configuration.retention(for: cluster)
        rows += RetentionConfiguration.settings.map {
            EffectiveSetting(
                cluster: "[retention \(cluster.name)]", name: $0.name, value: retention.value($0.name),
                source: "\(retention.source($0.name))")
        }
        let checks = configuration.checks(for: cluster)
        rows += CheckConfiguration.settings.filter { checks.value($0.name) != nil }.map {
            EffectiveSetting(
                cluster: "[check \(cluster.name)]", name: $0.name, value: checks.value($0.name),
                source: "\(checks.source($0.name))")
        }
    }
    for notifier in configuration.notifiers {
        let section = notifier.name == "notify" ? "[notify]" : "[notify \(notifier.name)]"
        rows += NotifierConfiguration.settings.map {
            EffectiveSetting(
                cluster: section, name: $0.name, value: notifier.shownValue($0.name),
                source: "\(notifier.source($0.name))")
        }
    }
    return rows
}

/// A connection string that libpq can't parse is masked as a whole, since any part may be a secret.
private func shown(_ name: String, _ value: String?) -> String? {
    guard let value, name == "conninfo", value.contains("=") || value.contains("://") else { return value }
    return (try? ConnectionString(value)) == nil ? "…" : value
}
