import Glibc
public import Platform

/// The settings from the configuration file and the flags, checked.
public struct Configuration: Sendable, Equatable {
    public static let standardPath = "/etc/tidemark/tidemark.conf"

    public let path: String
    /// In the file's order; at least one.
    public let clusters: [ClusterConfiguration]
    /// The `[notify]` sections; empty when there is none.
    public let notifiers: [NotifierConfiguration]
    /// The values of `[check]` and of every `[check NAME]`, by name; the former's is empty.
    private let checks: [String: [String: ClusterConfiguration.Value]]
    /// The same of `[retention]` and `[retention NAME]`.
    private let retentions: [String: [String: ClusterConfiguration.Value]]
    private let retentionFlags: [String: ClusterConfiguration.Value]

    /// `--config`, else `$TIDEMARK_CONFIG`, else `/etc/tidemark/tidemark.conf`.
    public static func path(flag: String?) -> String {
        flag ?? getenv("TIDEMARK_CONFIG").map { String(cString: $0) } ?? standardPath
    }

    /// Reads the file at `path`; `flags` (setting name to value) override it.
    ///
    /// - Parameter forArchiving: omits what archiving doesn't need: a mistake in `[notify]` must not stop the archiver.
    public init(reading path: String, flags: [String: String] = [:], forArchiving: Bool = false) throws {
        let text: String
        do { text = try Files.readText(path, limit: 1 << 20) } catch let error as SystemError {
            throw Problem(
                "could not read configuration file \"\(path)\": \(String(cString: strerror(error.code)))",
                hint: error.code == ENOENT
                    ? "Create it (docs/configuration.md), or name another with --config or TIDEMARK_CONFIG."
                    : "It must be readable for the user who runs tidemark; PostgreSQL runs archive_command as its own user."
            )
        }
        try self.init(parsing: text, file: path, flags: flags, forArchiving: forArchiving)
    }

    public init(
        parsing text: String, file: String, flags: [String: String] = [:], forArchiving: Bool = false
    ) throws(SettingsMistake) {
        path = file
        let parsed = try SettingsFile(parsing: text, file: file)
        var shared: [String: ClusterConfiguration.Value] = [:]
        for (name, value) in flags {
            if name == "conninfo" { KnownSecrets.learn(conninfo: value) }
            guard let setting = Setting.flags.first(where: { $0.name == name }) else {
                preconditionFailure("no setting \(name)")
            }
            if let objection = setting.objection(to: value) {
                throw SettingsMistake(
                    file: "command line", line: 0, problem: objection.problem, hint: objection.hint)
            }
        }
        var clusters: [ClusterConfiguration] = []
        var notifiers: [NotifierConfiguration] = []
        var checks: [String: [String: ClusterConfiguration.Value]] = [:]
        var retentions: [String: [String: ClusterConfiguration.Value]] = [:]
        for section in parsed.sections {
            var values: [String: ClusterConfiguration.Value] = [:]
            let words = section.title.split(separator: " ").map(String.init)
            let isAside = ["notify", "check", "retention"].contains(words.first) && words.count <= 2
            if isAside && forArchiving { continue }
            let settings = Configuration.settings(ofSection: words.first ?? "")
            for entry in section.entries {
                try Configuration.check(entry, among: settings, in: section, file: file)
                values[entry.name] = .init(text: entry.value, source: .file(path: file, line: entry.line))
                if entry.name == "conninfo" { KnownSecrets.learn(conninfo: entry.value) }
            }
            if section.title.isEmpty {
                shared = values
                continue
            }
            if isAside && words[0] == "notify" {
                notifiers.append(try Configuration.notifier(words.last ?? "", values, section, file: file))
                continue
            }
            if isAside && words[0] == "retention" {
                retentions[words.count == 2 ? words[1] : ""] = values
                continue
            }
            if isAside {
                checks[words.count == 2 ? words[1] : ""] = values
                continue
            }
            guard words.count == 2, words[0] == "cluster" else {
                throw SettingsMistake(
                    file: file, line: section.line, problem: "unknown section \"\(section.title)\"",
                    hint:
                        "Sections are written [cluster NAME], [notify], [notify NAME], [check], [check NAME], [retention] or [retention NAME]."
                )
            }
            let name = words[1]
            guard ClusterConfiguration.isValid(name: name) else {
                throw SettingsMistake(
                    file: file, line: section.line, problem: "invalid cluster name \"\(name)\"",
                    hint:
                        "Use letters, digits, \"-\" and \"_\", starting with a letter or digit; it becomes a directory's name."
                )
            }
            for (flag, value) in flags where Setting.named(flag) != nil {
                values[flag] = .init(text: value, source: .flag)
            }
            let cluster = ClusterConfiguration(name: name, values: shared.merging(values) { $1 })
            for setting in Setting.all where setting.required && cluster.value(setting.name) == nil {
                throw SettingsMistake(
                    file: file, line: 0, problem: "\(setting.name) is missing for cluster \"\(name)\"",
                    hint: setting.meaning)
            }
            clusters.append(cluster)
        }
        guard !clusters.isEmpty else {
            throw SettingsMistake(
                file: file, line: 0, problem: "no cluster is configured",
                hint: "Add a section [cluster main] with its data_directory.")
        }
        for name in checks.keys.sorted() where !name.isEmpty && !clusters.contains(where: { $0.name == name }) {
            let section = parsed.sections.first { $0.title == "check \(name)" }
            throw SettingsMistake(
                file: file, line: section?.line ?? 0, problem: "there is no cluster \"\(name)\" to check",
                hint: suggestion(for: name, among: clusters.map(\.name)).map { "Did you mean [check \($0)]?" })
        }
        for name in retentions.keys.sorted() where !name.isEmpty && !clusters.contains(where: { $0.name == name }) {
            let section = parsed.sections.first { $0.title == "retention \(name)" }
            throw SettingsMistake(
                file: file, line: section?.line ?? 0, problem: "there is no cluster \"\(name)\" to keep backups of",
                hint: suggestion(for: name, among: clusters.map(\.name)).map { "Did you mean [retention \($0)]?" })
        }
        self.clusters = clusters
        self.notifiers = notifiers
        self.checks = checks
        self.retentions = retentions
        retentionFlags = flags.filter { Setting.named($0.key) == nil }
            .mapValues { .init(text: $0, source: .flag) }
    }

