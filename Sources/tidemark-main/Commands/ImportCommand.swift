import Archiving
import Configuration
import Operations
import Presentation

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

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let directory = try absolutePath(invocation.arguments.words[0])
        let report = try ImportJob(into: invocation.becomeOwner(), invocation.context()).run(directory)
        if invocation.json {
            try invocation.print(json: ImportDocument(report))
        } else {
            invocation.print(importText(report))
        }
        return report.problems.isEmpty ? .success : .problemsFound
    }
}
