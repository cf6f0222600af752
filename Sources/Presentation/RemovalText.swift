import Backups
public import Expiring

/// The question before removing a backup.
public func removalQuestion(_ removal: NamedRemoval) -> String {
    let subject =
        removal.backup.map { "The backup of \($0.stopTime), \(size(removal.size))," } ?? "Backup \(removal.label)"
    return "\(subject) will be removed for good and cannot be restored. Continue?"
}

/// What was removed.
public func removalText(_ removal: NamedRemoval, dryRun: Bool) -> String {
    "backup \(removal.label) \(dryRun ? "would be removed" : "removed"), \(size(removal.size))"
        + (removal.keepsPacks ? "\nIts packs stay: other backups refer to them, or may." : "")
}

/// The same as JSON.
public struct RemovalDocument: Encodable {
    let label: String
    let dryRun: Bool
    let size: Int64
    let keepsPacks: Bool

    public init(_ removal: NamedRemoval, dryRun: Bool) {
        self.dryRun = dryRun
        (label, size, keepsPacks) = (removal.label, removal.size, removal.keepsPacks)
    }
}
