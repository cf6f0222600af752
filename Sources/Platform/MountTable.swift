/// The mounted file systems, from /proc/self/mountinfo (proc(5)).
public struct MountTable: Sendable {
    private struct Mount: Sendable {
        let device: String
        /// The directory of the file system that is mounted on `point`.
        let root: String
        let point: String
    }
    private let mounts: [Mount]

    public init() throws {
        mounts = try Files.readText("/proc/self/mountinfo").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4 else { return nil }
            return Mount(
                device: String(fields[2]), root: MountTable.unescaped(fields[3]),
                point: MountTable.unescaped(fields[4]))
        }
    }

    /// Whether something is mounted on a directory without symbolic links in its path, or below it.
    public func hasMounts(in directory: String) -> Bool { mounts.contains { Files.lies($0.point, in: directory) } }

    /// Where something is mounted below a directory without symbolic links in its path, as paths relative to it.
    public func points(below directory: String) -> [String] {
        Set(mounts.map(\.point)).filter { $0 != directory && Files.lies($0, in: directory) }.sorted()
            .map { String($0.dropFirst(directory.count + 1)) }
    }

    public func isMountPoint(_ path: String) -> Bool { mounts.contains { $0.point == path } }

    /// A mount point below a directory without symbolic links in its path, through which a place, a part of it, or what
    /// contains it is reached; nil when there is none.
    ///
    /// - Parameter origin: the place's.
    public func point(below directory: String, leadingTo origin: (device: String, path: String)) -> String? {
        mounts.first {
            $0.point != directory && Files.lies($0.point, in: directory) && $0.device == origin.device
                && (Files.lies(origin.path, in: $0.root) || Files.lies($0.root, in: origin.path))
        }?.point
    }

    /// The file system of a path without symbolic links, and the path in it: the same for every name that a directory
    /// has by bind mounts.
    public func origin(of path: String) -> (device: String, path: String)? {
        // Of several on one point, the last one is visible.
        var found: Mount?
        for mount in mounts where Files.lies(path, in: mount.point) {
            if mount.point.utf8.count >= found?.point.utf8.count ?? 0 { found = mount }
        }
        guard let found else { return nil }
        let below = found.point == "/" ? path : String(path.dropFirst(found.point.count))
        let whole = found.root == "/" ? below : found.root + (below == "/" ? "" : below)
        return (found.device, whole.isEmpty ? "/" : whole)
    }

    /// Blanks and backslashes are written as three octal digits.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = field.utf8
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let code = UInt8(Substring(rest.prefix(3)), radix: 8) {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Files {
    /// Whether a path is another or below it, by comparing the strings.
    public static func lies(_ path: String, in directory: String) -> Bool {
        path == directory || directory == "/" || path.utf8.starts(with: (directory + "/").utf8)
    }

    /// A path with symbolic links resolved, as far as it exists, including links that lead nowhere.
    public static func resolvedAsFarAsPossible(_ path: String) -> String {
        resolvedAsFarAsPossible(path, links: 40)
    }

    /// - Parameter links: how many links that lead nowhere are followed (`MAXSYMLINKS`, path_resolution(7)).
    private static func resolvedAsFarAsPossible(_ path: String, links: Int) -> String {
        var (missing, existing) = ("", path)
        while (try? FileStatus(ofLinkItself: existing)) == nil, existing != "/", existing != "." {
            missing = "/" + name(existing) + missing
            existing = parent(existing)
        }
        if links > 0, (try? FileStatus(ofLinkItself: existing))?.kind == .symbolicLink,
            (try? FileStatus(of: existing)) == nil, let target = try? readLink(existing)
        {
            let whole = target.hasPrefix("/") ? target : resolved(parent(existing)) + "/" + target
            return resolvedAsFarAsPossible(whole + missing, links: links - 1)
        }
        let found = resolved(existing)
        return missing.isEmpty ? found : found == "/" ? missing : found + missing
    }

    /// Whether two paths are the same place: through symbolic links, bind mounts, or for a file that doesn't exist yet.
    public static func isSamePlace(_ path: String, _ other: String) -> Bool {
        if resolvedAsFarAsPossible(path) == resolvedAsFarAsPossible(other) { return true }
        guard let status = try? FileStatus(of: path), let second = try? FileStatus(of: other) else { return false }
        return status.isSame(as: second)
    }
}
