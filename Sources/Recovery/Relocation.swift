import Backups
import DataDirectory
import Glibc
import Platform

/// Adapts the settings of a restored configuration to the new data directory: a path below the original's becomes the
/// same path below the new one. Otherwise a copy would use the original server's pg_hba.conf, or write into its log.
struct Relocation: Sendable {
    /// The paths of the data directory that was backed up, and of links into it, each with its place in the new
    /// directory. Empty when they weren't recorded.
    private let originals: [(path: String, place: String)]
    let directory: String
    /// The data directory that was backed up, as its server was started with it; nil when it wasn't recorded, or is
    /// this one.
    private let original: String?

    init(from originals: [String], linked: [LinkedPath] = [], to directory: String) {
        let links = linked.map { (path: $0.path, place: $0.place.isEmpty ? directory : "\(directory)/\($0.place)") }
        // The longer first: one may be a prefix of another.
        self.originals = (originals.map { ($0, directory) } + links)
            .filter { $0.path.hasPrefix("/") && $0.path != "/" && $0.path != $0.place }
            .sorted { $0.path.count > $1.path.count }
        self.directory = directory
        original = originals.first { $0.hasPrefix("/") && $0 != directory }
    }

    /// `text` with every path below the original's directory moved below the new one, wherever it occurs.
    func moved(_ text: String) -> String {
        var result = text
        for original in originals { result = Relocation.moved(result, original.path, original.place) }
        return result
    }

