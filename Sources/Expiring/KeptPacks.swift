import Backups
import Repository

/// The packs to which some backups refer: they must stay, even if the backups that stored them are removed.
struct KeptPacks {
    private var needed: [String: [NeededPacks]] = [:]
    /// Whether some backup can't be read, so that it may refer to any pack.
    private let isAnything: Bool

    init(of backups: [BackupDescription], andUnreadableOnes: Bool = false) {
        isAnything = andUnreadableOnes
        for packs in backups.flatMap(\.packs) { needed[packs.label, default: []].append(packs) }
    }

    /// Whether any of a backup's packs stay.
    func concern(_ label: String) -> Bool { isAnything || needed[label] != nil }

    /// Whether an object in a backup's folder of packs stays. An object that isn't a pack stays while any pack does.
    func keep(_ name: String, of label: String) -> Bool {
        if isAnything { return true }
        guard let packs = needed[label] else { return false }
        guard let number = PackName(name)?.number else { return true }
        return packs.contains { $0.contains(number) }
    }
}
