import Glibc
import Platform
import Support
import Testing

@Suite(.serialized) struct StatusTests {
    @Test func `status and report tell of a real cluster, before and after its first backup`() throws {
        let site = try TestSite(settings: ["fsync": "on", "archive_timeout": "1h"])
        let bare = try site.tidemark(["status"])
        #expect(bare.ending == .exited(3), "\(bare.errors)")
        #expect(bare.output.contains("Nothing can be recovered: there is no usable backup."))
        try site.cluster.psql("create table t as select 1")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let status = try site.tidemark(["status"])
        #expect(status.ending == .exited(0), "\(status.output)\(status.errors)")
        #expect(status.output.contains("I would lose      nothing"))
        #expect(status.output.contains("Every moment from ") && status.output.contains("checks are well."))
        #expect(status.output.split(separator: "\n").contains { $0.hasPrefix("  backups") && $0.hasSuffix(" B") })

        let page = site.scratch.file("report.html")
        try site.tidemark(["report", "--html", page], expectSuccess: true)
        #expect(try Files.readText(page).contains("<svg role=\"img\""))
        let printed = try site.tidemark(["report", "--html", "-"], expectSuccess: true).output
        #expect(printed.hasPrefix("<!DOCTYPE html>") && printed.hasSuffix("</html>\n"))

        // Rendered by a browser: the covered days are green, the text is there, and it is no error page.
        let picture = site.scratch.file("report.png")
        try runAsServerUser("/bin/mkdir", [site.scratch.file("browser")])
        let drawn = try runAsServerUser(
            "/usr/bin/chromium",
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",

                "--window-size=1000,1400", "--user-data-dir=\(site.scratch.file("browser"))", "--screenshot=\(picture)",
                "file://\(page)",
            ], environment: ["HOME": site.scratch.file("browser")], expectSuccess: false)
        #expect(drawn.ending == .exited(0), "\(drawn.errors.suffix(2000))")
        if let keep = getenv("TIDEMARK_KEEP_PICTURE") { _ = try run("/bin/cp", [picture, String(cString: keep)]) }
        let counted = try run("/usr/bin/python3", [Files.parent(#filePath) + "/Programs/count_colours.py", picture])
        #expect(counted.ending == .exited(0), "\(counted.errors)")
        let counts = counted.output.split { $0 == " " || $0 == "\n" }.compactMap { Int($0) }
        try #require(counts.count == 4, "\(counted.output)")
        let (width, dark, green, red) = (counts[0], counts[1], counts[2], counts[3])
        #expect(width == 1000)
        #expect(dark > 2000, "text")
        // One day's bar of 26 × 16 and a backup's disc of radius 8.
        #expect(green > 400 && green < 2000, "\(green)")
        #expect(red == 0)
    }

    @Test func `the weekly report is sent with its page`() throws {
        let site = try TellingTests.site()
        try site.tidemark(["report", "--notify"], expectSuccess: true)
        try site.cluster.wait(for: "the report") { try !TellingTests.told(site).isEmpty }
        let told = try TellingTests.told(site)
        #expect(told.contains("\"event\":\"weekly_report\"") && told.contains("weekly report: "))
    }
}
