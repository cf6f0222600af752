public import Platform

/// The settings in a server's configuration files, read as the server does: includes at their place, and
/// `postgresql.auto.conf` last.
public struct ConfigurationFiles: Sendable {
    public struct Entry: Sendable, Equatable {
        public var name: String
        public var value: String
        public var file: String
        /// From 1.
        public var line: Int
        public init(name: String, value: String, file: String, line: Int) {
            (self.name, self.value, self.file, self.line) = (name, value, file, line)
        }
    }
    /// In order: the last of several with one name counts.
    public private(set) var entries: [Entry] = []
    /// The files that were read, the first one first.
    public private(set) var files: [String] = []
    /// Files that are included but missing, except by `include_if_exists`.
    public private(set) var missing: [String] = []
    /// Why existing files could not be read, each with its path; their settings are not among the entries.
    public private(set) var unreadable: [SystemError] = []
    private let passesOver: Bool

    /// - Parameters:
    ///   - top: the server's `config_file`; nil means `postgresql.conf` in the directory.
    ///   - relocated: the place of a file with that name; a copy's includes may still name the original's place.
    ///   - passesOver: whether to skip files that can't be read, and name them in `unreadable`.
    /// - Throws: `SystemError` when an existing file can't be read.
    public init(
        of directory: DataDirectory, top: String? = nil, passingOver passesOver: Bool = false,
        relocated: (String) -> String = { $0 }
    ) throws {
        self.passesOver = passesOver
        try read(top ?? directory.path + "/postgresql.conf", depth: 0, relocated)
        let own = directory.path + "/" + ConfigurationFiles.automatic
        if try look({ try Files.exists(own) }) == true { try read(own, depth: 0, relocated) }
    }

    /// Nil when it can't be read, and is to be skipped.
    private mutating func look<Value>(_ body: () throws -> Value) throws -> Value? {
        do { return try body() } catch let error as SystemError where passesOver {
            unreadable.append(error)
            return nil
        }
    }

    /// Written by the server itself (`PG_AUTOCONF_FILENAME`).
    public static let automatic = "postgresql.auto.conf"

    /// The entry that counts for each name.
    public var effective: [String: Entry] { Dictionary(entries.map { ($0.name, $0) }) { $1 } }

    /// As `ParseConfigFile` and `ParseConfigDirectory` (`guc-file.l`; `conffiles.c` since 16).
    private mutating func read(_ file: String, depth: Int, _ relocated: (String) -> String) throws {
        // CONF_FILE_MAX_DEPTH
        guard depth <= 10 else { return }
        guard let isThere = try look({ try Files.exists(file) }) else { return }
        guard isThere else {
            missing.append(file)
            return
        }
        guard let text = try look({ try Files.read(file) }) else { return }
        files.append(file)
        for (index, bytes) in text.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            guard let line = ConfigurationLine(bytes) else { continue }
            func place() -> String {
                relocated(line.value.hasPrefix("/") ? line.value : Files.parent(file) + "/" + line.value)
            }
            switch line.name {
            case "include": try read(place(), depth: depth + 1, relocated)
            case "include_if_exists":
                if try look({ try Files.exists(place()) }) == true { try read(place(), depth: depth + 1, relocated) }
            case "include_dir":
                guard let isThere = try look({ try Files.exists(place()) }) else { continue }
                guard isThere else {
                    missing.append(place())
                    continue
                }
                guard let names = try look({ try Files.list(place()) }) else { continue }
                for name in names.sorted(by: { Array($0.utf8).lexicographicallyPrecedes($1.utf8) })
                where name.hasSuffix(".conf") && !name.hasPrefix(".") && name.utf8.count > 5 {
                    let path = place() + "/" + name
                    guard let status = try look({ try FileStatus(ifPresent: path) }), status?.kind != .directory else {
                        continue
                    }
                    try read(path, depth: depth + 1, relocated)
                }
            default: entries.append(Entry(name: line.name, value: line.value, file: file, line: index + 1))
            }
        }
    }
}
