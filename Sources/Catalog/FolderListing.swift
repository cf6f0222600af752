import Platform
import Repository
import SQLite
import WAL

/// A folder of segments whose content may have changed since the catalog was synchronized.
struct ListedFolder {
    let timeline: TimelineID
    let name: String
    /// What shows that it hasn't changed since: the store's change mark, taken before the listing; from a store without
    /// marks a digest of the listing. Nil where the next synchronization must list it again.
    let mark: Int64?
    let names: [SegmentName]
    /// The marks of their objects, where the listing has them.
    let marks: [SegmentName: Int64]
    /// Segments with a further copy or a `.partial` in this folder: the one with the most records may be new.
    let copied: Set<SegmentName>

    /// A folder that isn't there any more.
    init(removed name: String, of timeline: TimelineID) {
        (self.timeline, self.name, mark, names, marks, copied) = (timeline, name, nil, [], [:], [])
    }

    init(_ name: String, of timeline: TimelineID, _ files: [ArchivedFile], mark: Int64?) {
        var names: [SegmentName] = []
        var marks: [SegmentName: Int64] = [:]
        var copied: Set<SegmentName> = []
        for found in files {
            switch found.file {
            case .segment(let name) where found.copy == 1:
                names.append(name)
                marks[name] = found.entry.mark
            case .segment(let name), .partial(let name): copied.insert(name)
            case .history, .backupHistory: continue
            }
        }
        (self.timeline, self.name, self.mark) = (timeline, name, mark)
        (self.names, self.marks, self.copied) = (names, marks, copied)
    }
}

/// How soon a change is noticed in a store that doesn't tell which folders have changed (`ObjectStore.tellsChanges`):
/// listing all of them would take a request for every 4 GiB of WAL at each question.
///
/// New segments come into the newest folder of their timeline, which is always listed, and so is a folder that the
/// catalog doesn't know. Everything else that happens is rare: WAL that is imported, put aside or put back, and the
/// part of a folder that expires.
struct Relisting {
    /// How old a folder's listing may be, in microseconds.
    var interval: Int64 = 600_000_000
    /// The most folders that a synchronization lists because of their age, the oldest listings first.
    var most = 64
}

/// A look at the folders of segments.
struct FolderListing {
    var changed: [ListedFolder] = []
    /// The names of those that were listed because of their age and have not changed.
    var confirmed: [String] = []
}

extension Catalog {
    private struct KnownFolder {
        let mark: Int64?
        /// When it was listed last, in microseconds since 1970.
        let listed: Int64
    }

    /// Looks for the folders whose content may have changed.
    /// - Parameter all: lists each, whatever the catalog knows of it.
    func listFolders(all: Bool) throws -> FolderListing {
        var known: [String: KnownFolder] = [:]
        let statement = try database.prepare("SELECT name, mark, listed FROM folder")
        while try statement.step() {
            known[statement.text(0)] = KnownFolder(
                mark: statement.isNull(1) ? nil : statement.integer(1), listed: statement.integer(2))
        }
        let due = archive.store.tellsChanges || all ? [] : dueForListing(known)
        var missing = Set(known.keys)
        var listing = FolderListing()
        for timeline in try archive.timelines() {
            let folders = try archive.walFolders(of: timeline).filter { $0.name.utf8.count == 16 }
            for folder in folders {
                missing.remove(folder.name)
                let row = known[folder.name]
                guard !archive.store.tellsChanges else {
                    let mark = try archive.store.changeMark(of: folder)
                    if !all, let mark, row?.mark == mark { continue }
                    listing.changed.append(
                        ListedFolder(folder.name, of: timeline, try archive.files(in: folder), mark: mark))
                    continue
                }
                let isDue = due.contains(folder.name)
                guard all || isDue || row?.mark == nil || folder == folders.last else { continue }
                let files = try archive.files(in: folder)
                let mark = Catalog.digest(of: files)
                if row?.mark == mark {
                    if isDue || all { listing.confirmed.append(folder.name) }
                } else {
                    listing.changed.append(ListedFolder(folder.name, of: timeline, files, mark: mark))
                }
            }
        }
        for name in missing.sorted() {
            guard let first = SegmentName(name + "00000000") else { continue }
            listing.changed.append(ListedFolder(removed: name, of: first.timeline))
        }
        return listing
    }

    private func dueForListing(_ known: [String: KnownFolder]) -> Set<String> {
        let now = Clock.now
        // A clock that was set back must not make a listing valid for ever.
        let old = known.filter { $0.value.listed > now || $0.value.listed <= now - relisting.interval }
        return Set(
            old.sorted { ($0.value.listed, $0.key) < ($1.value.listed, $1.key) }.prefix(relisting.most).map(\.key))
    }

    private static func digest(of files: [ArchivedFile]) -> Int64 {
        let text = files.map { "\($0.entry.name) \($0.entry.mark ?? 0)\n" }.joined()
        return Int64(bitPattern: Digest(of: Array(text.utf8)).low)
    }

    /// Records the folders as read. Until then they are listed again, and so are those of `again`.
    func write(_ listing: FolderListing, again: Set<SegmentName>) throws {
        let now = Clock.now
        for folder in listing.changed {
            let isRead = again.isDisjoint(with: folder.names)
            if folder.names.isEmpty {
                try database.run("DELETE FROM folder WHERE name = ?", folder.name)
            } else {
                try database.run(
                    "INSERT OR REPLACE INTO folder (timeline, name, mark, listed) VALUES (?, ?, ?, ?)",
                    Int64(folder.timeline.rawValue), folder.name, isRead ? folder.mark : nil, now)
            }
        }
        for name in listing.confirmed { try database.run("UPDATE folder SET listed = ? WHERE name = ?", now, name) }
        try setAbout("synchronized", String(now))
    }
}
