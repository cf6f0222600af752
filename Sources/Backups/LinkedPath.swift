public import DataDirectory
import Glibc
import Platform

/// A path outside the data directory that leads into it through a symbolic link, and its target. The backup records
/// those in the configuration: on another machine, or once the original is gone, they can't be resolved.
public struct LinkedPath: Hashable, Sendable {
    public let path: String
    /// Relative to the data directory; empty for the directory itself.
    public let place: String

    /// One a line, with a tab between the two.
    static func text(_ links: [LinkedPath]) -> String? {
        links.isEmpty ? nil : links.map { "\($0.path)\t\($0.place)" }.joined(separator: "\n")
    }

    public static func all(in text: String?) -> [LinkedPath] {
        (text ?? "").split(separator: "\n").compactMap { line in
            guard let tab = line.firstIndex(of: "\t") else { return nil }
            return LinkedPath(path: String(line[..<tab]), place: String(line[tab...].dropFirst()))
        }
    }

    /// Searches the configuration files, and the files of rules.
    public static func find(_ settings: [String: String], dataDirectory: DataDirectory) -> String? {
        guard let real = resolved(dataDirectory.path) else { return nil }
        var words: Set<String> = []
        let configuration = try? ConfigurationFiles(of: dataDirectory, top: settings["config_file"], passingOver: true)
        for value in configuration?.entries.map(\.value) ?? [] {
            words.insert(value)
            words.formUnion(value.split { " \t,;:=\"'".contains($0) }.map(String.init))
        }
        words.formUnion((configuration?.files ?? []) + (configuration?.missing ?? []))
        for name in ["hba_file", "ident_file"] {
            guard let file = settings[name], !file.isEmpty else { continue }
            words.insert(file)
            words.formUnion(rules(file))
        }
        let known = Set([real, normal(dataDirectory.path)])
        let links = words.filter { $0.hasPrefix("/") }.compactMap { link(in: $0, to: real) }.filter {
            !known.contains($0.path)
        }
        return text(Set(links).sorted { $0.path < $1.path })
    }

    /// The shortest prefix of a path that leads into a directory.
    private static func link(in path: String, to directory: String) -> LinkedPath? {
        var begin = ""
        for name in normal(path).split(separator: "/") {
            begin += "/" + name
            guard let place = resolved(begin) else { return nil }
            if place == directory { return LinkedPath(path: begin, place: "") }
            if place.hasPrefix(directory + "/") {
                return LinkedPath(path: begin, place: String(place.dropFirst(directory.count + 1)))
            }
        }
        return nil
    }

    /// The words in a file of rules, and in those that it includes (`tokenize_auth_file`, src/backend/libpq/hba.c).
    private static func rules(_ top: String) -> Set<String> {
        var words: Set<String> = []
        var waiting = [top]
        var done: Set<String> = []
        while let file = waiting.popLast(), done.count < 100 {
            guard done.insert(file).inserted, (try? FileStatus(ifPresent: file)?.kind) == .regular,
                let text = try? Files.readText(file, limit: 1 << 20)
            else { continue }
            for line in text.split(whereSeparator: \.isNewline) where !line.drop(while: \.isWhitespace).hasPrefix("#") {
                for word in line.split(whereSeparator: { " \t\r,\"".contains($0) }) {
                    let path = word.hasPrefix("@") ? String(word.dropFirst()) : String(word)
                    words.insert(path)
                    waiting.append(path.hasPrefix("/") ? path : Files.parent(file) + "/" + path)
                }
            }
        }
        return words
    }

    private static func resolved(_ path: String) -> String? {
        guard let place = realpath(path, nil) else { return nil }
        defer { free(place) }
        return String(cString: place)
    }

    /// The path as PostgreSQL canonicalizes it, without resolving links (`canonicalize_path`, src/port/path.c).
    private static func normal(_ path: String) -> String {
        "/"
            + path.split(separator: "/").reduce(into: [Substring]()) { names, name in
                if name == ".." { _ = names.popLast() } else if name != "." { names.append(name) }
            }.joined(separator: "/")
    }
}
