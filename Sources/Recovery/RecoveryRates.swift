import Documents
public import Planning
public import Repository

/// The speed of this incarnation's recoveries and drills, from their records.
public struct RecoveryRates: Codable, Sendable, Equatable {
    public var restoredBytes: Int64
    public var restoreSeconds: Double
    public var replayedBytes: Int64
    public var replaySeconds: Double

    public init(restoredBytes: Int64, restoreSeconds: Double, replayedBytes: Int64, replaySeconds: Double) {
        (self.restoredBytes, self.restoreSeconds) = (restoredBytes, restoreSeconds)
        (self.replayedBytes, self.replaySeconds) = (replayedBytes, replaySeconds)
    }

    private struct Record: Decodable { var rates: RecoveryRates? }

    /// Impossible rates must neither make a plan fail nor give an estimate.
    private var arePossible: Bool {
        let (bytes, seconds) = (Int64(0)...1 << 53, 0.0...1e10)
        return bytes.contains(restoredBytes) && bytes.contains(replayedBytes) && seconds.contains(restoreSeconds)
            && seconds.contains(replaySeconds)
    }

    /// The sums over the last five recorded recoveries; nil when there is none.
    public static func recorded(of archive: ClusterArchive) throws -> RecoveryRates? {
        let folder = archive.incarnation.recoveryFolder
        var sum: RecoveryRates?
        var counted = 0
        for entry in try archive.store.list(folder).reversed() where entry.isFolder && counted < 5 {
            let document: SealedDocument?
            do {
                document = try archive.store.document(
                    .recoveryEnd, at: folder.appending(entry.name).appending("end.json"))
            } catch is DocumentRefused { continue }
            guard let rates = try? document?.value(Record.self).rates, rates.arePossible else { continue }
            counted += 1
            sum = RecoveryRates(
                restoredBytes: (sum?.restoredBytes ?? 0) + rates.restoredBytes,
                restoreSeconds: (sum?.restoreSeconds ?? 0) + rates.restoreSeconds,
                replayedBytes: (sum?.replayedBytes ?? 0) + rates.replayedBytes,
                replaySeconds: (sum?.replaySeconds ?? 0) + rates.replaySeconds)
        }
        return sum
    }

    /// The seconds this plan will take at those rates, for restoring and for replaying.
    public func estimate(_ plan: Plan) -> (restore: Double, replay: Double)? {
        guard restoredBytes > 0, replayedBytes > 0 else { return nil }
        return (
            restoreSeconds / Double(restoredBytes) * Double(plan.backup.size),
            replaySeconds / Double(replayedBytes) * Double(plan.walSize)
        )
    }
}
