import Archiving
import Configuration
import Operations
import Platform

enum ImportCommand: Command {
    static let grammar = Grammar(
        "import", "import an existing archive of WAL files",
        description: [
            "Stores every WAL file in the directory and its subdirectories, as cp or pg_receivewal left them: raw, or compressed with gzip, "
                + "zstd or lz4. Each file is checked as by archive-push. Nothing in the "
                + "directory is changed, and an interrupted import can be started again.",
            "Reports what is missing, what is there twice, and files that are not WAL.",
        ],
        words: [.init("DIR", "the directory with the archive")],
        options: [.init("json", "print JSON")],
        examples: [Grammar.Example("tidemark import /mnt/archive/main", "everything in there")],
        exits: [(3, "problems were found; everything else was imported")])

    private struct Document: Encodable {
        struct Problem: Encodable {
            let message: String
            let detail: String?
        }
        let stored, present, duplicates: Int
        let strangers, unfinished, unwritten: [String]
        let problems: [Problem]
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let directory = try absolutePath(invocation.arguments.words[0])
        let cluster = try invocation.cluster()
        let context = invocation.context { progress in
            if case .importing(let done, let total) = progress { "imported \(done) of \(total) files" } else { "" }
        }
        let report: ImportReport
        do {
            defer { invocation.terminal.finishProgress() }
            report = try ImportJob(into: cluster, context).run(directory)
        }
        for problem in report.problems { invocation.log(.error, problem) }
        if invocation.json {
            try invocation.print(
                json: Document(
                    stored: report.stored, present: report.present, duplicates: report.duplicates,
                    strangers: report.strangers, unfinished: report.unfinished,
                    unwritten: report.unwritten,
                    problems: report.problems.map { .init(message: $0.message, detail: $0.detail) }))
        } else {
            invocation.print(
                "\(report.stored) files stored, \(report.present) were there already, \(report.duplicates) were duplicates, "
                    + "\(report.problems.count) problems")
            for path in report.unfinished { invocation.print("left out, as it is not finished: \(path)") }
            for path in report.unwritten { invocation.print("left out, as it contains no WAL of its segment: \(path)") }
            if !report.strangers.isEmpty {
                let shown = report.strangers.prefix(10).joined(separator: ", ")
                invocation.print(
                    "left out, as they are not WAL: \(shown)"
                        + (report.strangers.count > 10 ? ", and \(report.strangers.count - 10) more" : ""))
            }
        }
        return report.problems.isEmpty ? .success : .problemsFound
    }
}
