import Repository

/// Frames that need not be written again because an unfinished backup has already stored them durably.
struct Salvage: Sendable {
    struct Place: Sendable {
        /// The pack's number in the new manifest.
        var pack: Int
        var ordinal: Int
        var frame: PackFrame
    }
    /// Packs that may be referred to, by their number in the new manifest.
    var packs: [Int: (label: String, number: Int)] = [:]
    var places: [Digest: Place] = [:]

    /// Numbers from here on are other backups' packs.
    private static let firstPack = 1 << 24

    init() {}

    /// What the packs of unfinished backups hold. Only whole packs count, and only frames whose content is the same now
    /// will be used, so nothing needs to be known of those backups.
    init(_ incarnation: Incarnation, _ store: any ObjectStore) throws {
        var next = Salvage.firstPack
        for label in try listBackups(of: incarnation, in: store).incomplete {
            for entry in try store.list(incarnation.packFolder(label)) {
                guard let number = Int(entry.name),
                    let pack = try? StoredPack(incarnation.pack(label, number), in: store),
                    let frames = try? pack.index()
                else { continue }
                packs[next] = (label, number)
                for (ordinal, frame) in frames.enumerated() {
                    places[frame.digest] = Place(pack: next, ordinal: ordinal, frame: frame)
                }
                next += 1
            }
        }
    }
}
