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
