import CLinux
public import Glibc

/// Creating, linking, renaming and removing files by place.
extension Files {
    public static func makeDirectories(_ path: String, mode: mode_t = 0o750) throws(SystemError) {
        try makeDirectories(Place(path), mode: mode)
    }

    /// Creates a directory and its missing parents, but never the held one; each new directory's entry is fsynced in
    /// its parent, so that the path to an object stored in it is durable.
    public static func makeDirectories(_ place: Place, mode: mode_t = 0o750) throws(SystemError) {
        // An expiration may remove an empty parent again. And some directories can't contain others, such as those of
        // /proc.
        var parentsToMake = 3
        while true {
            do throws(SystemError) {
                _ = try retrying(.makeDirectory, place.path) {
                    place.anchored { mkdirat($0, $1, mode) }
                }
                break
            } catch {
                if error.code == EEXIST { return }
                guard error.code == ENOENT, parentsToMake > 0, let parent = place.parent else { throw error }
                parentsToMake -= 1
                try makeDirectories(parent, mode: mode)
                // Another process may have just created it, and die before its entry is durable.
                if let above = parent.parent { try synchronizeDirectory(above) }
            }
        }
        if let parent = place.parent { try synchronizeDirectory(parent) }
    }

    /// Creates one directory, unless it exists; not durable yet.
    public static func makeDirectory(_ place: Place, mode: mode_t) throws(SystemError) {
        do throws(SystemError) {
            _ = try retrying(.makeDirectory, place.path) { place.anchored { mkdirat($0, $1, mode) } }
        } catch { if error.code != EEXIST { throw error } }
    }

    /// Makes a directory's entries durable. Some file systems can't fsync a directory (CIFS, some of FUSE: EINVAL,
    /// which PostgreSQL ignores, `fsync_fname_ext` in src/common/file_utils.c); there the whole file system is flushed.
    public static func synchronizeDirectory(_ place: Place) throws(SystemError) {
        let directory = try Descriptor(open: place, O_RDONLY | O_DIRECTORY)
        do throws(SystemError) { try directory.synchronize(path: place.path) } catch {
            guard error.code == EINVAL else { throw error }
            _ = try retrying(.fsync, place.path) { clinux_syncfs(directory.raw) }
        }
    }

    public static func remove(_ place: Place) throws(SystemError) {
        _ = try retrying(.unlink, place.path) { place.anchored { unlinkat($0, $1, 0) } }
    }

    public static func removeIfPresent(_ place: Place) throws(SystemError) {
        do throws(SystemError) { try remove(place) } catch { if error.code != ENOENT { throw error } }
    }

    public static func removeTree(_ path: String) throws(SystemError) { try removeTree(Place(path)) }

    /// Removes a file, or a directory with its contents. Symbolic links are removed, never followed; a mount point
    /// within fails with EXDEV. The directory's parent, and each directory within, is held open while its names are
    /// removed: a link that replaces one of them meanwhile is not followed.
    public static func removeTree(_ place: Place) throws(SystemError) {
        guard let status = try FileStatus(ofLinkItself: place) else { return }
        guard status.kind == .directory else { return try remove(place) }
        let above = try HeldDirectory(confining: place.parent ?? Place(Files.parent(place.path)))
        try removeTree(Files.name(place.path), in: above)
    }

    private static func removeTree(_ name: String, in above: HeldDirectory) throws(SystemError) {
        let place = Place(name, in: above)
        var attemptsLeft = 3
        while true {
            guard let status = try FileStatus(ofLinkItself: place) else { return }
            guard status.kind == .directory else { return try remove(place) }
            attemptsLeft -= 1
            do throws(SystemError) {
                let directory = try HeldDirectory(onMountOf: above, name)
                for name in try removableNames(in: directory) { try removeTree(name, in: directory) }
                try removeDirectory(place)
                return
            } catch {
                // Another process has created an entry meanwhile, or replaced the directory.
                if ![ENOTEMPTY, ENOTDIR, ELOOP].contains(error.code) || attemptsLeft == 0 { throw error }
            }
        }
    }

    /// The names in a directory. What has a name that isn't UTF-8 gets another one first, by which it can be removed.
    private static func removableNames(in directory: HeldDirectory) throws(SystemError) -> [String] {
        let place = Place(".", in: directory)
        var names: [String] = []
        var others: [[CChar]] = []
        try visitNames(place) { name in
            if let text = String(validatingCString: name) {
                names.append(text)
            } else {
                others.append(Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1)))
            }
            return true
        }
        for other in others {
            let name = Files.name(temporaryName(for: directory.path + "/nameless"))
            let shown = String(decoding: other.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
            _ = try retrying(.rename, directory.path + "/" + shown) {
                clinux_rename_noreplace(directory.raw, other, directory.raw, name)
            }
            names.append(name)
        }
        return names
    }

    /// Removes an empty directory.
    public static func removeDirectory(_ place: Place) throws(SystemError) {
        _ = try retrying(.removeDirectory, place.path) { place.anchored { unlinkat($0, $1, AT_REMOVEDIR) } }
    }

    /// Whether permissions keep this user from creating files in a directory; false also when another error does.
    public static func deniesNewFiles(_ directory: String) -> Bool {
        do throws(SystemError) {
            _ = try retrying(.stat, directory) { access(directory, W_OK | X_OK) }
            return false
        } catch {
            return error.code == EACCES
        }
    }

    /// Creates a hard link; fails with `EEXIST` when the name is taken.
    public static func link(_ from: Place, to: Place) throws(SystemError) {
        _ = try retrying(.link, to.path) {
            from.anchored { directory, name in to.anchored { linkat(directory, name, $0, $1, 0) } }
        }
    }

    /// Replaces what is at `to`.
    public static func rename(_ from: Place, to: Place) throws(SystemError) {
        _ = try retrying(.rename, from.path) {
            from.anchored { directory, name in to.anchored { renameat(directory, name, $0, $1) } }
        }
    }

    /// Creates a symbolic link to `target`.
    public static func makeLink(_ place: Place, to target: String) throws(SystemError) {
        _ = try retrying(.makeLink, place.path) { place.anchored { symlinkat(target, $0, $1) } }
    }

    /// Sets a directory's permission bits, ignoring the umask.
    public static func changeMode(ofDirectory place: Place, _ mode: mode_t) throws(SystemError) {
        do throws(SystemError) {
            let directory = try Descriptor(
                adopting: retrying(.changeMode, place.path) { place.opened(O_RDONLY | O_DIRECTORY, 0) })
            _ = try retrying(.changeMode, place.path) { fchmod(directory.raw, mode) }
        } catch {
            guard error.code == EACCES else { throw error }
            // The owner may lack permission to read it.
            let directory = try Descriptor(
                adopting: retrying(.changeMode, place.path) { place.opened(clinux_path_flag() | O_DIRECTORY, 0) })
            _ = try retrying(.changeMode, place.path) { chmod("/proc/self/fd/\(directory.raw)", mode) }
        }
    }
}
