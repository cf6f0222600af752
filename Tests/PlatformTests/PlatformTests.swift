import Glibc
import Platform
import Support
import Testing

struct DurableFileTests {
    @Test func `a durable file is there whole, and a second one of its name is refused`() throws {
        let scratch = try Scratch()
        let path = scratch.file("a/b/object")
        try createDurably(path, bytes: [1, 2, 3])
        #expect(try Files.read(path) == [1, 2, 3])
        #expect(throws: AlreadyPresent(path: path)) { try createDurably(path, bytes: [4]) }
        #expect(try Files.read(path) == [1, 2, 3])
        #expect(try Files.list(scratch.file("a/b")) == ["object"])
    }
}

struct SubprocessTests {
    @Test func `a file of /proc is read although it has no size`() throws {
        #expect(try Files.readText("/proc/sys/kernel/random/boot_id", limit: 64).utf8.count == 37)
    }

    @Test func `a program that is run gets its alarm, and dies of a broken pipe`() throws {
        // The test runner's threads have all signals blocked, as Dispatch's do.
        let alarmed = try run("/usr/bin/timeout", ["5", "/usr/bin/perl", "-e", "alarm 1; sleep 4; print 'never'"])
        #expect(alarmed.output == "")
        #expect(alarmed.ending == .signalled(SIGALRM))
        let piped = try run("/bin/sh", ["-c", "/usr/bin/yes | /usr/bin/head -1"])
        #expect(piped.output == "y\n")
        #expect(piped.errors == "")
    }
}
