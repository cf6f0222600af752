import Glibc
import Platform

/// Where tests make their directories.
///
/// In memory if there is enough space: a cluster is a thousand small files, which a file system on a disk takes ten
/// times as long to create and to remove. `$TIDEMARK_TEST_DIRECTORY` names another place.
public enum TestPlace {
    /// On a disk, wherever the others are: for tests that need one.
    public static let onDisk = "/var/tmp"

    public static let directory: String =
        getenv("TIDEMARK_TEST_DIRECTORY").map { String(cString: $0) } ?? (isRoomy("/dev/shm") ? "/dev/shm" : onDisk)

    /// A new directory, accessible to all users: the server's user works in it too.
    public static func make(_ name: String, in place: String = directory) throws -> String {
        var template = Array("\(place)/tidemark-\(name)-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError(.makeDirectory, place, code: errno) }
        chmod(made, 0o777)
        return String(cString: made)
    }

    /// Whether it is a file system in memory with enough space for all tests at once, from which programs can be run.
    private static func isRoomy(_ path: String) -> Bool {
        let wanted: UInt64 = 8 << 30
        var status = statvfs()
        // ST_NOEXEC (bits/statvfs.h) is 8.
        guard statvfs(path, &status) == 0, UInt(status.f_flag) & 8 == 0, access(path, W_OK) == 0,
            UInt64(status.f_bavail) * UInt64(status.f_frsize) >= wanted,
            let mounts = try? Files.readText("/proc/mounts"), mounts.contains(" \(path) tmpfs "),
            let memory = try? Files.readText("/proc/meminfo")
        else { return false }
        let available = memory.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }?
            .split(separator: " ").dropFirst().first.flatMap { UInt64($0) }
        return available ?? 0 >= (wanted + wanted / 2) >> 10
    }
}
