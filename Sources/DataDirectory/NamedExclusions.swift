import Glibc
public import Platform

/// Files that a backup omits because the user has named them: paths in the data directory, in which `*` and `?` match
/// parts of a name (fnmatch(3) with FNM_PATHNAME).
public struct NamedExclusions: Sendable, Equatable {
    private let patterns: [String]

    /// Omits nothing.
    public init() { patterns = [] }

    /// - Parameter text: separated by commas.
    /// - Throws: `Problem` for a text that can't be a path in the data directory, and for PostgreSQL's own files.
    public init(_ text: String) throws(Problem) {
        var patterns: [String] = []
        for part in text.split(separator: ",") {
            var rest = part.drop { $0 == " " }
            while rest.last == " " || rest.last == "/" { rest = rest.dropLast() }
            let pattern = String(rest.hasPrefix("./") ? rest.dropFirst(2) : rest)
            let names = pattern.split(separator: "/", omittingEmptySubsequences: false)
            guard !names.contains(where: { ["", ".", ".."].contains($0) }) else {
                throw Problem(
                    "exclude cannot contain \"\(rest)\"",
                    hint: "Name a path in the data directory, without a slash in front, such as \"log\" or \"*.core\".")
            }
            if let own = NamedExclusions.own.first(where: { fnmatch(String(names[0]), $0, 0) == 0 }) {
                throw Problem(
                    "exclude cannot contain \"\(pattern)\"",
                    detail: "\"\(own)\" is the server's own: without it nothing can be recovered.")
            }
            patterns.append(pattern)
        }
        self.patterns = patterns
    }

    /// - Parameter path: relative to the data directory.
    public func contain(_ path: String) -> Bool { patterns.contains { fnmatch($0, path, FNM_PATHNAME) == 0 } }

    /// Names that initdb creates and every version needs.
    static let own = [
        "base", "global", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_multixact", "pg_notify", "pg_replslot",
        "pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal",
        "pg_xact", "PG_VERSION", "postgresql.auto.conf",
    ]

    /// Whether a path belongs to PostgreSQL, by its first component.
    public static func isServers(_ path: String) -> Bool {
        own.contains { path == $0 || path.hasPrefix($0 + "/") }
    }
}
