import CChecksum
import Glibc
import Platform
import Synchronization
import WAL

/// Clusters made by initdb, once for each version and set of options, and copied from then on: a copy only gets a
/// system identifier of its own.
public enum ClusterTemplate {
    private static let templates = Mutex<[String: String]>([:])
    private static let identifiers = Atomic<UInt64>(0)

    /// Makes a cluster in a directory that doesn't exist yet.
    public static func make(_ server: TestServer, _ options: [String], at data: String) throws {
        let key = ([server.bin] + options).joined(separator: "\n")
        let template = try templates.withLock { known in
            if let path = known[key] { return path }
            let directory = try TestPlace.make("template")
            if known.isEmpty {
                atexit { ClusterTemplate.templates.withLock { for path in $0.values { try? Files.removeTree(path) } } }
            }
            known[key] = directory
            try runAsServerUser(
                server.bin + "/initdb",
                ["-D", directory + "/data", "-A", "trust", "-U", "postgres", "-N", "--locale=C.UTF-8", "-E", "UTF8"]
                    + options)
            return directory
        }
        try runAsServerUser("/bin/cp", ["-a", template + "/data", data])
        try identify(data)
    }

    /// Gives a cluster that never ran another system identifier: in pg_control, and on the first page of each segment.
    private static func identify(_ data: String) throws {
        // As BootStrapXLOG makes one (src/backend/access/transam/xlog.c): the second and, below it, what keeps two
        // apart.
        let count = identifiers.wrappingAdd(1, ordering: .relaxed).newValue
        let second = UInt64(Clock.now / 1_000_000)
        let identifier = second << 32 | (UInt64(getpid()) & 0xFFFF) << 16 | (count & 0xFFFF)
        let fresh = (0..<8).map { UInt8(truncatingIfNeeded: identifier >> (8 * UInt64($0))) }

        var control = try Files.read(data + "/global/pg_control")
        // The checksum is the structure's last member, and where that is depends on the version.
        guard
            let place = stride(from: 200, to: 400, by: 4).first(where: {
                sum(control, upTo: $0) == number(control, at: $0)
            })
        else { throw Problem("pg_control of \(data) has no valid checksum") }
        control.replaceSubrange(0..<8, with: fresh)
        let checksum = sum(control, upTo: place)
        control.replaceSubrange(
            place..<place + 4, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt32($0))) })
        try overwrite(data + "/global/pg_control", at: 0, control)
        let wal = data + "/pg_wal"
        // XLogLongPageHeaderData (src/include/access/xlog_internal.h).
        for name in try Files.list(wal) where SegmentName(name) != nil {
            try overwrite("\(wal)/\(name)", at: 24, fresh)
        }
    }

    private static func sum(_ bytes: [UInt8], upTo end: Int) -> UInt32 {
        bytes.withUnsafeBytes { ~tidemark_crc32c(0xFFFF_FFFF, $0.baseAddress, end) }
    }

    private static func number(_ bytes: [UInt8], at place: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << (8 * UInt32($1)) }
    }

    private static func overwrite(_ path: String, at offset: Int64, _ bytes: [UInt8]) throws {
        let file = try Descriptor(open: path, O_WRONLY)
        try bytes.withUnsafeBytes { try file.write($0, at: offset, path: path) }
    }
}
