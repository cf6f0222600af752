import CLinux

/// Removes the System V shared memory with this number, if a server has made it for this data directory, and nobody
/// uses it any more. It outlives every process. Nothing depends on it: a failure is no error.
public func removeServerMemory(_ identifier: Int32, of directory: FileStatus) {
    _ = clinux_remove_server_memory(identifier, UInt(directory.device), UInt(directory.inode))
}
