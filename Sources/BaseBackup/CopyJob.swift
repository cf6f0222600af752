import DataDirectory
import Platform
import Repository
import Synchronization
import WAL

/// What the threads of one backup share.
final class CopyJob: Sendable {
    let root: String
    let files: FileList
    private let plan: Monitor<CopyPlan>
    let store: any ObjectStore
    let incarnation: Incarnation
    let label: String
    let compressLevel: Int
    let packSize: Int64
    /// Nil when the cluster has no checksums, or pages of a size that they can't be computed for here.
    let pageCheck: PageCheck?
    /// Pages with this or a later LSN may be torn.
    let start: LSN
    let rateLimit: RateLimit?
    let results: Channel<CopyBatch>
    /// Frames of a backup that died, by their content.
    let salvage: Salvage
    private let packs = Atomic<Int>(0)

    init(
        root: String, files: FileList, store: any ObjectStore, incarnation: Incarnation, label: String,
        request: BackupRequest, pageCheck: PageCheck?, start: LSN, salvage: Salvage, workers: Int
    ) {
        self.root = root
        self.files = files
        plan = Monitor(CopyPlan(files))
        self.store = store
        self.incarnation = incarnation
        self.label = label
        compressLevel = request.compressLevel
        packSize = request.packSize
        self.pageCheck = pageCheck
        self.start = start
        self.salvage = salvage
        rateLimit = request.rateLimit.map(RateLimit.init)
        results = Channel(capacity: 32, senders: workers)
    }

    /// The next piece of work; nil when there is none left or somebody failed.
    func claim() -> CopyItem? {
        if results.failure != nil { return nil }
        return plan.update { $0.next() }
    }

    /// Counts from 1.
    func nextPack() -> Int { packs.add(1, ordering: .relaxed).newValue }
    var packCount: Int { packs.load(ordering: .relaxed) }
}