    /// The settings of the cluster's checks.
    public func checks(for cluster: ClusterConfiguration) -> CheckConfiguration {
        CheckConfiguration(values: (checks[""] ?? [:]).merging(checks[cluster.name] ?? [:]) { $1 })
    }

    /// The retention settings of the cluster's backups and WAL.
    public func retention(for cluster: ClusterConfiguration) -> RetentionConfiguration {
        RetentionConfiguration(
            values: (retentions[""] ?? [:]).merging(retentions[cluster.name] ?? [:]) { $1 }
                .merging(retentionFlags) { $1 })
    }

    private static func notifier(
        _ name: String, _ values: [String: ClusterConfiguration.Value], _ section: SettingsFile.Section, file: String
    ) throws(SettingsMistake) -> NotifierConfiguration {
        let notifier = NotifierConfiguration(name: name, values: values)
        guard let objection = notifier.objection else { return notifier }
        let line = objection.setting.flatMap { name in section.entries.first { $0.name == name }?.line }
        throw SettingsMistake(
            file: file, line: line ?? section.line, problem: objection.problem, hint: objection.hint)
    }

    /// The settings allowed in a section whose title starts with `word`.
    private static func settings(ofSection word: String) -> [Setting] {
        switch word {
        case "notify": NotifierConfiguration.settings
        case "check": CheckConfiguration.settings
        case "retention": RetentionConfiguration.settings
        default: Setting.all
        }
    }

    private static func check(
        _ entry: SettingsFile.Entry, among settings: [Setting], in section: SettingsFile.Section, file: String
    ) throws(SettingsMistake) {
        guard let setting = settings.first(where: { $0.name == entry.name }) else {
            throw SettingsMistake(
                file: file, line: entry.line, problem: "unknown setting \"\(entry.name)\"",
                hint: suggestion(for: entry.name, among: settings.map(\.name)).map { "Did you mean \"\($0)\"?" })
        }
        if setting.perCluster && section.title.isEmpty {
            throw SettingsMistake(
                file: file, line: entry.line, problem: "\(entry.name) must be under a [cluster …] heading")
        }
        if let objection = setting.objection(to: entry.value) {
            throw SettingsMistake(file: file, line: entry.line, problem: objection.problem, hint: objection.hint)
        }
        if entry.name.hasSuffix("_silenced"), let problem = CheckConfiguration.objection(toSilence: entry.value) {
            throw SettingsMistake(file: file, line: entry.line, problem: problem)
        }
    }

    /// The cluster of that name; the only one when `name` is nil.
    public func cluster(named name: String?) throws(Problem) -> ClusterConfiguration {
        let names = clusters.map(\.name)
        if let name {
            if let found = clusters.first(where: { $0.name == name }) { return found }
            throw Problem(
                "cluster \"\(name)\" is not in \"\(path)\"",
                detail: "Configured: \(names.joined(separator: ", ")).",
                hint: suggestion(for: name, among: names).map { "Did you mean --cluster \($0)?" })
        }
        guard clusters.count == 1 else {
            throw Problem(
                "which cluster?", detail: "\"\(path)\" configures \(names.joined(separator: ", ")).",
                hint: "Name it with --cluster \(names[0]).")
        }
        return clusters[0]
    }
}
