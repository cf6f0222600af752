import Messages
public import Platform
import WAL

/// `incarnation.json` isn't what `tidemark init` wrote, or another version's.
public struct DamagedMarker: Explained, Equatable {
    public let key: RepositoryKey
    public let location: String
    public let fault: DocumentFault
    public var message: String { "\"\(key)\" in repository \"\(location)\" \(fault.verdict)" }
    public var detail: String? {
        fault.isOfAnotherFormat
            ? fault.detail : fault.detail + " What is, and isn't, in this place of the repository can't be believed."
    }
    public var hint: String? {
        guard !fault.isOfAnotherFormat, fault.isReadable else { return fault.hint }
        return
            "Restore it from a copy of the repository, or, if nothing else is damaged or missing, write it anew with "
            + "\"\(runnable("tidemark init --rebuild"))\"."
    }
}

extension ClusterArchive {
    /// Whether `tidemark init` made it: the marker exists; it isn't read.
    public func exists() throws -> Bool { try store.exists(incarnation.marker) }

    /// Reads the marker. The store's answer that an object is absent is believed only between two such reads: a failing
    /// file system says of every object that it is absent.
    ///
    /// - Returns: false when there is none.
    /// - Throws: `DamagedMarker`, and what reading throws.
    public func isConfirmed() throws -> Bool {
        func refusal(_ fault: DocumentFault) -> DamagedMarker {
            DamagedMarker(key: incarnation.marker, location: store.location, fault: fault)
        }
        let marker: SealedDocument
        do {
            guard let found = try store.document(.incarnation, at: incarnation.marker) else { return false }
            marker = found
        } catch let refused as DocumentRefused { throw refusal(refused.fault) }
        guard marker.string("system_identifier") == "\(incarnation.systemIdentifier)" else {
            throw refusal(.impossible("It is of another system identifier."))
        }
        return true
    }

    /// Whether this program can read and write the incarnation here. A damaged marker doesn't keep a server's WAL from
    /// being archived or delivered; a marker of another format does.
    ///
    /// - Throws: `DamagedMarker` when it is of another format; what looking for it throws.
    public func isUsable() throws -> Bool {
        do { return try isConfirmed() } catch let damage as DamagedMarker where !damage.fault.isOfAnotherFormat {
            return true
        }
    }
}

extension ClusterArchive {
    /// Puts a marker in the place of a damaged one, which is kept below `aside/`.
    /// - Throws: `ObjectExists` when the marker isn't damaged any more; what the store throws.
    public func replaceDamagedMarker(by document: SealedDocument) throws {
        let now = Moment(microseconds: Clock.now)
        let name = incarnation.marker.name
        let folder = incarnation.asideFolder.appending(AsideFolder.name(now, "damaged-\(name)"))
        let writer = try store.begin(
            incarnation.marker,
            replacing: Replacement(keeping: folder.appending(name)) { _ in
                do {
                    _ = try isConfirmed()
                    return false
                } catch let damage as DamagedMarker where !damage.fault.isOfAnotherFormat {
                    let record = AsideRecord(
                        name, reason: "It was damaged, and written anew. " + damage.fault.detail, time: now.iso8601,
                        objects: [])
                    try store.create(folder.appending("record.json"), record.document)
                    return true
                }
            })
        try document.bytes.withUnsafeBytes { try writer.append($0) }
        try writer.commit()
    }
}
