import Glibc
public import Platform
import Synchronization

/// The directories of the incarnations that this process uses, each held open from its first use.
///
/// A file system can be unmounted at any moment and leave an empty mount point with the same name, or another
/// repository can be mounted there. Paths below an incarnation are looked up from the directory that was opened first,
/// and a missing one is never made again.
final class HeldIncarnations: Sendable {
    private struct Held {
        let directory: HeldDirectory
        /// Whether its marker was found in it.
        var isMarked = false
    }

    private let location: String
    private let held = Mutex<[String: Held]>([:])

    private init(_ location: String) { self.location = location }

    /// The held directories of a repository, shared by all its stores in this process, so that a job's record goes
    /// where the job did its work.
    static func of(_ location: String) -> HeldIncarnations {
        all.withLock { all in
            if let found = all[location]?.held { return found }
            let new = HeldIncarnations(location)
            all[location] = Weak(held: new)
            return new
        }
    }

    private struct Weak { weak var held: HeldIncarnations? }
    private static let all = Mutex<[String: Weak]>([:])

    /// Where to read.
    func place(_ key: RepositoryKey) throws -> Place {
        guard let (folder, name) = HeldIncarnations.split(key), let held = try hold(folder) else {
            return Place(key == .root ? location : location + "/" + key.description)
        }
        return Place(name, in: held.directory)
    }

    /// Where to write: an incarnation's objects only where its marker is. The marker itself, and what belongs to no
    /// incarnation, only below a repository that is there.
    func writingPlace(_ key: RepositoryKey) throws -> Place {
        guard let (folder, name) = HeldIncarnations.split(key), name != HeldIncarnations.marker else {
            do throws(SystemError) { return Place(key.description, in: try HeldDirectory(location)) } catch {
                if error.code == ENOENT { throw RepositoryMissing(location: location) }
                throw error
            }
        }
        guard let found = try hold(folder) else { throw IncarnationMissing(folder: folder, location: location) }
        if !found.isMarked {
            guard try FileStatus(ifPresent: Place(HeldIncarnations.marker, in: found.directory)) != nil else {
                throw IncarnationMissing(folder: folder, location: location)
            }
            remember(folder)
        }
        return Place(name, in: found.directory)
    }

    /// Records that the marker was found where `place` said.
    func saw(_ key: RepositoryKey) {
        guard let (folder, name) = HeldIncarnations.split(key), name == HeldIncarnations.marker else { return }
        remember(folder)
    }

    private func remember(_ folder: String) { held.withLock { $0[folder]?.isMarked = true } }

    /// Forgets the held directories, so that the paths are looked up again.
    func letGo() { held.withLock { $0 = [:] } }

    private static let marker = "incarnation.json"

    private func hold(_ folder: String) throws -> Held? {
        try held.withLock { all in
            if let known = all[folder] { return known }
            do throws(SystemError) {
                let new = Held(directory: try HeldDirectory(location + "/" + folder))
                all[folder] = new
                return new
            } catch {
                if error.code == ENOENT { return nil }
                throw error
            }
        }
    }

    /// `main/15-7` and what is below it; nil for a key of no incarnation.
    private static func split(_ key: RepositoryKey) -> (folder: String, name: String)? {
        let text = key.description
        guard let first = text.firstIndex(of: "/") else { return nil }
        let rest = text[text.index(after: first)...]
        let second = rest.firstIndex(of: "/") ?? rest.endIndex
        guard Incarnation(cluster: String(text[..<first]), folderName: String(rest[..<second])) != nil else {
            return nil
        }
        let below = rest[second...].dropFirst()
        return (String(text[..<second]), below.isEmpty ? "." : String(below))
    }
}

/// The folder that `tidemark init` made for a cluster isn't there, so nothing can be written into it.
public struct IncarnationMissing: Explained, Equatable {
    /// `main/15-7`.
    public let folder: String
    public let location: String
    public var message: String { "\"\(folder)\" is not in repository \"\(location)\"" }
    public var detail: String? { "Nothing is created in its place." }
    public var hint: String? {
        "Is the repository's file system mounted? \"\(runnable("tidemark init"))\" creates the place of a new cluster."
    }
    public var isTransient: Bool { true }
}

/// After the repository was opened, it was unmounted or another one was mounted in its place.
public struct RepositoryReplaced: Explained, Equatable {
    public let location: String
    public var message: String { "repository \"\(location)\" is not the one that was opened" }
    public var detail: String? {
        "The one that was opened can no longer be found under its name: its file system was unmounted, or "
            + "another was mounted over it. Nothing was written into what is there now."
    }
    public var hint: String? { "Mount the repository again, then repeat the command." }
    public var isTransient: Bool { true }
}
