import Platform
import Testing

@Suite struct ChannelTests {
    private final class Item: Sendable {
        let number: Int
        init(_ number: Int) { self.number = number }
    }

    @Test func `items come in order, and received ones are released though the channel never gets empty`()
        throws
    {
        let channel = Channel<Item>(capacity: 3)
        try channel.send(Item(0))
        weak var before: Item?
        for number in 1...1000 {
            try channel.send(Item(number))
            let received = try channel.receive()
            #expect(received?.number == number - 1)
            #expect(before == nil)
            before = received
        }
        #expect(try channel.receive()?.number == 1000)
        channel.finish()
        #expect(try channel.receive() == nil)
    }

    @Test func `a thread that waits at either end gets the failure`() throws {
        for isFull in [false, true] {
            let channel = Channel<Item>(capacity: 1)
            if isFull { try channel.send(Item(1)) }
            let error = Monitor<Problem?>(nil)
            let waiting = try Worker {
                do { if isFull { try channel.send(Item(2)) } else { _ = try channel.receive() } } catch let problem {
                    error.update { $0 = problem as? Problem }
                }
            }
            Clock.sleep(milliseconds: 20)
            channel.cancel(Problem("no more"))
            waiting.join()
            #expect(error.update { $0 }?.message == "no more")
        }
    }
}
