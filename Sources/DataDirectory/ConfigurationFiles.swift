import Platform

/// What a server's configuration files set, read as the server does: includes where they stand, and
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
    /// In order: of several with one name the last counts.
    public private(set) var entries: [Entry] = []
    /// The files that were read, the first one first.
    public private(set) var files: [String] = []
    /// Files that are asked for and aren't there, without those of `include_if_exists`.
    public private(set) var missing: [String] = []

    /// - Parameters:
    ///   - top: the server's `config_file`; nil: `postgresql.conf` in the directory.
    ///   - relocated: where to look for a file that is named so; a copy's includes may still name the original's place.
    /// - Throws: `SystemError` when a file that is there can't be read.
    public init(
        of directory: DataDirectory, top: String? = nil, relocated: (String) -> String = { $0 }
    ) throws {
        try read(top ?? directory.path + "/postgresql.conf", depth: 0, relocated)
        let own = directory.path + "/" + ConfigurationFiles.automatic
        if try Files.exists(own) { try read(own, depth: 0, relocated) }
    }

    /// Written by the server itself (`PG_AUTOCONF_FILENAME`).
    public static let automatic = "postgresql.auto.conf"

    /// The entry that counts for each name.
    public var effective: [String: Entry] { Dictionary(entries.map { ($0.name, $0) }) { $1 } }

    /// As `ParseConfigFile` and `ParseConfigDirectory` do (`guc-file.l`; `conffiles.c` since 16).
    private mutating func read(_ file: String, depth: Int, _ relocated: (String) -> String) throws {
        // CONF_FILE_MAX_DEPTH
        guard depth <= 10 else { return }
        guard try Files.exists(file) else {
            missing.append(file)
            return
        }
        files.append(file)
        for (index, bytes) in try Files.read(file).split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            guard let line = ConfigurationLine(bytes) else { continue }
            func place() -> String {
                relocated(line.value.hasPrefix("/") ? line.value : Files.parent(file) + "/" + line.value)
            }
            switch line.name {
            case "include": try read(place(), depth: depth + 1, relocated)
            case "include_if_exists":
                if try Files.exists(place()) { try read(place(), depth: depth + 1, relocated) }
            case "include_dir":
                guard try Files.exists(place()) else {
                    missing.append(place())
                    continue
                }
                for name in try Files.list(place()).sorted(by: { Array($0.utf8).lexicographicallyPrecedes($1.utf8) })
                where name.hasSuffix(".conf") && !name.hasPrefix(".") && name.utf8.count > 5 {
                    let path = place() + "/" + name
                    guard try FileStatus(ifPresent: path)?.kind != .directory else { continue }
                    try read(path, depth: depth + 1, relocated)
                }
            default: entries.append(Entry(name: line.name, value: line.value, file: file, line: index + 1))
            }
        }
    }
}
