import Backups
import Platform
import Repository

/// Sorts frames into pieces of work, pack by pack, and compares each pack's stored bytes and its own index with the
/// manifest. Each pack is read once, from its beginning to its end; the pieces have the stored bytes with them.
struct PackFeed {
    let job: VerifyJob
    let archive: ClusterArchive
    let manifest: ManifestReader
    private(set) var packs = 0
    private(set) var skipped = 0
    private(set) var skippedBytes: Int64 = 0
    private(set) var problems: [BackupProblem] = []
    /// Packs whose stored bytes are not those that the manifest names.
    private(set) var unproven: [BackupProblem] = []
    private var current: Int?
    private var fitsManifest = true
    private var pack: StoredPack?
    private var index: Set<PackFrame> = []
    private var item = PackPortion()
    /// Of the item's frames.
    private var stored: [[UInt8]?] = []
    private var storedCount = 0
    /// As much as one item has of them, in bytes; they are in memory for as many items as wait or are worked on.
    private static let mostStored = 2 << 20
    /// Nil once the pack can't be read as a whole: then each frame is read by itself.
    private var pass: PackPass?

    init(job: VerifyJob, archive: ClusterArchive, manifest: ManifestReader) {
        (self.job, self.archive, self.manifest) = (job, archive, manifest)
    }

    /// - Returns: whether a piece of work was handed out.
    mutating func add(_ id: Int, _ frame: PackFrame, _ runs: [FileRun]) throws -> Bool {
        var handedOut = false
        if current != id {
            try flush(last: true)
            try open(id)
            handedOut = true
        }
        guard let pack else {
            skippedBytes += Int64(frame.size)
            return handedOut
        }
        if !index.contains(frame) {
            fitsManifest = false
            problems.append(
                BackupProblem(
                    "pack \"\(pack.key)\" does not match the manifest",
                    detail: "Its index has no such frame at offset \(frame.offset).", trace: .object(pack.key)))
        }
        item.add(frame, runs, bytes: Int64(frame.size))
        let bytes = try reading { try $0.bytes(of: frame, largest: VerifyJob.largestFrame) } ?? nil
        stored.append(bytes)
        storedCount += bytes?.count ?? 0
        if item.isFull || storedCount >= PackFeed.mostStored {
            try flush(last: false)
            handedOut = true
        }
        return handedOut
    }

    mutating func finish() throws { try flush(last: true) }

    private mutating func open(_ id: Int) throws {
        current = id
        (pack, pass) = (nil, nil)
        fitsManifest = true
        packs += 1
        guard let place = manifest.packs[id] else {
            problems.append(BackupProblem("the manifest names an unknown pack"))
            return
        }
        if job.progress.good.contains(id) {
            skipped += 1
            return
        }
        do {
            let opened = try archive.pack(place.label, place.name)
            index = Set(try opened.index())
            pack = opened
            item = PackPortion(pack: opened)
            // The pack is done when this placeholder and all pieces are.
            job.progress.begin(id, pieces: 1)
            if opened.storedLength == place.size {
                pass = PackPass(of: opened)
            } else {
                isUnproven(opened, "It has \(opened.storedLength) bytes; the manifest says \(place.size).")
            }
        } catch let error as ObjectAbsent {
            problems.append(BackupProblem("pack \"\(error.key)\" is missing", trace: .object(error.key)))
        } catch let error as ObjectDamaged {
            problems.append(
                BackupProblem("pack \"\(error.key)\" is damaged", detail: error.detail, trace: .object(error.key)))
        } catch let error as any Explained where error.concernsOneObject {
            problems.append(
                BackupProblem(
                    error.message, detail: error.detail,
                    trace: .object(archive.incarnation.pack(place.label, place.name))))
        }
    }

    private mutating func isUnproven(_ pack: StoredPack, _ reason: String) {
        fitsManifest = false
        unproven.append(VerifyJob.damage(of: pack, reason))
    }

    /// - Returns: nil when the pack can't be read as a whole, any more or from now on.
    private mutating func reading<Value>(_ body: (PackPass) throws -> Value) throws -> Value? {
        guard let pack, let pass else { return nil }
        do { return try body(pass) } catch let error as ObjectDamaged {
            self.pass = nil
            isUnproven(pack, error.reason)
        } catch let error as any Explained where error.concernsOneObject {
            self.pass = nil
            fitsManifest = false
            problems.append(BackupProblem(error.message, detail: error.detail, trace: .object(pack.key)))
        }
        return nil
    }

    private mutating func flush(last: Bool) throws {
        guard let current, let pack else { return }
        if !item.frames.isEmpty {
            job.progress.begin(current, pieces: 1)
            if pass == nil { pack.readAhead(zip(item.frames, stored).lazy.filter { $1 == nil }.map(\.0.frame)) }
            try job.items.send((current, item, stored))
        }
        item = PackPortion(pack: pack)
        (stored, storedCount) = ([], 0)
        if last, let expected = manifest.packs[current]?.digest, let found = try reading({ try $0.digest() }),
            found != expected
        {
            isUnproven(pack, "Its stored bytes have XXH3-128 \(found); the manifest says \(expected).")
        }
        if last { job.progress.finish(current, isGood: fitsManifest) }
    }
}
