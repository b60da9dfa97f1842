import Configuration
import Testing
import Wire

@Suite struct ConfigurationTests {
    private func yaml(_ text: String) throws -> JSONValue { try StrictYAML.parse(Array(text.utf8), name: "x.yaml") }

    @Test func scalarsHaveJSONsTypesAndNoOthers() throws {
        let text = """
            a: 1
            b: -2.5e3
            c: true
            d: ~
            e: yes
            f: 0x10
            g: '1'
            h: [x, 1]
            i: {k: "v"}
            j: 1_000
            k: 2026-01-01
            l: it's & fine * !
            """
        #expect(
            try yaml(text) == [
                "a": 1, "b": -2500.0, "c": true, "d": .null, "e": "yes", "f": "0x10", "g": "1", "h": ["x", 1],
                "i": ["k": "v"], "j": "1_000", "k": "2026-01-01", "l": "it's & fine * !",
            ])
    }

    @Test(arguments: ["", "# nothing\n", "---\n"])
    func anEmptyDocumentIsAnEmptyMapping(text: String) throws { #expect(try yaml(text) == [:]) }

    @Test(
        arguments: [
            ("a: &x 1\nb: 2", 1), ("a: 1\nb: *x", 2), ("a: !!int 3", 1), ("{\"a\":*b}", 1),
            ("a: rock 'n roll\nb: &x 1", 2),
            ("a: 1\na: 2", 1), ("a: 1\nb:\n  c: 1\n  c: 2", 3), ("a: [1", 2), ("? [a]\n: 1", 1),
            ("a: 1\n---\nb: 2", nil),
            ("a: \"\\ud800\"", 1), ("\ta: 1", 1), ("<<: *a", 1),
        ] as [(String, Int?)])
    func theRestOfYAMLIsRefusedWithItsLine(text: String, line: Int?) throws {
        let error = #expect(throws: ConfigurationError.self) { try yaml(text) }
        if let line { #expect(error?.line == line, "\(error?.description ?? "")") }
    }

    @Test func depthSizeAndBytesAreBounded() throws {
        for text in [
            String(repeating: "[", count: 17) + String(repeating: "]", count: 17),
            String(repeating: "[", count: 30_000), "a: " + String(repeating: "x", count: 70_000),
        ] {
            #expect(throws: ConfigurationError.self) { try yaml(text) }
        }
        #expect(throws: ConfigurationError.self) { try StrictYAML.parse([0x61, 0x3a, 0x20, 0xff], name: "x.yaml") }
    }

    @Test func aServersFileReadsWithDefaultsAndThePlanApart() throws {
        let text = "name: ministry\nminimum_clients: 3\nrounds: 7\nstrategy: {name: fedprox, mu: 0.01}\n"
        let configuration = try ServerConfiguration(parsing: Array(text.utf8))
        #expect(configuration.name.text == "ministry" && configuration.minimumClients == 3)
        #expect(configuration.keepVersions == 10 && configuration.exchange == nil)
        #expect(configuration.planDefaults == ["rounds": 7, "strategy": ["name": "fedprox", "mu": 0.01]])
    }

    @Test func aClientsFileReadsWithUnits() throws {
        let text = "name: hospital-a\ndata: pictures\ntime_budget: 8h\nmemory: 8GB\nthreads: 4\nconsent: always\n"
        let configuration = try ClientConfiguration(parsing: Array(text.utf8))
        #expect(configuration.data == "pictures" && configuration.validation == 0.2)
        #expect(configuration.timeBudget == 28_800 && configuration.memory == 8_000_000_000)
        #expect(configuration.threads == 4 && configuration.consent == .always)
    }

    @Test(arguments: [
        ("name: a\nrouds: 3", "did you mean"), ("rounds: 3", "name: is missing"), ("name: Hospital A", "name:"),
        ("name: a\nencrypt: 1", "encrypt:"), ("name: a\nminimum_clients: 0", "minimum_clients:"),
        ("name: a\nminimum_clients: two", "minimum_clients:"),
    ])
    func aServersFileIsRefused(text: String, reason: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try ServerConfiguration(parsing: Array(text.utf8)) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("name: a\nencrypt: sometimes", "encrypt:"), ("name: a\ntime_budget: 8", "duration"),
        ("name: a\ntime_budget: 1s", "duration"), ("name: a\nmemory: 1", "size"),
        ("name: a\nconsent: never", "consent"),
        ("name: a\nvalidation: 1.5", "validation"), ("name: a\nthreads: 0", "threads"),
        ("name: a\nrounds: 3", "rounds"),
    ])
    func aClientsFileIsRefused(text: String, reason: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try ClientConfiguration(parsing: Array(text.utf8)) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    @Test func theTemplatesReadAsTheDefaults() throws {
        let name = try #require(PartyName("a"))
        #expect(
            try ServerConfiguration(parsing: Array(ServerConfiguration.template(name: name).utf8))
                == ServerConfiguration(parsing: Array("name: a".utf8)))
        let data = "/pictures of \"us\"/ä: b"
        #expect(
            try ClientConfiguration(parsing: Array(ClientConfiguration.template(name: name, data: data).utf8)).data
                == data)
    }

    /// Every commented-out line of the templates is itself accepted.
    @Test func theTemplatesExamplesAreValid() throws {
        let name = try #require(PartyName("a"))
        func uncommented(_ text: String) -> [UInt8] {
            let lines = text.split(separator: "\n").filter { line in
                let words = line.dropFirst(2).split(separator: " ", maxSplits: 1)
                let isKey = words.first?.hasSuffix(":") == true && words.first?.contains { $0.isUppercase } == false
                return !line.hasPrefix("#") || isKey
            }
            return Array(lines.map { $0.hasPrefix("# ") ? $0.dropFirst(2) : $0 }.joined(separator: "\n").utf8)
        }
        let server = try ServerConfiguration(parsing: uncommented(ServerConfiguration.template(name: name)))
        #expect(server.exchange != nil)
        let client = try ClientConfiguration(parsing: uncommented(ClientConfiguration.template(name: name, data: nil)))
        #expect(client.timeBudget == 28_800 && client.exchange != nil)
    }

    @Test(
        arguments: [("14d", 1_209_600), ("12h", 43_200), ("30m", 1800), ("45s", 45), ("90m", 5400)] as [(String, Int64)]
    )
    func durationsReadBothWays(text: String, seconds: Int64) {
        #expect(HumanDuration.parse(text) == seconds)
        #expect(HumanDuration.parse(HumanDuration.text(seconds)) == seconds)
    }

    @Test(arguments: ["", "d", "14", "1.5h", "-1d", "+1d", "1 d", "1w", "99999999999999999d", "36526d"])
    func otherTextsAreNoDurations(text: String) { #expect(HumanDuration.parse(text) == nil) }

    @Test(
        arguments: [("8GB", 8_000_000_000), ("8GiB", 8_589_934_592), ("512", 512), ("1kB", 1000), ("3B", 3)]
            as [(String, Int64)])
    func sizesRead(text: String, bytes: Int64) { #expect(ByteSize.parse(text) == bytes) }

    @Test(arguments: ["", "GB", "1.5GB", "-1", "8 GB", "99999999999TB", "8gb"])
    func otherTextsAreNoSizes(text: String) { #expect(ByteSize.parse(text) == nil) }
}
