import Configuration
import Operations
import Presentation

enum SegmentsCommand: Command {
    static let grammar = Grammar(
        "segments", "show the archived WAL, or put a stray part of it aside and back",
        description: [
            "A range is a series of segments of one timeline, each proven to continue where the one before it ended. A gap shows what is "
                + "missing or doesn't match, the reason as far as it is known, and the moments that can't be reached because of it. What "
                + "expire removed on purpose is shown as well, but is not a problem.",
            "With put-aside NAME, a segment that contradicts what the server has (a copy of its machine archived first), a .partial, or "
                + "a timeline that no server is on is moved out of the cluster's history, with a record of the reason. Nothing is "
                + "deleted. A timeline is given by its history file or its number. Only where the primary runs can tidemark determine "
                + "what is stray: what that server is on, descends from or has written itself, or what another timeline descends "
                + "from, is not put aside.",
            "put-back NAME moves what was last put aside under that name back to where it was. It overwrites nothing, and moves "
                + "nothing that other WAL around it contradicts.",
        ],
        words: [
            .init(
                "put-aside|put-back NAME", count: .any,
                "what to put aside or back; without it, the WAL is shown")
        ],
        options: [.init("json", "print JSON")] + PutAsideAction.options,
        examples: [
            Grammar.Example("tidemark segments", "is anything missing?"),
            Grammar.Example("tidemark segments put-aside 00000003.history", "a timeline that no server is on"),
            Grammar.Example(
                "tidemark segments put-aside 000000010000000000000007 --following",
                "what a copy of the server archived first"),
            Grammar.Example("tidemark segments put-back 000000010000000000000007", "that was a mistake"),
        ],
        exits: [(3, "there are gaps that expire did not make")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let words = invocation.arguments.words
        if !words.isEmpty {
            guard words.count == 2, ["put-aside", "put-back"].contains(words[0]) else {
                throw UsageError("segments takes nothing, or \"put-aside\" or \"put-back\" and a name")
            }
            return try words[0] == "put-aside"
                ? PutAsideAction.run(invocation, words[1]) : PutBackAction.run(invocation, words[1])
        }
        let cluster = try invocation.becomeOwner()
        let report = try SegmentsJob(
            of: cluster, policy: invocation.policy(for: cluster), invocation.installation(), invocation.context()
        ).run()
        if invocation.json {
            try invocation.print(json: SegmentsDocument(report))
        } else {
            invocation.print(segmentsText(report))
        }
        return report.isWhole ? .success : .problemsFound
    }
}
