import Glibc
import Platform
import WAL

// Finding the WAL files in a directory.

extension ImportArchive {
    struct Found: Sendable {
        let path: String
        /// The file's name without the ending of its compression.
        let name: ArchiveFileName
        let packing: Packing?

        /// Whether the file doesn't name its incarnation.
        var isText: Bool {
            switch name {
            case .history, .backupHistory: true
            case .segment, .partial: false
            }
        }

        func text() throws -> String {
            guard let packing else { return try Files.readText(path) }
            return String(decoding: try packing.start(of: path, count: 1 << 20), as: UTF8.self)
        }

        /// Nil for a file that isn't WAL, or can't be read.
        func firstPage() -> FirstPage? {
            guard let packing else { return (try? LocalFile(path)).flatMap { try? FirstPage(of: $0) } }
            let bytes = try? packing.start(of: path, count: FirstPage.length)
            return bytes?.withUnsafeBytes { FirstPage($0) }
        }
    }

    func find(in directory: String, _ report: inout ImportReport) throws -> [Found] {
        var found: [Found] = []
        try walk(directory, "", 0, &found, &report)
        let names = Set(found.map(\.name))
        var histories: [TimelineHistory] = []
        for file in found {
            guard case .history(let timeline) = file.name, let text = try? file.text(),
                let history = try? TimelineHistory(timeline: timeline, file: text)
            else { continue }
            histories.append(history)
        }
        found = found.filter { file in
            guard case .partial(let segment) = file.name else { return true }
            // A history explains the partial segment that a promotion leaves; pg_receivewal leaves the one it is
            // writing.
            let isExplained = histories.contains { history in
                history.ancestors.contains { $0.timeline == segment.timeline }
            }
            if isExplained || names.contains(.segment(segment)) { return isExplained }
            report.unfinished.append(file.path)
            return false
        }
        return found.sorted { ($0.name.order, $0.path) < ($1.name.order, $1.path) }
    }

    private func walk(
        _ directory: String, _ relative: String, _ depth: Int, _ found: inout [Found], _ report: inout ImportReport
    ) throws {
        for entry in try Files.list(directory).sorted() {
            let path = directory + "/" + entry
            let status: FileStatus?
            do throws(SystemError) { status = try FileStatus(ofLinkItself: path) } catch {
                report.problems.append(ArchiveProblem("\(error.message); it is passed over", hint: error.hint))
                continue
            }
            guard let status else { continue }
            if status.kind == .symbolicLink {
                // It may lead anywhere: in a circle, or to the files of another cluster.
                let isDirectory = (try? FileStatus(ifPresent: path))??.kind == .directory
                if isDirectory || ImportArchive.recognize(entry) != nil {
                    report.problems.append(
                        ArchiveProblem(
                            "\"\(path)\" is a symbolic link; it is passed over",
                            hint: "If what it leads to is to be imported, name the directory in which that is."))
                } else {
                    report.strangers.append(relative + entry)
                }
            } else if status.kind == .directory {
                // Archives are at most a few folders deep.
                guard depth < 32 else {
                    report.problems.append(ArchiveProblem("\"\(path)\" lies too deep; it is passed over"))
                    continue
                }
                do {
                    try walk(path, relative + entry + "/", depth + 1, &found, &report)
                } catch let error as SystemError {
                    report.problems.append(ArchiveProblem("\(error.message); it is passed over", hint: error.hint))
                }
            } else if status.kind == .regular, let file = ImportArchive.recognize(entry) {
                found.append(Found(path: path, name: file.name, packing: file.packing))
            } else {
                report.strangers.append(relative + entry)
            }
        }
    }

    /// The WAL file that a name stands for: `X`, `X.gz`, and pg_receivewal's `X.gz.partial`; nil for others.
    private static func recognize(_ entry: String) -> (name: ArchiveFileName, packing: Packing?)? {
        if let name = ArchiveFileName(entry) { return (name, nil) }
        for packing in Packing.allCases {
            if entry.hasSuffix(packing.rawValue),
                let name = ArchiveFileName(String(entry.dropLast(packing.rawValue.utf8.count)))
            {
                return (name, packing)
            }
            if entry.hasSuffix(packing.rawValue + ".partial"),
                let segment = SegmentName(String(entry.dropLast(packing.rawValue.utf8.count + 8)))
            {
                return (.partial(segment), packing)
            }
        }
        return nil
    }
}

extension ArchiveFileName {
    /// Histories first, then the segments in the order of the WAL.
    fileprivate var order: String {
        switch self {
        case .history: "0" + description
        case .segment, .partial, .backupHistory: "1" + description
        }
    }
}
