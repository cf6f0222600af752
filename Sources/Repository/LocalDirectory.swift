public import Platform

/// The directory of this host that a store keeps its objects in: for what concerns a directory and no object, such as
/// who owns it, who may write there, or whether another place lies in it.
///
/// `ObjectStore.localDirectory` is the one way to it. Other stores have none: whoever asks says what he does then.
public struct LocalDirectory: Sendable, Hashable {
    public let path: String

    /// A cluster's part of it, which need not be there.
    public func part(of cluster: String) -> String { path + "/" + cluster }

    /// The status of a cluster's part, or of all where there is none: its owner is whom all objects should belong to.
    /// Nil where neither is there.
    public func status(of cluster: String) throws -> FileStatus? {
        try FileStatus(ifPresent: part(of: cluster)) ?? FileStatus(ifPresent: path)
    }
}
