import Platform

/// Compares places by their resolved paths, which it caches, and through bind mounts.
public final class PlaceComparison {
    private let mounts: MountTable
    private var known: [String: (path: String, origin: (device: String, path: String)?)] = [:]

    public init() throws { mounts = try MountTable() }

    /// Whether a place is another, or lies in it.
    public func lies(_ inner: String, in outer: String) -> Bool {
        let (inner, outer) = (find(inner), find(outer))
        if Files.lies(inner.path, in: outer.path) { return true }
        guard let a = inner.origin, let b = outer.origin else { return false }
        return a.device == b.device && Files.lies(a.path, in: b.path)
    }

    /// Where something is mounted in `outer` that leads to `inner`, to a part of it, or to what contains it; nil when
    /// nothing is.
    func mountPoint(in outer: String, leadingTo inner: String) -> String? {
        find(inner).origin.flatMap { mounts.point(below: find(outer).path, leadingTo: $0) }
    }

    func isSame(_ one: String, _ other: String) -> Bool { lies(one, in: other) && lies(other, in: one) }

    /// The data directory or tablespace of some server in which a place lies; nil when there is none.
    func serversDirectory(above path: String) -> String? {
        var directory = find(path).path
        while directory != "/", directory != "." {
            directory = Files.parent(directory)
            if PlaceComparison.isServers(directory) { return directory }
        }
        return nil
    }

    private static func isServers(_ directory: String) -> Bool {
        if [ControlFile.path, "PG_VERSION"].allSatisfy({ (try? Files.exists(directory + "/" + $0)) == true }) {
            return true
        }
        // A tablespace has a folder PG_<version>_<catalog version> for each server.
        return ((try? Files.list(directory)) ?? []).contains { folder in
            let words = folder.split(separator: "_", omittingEmptySubsequences: false)
            return words.count == 3 && words[0] == "PG" && Int(words[1]) != nil && Int(words[2]) != nil
        }
    }

    private func find(_ path: String) -> (path: String, origin: (device: String, path: String)?) {
        if let found = known[path] { return found }
        let real = Files.resolvedAsFarAsPossible(path)
        let found = (real, mounts.origin(of: real))
        known[path] = found
        return found
    }
}
