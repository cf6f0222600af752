import Backups
import Repository

/// The packs that some backups refer to: what must stay, whatever becomes of the backups that stored them.
struct KeptPacks {
    private var needed: [String: [NeededPacks]] = [:]
    /// Of a backup that can't be read nobody knows what it refers to.
    private let isAnything: Bool

    init(of backups: [BackupDescription], andUnreadableOnes: Bool = false) {
        isAnything = andUnreadableOnes
        for packs in backups.flatMap(\.packs) { needed[packs.label, default: []].append(packs) }
    }

    /// Whether any of a backup's packs stay.
    func concern(_ label: String) -> Bool { isAnything || needed[label] != nil }

    /// Whether an object in a backup's folder of packs stays. What is no pack does, as long as any pack does.
    func keep(_ name: String, of label: String) -> Bool {
        if isAnything { return true }
        guard let packs = needed[label] else { return false }
        guard let number = PackName(name)?.number else { return true }
        return packs.contains { $0.contains(number) }
    }
}