    private static func moved(_ text: String, _ original: String, _ directory: String) -> String {
        // The whole text is a path, with `..` in it.
        if text.hasPrefix("/"), lies(text, below: original) {
            return ([directory[...]] + normal(text).dropFirst(normal(original).count)).joined(separator: "/")
        }
        let bytes = Array(text.utf8)
        let names = normal(original).map { Array($0.utf8) }
        var result: [UInt8] = []
        var at = 0
        while at < bytes.count {
            // Only whole names: neither /mnt/srv/main nor /srv/main2 for /srv/main.
            guard at == 0 || !(isPartOfName(bytes[at - 1]) || bytes[at - 1] == UInt8(ascii: "/")),
                let end = end(of: names, in: bytes, from: at), end == bytes.count || !isPartOfName(bytes[end])
            else {
                result.append(bytes[at])
                at += 1
                continue
            }
            result += Array(directory.utf8)
            at = end
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The end of these names in a path that begins at `start`; nil when they aren't there. `//` and `/./` count as
    /// `/`.
    private static func end(of names: [[UInt8]], in bytes: [UInt8], from start: Int) -> Int? {
        var at = start
        for name in names {
            guard at < bytes.count, bytes[at] == UInt8(ascii: "/") else { return nil }
            while at < bytes.count, bytes[at] == UInt8(ascii: "/") {
                at += 1
                if at + 1 < bytes.count, bytes[at] == UInt8(ascii: "."), bytes[at + 1] == UInt8(ascii: "/") { at += 1 }
            }
            guard at + name.count <= bytes.count, bytes[at..<at + name.count].elementsEqual(name) else { return nil }
            at += name.count
        }
        return at
    }

    private static func isPartOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), 0x80...:
            true
        default: false
        }
    }

    /// Rewrites the configuration files that lie in the new directory; others belong to another server and are left
    /// alone.
    ///
    /// - Parameter top: the server's configuration file, when it isn't the directory's own.
    /// - Returns: why some of the configuration could not be read.
    func rewriteFiles(top: String?) throws -> [SystemError] {
        let files = try ConfigurationFiles(
            of: DataDirectory(directory), top: top, passingOver: true, relocated: moved)
        var unreadable = files.unreadable
        for file in Set(files.files) where isInside(file) {
            try rewriteLines(of: file) { bytes in
                guard let line = ConfigurationLine(bytes) else { return bytes }
                // A server opens the data_directory that its configuration names, whatever directory it was started
                // with.
                let value =
                    switch line.name {
                    case "data_directory": directory
                    case "include", "include_if_exists", "include_dir":
                        outside(line.value, from: file) ?? moved(line.value)
                    default: moved(line.value)
                    }
                guard value != line.value else { return bytes }
                var changed = bytes
                changed.replaceSubrange(line.valueRange, with: Array(ConfigurationLine.quoted(value).utf8))
                return changed
            }
        }
        // Since 16 these two may include others, and name lists of users.
        let effective = files.effective
        for (name, standard) in [("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")] {
            let file = moved(effective[name]?.value ?? directory + "/" + standard)
            unreadable += try rewriteRules(file)
        }
        return unreadable
    }

    /// Rewrites a file of rules, and those it includes (`tokenize_auth_file`, src/backend/libpq/hba.c).
    private func rewriteRules(_ top: String) throws -> [SystemError] {
        var unreadable: [SystemError] = []
        var waiting = [top]
        var done: Set<String> = []
        while let file = waiting.popLast() {
            guard isInside(file), done.insert(file).inserted, try FileStatus(ifPresent: file)?.kind == .regular
            else { continue }
            try rewriteLines(of: file) { bytes in
                let text = String(validating: bytes, as: UTF8.self)
                guard let text, !text.drop(while: \.isWhitespace).hasPrefix("#") else { return bytes }
                let new = withOutsiders(moved(text), in: file)
                do throws(SystemError) { waiting += try included(by: new, in: Files.parent(file)) } catch {
                    unreadable.append(error)
                }
                return Array(new.utf8)
            }
        }
        return unreadable
    }

    /// What a relative path in an included file's name meant in the original, if it leads out of the directory: the
    /// file doesn't lie beside the new one. Nil for every other path.
    private func outside(_ path: some StringProtocol, from file: String) -> String? {
        guard !path.hasPrefix("/"), let original else { return nil }
        let folder = Relocation.normal(Files.parent(file)).dropFirst(Relocation.normal(directory).count)
        let whole = Relocation.normal("\(original)/\(folder.joined(separator: "/"))/\(path)")
        return whole.starts(with: Relocation.normal(original)) ? nil : moved("/" + whole.joined(separator: "/"))
    }

    /// A line of a file of rules, in which relative names of files outside of the directory are those of the original.
    private func withOutsiders(_ line: String, in file: String) -> String {
        let words = line.split { " \t\r,\"".contains($0) }
        let isInclude = ["include", "include_if_exists", "include_dir"].contains(words.first.map(String.init))
        let names =
            isInclude ? words.dropFirst().prefix(1) : words.filter { $0.hasPrefix("@") }.map { $0.dropFirst() }[...]
        var result = line
        for name in names.reversed() {
            guard let outside = outside(name, from: file) else { continue }
            result.replaceSubrange(name.startIndex..<name.endIndex, with: outside)
        }
        return result
    }

    private func included(by line: String, in folder: String) throws(SystemError) -> [String] {
        let words = line.split { " \t\r,\"".contains($0) }.map(String.init)
        func path(_ word: some StringProtocol) -> String { word.hasPrefix("/") ? String(word) : "\(folder)/\(word)" }
        switch words.first {
        case "include", "include_if_exists": return words.dropFirst().prefix(1).map(path)
        case "include_dir":
            guard let place = words.dropFirst().first.map(path) else { return [] }
            return try Files.listIfPresent(place).filter { $0.hasSuffix(".conf") && !$0.hasPrefix(".") }.map {
                "\(place)/\($0)"
            }
        default: return words.filter { $0.hasPrefix("@") && $0.count > 1 }.map { path($0.dropFirst()) }
        }
    }

    private func rewriteLines(of file: String, _ change: ([UInt8]) -> [UInt8]) throws {
        try ConfigurationFiles.rewrite(file) { text in
            let lines = text.split(separator: 10, omittingEmptySubsequences: false)
            return Array(lines.map { change(Array($0)) }.joined(separator: [10]))
        }
    }

    /// Settings that the new server needs with another value than its configuration has.
    ///
    /// - Parameters:
    ///   - entries: the settings that would be in effect without them.
    ///   - isOwn: whether the server is the cluster itself, and not a copy beside it.
    func overrides(_ entries: [String: ConfigurationFiles.Entry], isOwn: Bool) -> [RecoverySetting] {
        var settings: [RecoverySetting] = []
        for entry in entries.values.sorted(by: { $0.name < $1.name }) {
            // In a file that can't be rewritten; data_directory and config_file go on the command line.
            guard !isInside(entry.file), moved(entry.value) != entry.value,
                !["data_directory", "config_file"].contains(entry.name)
            else { continue }
            settings.append(RecoverySetting(entry.name, moved(entry.value)))
        }
        guard !isOwn else { return settings }
        for (name, replacement) in CopySettings.places {
            guard let value = entries[name].map({ moved($0.value) }), !value.isEmpty, !isInside(value) else { continue }
            settings.append(RecoverySetting(name, replacement))
        }
        return settings
    }

    /// Whether a path, as the server would resolve it, lies below the new directory.
    func isInside(_ path: String) -> Bool { Relocation.lies(path, below: directory) }

    static func lies(_ path: String, below directory: String) -> Bool {
        let (path, directory) = (normal(path.hasPrefix("/") ? path : directory + "/" + path), normal(directory))
        return path.count > directory.count && path.starts(with: directory)
    }

    /// The names in a path, `.` and `..` resolved as `canonicalize_path` does.
    private static func normal(_ path: String) -> [Substring] {
        path.split(separator: "/").reduce(into: []) { names, name in
            if name == ".." { _ = names.popLast() } else if name != "." { names.append(name) }
        }
    }
}
