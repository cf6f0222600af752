import Platform
import Support
import Testing
import WAL

/// docs/recovery.md is followed to the letter.
@Suite(.serialized) struct RunbookServerTests {
    /// The lines of the page's `sh` blocks, in order.
    private static func commands() throws -> [String] {
        let root = Files.parent(Files.parent(Files.parent(#filePath)))
        var inside = false
        var lines: [String] = []
        for line in try Files.readText(root + "/docs/recovery.md").split(separator: "\n") {
            if line.hasPrefix("```") { inside = line == "```sh" } else if inside { lines.append(String(line)) }
        }
        return lines
    }

    @Test func `every command of the runbook does what the page says`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"], configuration: ["timezone = 'Europe/Berlin'"])
        try site.cluster.psql("create database shop")
        try site.cluster.psql("create table orders as select n from generate_series(1, 100) n", database: "shop")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("insert into orders values (101)", database: "shop")
        try site.cluster.psql("select pg_create_restore_point('before_release')")
        try site.cluster.psql("insert into orders values (102)", database: "shop")
        Clock.sleep(milliseconds: 10)
        let moment = Moment(microseconds: Clock.now)
        Clock.sleep(milliseconds: 10)
        try site.cluster.psql("drop table orders", database: "shop")
        try site.cluster.psql("drop database shop")
        try site.cluster.psql("create table later ()")
        try site.archiveEverything()

        var executed = 0
        var directory: RecoveredDirectory?
        for line in try Self.commands() {
            var words = Self.words(line.replacing("2026-11-05 09:59:00 Europe/Berlin", with: moment.description))
            #expect(words.removeFirst() == "tidemark")
            if let place = words.firstIndex(of: "/srv/recovered") {
                // A resumed recovery continues in the directory of the command before it.
                if !words.contains("--resume") { directory = try RecoveredDirectory(site) }
                words[place] = directory!.path
                if words.contains("--resume") {
                    let interrupted = try RecoveredDirectory(site)
                    directory = interrupted
                    words[place] = interrupted.path
                    let killed = try runAsServerUser(
                        Executables.tidemark(),
                        [
                            "recover", "--target", "latest", "--start", "--yes", "--config", site.configuration,
                            "--data-directory", interrupted.path,
                        ], environment: ["TIDEMARK_FAULT": "write:60=kill"], expectSuccess: false)
                    #expect(killed.errors.contains("fault: killed"), "\(killed.errors)")
                }
            } else if words[0] == "recover" {
                try site.cluster.stop()
            }
            if words[0] == "recover", !words.contains("--resume") { words.append("--yes") }
            let finished = try site.tidemark(words)
            #expect(finished.ending == .exited(0), "\(line): \(finished.errors)\(finished.output)")
            executed += 1
            if words.contains("--standby") { #expect(finished.output.contains("The standby is consistent")) }
            if let hint = finished.output.split(separator: "\n").first(where: { $0.hasPrefix("Connect with: ") }) {
                let psql = hint.dropFirst("Connect with: ".utf8.count)
                let answer = try runAsServerUser("/bin/sh", ["-c", "\(psql) -XAtqc 'select 1'"], expectSuccess: false)
                #expect(answer.output == "1\n", "\(hint): \(answer.errors)")
            }
            func rows(_ host: String) throws -> String {
                try runAsServerUser(
                    TestServer.v15.bin + "/psql",
                    [
                        "-h", host, "-p", words.contains("port=5433") ? "5433" : "5432", "-U", "postgres", "-d", "shop",
                        "-XAtq", "-c", "select count(*) from orders",
                    ],
                    expectSuccess: false
                ).output.trimmed
            }
            guard words[0] == "recover",
                let host = words.contains("--data-directory") ? directory?.path : site.cluster.directory
            else { continue }
            if words.contains("--target-time") || words.contains("--before-drop") {
                #expect(try rows(host) == "102", "\(line)")
            }
            if words.contains("--target-name") { #expect(try rows(host) == "101", "\(line)") }
        }
        #expect(executed >= 14)
    }

    /// Words as a shell splits them, including single quotes.
    private static func words(_ line: String) -> [String] {
        var words: [String] = []
        var quoted = false
        var word = ""
        for character in line {
            if character == "'" {
                quoted.toggle()
            } else if character == " ", !quoted {
                words.append(word)
                word = ""
            } else {
                word.append(character)
            }
        }
        return words + [word]
    }
}
