import FoundationEssentials
import Platform
import Support
import Testing

/// Facts in the pages are compared with the program.
struct DocumentationTests {
    static let root = Files.parent(Files.parent(Files.parent(#filePath)))

    @Test func `every command is in docs/commands.md, and no page names another`() throws {
        let names = try tidemark(["help", "--list"], expectSuccess: true).output.split(separator: "\n").map(String.init)
        #expect(names.count > 5)
        let page = try Files.readText(Self.root + "/docs/commands.md")
        for name in names { #expect(page.contains("`tidemark \(name)"), "\(name)") }
    }

    @Test func `every setting is in docs/configuration.md with its default`() throws {
        let scratch = try Scratch()
        let config = scratch.file("t.conf")
        try createDurably(
            config, bytes: Array("repository = '/r'\n[cluster main]\ndata_directory = '/d'\n".utf8), mode: 0o644)
        let rows = try tidemark(["settings", "--config", config], expectSuccess: true).output.split(separator: "\n")
            .dropFirst(2)
        let page = try Files.readText(Self.root + "/docs/configuration.md")
        #expect(rows.count > 5)
        for row in rows {
            let cells = row.split(separator: "|", omittingEmptySubsequences: false).map {
                $0.trimmingPrefix(" ").split(separator: " ").first ?? ""
            }
            let setting = String(cells[1])
            #expect(page.contains("| `\(setting)` |"), "\(setting)")
            if cells[3] == "default", !cells[2].isEmpty {
                #expect(page.contains("| `\(setting)` | `\(cells[2])`"), "\(setting)")
            }
        }
    }

    @Test func `every help text has an example, and every manual page is clean`() throws {
        let scratch = try Scratch()
        for name in try tidemark(["help", "--list"], expectSuccess: true).output.split(separator: "\n").map(String.init)
        {
            let help = try tidemark([name, "--help"], expectSuccess: true).output
            #expect(help.contains("Examples:"), "\(name)")
            #expect(help.contains("Exit status:"), "\(name)")
            let page = scratch.file(name + ".1")
            try createDurably(
                page, bytes: Array(try tidemark(["help", name, "--man"], expectSuccess: true).output.utf8), mode: 0o644)
            let man = try run("/usr/bin/man", ["--warnings", "-l", page])
            #expect(man.ending == .exited(0) && man.errors.isEmpty, "\(name): \(man.errors)")
        }
    }

    @Test func `every link leads to a page, and every page is linked from the README`() throws {
        let pages = try Files.list(Self.root + "/docs").filter { $0.hasSuffix(".md") }
        #expect(pages.count >= 5)
        for page in ["README.md"] + pages.map({ "docs/" + $0 }) {
            let text = try Files.readText(Self.root + "/" + page)
            for link in text.split(separator: "](").dropFirst().compactMap({ $0.split(separator: ")").first }) {
                let file = link.split(separator: "#", omittingEmptySubsequences: false)[0]
                if file.isEmpty || file.hasPrefix("http") { continue }
                let path = Self.root + "/" + (page == "README.md" ? "" : "docs/") + file
                #expect(try Files.exists(path), "\(page) links to \(link)")
            }
        }
        let readme = try Files.readText(Self.root + "/README.md")
        for page in pages { #expect(readme.contains("(docs/\(page))"), "\(page)") }
    }

    @Test func `prose is wrapped at 120 columns`() throws {
        let pages = try Files.list(Self.root + "/docs").filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }
        #expect(pages.count >= 5)
        for page in ["README.md"] + pages {
            let lines = try Files.readText(Self.root + "/" + page).split(
                separator: "\n", omittingEmptySubsequences: false)
            var (isCode, prose) = (false, 0)
            for (index, line) in lines.enumerated() {
                if line.drop(while: { $0 == " " }).hasPrefix("```") { isCode.toggle() }
                // Code, tables and headings keep their lines.
                if isCode || line.hasPrefix("    ") || line.hasPrefix("|") || line.hasPrefix("#") { continue }
                prose += 1
                #expect(line.count <= 120, "\(page):\(index + 1): \(line.count) columns")
            }
            #expect(prose > 10 && !isCode, "\(page)")
        }
    }

    @Test func `the sample configuration is accepted`() throws {
        // A copy that the server's user can read, wherever this checkout lies.
        let scratch = try Scratch()
        let copy = scratch.file("tidemark.conf")
        try createDurably(copy, bytes: try Files.read(Self.root + "/tidemark.conf.sample"), mode: 0o644)
        let finished = try tidemark(["settings", "--config", copy])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
    }

    @Test func `the sample postgresql.conf starts a server that init finds nothing wrong with`() throws {
        let cluster = try TestCluster(start: false)
        let sample = try Files.readText(Self.root + "/postgresql.conf.sample")
        try cluster.append(to: "postgresql.conf", sample.split(separator: "\n").map(String.init) + ["fsync = on"])
        try cluster.start()
        let scratch = try Scratch()
        let config = scratch.file("t.conf")
        try createDurably(
            config,
            bytes: Array(
                """
                repository = '\(scratch.path)/repository'
                state_directory = '\(scratch.path)/state'
                [cluster main]
                data_directory = '\(cluster.data)'
                conninfo = '\(cluster.conninfo)'

                """.utf8), mode: 0o644)
        let finished = try tidemark(["init", "--config", config])
        #expect(finished.ending == .exited(0), "\(finished.output)\(finished.errors)")
        #expect(finished.output.contains("The server's settings are as they should be."))
    }

    @Test func `systemd accepts the units`() throws {
        let scratch = try Scratch()
        var units: [String] = []
        for name in try Files.list(Self.root + "/systemd") {
            // The checker wants the executable to exist.
            let text = try Files.readText(Self.root + "/systemd/" + name)
                .replacing("/usr/local/bin/tidemark", with: "/bin/true").replacing(
                    "Documentation=man", with: "#Documentation=man")
            try createDurably(scratch.file(name), bytes: Array(text.utf8), mode: 0o644)
            units.append(scratch.file(name))
        }
        #expect(units.count >= 2)
        let finished = try run("/usr/bin/systemd-analyze", ["verify", "--man=no"] + units)
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(!finished.errors.contains(scratch.path), "\(finished.errors)")
    }
}
