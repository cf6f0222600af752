import Glibc
import Platform

/// The settings of one cluster, each with its origin.
public struct ClusterConfiguration: Sendable, Equatable {
    public enum Source: Sendable, Equatable, CustomStringConvertible {
        case flag
        case file(path: String, line: Int)
        case standard

        public var description: String {
            switch self {
            case .flag: "command line"
            case .file(let path, let line): "\(path):\(line)"
            case .standard: "default"
            }
        }
    }
    struct Value: Sendable, Equatable {
        let text: String
        let source: Source
    }

    public let name: String
    private let values: [String: Value]

    init(name: String, values: [String: Value]) {
        self.name = name
        self.values = values
    }

    static func isValid(name: String) -> Bool {
        guard let first = name.first, first != "-", first != "_", name.utf8.count <= 63 else { return false }
        return name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    }

    /// The effective value as text; nil when it is neither set nor has a default.
    public func value(_ setting: String) -> String? { values[setting]?.text ?? Setting.named(setting)?.standard }

    public func source(_ setting: String) -> Source { values[setting]?.source ?? .standard }

    // Values that `Setting.objection` accepted can be parsed, so the fallbacks below are never used.
    private func integer(_ setting: String) -> Int? { value(setting).flatMap { Int($0) } }
    private func milliseconds(_ setting: String) -> Int64 { value(setting).flatMap(Quantity.milliseconds) ?? 0 }

    /// The cluster's repositories. At present there is exactly one. Only `openRepository()` (Archiving) knows which
    /// kind of store each is.
    public var repositoryLocations: [RepositoryLocation] {
        value("repository").flatMap { text in (try? RepositoryLocation(text)).map { [$0] } } ?? []
    }
    public var stateDirectory: String { value("state_directory") ?? "" }
    public var exclude: String { value("exclude") ?? "" }
    public var drillDatabase: String? { value("drill_database") }
    public var drillQueries: String { value("drill_sql") ?? "" }
    /// Milliseconds.
    public var drillTimeout: Int64 { milliseconds("drill_timeout") }
    public var drillMinimumRows: String { value("drill_min_rows") ?? "" }
    public var scratchDirectory: String { value("scratch_directory") ?? stateDirectory + "/scratch" }
    public var dataDirectory: String { value("data_directory") ?? "" }
    public var conninfo: String { value("conninfo") ?? "" }
    public var timezone: String? { value("timezone") }
    public var compressLevel: Int32 { Int32(integer("compress_level") ?? 3) }
    public var archiveJobs: Int { integer("archive_jobs") ?? 2 }
    public var prefetchSegments: Int { integer("prefetch_segments") ?? 16 }
    /// Bytes.
    public var spoolSize: Int64 { value("spool_size").flatMap(Quantity.bytes) ?? 0 }
    /// Milliseconds.
    public var getRetryTimeout: Int64 { milliseconds("get_retry_timeout") }
    public var backupCompressLevel: Int32 { Int32(integer("backup_compress_level") ?? 3) }
    public var jobs: Int { integer("jobs") ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
    /// Milliseconds.
    public var walWaitTimeout: Int64 { milliseconds("wal_wait_timeout") }
    public var logLevel: String { value("log_level") ?? "log" }
    /// `text` or `json`.
    public var logFormat: String { value("log_format") ?? "text" }

    /// The directory of `postgres` and `pg_ctl` of this major version.
    ///
    /// A `bin_directory` without `%v` is that of the data directory's version. An incarnation from before an upgrade
    /// needs the programs of its own version.
    public func binDirectory(major: Int) -> String {
        let usual = "/usr/lib/postgresql/\(major)/bin"
        guard let configured = value("bin_directory") else { return usual }
        if configured.contains("%v") { return configured.replacing("%v", with: "\(major)") }
        let version = try? Files.readText(dataDirectory + "/PG_VERSION", limit: 64)
        let isOther = version.map { $0.prefix { $0.isNumber } != "\(major)" } ?? false
        return isOther && access(usual + "/postgres", X_OK) == 0 ? usual : configured
    }
}
