public import Platform

/// The directories of a cluster and of tidemark's data about it, which must not be nested.
///
/// A repository in the data directory would be in every backup and be overwritten by a recovery; one of these
/// directories in another would be removed with it. They are compared by resolved paths, including bind mounts,
/// and by what is mounted below them.
public struct ClusterPlaces: Sendable {
    /// A directory, a word for it, and the setting that names it.
    public struct Spot: Sendable, Equatable {
        public let word: String
        public let path: String
        public let setting: String?
    }

    /// Nil for one that lies in no directory of this host.
    private let repository: Spot?
    private let state, scratch, data: Spot

    public init(repository: String?, stateDirectory: String, scratchDirectory: String, dataDirectory: String) {
        self.repository = repository.map { Spot(word: "repository", path: $0, setting: "repository") }
        state = Spot(word: "state directory", path: stateDirectory, setting: "state_directory")
        scratch = Spot(word: "scratch directory", path: scratchDirectory, setting: "scratch_directory")
        data = Spot(word: "data directory", path: dataDirectory, setting: "data_directory")
    }

    /// Tidemark's own, which no backup may hold.
    public var own: [Spot] { [repository, state, scratch].compactMap(\.self) }

    /// - Parameters:
    ///   - recovery: the directory that a recovery will fill.
    ///   - mapped: the directories for its tablespaces.
    /// - Throws: `NestedPlaces`.
    public func check(recovery: String? = nil, mapped: [String] = []) throws {
        let tablespaces = try DataDirectory(data.path).tablespaces().filter { !$0.isInPlace }
            .map { Spot(word: "tablespace", path: $0.location, setting: nil) }
        let target = recovery.map { Spot(word: "the recovery's directory", path: $0, setting: nil) }
        let others = mapped.map { Spot(word: "tablespace directory", path: $0, setting: nil) }
        let comparison = try PlaceComparison()
        func refuse(_ inner: Spot, in outer: Spot) throws {
            if comparison.lies(inner.path, in: outer.path) { throw NestedPlaces(inner: inner, outer: outer) }
            if let point = comparison.mountPoint(in: outer.path, leadingTo: inner.path) {
                throw NestedPlaces(inner: inner, outer: outer, mountPoint: point)
            }
        }
        let isElsewhere = target.map { !comparison.isSame($0.path, data.path) } ?? false
        for own in own {
            for host in [data] + tablespaces + (target.map { [$0] } ?? []) + others {
                try refuse(own, in: host)
                try refuse(host, in: own)
            }
        }
        // The scratch directory may lie in the state directory, and does so unless it is named.
        if let repository {
            for (inner, outer) in [
                (repository, state), (repository, scratch), (state, repository), (scratch, repository),
            ] { try refuse(inner, in: outer) }
        }
        try refuse(state, in: scratch)
        // Nor in a directory of another server.
        for place in own + others + (target.map { [$0] } ?? []) {
            if let found = comparison.serversDirectory(above: place.path), !comparison.isSame(found, data.path) {
                throw NestedPlaces(
                    inner: place, outer: Spot(word: "another server's directory", path: found, setting: nil))
            }
        }
        for (index, other) in others.enumerated() {
            for further in others[(index + 1)...] {
                try refuse(other, in: further)
                try refuse(further, in: other)
            }
            // PostgreSQL's own directories lie in it, and the default place of tablespaces needs no mapping.
            if let target { try refuse(other, in: target) }
        }
        guard let target, isElsewhere else { return }
        for host in [data] + tablespaces {
            try refuse(target, in: host)
            try refuse(host, in: target)
        }
        for other in others {
            for host in [data] + tablespaces { try refuse(other, in: host) }
            for host in tablespaces { try refuse(host, in: other) }
        }
    }

    /// Where a result goes that replaces the one of the last time. Links are followed, so that a link stays one.
    ///
    /// - Parameters:
    ///   - file: as it was named.
    ///   - configuration: tidemark.conf, which is no result.
    /// - Throws: `NestedPlaces` when only tidemark or a server may write there; `Problem` when something is there that
    ///   isn't an ordinary file.
    public func resultFile(_ file: String, configuration: String) throws -> String {
        let path = Files.resolvedAsFarAsPossible(file)
        try check(file: path)
        guard let status = try FileStatus(ifPresent: file) else { return path }
        guard status.kind == .regular else {
            throw Problem(
                "cannot write a result to \"\(file)\"",
                detail: status.kind == .directory ? "It is a directory." : "It is not an ordinary file.",
                hint: "Name a file.")
        }
        if try FileStatus(ifPresent: configuration)?.isSame(as: status) == true {
            throw Problem(
                "cannot write a result to \"\(file)\"", detail: "It is tidemark's configuration.",
                hint: "Name another file.")
        }
        return path
    }

    /// - Parameter file: one that is to be written for somebody.
    /// - Throws: `NestedPlaces` when only tidemark or a server may write there.
    public func check(file path: String) throws {
        let file = Spot(word: "file", path: path, setting: nil)
        let tablespaces = try DataDirectory(data.path).tablespaces().filter { !$0.isInPlace }
            .map { Spot(word: "tablespace", path: $0.location, setting: nil) }
        let comparison = try PlaceComparison()
        for place in [repository, state, data].compactMap(\.self) + tablespaces
        where comparison.lies(file.path, in: place.path) {
            throw NestedPlaces(inner: file, outer: place)
        }
        if let found = comparison.serversDirectory(above: path) {
            throw NestedPlaces(inner: file, outer: Spot(word: "data directory", path: found, setting: nil))
        }
    }
}

/// One place lies in another, where it must not.
public struct NestedPlaces: Explained, Equatable {
    public let inner: ClusterPlaces.Spot
    public let outer: ClusterPlaces.Spot
    /// Where in the outer one something is mounted that leads to the inner one; nil when that is not how it lies there.
    var mountPoint: String?

    public var message: String {
        "\(inner.word) \"\(inner.path)\" \(mountPoint == nil ? "lies" : "is mounted") in \(outer.word) \"\(outer.path)\""
    }
    public var detail: String? {
        if let mountPoint {
            return
                "What is mounted on \"\(mountPoint)\" leads to it, to a part of it, or to a directory that contains it. "
                + NestedPlaces.consequence
        }
        let real = [inner, outer].map { Files.resolvedAsFarAsPossible($0.path) }
        let said = real == [inner.path, outer.path] ? "" : "Their real paths are \"\(real[0])\" and \"\(real[1])\". "
        return said + NestedPlaces.consequence
    }
    private static let consequence = "What works on the one would copy, overwrite or remove the other."
    public var hint: String? {
        if let mountPoint { return "Unmount \"\(mountPoint)\"." }
        return inner.setting.map { "Move it elsewhere, and say where with \($0) in the configuration." }
            ?? (inner.word == "file" ? "Name a file elsewhere." : "Name a directory elsewhere.")
    }
}
