import Documents
public import Platform
public import Repository
import WAL

/// The form of `backup.json`, which is documented in docs/repository.md: snake_case keys, times in ISO 8601, LSNs and
/// 64-bit identifiers as strings.
private struct Wire: Codable {
    var label: String
    var type: BackupDescription.Kind
    var startTime: String
    var stopTime: String
    var startLsn: String
    var checkpointLsn: String
    var stopLsn: String
    var timeline: UInt32
    var startSegment: String
    var stopSegment: String
    var systemIdentifier: String
    var major: Int
    var serverVersion: Int
    var catalogVersion: UInt32
    var segmentSize: UInt32
    var fromStandby: Bool
    var fileCount: Int
    var size: Int64
    var storedSize: Int64
    var packs: [NeededPacks]
    var tablespaces: [BackedUpTablespace]
    /// Absent when there are none.
    var links: [BackedUpLink]?
    var checksums: Bool
    var verifiedPages: Int64
    var corruptPages: [CorruptPage]
    var settings: [String: String]
    var note: String?
    var pinned: Bool
    var pinnedUntil: String?
    var timings: BackupTimings
    /// In the document's head.
    var tidemarkVersion: String?
}

/// `backup.json` that can't be read or parsed.
public struct DamagedDescription: Explained, Equatable {
    public let label: String
    public let fault: DocumentFault

    public init(label: String, fault: DocumentFault) { (self.label, self.fault) = (label, fault) }
    init(label: String, reason: String) { self.init(label: label, fault: .impossible(reason)) }

    /// `backup "L" cannot be used: its backup.json is damaged`
    public var message: String { "backup \"\(label)\" cannot be used: its backup.json \(fault.verdict)" }
    public var detail: String? { fault.detail }
    public var hint: String? { fault.hint }
}

extension BackupDescription {
    /// The stored form.
    public func document() throws -> SealedDocument {
        try SealedDocument(.backup, of: wire, version: tidemarkVersion)
    }

    /// The printed form.
    public func json() throws -> [UInt8] { try encodeJSON(PrintedDocument(wire, version: tidemarkVersion)) }

    private var wire: Wire {
        Wire(
            label: label, type: kind, startTime: startTime.iso8601,
            stopTime: stopTime.iso8601, startLsn: startLSN.description, checkpointLsn: checkpointLSN.description,
            stopLsn: stopLSN.description, timeline: timeline.rawValue, startSegment: startSegment.description,
            stopSegment: stopSegment.description, systemIdentifier: String(systemIdentifier), major: major,
            serverVersion: serverVersion, catalogVersion: catalogVersion, segmentSize: segmentSize,
            fromStandby: fromStandby, fileCount: fileCount, size: size, storedSize: storedSize,
            packs: packs, tablespaces: tablespaces, links: links.isEmpty ? nil : links,
            checksums: hasChecksums, verifiedPages: verifiedPages,
            corruptPages: corruptPages, settings: settings, note: note, pinned: isPinned,
            pinnedUntil: pinnedUntil?.iso8601, timings: timings)
    }

    /// - Parameters:
    ///   - bytes: the stored document.
    ///   - label: the folder's name; the file must agree.
    public init(stored bytes: [UInt8], label: String) throws(DamagedDescription) {
        func damaged(_ reason: String) -> DamagedDescription { DamagedDescription(label: label, reason: reason) }
        let wire: Wire
        do throws(DocumentFault) { wire = try SealedDocument(.backup, stored: bytes).value(Wire.self) } catch {
            throw DamagedDescription(label: label, fault: error)
        }
        guard wire.label == label else { throw damaged("It describes backup \"\(wire.label)\".") }
        guard let startTime = Moment(iso8601: wire.startTime), let stopTime = Moment(iso8601: wire.stopTime),
            let startLSN = LSN(wire.startLsn), let checkpointLSN = LSN(wire.checkpointLsn),
            let stopLSN = LSN(wire.stopLsn), let startSegment = SegmentName(wire.startSegment),
            let stopSegment = SegmentName(wire.stopSegment), let systemIdentifier = UInt64(wire.systemIdentifier)
        else { throw damaged("A time, a WAL position or a segment's name in it is malformed.") }
        guard SegmentName.exists(segmentSize: wire.segmentSize) else {
            throw damaged("Segments of \(wire.segmentSize) bytes don't exist.")
        }
        let sizes = 0...BackupDescription.largest
        let size = wire.segmentSize
        guard startLSN <= stopLSN, startSegment.number(segmentSize: size) <= stopSegment.number(segmentSize: size),
            startSegment.timeline <= stopSegment.timeline, sizes.contains(wire.size),
            sizes.contains(wire.storedSize), sizes.contains(Int64(wire.fileCount)), (9...99).contains(wire.major),
            wire.timeline > 0, wire.timings.arePossible
        else { throw damaged("A position, a size or a version in it is impossible.") }
        guard wire.packs.allSatisfy(\.isPossible), Set(wire.packs.map(\.label)).count == wire.packs.count else {
            throw damaged("It names packs that can't be.")
        }
        var pinnedUntil: Moment?
        if let text = wire.pinnedUntil {
            guard let moment = Moment(iso8601: text) else { throw damaged("Its pinned_until is not a time.") }
            pinnedUntil = moment
        }
        self.init(
            label: label, kind: wire.type, startTime: startTime, stopTime: stopTime, startLSN: startLSN,
            checkpointLSN: checkpointLSN, stopLSN: stopLSN, timeline: TimelineID(wire.timeline),
            startSegment: startSegment, stopSegment: stopSegment, systemIdentifier: systemIdentifier,
            major: wire.major, serverVersion: wire.serverVersion, catalogVersion: wire.catalogVersion,
            segmentSize: wire.segmentSize, fromStandby: wire.fromStandby, fileCount: wire.fileCount,
            size: wire.size, storedSize: wire.storedSize, packs: wire.packs,
            tablespaces: wire.tablespaces, links: wire.links ?? [], hasChecksums: wire.checksums,
            verifiedPages: wire.verifiedPages,
            corruptPages: wire.corruptPages, settings: wire.settings, note: wire.note, isPinned: wire.pinned,
            pinnedUntil: pinnedUntil, timings: wire.timings, tidemarkVersion: wire.tidemarkVersion ?? "")
    }
}
