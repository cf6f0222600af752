/// One setting: its name, its values, and its meaning.
///
/// The single list of settings: the parser checks against it, `tidemark settings` prints it, every setting is also a
/// flag, and docs/configuration.md and postgresql.conf.sample are tested against it.
public struct Setting: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// An absolute path.
        case path
        /// Where a repository is (`RepositoryLocation`).
        case location
        case text
        case integer(ClosedRange<Int64>)
        case bytes
        case duration
        case boolean
        case choice([String])
        /// Words from these, separated by commas.
        case list([String])
        /// A full time zone name or a numeric offset.
        case timeZone
    }

    public let name: String
    public let kind: Kind
    /// In the file's notation; nil when there is no default.
    public let standard: String?
    public let meaning: String
    /// Whether it is allowed only in a `[cluster …]` section, because it must differ between clusters.
    public let perCluster: Bool
    public let required: Bool

    init(
        _ name: String, _ kind: Kind, standard: String? = nil, perCluster: Bool = false, required: Bool = false,
        _ meaning: String
    ) {
        self.name = name
        self.kind = kind
        self.standard = standard
        self.meaning = meaning
        self.perCluster = perCluster
        self.required = required
    }

    /// `compress-level` for `compress_level`.
    public var flag: String { String(name.map { $0 == "_" ? "-" : $0 }) }

    public static let all: [Setting] = [
        Setting("repository", .location, required: true, "Directory for archived WAL and base backups."),
        Setting(
            "state_directory", .path, standard: "/var/lib/tidemark-state",
            "Directory for what can be rebuilt at any time: the catalog, locks, and segments fetched ahead."),
        Setting(
            "scratch_directory", .path,
            "Directory for temporary clusters, as recover-table creates them. Default: scratch in the state directory."),
        Setting("data_directory", .path, perCluster: true, required: true, "The cluster's data directory."),
        Setting(
            "conninfo", .text, standard: "", perCluster: true,
            "libpq connection string for backups and checks. The socket directory and the port of a server that runs on "
                + "data_directory need not be in it; what else it omits comes from PGUSER, PGPASSFILE and so on."
        ),
        Setting(
            "bin_directory", .path, perCluster: true,
            "Directory of the server's programs; needed to start a recovered server. %v is the major version. Default: /usr/lib/postgresql/%v/bin."
        ),
        Setting(
            "exclude", .text, standard: "", perCluster: true,
            "What a backup leaves out of the data directory, in addition to what PostgreSQL leaves out: paths in it, separated by commas; * and ? stand for parts of a name."
        ),
        Setting(
            "drill_database", .text, perCluster: true,
            "Database in which drills run their checks. Default: the one conninfo names."),
        Setting(
            "drill_sql", .text, standard: "", perCluster: true,
            "Queries, separated by semicolons, that must return true in every drill."),
        Setting(
            "drill_min_rows", .text, standard: "", perCluster: true,
            "Tables, and the minimum number of rows that a drill must find in them: schema.table=number, separated by commas."
        ),
        Setting(
            "drill_timeout", .duration, standard: "6h", perCluster: true,
            "How long the checks of a drill, including pg_amcheck, may take in total, and how long its restore and its replay may each go without progress; the latter also applies to recover-table. Checks that are still running after that time are terminated and reported as a problem; a restore or a replay without progress fails."
        ),
        Setting("compress_level", .integer(1...19), standard: "3", "zstd level for WAL segments."),
        Setting(
            "archive_jobs", .integer(1...16), standard: "2",
            "Segments that archive-push compresses at the same time when several are waiting; 1 disables looking ahead."
        ),
        Setting(
            "prefetch_segments", .integer(0...1024), standard: "16",
            "Segments that archive-get fetches ahead during a recovery; 0 disables fetching ahead."),
        Setting(
            "spool_size", .bytes, standard: "512MB",
            "Maximum space in the state directory for segments fetched ahead, for each cluster."),
        Setting(
            "get_retry_timeout", .duration, standard: "1min",
            "How long archive-get retries for a server when the repository can't be reached; then the server stops."
        ),
        Setting("backup_compress_level", .integer(1...19), standard: "3", "zstd level for base backups."),
        Setting("jobs", .integer(1...64), standard: nil, "Threads for backups and restores. Default: one per core."),
        Setting(
            "wal_wait_timeout", .duration, standard: "10min",
            "How long a backup waits for its last WAL segment to arrive in the repository."),
        Setting(
            "timezone", .timeZone,
            "Time zone for target times that don't name one, such as Europe/Berlin. Default: none, such times are refused."
        ),
        Setting(
            "log_level", .choice(["error", "warning", "log", "debug"]), standard: "log",
            "The lowest severity of messages that are written."),
        Setting(
            "log_format", .choice(["text", "json"]), standard: "text",
            "Format of messages: that of PostgreSQL's log, or JSON with the keys of its jsonlog."),
    ]

    public static func named(_ name: String) -> Setting? { all.first { $0.name == name } }

    /// The settings that are flags as well: those of a cluster's section, and those of retention.
    public static let flags = all + RetentionConfiguration.settings

    /// Why `value` isn't valid for this setting; nil when it is.
    func objection(to value: String) -> (problem: String, hint: String?)? {
        switch kind {
        case .text: return nil
        case .path:
            if value.hasPrefix("/") { return nil }
            return ("\(name) must be an absolute path, not \"\(value)\"", nil)
        case .location:
            do throws(UnknownLocation) {
                _ = try RepositoryLocation(value)
                return nil
            } catch { return error.objection(to: name) }
        case .integer(let range):
            if let number = Int64(value), range.contains(number) { return nil }
            return (
                "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(value)\"", nil
            )
        case .bytes:
            if Quantity.bytes(value) != nil { return nil }
            return (
                "\(name) must be a size, not \"\(value)\"", "Valid units are \"B\", \"kB\", \"MB\", \"GB\" and \"TB\"."
            )
        case .duration:
            if Quantity.milliseconds(value) != nil { return nil }
            return (
                "\(name) must be a duration, not \"\(value)\"",
                Quantity.durationHint
            )
        case .boolean:
            if parseBoolean(value) != nil { return nil }
            return ("\(name) must be on or off, not \"\(value)\"", nil)
        case .choice(let words):
            if words.contains(value) { return nil }
            return (
                "\(name) must be one of \(words.joined(separator: ", ")), not \"\(value)\"",
                suggestion(for: value, among: words).map { "Did you mean \"\($0)\"?" }
            )
        case .list(let words):
            let given = splitList(value)
            if given.isEmpty { return ("\(name) must name at least one of \(words.joined(separator: ", "))", nil) }
            for word in given where !words.contains(word) {
                return (
                    "\(name) cannot contain \"\(word)\"",
                    suggestion(for: word, among: words).map { "Did you mean \"\($0)\"?" }
                        ?? "Possible are \(words.joined(separator: ", "))."
                )
            }
            return nil
        case .timeZone:
            do throws(MomentError) {
                try checkTimeZone(value)
                return nil
            } catch { return ("\(name): \(error.message)", error.hint) }
        }
    }
}

/// PostgreSQL's spellings of a Boolean, without its abbreviations.
func parseBoolean(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "on", "true", "yes", "1": true
    case "off", "false", "no", "0": false
    default: nil
    }
}
