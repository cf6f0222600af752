import Platform
import Testing

struct SecretTextTests {
    /// Passwords that no pattern finds the end of, in texts that quote them in some way.
    @Test(arguments: [
        ("host=db password=hun&ter\"2x user=joe", "hun&ter\"2x"),
        ("host=db password='it\\'s a hunter' user=joe", "it's a hunter"),
        ("host=db password='back\\\\slash & more'", "back\\slash & more"),
        ("postgresql://joe:p%40ss%20w%26rd@db/shop", "p@ss w&rd"),
        ("postgresql://joe:a@bcd@db:5432/shop", "a@bcd"),
        ("postgresql://db/shop?password=x%22y%27z%26", "x\"y'z&"),
        ("sslpassword = 'key <of> it'", "key <of> it"),
    ])
    func `a password that was read in a connection string is never shown`(_ conninfo: String, _ password: String) {
        KnownSecrets.learn(conninfo: conninfo)
        let json = quotedForJSON(password).dropFirst().dropLast()
        for text in [
            conninfo, "it is \(password), said it", "{\"a\":\"\(json)\"}", "--conninfo=\(shellQuoted(conninfo))",
        ] {
            let shown = withoutSecrets(text)
            #expect(!shown.contains(password) && !shown.contains(json), "\(text): \(shown)")
        }
        #expect(!withoutSecrets(conninfo).contains(conninfo.contains("%") ? "%" : password))
    }

    @Test(arguments: [
        ("host=db password=hunter2 user=joe", "host=db password=… user=joe"),
        ("host=db password = 'hun ter2' user=joe", "host=db password = … user=joe"),
        ("password='it\\'s hunter2' x", "password=… x"),
        ("password=hun\\ ter2 x", "password=… x"),
        ("sslpassword=hunter2", "sslpassword=…"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=… psql"),
        ("postgresql://joe:hunter2@db/shop", "postgresql://joe:…@db/shop"),
        ("postgres://joe:hun@ter2@db/shop?x=1", "postgres://joe:…@db/shop?x=1"),
        ("postgres://joe:hun/ter2@db", "postgres://joe:…@db"),
        ("postgresql://db/shop?user=joe&password=hunter2&port=1", "postgresql://db/shop?user=joe&password=…&port=1"),
        ("a postgres://joe:hunter2@db \"postgres://ann:hunter3@db\"", "a postgres://joe:…@db \"postgres://ann:…@db\""),
        ("\"value\" : \"host=db password=hunter2\"", "\"value\" : \"host=db password=…\""),
        ("password=", "password="),
        ("no password supplied", "no password supplied"),
        ("https://hooks.example.org/x", "https://hooks.example.org/x"),
        ("see http://host:80/a and joe@example.org", "see http://host:80/a and joe@example.org"),
    ])
    func `text that is no secret stays`(_ text: String, _ shown: String) { #expect(withoutSecrets(text) == shown) }
}
