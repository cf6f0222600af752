import CChecksum
public import Platform
public import WAL

/// `global/pg_control`: the state of a cluster (src/include/catalog/pg_control.h, 13 to 18).
public struct ControlFile: Equatable, Sendable {
    /// `DBState`.
    public enum State: UInt32, Sendable {
        case starting = 0
        case shutDown = 1
        case shutDownInRecovery = 2
        case shuttingDown = 3
        case inCrashRecovery = 4
        case inArchiveRecovery = 5
        case inProduction = 6
    }

    public let systemIdentifier: UInt64
    /// 1300 for 13 to 16, then major × 100.
    public let controlVersion: UInt32
    public let catalogVersion: UInt32
    public let state: State
    /// When the file was last written; whole seconds.
    public let time: Moment
    /// Where the last checkpoint record starts.
    public let checkpoint: LSN
    /// Where replay from that checkpoint starts.
    public let redo: LSN
    public let timeline: TimelineID
    public let previousTimeline: TimelineID
    /// Replay must reach this before the cluster is consistent; zero outside of recovery.
    public let minimumRecoveryPoint: LSN
    public let minimumRecoveryTimeline: TimelineID
    /// Zero unless recovery from a base backup is under way and has not reached the backup's end.
    public let backupStart: LSN
    public let backupEnd: LSN
    /// Recovery must see the backup's end record before the cluster is consistent.
    public let backupEndRequired: Bool
    /// 0 minimal, 1 replica, 2 logical.
    public let walLevel: Int32
    public let walLogHints: Bool
    public let maxConnections: Int32
    public let maxWorkerProcesses: Int32
    public let maxWALSenders: Int32
    public let maxPreparedTransactions: Int32
    public let maxLocksPerTransaction: Int32
    public let tracksCommitTimestamps: Bool
    /// Bytes in a data page.
    public let blockSize: UInt32
    /// Blocks in a full segment file of a relation.
    public let blocksPerRelationFile: UInt32
    public let walBlockSize: UInt32
    /// Bytes in a WAL segment.
    public let segmentSize: UInt32
    /// 0 when pages have no checksums.
    public let checksumVersion: UInt32

    public var hasChecksums: Bool { checksumVersion != 0 }

    /// The timeline that the server is on. After a promotion the second field names it before the first checkpoint on
    /// it (`CreateEndOfRecoveryRecord`, src/backend/access/transam/xlog.c), which may take minutes.
    public var serverTimeline: TimelineID { max(timeline, minimumRecoveryTimeline) }

    /// The size of the file; the contents are shorter, and zeros follow.
    public static let fileSize = 8192
}

/// `pg_control` is damaged or of an unknown version.
public struct DamagedControlFile: Explained, Equatable {
    public let path: String
    public let reason: String
    public var message: String { "control file \"\(path)\" is damaged" }
    public var detail: String? { reason }
}

extension ControlFile {
    /// The path below a data directory.
    public static let path = "global/pg_control"

    /// Reads the control file of a data directory. A running server rewrites it in place, so a wrong checksum is read
    /// again for up to a second before it is believed.
    ///
    /// - Throws: `SystemError` when it can't be read, `DamagedControlFile`.
    public init(dataDirectory: String) throws {
        (self, _) = try ControlFile.readWithBytes(dataDirectory: dataDirectory)
    }

    /// As `init(dataDirectory:)`, also with the bytes that were checked.
    public static func readWithBytes(dataDirectory: String) throws -> (ControlFile, bytes: [UInt8]) {
        let path = dataDirectory + "/" + ControlFile.path
        var attempt = 0
        while true {
            let bytes = try Files.read(path, limit: 1 << 20)
            do throws(DamagedControlFile) {
                return (try ControlFile(parsing: bytes, path: path), bytes)
            } catch {
                attempt += 1
                if attempt == 20 { throw error }
                Clock.sleep(milliseconds: 50)
            }
        }
    }

    /// Parses the file's bytes.
    public init(parsing bytes: [UInt8], path: String) throws(DamagedControlFile) {
        let minimum = 296
        guard bytes.count >= minimum else {
            throw DamagedControlFile(
                path: path, reason: "It has \(bytes.count) bytes, \(ControlFile.fileSize) expected.")
        }
        let span = bytes.span.bytes
        func u8(_ offset: Int) -> UInt8 { bytes[offset] }
        func u32(_ offset: Int) -> UInt32 { span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        func i32(_ offset: Int) -> Int32 { span.unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self) }
        func u64(_ offset: Int) -> UInt64 { span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self) }

        let version = u32(8)
        guard (1201...1800).contains(version) else {
            // A control file of the other byte order shows its version's bytes in the upper half.
            throw DamagedControlFile(
                path: path, reason: "pg_control version \(version) is not one of PostgreSQL 13 to 18.")
        }
        // 18 moved the checksum after the longer authentication nonce.
        let checksumOffset = version >= 1800 ? 292 : 288
        let expected = u32(checksumOffset)
        let found = bytes.withUnsafeBytes { ~tidemark_crc32c(0xFFFF_FFFF, $0.baseAddress!, checksumOffset) }
        guard expected == found else {
            throw DamagedControlFile(path: path, reason: "Its checksum does not match its content.")
        }
        guard let state = State(rawValue: u32(16)) else {
            throw DamagedControlFile(path: path, reason: "Its state has the unknown number \(u32(16)).")
        }
        // The checksum is no protection against forgery; these sizes are used as divisors.
        let (block, blocks, walBlock, segment) = (u32(216), u32(220), u32(224), u32(228))
        guard SegmentName.exists(segmentSize: segment), (1 << 10...1 << 15).contains(block),
            (1 << 10...1 << 16).contains(walBlock), blocks > 0
        else {
            throw DamagedControlFile(path: path, reason: "It has an impossible block or segment size.")
        }
        let seconds = span.unsafeLoadUnaligned(fromByteOffset: 24, as: Int64.self)
        systemIdentifier = u64(0)
        controlVersion = version
        catalogVersion = u32(12)
        self.state = state
        let (time, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000)
        self.time = Moment(microseconds: overflows ? .max : time)
        checkpoint = LSN(u64(32))
        redo = LSN(u64(40))
        timeline = TimelineID(u32(48))
        previousTimeline = TimelineID(u32(52))
        minimumRecoveryPoint = LSN(u64(136))
        minimumRecoveryTimeline = TimelineID(u32(144))
        backupStart = LSN(u64(152))
        backupEnd = LSN(u64(160))
        backupEndRequired = u8(168) != 0
        walLevel = i32(172)
        walLogHints = u8(176) != 0
        maxConnections = i32(180)
        maxWorkerProcesses = i32(184)
        maxWALSenders = i32(188)
        maxPreparedTransactions = i32(192)
        maxLocksPerTransaction = i32(196)
        tracksCommitTimestamps = u8(200) != 0
        (blockSize, blocksPerRelationFile, walBlockSize, segmentSize) = (block, blocks, walBlock, segment)
        checksumVersion = u32(252)
    }
}
