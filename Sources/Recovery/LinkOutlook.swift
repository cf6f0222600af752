public import Backups
public import DataDirectory
import Glibc
import Platform
import Restoring

/// What happens to the symbolic links that people make in a data directory, so that the places of files after a
/// recovery are no surprise. Only `pg_wal` and tablespaces are links that belong to a cluster; a restore follows no
/// other, and `pg_wal` only in the cluster's own place.
public struct LinkOutlook {
    private let backup: BackupDescription
    private let directory: String
    private let exclude: NamedExclusions
    private let isCopy: Bool

    /// - Parameter isCopy: whether the directory isn't the cluster's own.
    public init(_ backup: BackupDescription, directory: String, exclude: NamedExclusions, isCopy: Bool) {
        (self.backup, self.directory, self.exclude, self.isCopy) = (backup, directory, exclude, isCopy)
    }

    /// Sentences for a plan.
    ///
    /// - Parameter isDelta: whether existing files in the directory are used.
    public func remarks(isDelta: Bool) -> [String] {
        let (present, unlisted) = isDelta ? found() : ([], [])
        let lost = present.filter { (isCopy || $0.path != "pg_wal") && !exclude.contain($0.path) }.map { link in
            "Symbolic link \"\(link.path)\" in \"\(directory)\" will be removed; \"\(link.target)\", to which it leads, stays as it is."
        }
        return lost
            + unlisted.map {
                "\"\($0)\" in \"\(directory)\" cannot be looked into: whether symbolic links in it will be "
                    + "removed is not known."
            }
            + backup.links.filter { link in !present.contains { $0.path == link.path } }.map { link in
                "\"\(link.path)\" was a symbolic link to \"\(link.target)\"; in \"\(directory)\" it will be \(plain(link))."
                    + advice(link)
            }
    }

    /// Sentences for a finished restore.
    func told(_ restored: RestoreReport) -> [String] {
        let broken = restored.brokenLinks.map { link in
            "Symbolic link \"\(link.path)\" was removed; \"\(link.target)\", to which it led, was not changed."
        }
        let mounts = restored.keptMounts.map { path in
            "Something is mounted in \"\(path)\": it was not changed, and nothing was restored there."
        }
        return broken + mounts
            + backup.links.filter { link in
                let kind = try? FileStatus(ofLinkItself: directory + "/" + link.path)?.kind
                return kind != .symbolicLink && !restored.brokenLinks.contains { $0.path == link.path }
            }.map { link in
                "\"\(link.path)\" was a symbolic link to \"\(link.target)\" and is \(plain(link)) now." + advice(link)
            }
    }

    private func plain(_ link: BackedUpLink) -> String {
        link.path == "pg_wal" ? "an ordinary directory" : "an ordinary file or directory"
    }

    /// An administrator who gave WAL a disk of its own wants it there again.
    private func advice(_ link: BackedUpLink) -> String {
        link.path == "pg_wal"
            ? " To put WAL on a separate disk again, stop the server when it has recovered, move the directory there and create the "
                + "link." : ""
    }

    /// The links in the directory, and the directories in which nobody can look for any; tablespaces' are none of
    /// these.
    private func found() -> (links: [BackedUpLink], unlisted: [String]) {
        var links: [BackedUpLink] = []
        var unlisted: [String] = []
        func look(_ path: String) {
            let place = path.isEmpty ? directory : directory + "/" + path
            let names: [String]
            do throws(SystemError) { names = try Files.list(place) } catch {
                if error.code != ENOENT { unlisted.append(path.isEmpty ? "." : path) }
                return
            }
            for name in names.sorted() {
                let child = path.isEmpty ? name : path + "/" + name
                let kind: FileStatus.Kind?
                do throws(SystemError) { kind = try FileStatus(ofLinkItself: directory + "/" + child)?.kind } catch {
                    unlisted.append(child)
                    continue
                }
                if kind == .symbolicLink {
                    links.append(
                        BackedUpLink(path: child, target: (try? Files.readLink(directory + "/" + child)) ?? "?"))
                } else if kind == .directory, child != "pg_tblspc" {
                    look(child)
                }
            }
        }
        look("")
        return (links, unlisted)
    }
}
