/// The files of a cluster or a manifest by their numbers, in about 40 bytes each: there may be millions. Directories' paths
/// are kept once; a file's entry and its name lie in chunks, so that nothing is moved as the list grows.
struct FileList: Sendable {
    private struct Entry: Sendable {
        let modified: Int64
        var size: Int64
        /// Where the name starts in its chunk's names.
        let name: UInt32
        /// The directory's number; `FileList.absent` for an absent file.
        var directory: UInt32
        /// Permission bits, and the kind above them.
        let mode: UInt16
        let nameLength: UInt16
    }
    private struct Chunk: Sendable {
        var entries: [Entry] = []
        var names: [UInt8] = []
    }

    private static let chunkSize = 1 << 14
    private static let absent = UInt32.max
    private static let kinds: [ManifestFile.Kind] = [.regular, .directory, .tablespace]

    private var chunks: [Chunk] = []
    private var directories: [String] = []
    private var directoryNumbers: [String: UInt32] = [:]
    private var targets: [Int: String] = [:]
    private(set) var count = 0
    /// Bytes of all files.
    private(set) var totalSize: Int64 = 0

    init() {}

    /// Adds a file with the next number; nil for a number that has no file.
    mutating func append(_ file: ManifestFile?) {
        if count % FileList.chunkSize == 0 { chunks.append(Chunk()) }
        let last = chunks.count - 1
        let (directory, name) = file.map { FileList.split($0.path) } ?? ("", "")
        if let target = file?.target { targets[count] = target }
        let kind = file.map { UInt16(FileList.kinds.firstIndex(of: $0.kind)!) } ?? 0
        chunks[last].entries.append(
            Entry(
                modified: file?.modified ?? 0, size: file?.size ?? 0, name: UInt32(chunks[last].names.count),
                directory: file == nil ? FileList.absent : number(of: directory),
                mode: UInt16(truncatingIfNeeded: file?.mode ?? 0) & 0o7777 | kind << 12,
                nameLength: UInt16(name.utf8.count)))
        chunks[last].names += name.utf8
        count += 1
        totalSize += file?.size ?? 0
    }

    private static func split(_ path: String) -> (directory: Substring, name: Substring) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path[...]) }
        return (path[..<slash], path[path.utf8.index(after: slash)...])
    }

    private mutating func number(of directory: Substring) -> UInt32 {
        // Files mostly come directory by directory.
        if let last = chunks.last?.entries.last?.directory, last != FileList.absent,
            directories[Int(last)] == directory
        {
            return last
        }
        let directory = String(directory)
        if let known = directoryNumbers[directory] { return known }
        let number = UInt32(directories.count)
        directories.append(directory)
        directoryNumbers[directory] = number
        return number
    }

    private subscript(entry index: Int) -> Entry {
        get { chunks[index / FileList.chunkSize].entries[index % FileList.chunkSize] }
        set { chunks[index / FileList.chunkSize].entries[index % FileList.chunkSize] = newValue }
    }

    /// Bytes of a file; 0 for an absent one.
    func size(_ index: Int) -> Int64 { self[entry: index].size }

    func isRegular(_ index: Int) -> Bool {
        let entry = self[entry: index]
        return entry.mode >> 12 == 0 && entry.directory != FileList.absent
    }

    func isAbsent(_ index: Int) -> Bool { self[entry: index].directory == FileList.absent }

    /// Empty for an absent file.
    func path(_ index: Int) -> String {
        let entry = self[entry: index]
        guard entry.directory != FileList.absent else { return "" }
        let start = Int(entry.name)
        let name = String(
            decoding: chunks[index / FileList.chunkSize].names[start..<(start + Int(entry.nameLength))], as: UTF8.self)
        let directory = directories[Int(entry.directory)]
        return directory.isEmpty ? name : directory + "/" + name
    }

    mutating func setSize(_ index: Int, _ size: Int64) {
        totalSize += size - self[entry: index].size
        self[entry: index].size = size
    }

    /// From now on there is no such file.
    mutating func remove(_ index: Int) {
        setSize(index, 0)
        self[entry: index].directory = FileList.absent
    }
}

extension FileList: RandomAccessCollection {
    var startIndex: Int { 0 }
    var endIndex: Int { count }

    subscript(index: Int) -> ManifestFile? {
        let entry = self[entry: index]
        guard entry.directory != FileList.absent else { return nil }
        return ManifestFile(
            path: path(index), kind: FileList.kinds[Int(entry.mode >> 12)], mode: UInt32(entry.mode & 0o7777),
            modified: entry.modified, size: entry.size, target: targets[index])
    }
}
