import Backups
import DataDirectory
import Platform
import Repository
import Synchronization
import WAL

/// The state that the threads of one backup share.
final class CopyJob: Sendable {
    let root: String
    let archive: ClusterArchive
    let label: String
    let compressLevel: Int
    let packSize: Int64
    /// Nil when the cluster has no checksums, or a page size other than the supported one.
    let pageCheck: PageCheck?
    /// Pages with this or a later LSN may be torn.
    let start: LSN
    let rateLimit: RateLimit?
    let items: Channel<CopyItem>
    let results: Channel<CopyBatch>
    /// How many items are queued at a time: enough for every thread to find one.
    let itemsAhead: Int
    /// Frames of interrupted backups, by their content.
    let salvage: Salvage
    private let lastPack = Atomic<Int>(0)
    /// Every pack that was stored, by its number.
    private let packs = Monitor<[Int: ManifestPack]>([:])

    init(
        root: String, archive: ClusterArchive, label: String,
        request: BackupRequest, pageCheck: PageCheck?, start: LSN, salvage: Salvage, workers: Int
    ) {
        self.root = root
        self.archive = archive
        self.label = label
        compressLevel = request.compressLevel
        packSize = request.packSize
        self.pageCheck = pageCheck
        self.start = start
        self.salvage = salvage
        rateLimit = request.rateLimit.map { RateLimit(bytesPerSecond: $0) }
        itemsAhead = 4 * workers
        items = Channel(capacity: itemsAhead)
        results = Channel(capacity: 32, senders: workers)
    }

    /// Ends all waiting for work and for results.
    func cancel(_ reason: any Error) {
        items.cancel(reason)
        results.cancel(reason)
    }

    /// Counts from 1.
    func nextPack() -> Int { lastPack.add(1, ordering: .relaxed).newValue }
    func stored(pack number: Int, _ writer: borrowing PackWriter) {
        let pack = ManifestPack(
            label: label, name: PackName(number), size: Int64(writer.length), digest: writer.digest)
        packs.update { $0[number] = pack }
    }
    var storedPacks: [Int: ManifestPack] { packs.update { $0 } }
}
